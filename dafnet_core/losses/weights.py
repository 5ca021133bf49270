"""The loss terms: one field each, with its function, default weight and description.

To add a loss, write a function of `Forward` and a field here; the command line, logs and cards follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, ClassVar, Self

from torch import Tensor

from dafnet_core.config import Config, option, short
from dafnet_core.losses import adversarial, disentangle, terms
from dafnet_core.losses.functions import CE_WEIGHT, DICE
from dafnet_core.losses.terms import Forward
from dafnet_core.networks.discriminators import Discriminators
from dafnet_core.types import Batch, PairOutputs

Term = Callable[[Forward], Tensor | None]


def weight(default: float, term: Term | None, help: str, *, costly: bool = False) -> Any:
    """A loss term as a field.

    Args:
        default: its weight, 0 or more.
        term: gives the unweighted scalar, or None where the batch does not allow it; None for a term that DAFNet does
            not have, which its method computes.
        help: of the command line.
        costly: not computed while its weight is 0; other terms are always computed and logged.
    """
    return field(default=default, metadata={"help": f"weight of {help}", "term": term, "costly": costly})


@dataclass(frozen=True)
class LossWeights(Config):
    """Weights of the loss terms (Sec. IV-A): the paper's, and those of `fused` and below, which it lacks."""

    sup: float = weight(10.0, terms.supervised, "L_sup: Dice and cross entropy of annotated masks")
    adv_mask: float = weight(
        1.0, adversarial.masks, "L_adv^M: masks that the discriminator classifies as real", costly=True
    )
    rec: float = weight(1.0, terms.reconstruction, "L_rec: absolute error of own and crosswise reconstructions")
    adv_image: float = weight(
        1.0, adversarial.images, "L_adv^I: images that the image discriminators classify as real", costly=True
    )
    rec_z: float = weight(1.0, terms.modality_reconstruction, "L_rec^z: z encoded again from an image made from it")
    kl: float = weight(0.1, terms.divergence, "L_KL: divergence of q(z | x, s) from N(0, I)")
    fused: float = weight(
        5.0, terms.fused, "L_sup of masks of fused anatomies, for the segmentor alone; 0 in the paper"
    )
    warp: float = weight(
        0.0,
        terms.known_warp,
        "the error of alignment under the known warps that --warp makes of registered data; 0 in the paper",
        costly=True,
    )
    swap: float = weight(
        0.0,
        terms.swapped,
        "the error of z encoded again from an image of another modality's anatomy, on as many samples as L_rec^z; "
        "0 in the paper",
    )

    invariance: float = weight(
        0.0, disentangle.invariance, "channels that follow changed intensities; 0 in the paper", costly=True
    )
    rec_s: float = weight(
        0.0,
        disentangle.anatomy_reconstruction,
        "s encoded again from images of random and swapped styles; 0 in the paper",
        costly=True,
    )
    boundary: float = weight(
        0.0, disentangle.boundary, "the boundary length of anatomies (Potts); 0 in the paper", costly=True
    )
    confidence: float = weight(
        0.0, disentangle.confidence, "the entropy of the channels' softmax; 0 in the paper", costly=True
    )
    balance: float = weight(0.0, disentangle.balance, "channels that die; 0 in the paper", costly=True)
    organs: float = weight(
        0.0, disentangle.organs, "L_rec in and about the organs that are found; 0 in the paper", costly=True
    )
    flips: float = weight(
        0.0, disentangle.flips, "L_rec of images of anatomies with flipped pixels; 0 in the paper", costly=True
    )
    hide: float = weight(
        0.0, disentangle.hidden_modality, "the modality that a classifier finds in s; 0 in the paper", costly=True
    )
    tell: float = weight(
        0.0, disentangle.told_modality, "the modality that z does not tell; 0 in the paper", costly=True
    )
    contrast: float = weight(
        0.0,
        disentangle.contrast,
        "the error of each channel's mean intensity as it is read from z; 0 in the paper",
        costly=True,
    )
    agree: float = weight(
        0.0,
        disentangle.agreement,
        "channels that differ between modalities where the warp is known; 0 in the paper",
        costly=True,
    )
    cycle: float = weight(
        0.0,
        None,
        "the error of images translated to another modality and back, for methods with MUNIT",
        costly=True,
    )
    dice: str = option(
        "present",
        "Dice of L_sup: present, the mean over the classes of a slice; paper, one ratio over all classes and pixels, "
        "to which false pixels of an absent class count (Sec. III-C); every, the mean over all classes, to "
        "which they count too",
        tuple(DICE),
        flag="dice",
    )
    ce: float = option(CE_WEIGHT, "weight of the cross entropy beside the Dice of L_sup (Sec. III-C)", flag="ce")

    PREFIX: ClassVar[str] = "w_"
    MOST: ClassVar[float] = 1e6
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {"ce": (0, MOST)}

    def __post_init__(self) -> None:
        super().__post_init__()
        for f in self.terms():
            name = f"{self.PREFIX}{f.name}"
            if not 0 <= getattr(self, f.name) <= self.MOST:
                raise ValueError(f"{name} is {short(getattr(self, f.name))}; expected 0 to {self.MOST:g}")

    @classmethod
    def terms(cls) -> tuple[Field[Any], ...]:
        """The fields that weigh a term."""
        return tuple(f for f in fields(cls) if "term" in f.metadata)

    @classmethod
    def terms_of_dafnet(cls) -> tuple[Field[Any], ...]:
        """Those of the fields whose term DAFNet has."""
        return tuple(f for f in cls.terms() if f.metadata["term"])

    @classmethod
    def paper(cls) -> Self:
        """The weights and the Dice of Sec. III-C and IV-A."""
        return cls(fused=0.0, dice="paper")

    @classmethod
    def all_on(cls) -> Self:
        """Every term with a weight above 0."""
        values: dict[str, Any] = {f.name: f.default or 1.0 for f in cls.terms()}
        return cls(**values)

    def without(self, names: tuple[str, ...]) -> Self:
        """These weights with those of some terms set to 0."""
        off: dict[str, Any] = {f.name: 0.0 for f in self.terms() if f.name in names}
        return replace(self, **off)

    def total(self, terms: dict[str, Any]) -> Any:
        """The weighted sum of named terms; a term without a weight raises KeyError."""
        if unknown := sorted(set(terms) - {f.name for f in self.terms()}):
            raise KeyError(f"no weight for loss term {', '.join(unknown)}")
        return sum(getattr(self, name) * value for name, value in terms.items())


def generator_terms(
    outputs: PairOutputs, batch: Batch, discriminators: Discriminators, weights: LossWeights | None = None
) -> dict[str, Tensor]:
    """The loss terms of DAFNet, not yet weighted, under the names of LossWeights.

    Args:
        outputs: of a training forward on `batch`.
        weights: costly terms of weight 0 are left out; None computes them all.

    Returns:
        Scalars; terms that the batch does not allow are left out.
    """
    weights = weights or LossWeights.all_on()
    forward = Forward(outputs, batch, discriminators, weights.dice, weights.ce)
    wanted = [f for f in weights.terms_of_dafnet() if getattr(weights, f.name) or not f.metadata["costly"]]
    values = {f.name: f.metadata["term"](forward) for f in wanted}
    return {name: value for name, value in values.items() if value is not None}


def discriminator_terms(
    outputs: PairOutputs, batch: Batch, discriminators: Discriminators, weights: LossWeights | None = None
) -> dict[str, Tensor]:
    """Losses of the discriminators, `masks` and one `images_i` a modality (Sec. III-C and III-D).

    Gradients never reach the generator. A discriminator whose generator term has weight 0 is left out.
    """
    weights = weights or LossWeights.all_on()
    forward = Forward(outputs, batch, discriminators)
    losses = {"masks": adversarial.mask_discriminator(forward)} if weights.adv_mask else {}
    if weights.hide:
        losses["modality"] = disentangle.modality_classifier(forward)
    if weights.contrast:
        losses["contrast"] = disentangle.contrast_reader(forward)
    for i in range(len(discriminators.images) if weights.adv_image else 0):
        losses[f"images_{i}"] = adversarial.image_discriminator(forward, i)
    return losses

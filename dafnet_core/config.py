"""Configurations: frozen, validated where they are made, JSON both ways.

A command-line option is a field here: its default is the option's default, its `help` the option's help.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

JUDGING_SEED = 9000  # phantom seeds from here on are never trained on


def option(default: Any, help: str, choices: tuple[str, ...] | None = None) -> Any:
    """A dataclass field that the command line can show."""
    return field(default=default, metadata={"help": help, "choices": choices})


class Config:
    """JSON for frozen dataclasses; an unknown or missing key is an error and never silently ignored."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{cls.__name__} has no {', '.join(unknown)}; it knows {', '.join(sorted(known))}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def __post_init__(self) -> None:
        for f in fields(self):
            choices = f.metadata.get("choices")
            value = getattr(self, f.name)
            if choices and value not in choices:
                raise ValueError(f"{f.name} is {value!r}; expected one of {', '.join(choices)}")


@dataclass(frozen=True)
class ModelConfig(Config):
    """Everything that decides the shape of a DAFNet; the defaults are the published sizes.

    "Grids" are the sizes, in cells a side, to which maps are pooled before a dense layer, so that one
    set of weights runs at any H and W that are multiples of `multiple`.
    """

    modalities: tuple[str, ...]
    classes: tuple[str, ...]  # class 0 is the background
    channels: int = 8  # C, channels of the anatomy factor s
    z_dim: int = 8  # n_z, dimensions of the modality factor z
    decoder: str = option("film", "how s and z become an image", ("film", "spade"))
    norm: str = option("batch", "normalisation of encoder and segmentor", ("batch", "instance"))
    upsample: str = option("conv3x3_after", "convolution at each upsampling", ("conv3x3_after", "conv1x1_before"))
    width: int = 64
    depth: int = 4
    segmentor_width: int = 64
    modality_widths: tuple[int, ...] = (16, 32, 64, 128)
    modality_grid: int = 12
    modality_dense: int = 32
    logvar_bias: float = 0.0
    aligner_pool: int = 1
    aligner_width: int = 20
    aligner_grid: int = 48
    aligner_dense: int = 100
    control_points: int = 5
    film_width: int = 8
    film_blocks: int = 4
    spade_widths: tuple[int, ...] = (128, 128, 128, 64, 32, 16)
    spade_hidden: int = 128
    critic_width: int = 64
    critic_grid: int = 24
    candidates: int = 1  # k, images of the other modality that one image may be paired with

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.modalities) < 2 or len(set(self.modalities)) != len(self.modalities):
            raise ValueError(f"modalities are {self.modalities}; expected at least two different names")
        if len(self.classes) < 2:
            raise ValueError(f"classes are {self.classes}; expected the background and at least one more")
        for name in ("channels", "z_dim", "width", "depth", "control_points", "candidates"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.control_points < 2 or self.channels < 2:
            raise ValueError("control_points and channels must be at least 2")

    @property
    def multiple(self) -> int:
        """H and W of every image must be multiples of this (and at least twice it)."""
        return 2**self.depth

    @classmethod
    def published(cls, modalities: tuple[str, ...], classes: tuple[str, ...], **changes: Any) -> Self:
        """The sizes of the paper (Fig. 3, Sec. IV-A), meant for 192 x 192."""
        return cls(modalities, classes, **changes)

    @classmethod
    def compact(cls, modalities: tuple[str, ...], classes: tuple[str, ...], **changes: Any) -> Self:
        """The small model that ships: instance norm, 16 filters, trainable on two CPU cores."""
        small = dict(
            norm="instance", upsample="conv1x1_before", width=16, segmentor_width=16,
            modality_grid=4, logvar_bias=-3.0, aligner_pool=2, aligner_grid=8,
            spade_widths=(32, 32, 32, 16, 8, 8), spade_hidden=16, critic_width=16, critic_grid=6,
        )  # fmt: skip
        return cls(modalities, classes, **(small | changes))


@dataclass(frozen=True)
class LossWeights(Config):
    """Weights of the loss terms (Sec. IV-A); the defaults are the paper's."""

    sup: float = option(10.0, "L_sup: Dice and cross entropy of annotated masks")
    adv_mask: float = option(1.0, "L_adv^M: masks that the mask discriminator takes for real")
    rec: float = option(1.0, "L_rec: absolute error of own and crosswise reconstructions")
    adv_image: float = option(1.0, "L_adv^I: images that the image discriminators take for real")
    rec_z: float = option(1.0, "L_rec^z: z found again in an image made from it")
    kl: float = option(0.1, "L_KL: divergence of q(z | x, s) from N(0, I)")

    def total(self, terms: dict[str, Any]) -> Any:
        """The weighted sum of named terms; a term without a weight raises."""
        if unknown := sorted(set(terms) - {f.name for f in fields(self)}):
            raise KeyError(f"no weight for loss term {', '.join(unknown)}")
        return sum(getattr(self, name) * value for name, value in terms.items())


@dataclass(frozen=True)
class TrainConfig(Config):
    """One training run: data, recipe and machine (recipe: PAPER_NOTES.md, "Training recipe")."""

    data: str = option("phantom", "what to train on", ("phantom",))
    decoder: str = option("film", "decoder", ("film", "spade"))
    model: str = option("compact", "network sizes", ("compact", "published"))
    difficulty: str = option("mixed", "phantom difficulty; mixed: every other subject", ("standard", "hard", "mixed"))
    subjects: int = option(240, "training subjects of the phantom")
    validation_subjects: int = option(12, "validation subjects of the phantom, never trained on")
    size: int = option(128, "image side in pixels, a multiple of 16")
    seed: int = option(0, f"seed of data, weights and noise; {JUDGING_SEED} and above are for judging")
    steps: int = option(1800, "training steps")
    finish_steps: int = option(300, "last steps, taken with exactly the paper's loss weights")
    batch_size: int = option(4, "pairs per step")
    lr: float = option(1e-3, "learning rate of the generator")
    finish_lr: float = option(5e-4, "learning rate of the generator in the last steps")
    critic_lr: float = option(2e-4, "learning rate of the discriminators")
    warmup: int = option(100, "steps over which learning rates rise from zero")
    kl_phase1: float = option(0.02, "weight of L_KL before the last steps")
    rec_phase1: float = option(3.0, "weight of L_rec before the last steps")
    kl_ramp: int = option(900, "steps over which the weight of L_KL rises from zero")
    adversarial_from: int = option(300, "step at which adversarial terms begin")
    adversarial_ramp: int = option(300, "steps over which adversarial terms rise to their weight")
    rec_z_share: float = option(0.5, "share of each batch that L_rec^z is computed on")
    clip: float = option(10.0, "largest norm of the generator's gradient")
    ema: float = option(0.998, "decay of the running average of weights that is kept and shipped")
    validate_every: int = option(450, "steps between validations and contact sheets")
    precision: str = option("bf16", "arithmetic of the convolutions; geometry is always fp32", ("fp32", "bf16"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.seed < JUDGING_SEED:
            raise ValueError(
                f"seed is {self.seed}; expected 0 to {JUDGING_SEED - 1}: "
                f"seeds from {JUDGING_SEED} on are for judging only"
            )
        if self.size % 16 or self.size < 64:
            raise ValueError(f"size is {self.size}; expected a multiple of 16, at least 64")
        for name in ("subjects", "validation_subjects", "steps", "batch_size", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not 0 <= self.rec_z_share <= 1:
            raise ValueError(f"rec_z_share is {self.rec_z_share}; expected 0 to 1")

    @property
    def finish_start(self) -> int:
        """First step of the finish, which never takes more than half of a run."""
        return max(self.steps - self.finish_steps, self.steps // 2)

    def weights_at(self, step: int) -> LossWeights:
        """Loss weights of a step: ramps first, exactly the paper's from `finish_start` on."""
        paper = LossWeights()
        if step >= self.finish_start:
            return paper
        adversarial = min(max(step - self.adversarial_from, 0) / max(self.adversarial_ramp, 1), 1.0)
        return LossWeights(
            adv_mask=paper.adv_mask * adversarial, adv_image=paper.adv_image * adversarial,
            rec=self.rec_phase1, kl=self.kl_phase1 * min(step / max(self.kl_ramp, 1), 1.0),
        )  # fmt: skip

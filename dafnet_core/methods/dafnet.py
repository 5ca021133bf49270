"""DAFNet as a method: disentangle, align, fuse, segment, decode (Sec. III)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.data.pools import Pools
from dafnet_core.losses.weights import LossWeights, discriminator_terms, generator_terms
from dafnet_core.methods.base import Estimate, PredictedImage, PredictedMask, SliceInput
from dafnet_core.methods.decomposition import Decomposition, decompose
from dafnet_core.networks.dafnet import DAFNet
from dafnet_core.networks.discriminators import Discriminators
from dafnet_core.types import Batch, Noise, PairOutputs

FLIPPED = 0.05  # share of the pixels that `w_flips` flips
DECODER_TITLES = {"film": "FiLM", "spade": "SPADE"}


OPTIONS = (
    *("decoder", "channels", "z_dim", "without", "candidates", "copy_intensity", "critic_lr", "rec_z_share"),
    *("kl_phase1", "rec_phase1", "kl_ramp", "adversarial_from", "adversarial_ramp", "clean_from", "clean_ramp"),
)


class DAFNetMethod:
    """DAFNet with its networks; the discriminators exist in training only."""

    name: ClassVar[str] = "dafnet"
    title: ClassVar[str] = "DAFNet"
    kinds: ClassVar[tuple[str, ...]] = ("single", "deformed", "fused")
    needs_source_masks: ClassVar[bool] = False
    own_options: ClassVar[frozenset[str]] = frozenset(
        {*OPTIONS, *(f"{LossWeights.PREFIX}{f.name}" for f in LossWeights.terms_of_dafnet() if f.name != "sup")}
    )
    presets: ClassVar[dict[str, Any]] = {}
    pools: ClassVar[Pools | None] = None

    def __init__(self, networks: DAFNet, discriminators: Discriminators | None = None) -> None:
        self.networks, self.discriminators = networks, discriminators

    @classmethod
    def configure(cls, size: str, modalities: tuple[str, ...], classes: tuple[str, ...], **choices: Any) -> ModelConfig:
        """Sizes "compact" or "published"; `choices` are fields of ModelConfig."""
        choices.pop("target", None)  # it serves all modalities
        make = ModelConfig.compact if size == "compact" else ModelConfig.published
        return make(modalities, classes, **choices)

    @classmethod
    def networks_of(cls, config: ModelConfig) -> DAFNet:
        return DAFNet(config)

    @classmethod
    def of(cls, networks: DAFNet) -> Self:
        return cls(networks)

    @classmethod
    def for_training(cls, config: ModelConfig) -> Self:
        return cls(DAFNet(config), Discriminators(config))

    @property
    def config(self) -> ModelConfig:
        return self.networks.config

    @property
    def modalities(self) -> tuple[str, ...]:
        return self.config.modalities

    @property
    def classes(self) -> tuple[str, ...]:
        return self.config.classes

    @property
    def description(self) -> str:
        return f"DAFNet with a {DECODER_TITLES[self.config.decoder]} decoder"

    def facts(self) -> dict[str, str]:
        config = self.config
        return {
            "anatomy channels C, z dimensions": f"{config.channels}, {config.z_dim}",
            "passes of the aligner": f"{config.align_passes}",
        }

    @property
    def _critics(self) -> Discriminators:
        if self.discriminators is None:
            raise ValueError("this DAFNet has no discriminators; make it with DAFNetMethod.for_training")
        return self.discriminators

    def predict(self, given: SliceInput) -> Estimate:
        """Masks of single, deformed and fused anatomies, reconstructions, sampling positions and factors."""
        return estimate_of(decompose(self.networks, given.images, given.modalities))

    def noise(
        self, streams: Sequence[np.random.Generator], size: tuple[int, int], weights: LossWeights, share: float
    ) -> Noise:
        """Noise of the posterior's sample; z from N(0, I) for L_rec^z, and swapped styles, on a share (rounded up)."""
        m = len(self.config.modalities)
        draws = np.stack([stream.standard_normal((2, m, self.config.z_dim)) for stream in streams], 2)
        z, further = torch.from_numpy(draws).float()  # (2, M, B, n_z)
        some = math.ceil(len(streams) * share)
        drawn = further[:, : some if weights.rec_z or weights.rec_s else 0]
        flips = None
        if weights.flips:
            drawn_flips = [self._flips(stream, (m, *size)) for stream in streams]
            flips = torch.from_numpy(np.stack(drawn_flips, 1))
        return Noise(z, drawn, some if weights.swap else 0, bool(weights.fused), flips)

    def _flips(self, stream: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Channels that pixels are flipped to, FLIPPED of them; -1 for the others."""
        channels = stream.integers(0, self.config.channels, shape)
        return np.where(stream.random(shape) < FLIPPED, channels, -1)

    def terms(
        self, networks: nn.Module, batch: Batch, noise: Noise, weights: LossWeights
    ) -> tuple[dict[str, Tensor], PairOutputs]:
        """One training forward and its loss terms (Sec. III)."""
        outputs = networks(batch, noise)
        return generator_terms(outputs, batch, self._critics, weights), outputs

    def discriminator_terms(self, made: PairOutputs, batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
        return discriminator_terms(made, batch, self._critics, weights)

    def monitored(self, made: PairOutputs) -> dict[str, Tensor]:
        """Mean displacement `shift` of control points in [-1, 1] units; with candidates, the mean weight of each."""
        seen = {"shift": made.offsets.abs().mean()}
        if made.weights.shape[2] > 1:
            seen |= {f"weight_{k + 1}": w for k, w in enumerate(made.weights.mean((0, 1)))}
        return seen

    def visit(self, batch: Batch) -> None:
        m, b = batch.annotated.T.shape
        noise = Noise.draw(m, b, self.config.z_dim, rec_z_share=0, fused=False)
        self.networks(batch, noise.to(batch.images.device))


def estimate_of(decomposition: Decomposition) -> Estimate:
    """A decomposition as an estimate, with itself as its factors."""
    pairs = list(enumerate(decomposition.pairs))
    images = [PredictedImage("own", i, None, decomposition.own[i]) for i in decomposition.served]
    if not decomposition.aligned:
        pairs = []
    images += [PredictedImage("cross", i, j, decomposition.cross[p]) for p, (i, j) in pairs]
    positions = {pair: decomposition.positions[p] for p, pair in pairs}
    masks = tuple(masks_of(decomposition))
    return Estimate(masks, tuple(images), positions, decomposition, decomposition.probabilities)


def masks_of(decomposition: Decomposition) -> Iterator[PredictedMask]:
    """Every predicted mask, by modality served; without alignment, those of single anatomies only."""
    for i in decomposition.served:
        yield PredictedMask("single", i, None, decomposition.single[i])
        if not decomposition.aligned:
            continue
        for p, (fixed, moving) in enumerate(decomposition.pairs):
            if fixed == i:
                yield PredictedMask("deformed", i, moving, decomposition.deformed_masks[p])
        yield PredictedMask("fused", i, None, decomposition.fused_masks[i])

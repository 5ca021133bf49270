"""What methods share that segment each image by itself: the U-Nets and DualStream (Sec. IV-C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.data.pools import Pools
from dafnet_core.losses.functions import mean_where, supervised_loss
from dafnet_core.losses.weights import LossWeights
from dafnet_core.methods.base import Estimate, PredictedMask, SliceInput
from dafnet_core.methods.pieces import masks_from
from dafnet_core.precision import inference_autocast
from dafnet_core.types import Batch, Noise


@dataclass(frozen=True)
class Logits:
    """Class logits (M * B, L, H, W) of a training forward, modality by modality."""

    logits: Tensor


class Segmenter:
    """A network from single images to class logits, trained by L_sup alone on batches of annotated images.

    A class of a method gives `name`, `title` and `configure`, and `networks_of` and `pools`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ("single",)
    needs_source_masks: ClassVar[bool] = False
    own_options: ClassVar[frozenset[str]] = frozenset()
    presets: ClassVar[dict[str, Any]] = {}

    def __init__(self, networks: nn.Module) -> None:
        self.networks = networks
        self.discriminators: nn.Module | None = None
        self.config = cast(ModelConfig, networks.config)

    @classmethod
    def networks_of(cls, config: ModelConfig) -> nn.Module:
        raise NotImplementedError

    @classmethod
    def of(cls, networks: nn.Module) -> Self:
        return cls(networks)

    @classmethod
    def for_training(cls, config: ModelConfig) -> Self:
        return cls(cls.networks_of(config))

    @property
    def modalities(self) -> tuple[str, ...]:
        return self.config.modalities

    @property
    def classes(self) -> tuple[str, ...]:
        return self.config.classes

    @property
    def pools(self) -> Pools:
        raise NotImplementedError

    @property
    def description(self) -> str:
        return self.title

    def facts(self) -> dict[str, str]:
        return {"first scale": f"{self.config.width} channels"}

    def predict(self, given: SliceInput) -> Estimate:
        """A mask of each image, or of those of the modality that the network serves alone."""
        height, width = given.images.shape[2:]
        if not self.config.accepts(height, width):
            raise ValueError(
                f"image is {height}x{width}; expected multiples of {self.config.multiple}, at least twice it"
            )
        served = [i for i, m in enumerate(given.modalities) if self.config.target in ("", self.modalities[m])]
        if not served:
            return Estimate(())
        probs = self._probabilities(given, served)
        labels = masks_from(torch.from_numpy(probs), self.config)
        masks = tuple(PredictedMask("single", i, None, mask) for i, mask in zip(served, labels, strict=True))
        every = np.zeros((len(given.modalities), *probs.shape[1:]), np.float32)
        every[served] = probs
        return Estimate(masks, probabilities=every)

    @torch.inference_mode()
    def _probabilities(self, given: SliceInput, served: Sequence[int]) -> np.ndarray:
        """(len(served), L, H, W) float32 of some of a slice's images."""
        device = next(self.networks.parameters()).device
        images = torch.from_numpy(np.array(given.images[:, 0], np.float32, order="C")).to(device)
        with inference_autocast(device):
            logits = self.networks([images[i, None, None] for i in served], [given.modalities[i] for i in served])
        return logits.softmax(1).cpu().numpy()

    def noise(
        self, streams: Sequence[np.random.Generator], size: tuple[int, int], weights: LossWeights, share: float
    ) -> Noise:
        """None: nothing in these networks is random."""
        return Noise(torch.zeros(0), torch.zeros(0))

    def terms(
        self, networks: nn.Module, batch: Batch, noise: Noise, weights: LossWeights
    ) -> tuple[dict[str, Tensor], Logits]:
        """L_sup (Sec. III-C) of all annotated images of the batch."""
        logits = networks(*self._images(batch))
        annotated = batch.annotated.T.flatten()
        masks = torch.where(annotated[:, None, None], batch.masks.transpose(0, 1).flatten(0, 1), 0)
        losses = supervised_loss(logits, masks, weights.dice, weights.ce)
        return {"sup": mean_where(losses, annotated)}, Logits(logits)

    def discriminator_terms(self, made: Any, batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
        return {}

    def monitored(self, made: Any) -> dict[str, Tensor]:
        return {}

    def visit(self, batch: Batch) -> None:
        self.networks(*self._images(batch))

    def _images(self, batch: Batch) -> tuple[list[Tensor], range]:
        """The batch's images by modality, (B, 1, H, W) each, and the modalities."""
        modalities = range(batch.images.shape[1])
        return [batch.images[:, i, :1] for i in modalities], modalities

"""Translation and DADR (Sec. IV-C): MUNIT on unpaired images, and a U-Net on what it makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.data.pools import Pools
from dafnet_core.losses.functions import (
    mean_where,
    modality_reconstruction_loss,
    reconstruction_loss,
    supervised_loss,
)
from dafnet_core.losses.weights import LossWeights
from dafnet_core.methods.base import Estimate, PredictedImage, PredictedMask, SliceInput
from dafnet_core.methods.pieces import masks_from
from dafnet_core.networks.munit import PatchDiscriminator
from dafnet_core.networks.translation import ContentNetworks, MunitNetworks, MunitOutputs, TranslationNetworks
from dafnet_core.types import Batch, Noise


class Translation:
    """Images of other modalities are translated to the target, and a U-Net segments images of the target."""

    name: ClassVar[str] = "translation"
    title: ClassVar[str] = "Translation"
    kinds: ClassVar[tuple[str, ...]] = ("single",)
    needs_source_masks: ClassVar[bool] = False
    own_options: ClassVar[frozenset[str]] = frozenset(
        {
            *("z_dim", "critic_lr", "rec_phase1", "adversarial_from", "adversarial_ramp", "clean_from", "clean_ramp"),
            *("w_adv_image", "w_rec", "w_rec_s", "w_rec_z", "w_cycle"),
        }
    )
    presets: ClassVar[dict[str, Any]] = {  # of Huang et al., from the first step
        "w_adv_image": 1.0,
        "w_rec": 10.0,
        "rec_phase1": 10.0,
        "w_rec_s": 1.0,
        "w_rec_z": 1.0,
        "w_cycle": 10.0,
        "adversarial_from": -1,
        "adversarial_ramp": 0,
        "clean_from": -1,
        "clean_ramp": 0,
        "clip": 0.0,
    }
    pools: ClassVar[Pools | None] = None
    NETWORKS: ClassVar[type[MunitNetworks]] = TranslationNetworks

    def __init__(self, networks: MunitNetworks, discriminators: nn.Module | None = None) -> None:
        self.networks, self.discriminators = networks, discriminators

    @classmethod
    def configure(cls, size: str, modalities: tuple[str, ...], classes: tuple[str, ...], **choices: Any) -> ModelConfig:
        """Sizes "compact" or "published" of MUNIT and of the U-Net; the target is the last modality by default."""
        choices = {"target": modalities[-1], **choices, "align": "off"}
        if size == "compact":
            return ModelConfig.compact(modalities, classes, **({"content_width": 12} | choices))
        return ModelConfig.published(modalities, classes, **({"content_width": 64} | choices))

    @classmethod
    def networks_of(cls, config: ModelConfig) -> MunitNetworks:
        return cls.NETWORKS(config)

    @classmethod
    def of(cls, networks: MunitNetworks) -> Self:
        return cls(networks)

    @classmethod
    def for_training(cls, config: ModelConfig) -> Self:
        return cls(cls.networks_of(config), nn.ModuleList(PatchDiscriminator(config) for _ in config.modalities))

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
        return f"{self.title} with MUNIT"

    def facts(self) -> dict[str, str]:
        style = {"style dimensions": f"{self.config.z_dim}"}
        return {"translates to": self.config.target, **style} if self.config.target else style

    def predict(self, given: SliceInput) -> Estimate:
        """Masks, own reconstructions, content and style of all images."""
        device = next(self.networks.parameters()).device
        x = torch.from_numpy(np.array(given.images[:, 0], np.float32, order="C"))[None].to(device)
        found = self.networks.predict(x, given.modalities)
        probs, own, content, style = (
            values[:, 0].float().cpu().numpy() for values in (found.probs, found.own, found.content, found.style)
        )
        labels = masks_from(torch.from_numpy(probs), self.config)
        masks = tuple(PredictedMask("single", i, None, mask) for i, mask in enumerate(labels))
        images = tuple(PredictedImage("own", i, None, image) for i, image in enumerate(own))
        return Estimate(masks, images, probabilities=probs, content=content, style=style)

    def noise(
        self, streams: Sequence[np.random.Generator], size: tuple[int, int], weights: LossWeights, share: float
    ) -> Noise:
        """Styles from N(0, I)."""
        m = len(self.config.modalities)
        draws = np.stack([stream.standard_normal((m, self.config.z_dim)) for stream in streams], 1)
        z = torch.from_numpy(draws).float()  # (M, B, n_z)
        return Noise(z, z[:, :0])

    def terms(
        self, networks: nn.Module, batch: Batch, noise: Noise, weights: LossWeights
    ) -> tuple[dict[str, Tensor], MunitOutputs]:
        """MUNIT's terms, each a mean over modalities or ordered pairs, and L_sup, which trains the U-Net alone."""
        made = networks(batch, noise)
        x = batch.images[:, :, 0].transpose(0, 1)
        fixed, moving = ([pair[side] for pair in made.pairs] for side in (0, 1))
        annotated = batch.annotated.T[list(made.labelled)]
        masks = torch.where(annotated[..., None, None], batch.masks.transpose(0, 1)[list(made.labelled)], 0)
        errors = supervised_loss(made.logits.flatten(0, 1), masks.flatten(0, 1), weights.dice, weights.ce)
        terms = {
            "sup": mean_where(errors, annotated.flatten()),
            "rec": reconstruction_loss(made.images, x).mean(),
            "rec_z": modality_reconstruction_loss(made.z_again, made.z_prior[fixed]),
            "rec_s": (made.content_again - made.content[moving]).abs().mean(),
            "cycle": reconstruction_loss(made.cycled, x[moving]).mean(),
        }
        if weights.adv_image:
            fake = [self._realness(i, y[:, None]) for i, y in zip(fixed, made.translated, strict=True)]
            terms["adv_image"] = torch.stack([_distance(scales, 1) for scales in fake]).mean()
        return terms, made

    def discriminator_terms(self, made: MunitOutputs, batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
        """LS-GAN of each modality's images: translated ones are fake."""
        terms = {}
        for i in range(len(self.modalities)):
            fake = torch.cat([y for (fixed, _), y in zip(made.pairs, made.translated, strict=True) if fixed == i])
            real = batch.images[:, i, :1]
            scales = self._realness(i, torch.cat([fake[:, None], real]))
            parts = [scale.split([len(fake), len(real)]) for scale in scales]
            terms[f"images_{i}"] = _distance([p[0] for p in parts], 0) + _distance([p[1] for p in parts], 1)
        return terms

    def monitored(self, made: MunitOutputs) -> dict[str, Tensor]:
        return {}

    def visit(self, batch: Batch) -> None:
        m, b = batch.annotated.T.shape
        noise = Noise.draw(m, b, self.config.z_dim, rec_z_share=0)
        self.networks(batch, noise.to(batch.images.device))

    def _realness(self, modality: int, images: Tensor) -> list[Tensor]:
        """Realness of patches at each scale of images (N, 1, H, W)."""
        if not isinstance(self.discriminators, nn.ModuleList):
            raise ValueError(f"this {self.title} has no discriminators; make it with for_training")
        return self.discriminators[modality](images)


def _distance(scales: Sequence[Tensor], wanted: float) -> Tensor:
    """Mean squared distance of realness from 1 or 0, summed over scales."""
    return torch.stack([(scale - wanted).square().mean() for scale in scales]).sum()


class DADR(Translation):
    """A U-Net segments the content code of all modalities, which holds no style (Yang et al. 2019)."""

    name: ClassVar[str] = "dadr"
    title: ClassVar[str] = "DADR"
    NETWORKS: ClassVar[type[MunitNetworks]] = ContentNetworks

    @classmethod
    def configure(cls, size: str, modalities: tuple[str, ...], classes: tuple[str, ...], **choices: Any) -> ModelConfig:
        """As Translation has it, without a target: content is that of all modalities."""
        return super().configure(size, modalities, classes, **(choices | {"target": ""}))

"""SDNet-multi and SDNet-single (Chartsias et al. 2019; Sec. IV-C of the paper): factors without alignment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.data.pools import Pools
from dafnet_core.losses.functions import (
    kl_divergence,
    mean_where,
    modality_reconstruction_loss,
    reconstruction_loss,
    supervised_loss,
)
from dafnet_core.losses.weights import LossWeights
from dafnet_core.methods.base import Estimate, SliceInput
from dafnet_core.methods.dafnet import estimate_of
from dafnet_core.methods.decomposition import decompose
from dafnet_core.networks.discriminators import Discriminator
from dafnet_core.networks.sdnet import SDNet, SDNetOutputs
from dafnet_core.types import Batch, Noise


class SDNetMulti:
    """SDNet on the images of all modalities, pooled."""

    name: ClassVar[str] = "sdnet-multi"
    title: ClassVar[str] = "SDNet-multi"
    kinds: ClassVar[tuple[str, ...]] = ("single",)
    needs_source_masks: ClassVar[bool] = False
    own_options: ClassVar[frozenset[str]] = frozenset(
        {
            *("decoder", "channels", "z_dim", "critic_lr", "rec_z_share", "rec_phase1", "kl_phase1", "kl_ramp"),
            *("adversarial_from", "adversarial_ramp", "w_adv_mask", "w_rec", "w_rec_z", "w_kl"),
        }
    )
    presets: ClassVar[dict[str, Any]] = {  # of Chartsias et al.
        "w_adv_mask": 10.0,
        "w_rec": 1.0,
        "rec_phase1": 1.0,
        "w_rec_z": 1.0,
        "w_kl": 0.01,
        "kl_phase1": 0.01,
    }

    def __init__(self, networks: SDNet, discriminators: nn.Module | None = None) -> None:
        self.networks, self.discriminators = networks, discriminators

    @classmethod
    def configure(cls, size: str, modalities: tuple[str, ...], classes: tuple[str, ...], **choices: Any) -> ModelConfig:
        """Sizes "compact" or "published"; of `choices`, the target is dropped, and nothing is aligned."""
        make = ModelConfig.compact if size == "compact" else ModelConfig.published
        return make(modalities, classes, **(choices | {"target": "", "align": "off"}))

    @classmethod
    def networks_of(cls, config: ModelConfig) -> SDNet:
        return SDNet(config)

    @classmethod
    def of(cls, networks: SDNet) -> Self:
        return cls(networks)

    @classmethod
    def for_training(cls, config: ModelConfig) -> Self:
        masks = Discriminator(config, len(config.classes) - 1)  # masks enter without the background
        return cls(SDNet(config), nn.ModuleDict({"masks": masks}))

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
        return self.title

    @property
    def pools(self) -> Pools | None:
        return None

    def facts(self) -> dict[str, str]:
        return {"anatomy channels C, z dimensions": f"{self.config.channels}, {self.config.z_dim}"}

    def predict(self, given: SliceInput) -> Estimate:
        """Masks and reconstructions of the modalities that it serves, and factors of all."""
        return estimate_of(decompose(self.networks, given.images, given.modalities))

    def noise(
        self, streams: Sequence[np.random.Generator], size: tuple[int, int], weights: LossWeights, share: float
    ) -> Noise:
        """Noise of the posterior's sample, and z from N(0, I) for L_rec^z on a share (rounded up)."""
        m, some = len(self.config.modalities), math.ceil(len(streams) * share) if weights.rec_z else 0
        draws = np.stack([stream.standard_normal((2, m, self.config.z_dim)) for stream in streams], 2)
        z, further = torch.from_numpy(draws).float()  # (2, M, B, n_z)
        return Noise(z, further[:, :some])

    def terms(
        self, networks: nn.Module, batch: Batch, noise: Noise, weights: LossWeights
    ) -> tuple[dict[str, Tensor], SDNetOutputs]:
        """One training forward and its loss terms, each a mean over the images."""
        made = networks(batch, noise)
        masks, annotated = self._truth(batch)
        errors = supervised_loss(made.logits.flatten(0, 1), masks.flatten(0, 1), weights.dice, weights.ce)
        x = batch.images[:, :, 0].transpose(0, 1)
        terms = {
            "sup": mean_where(errors, annotated.flatten()),
            "rec": reconstruction_loss(made.images, x).mean(),
            "rec_z": modality_reconstruction_loss(made.z_reencoded, made.z_prior),
            "kl": kl_divergence(made.mean, made.logvar).sum(-1).mean(),
        }
        if weights.adv_mask:
            terms["adv_mask"] = (self._realness(made.logits.flatten(0, 1).softmax(1)) - 1).square().mean()
        return terms, made

    def discriminator_terms(self, made: SDNetOutputs, batch: Batch, weights: LossWeights) -> dict[str, Tensor]:
        """LS-GAN of masks; only annotated ones are real."""
        masks, annotated = self._truth(batch)
        probs = made.logits.flatten(0, 1).softmax(1)
        truth = F.one_hot(masks.flatten(0, 1), probs.shape[1]).movedim(-1, 1).to(probs.dtype)
        fake, real = self._realness(torch.cat([probs, truth])).split(len(probs))
        return {"masks": fake.square().mean() + mean_where((real - 1).square(), annotated.flatten())}

    def monitored(self, made: SDNetOutputs) -> dict[str, Tensor]:
        return {}

    def visit(self, batch: Batch) -> None:
        m, b = batch.annotated.T.shape
        noise = Noise.draw(m, b, self.config.z_dim, rec_z_share=0)
        self.networks(batch, noise.to(batch.images.device))

    def _truth(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Labels (M, B, H, W), background where not annotated, and which are annotated, (M, B)."""
        annotated = batch.annotated.T
        return torch.where(annotated[:, :, None, None], batch.masks.transpose(0, 1), 0), annotated

    def _realness(self, probs: Tensor) -> Tensor:
        """Realness (N,) of class probabilities (N, L, H, W); the background channel stays outside."""
        if self.discriminators is None:
            raise ValueError("this SDNet has no discriminator; make it with for_training")
        return self.discriminators.get_submodule("masks")(probs[:, 1:])


class SDNetSingle(SDNetMulti):
    """SDNet on the images of the target modality only, annotated and not; it predicts masks of no other."""

    name: ClassVar[str] = "sdnet-single"
    title: ClassVar[str] = "SDNet-single"

    @classmethod
    def configure(cls, size: str, modalities: tuple[str, ...], classes: tuple[str, ...], **choices: Any) -> ModelConfig:
        """As SDNetMulti has it, for the target; the last modality by default."""
        config = super().configure(size, modalities, classes, **choices)
        return replace(config, target=choices.get("target") or modalities[-1])

    @property
    def pools(self) -> Pools | None:
        return Pools(((self.modalities.index(self.config.target),),), unannotated=True)

    def facts(self) -> dict[str, str]:
        return {"trained on images of": self.config.target, **super().facts()}

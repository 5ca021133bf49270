"""The loss terms of DAFNet (Sec. III): one function each, from the outputs of a training forward pass to a scalar.

Every term is a mean over modalities plus, where the paper uses deformed anatomies too, a mean over ordered pairs; so
terms keep their size whatever the number of modalities. `weights.py` names each term and its default weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dafnet_core.losses.functions import (
    CE_WEIGHT,
    kl_divergence,
    mean_where,
    modality_reconstruction_loss,
    reconstruction_loss,
    supervised_loss,
    warp_error,
)
from dafnet_core.networks.discriminators import Discriminators
from dafnet_core.networks.pairing import fused_weights
from dafnet_core.types import Batch, PairOutputs


@dataclass(frozen=True)
class Forward:
    """Inputs of loss terms: one training forward pass, its batch, and the discriminators.

    Masks are background where not annotated, so that unannotated values are never read. `dice` is the kind of Dice of
    L_sup, `ce` the weight of its cross entropy.
    """

    outputs: PairOutputs
    batch: Batch
    discriminators: Discriminators
    dice: str = "present"
    ce: float = CE_WEIGHT

    def l_sup(self, logits: Tensor, masks: Tensor) -> Tensor:
        """L_sup of each sample with this forward's Dice and weight: (N, L, H, W), (N, H, W) -> (N,)."""
        return supervised_loss(logits, masks, self.dice, self.ce)

    @cached_property
    def annotated(self) -> Tensor:
        """(M, B) bool: which masks are annotated."""
        return self.batch.annotated.T

    @cached_property
    def masks(self) -> Tensor:
        """(M, B, H, W) labels, background where not annotated."""
        return torch.where(self.annotated[:, :, None, None], self.batch.masks.transpose(0, 1), 0)

    @cached_property
    def x(self) -> Tensor:
        """(M, B, H, W) images of candidate 0, in [-1, 1]."""
        return self.batch.images[:, :, 0].transpose(0, 1)

    @cached_property
    def fixed(self) -> Tensor:
        """(P,) fixed modality of each pair."""
        return torch.tensor([i for i, _ in self.outputs.pairs], device=self.batch.images.device)


def supervised(f: Forward) -> Tensor:
    """L_sup of masks from own anatomies and, weighted over candidates, from deformed ones (Sec. III-C)."""
    p, b, k = f.outputs.deformed.shape[:3]
    own = f.l_sup(f.outputs.logits.flatten(0, 1), f.masks.flatten(0, 1)).view_as(f.annotated)
    masks = f.masks[f.fixed][:, :, None].expand(-1, -1, k, -1, -1)
    cross = f.l_sup(f.outputs.deformed_logits.flatten(0, 2), masks.flatten(0, 2)).view(p, b, k)
    weighted = (cross * f.outputs.weights).sum(-1)
    return mean_where(own, f.annotated) + mean_where(weighted, f.annotated[f.fixed])


def reconstruction(f: Forward) -> Tensor:
    """L_rec of own images and, weighted over candidates, of crosswise ones (Sec. III-D)."""
    cross = reconstruction_loss(f.outputs.deformed_images, f.x[f.fixed][:, :, None])  # (P, B, K)
    own = reconstruction_loss(f.outputs.images, f.x).mean()
    return own + (cross * f.outputs.weights).sum(-1).mean()


def modality_reconstruction(f: Forward) -> Tensor:
    """L_rec^z (Sec. III-E): z from N(0, I) encoded again from its decoded image."""
    return modality_reconstruction_loss(f.outputs.z_reencoded, f.outputs.z_prior)


def divergence(f: Forward) -> Tensor:
    """L_KL (Sec. III-A): divergence of q(z | x, s) from N(0, I) in nats, summed over dimensions."""
    return kl_divergence(f.outputs.mean, f.outputs.logvar).sum(-1).mean()


def fused(f: Forward) -> Tensor | None:
    """L_sup of masks from fused anatomies, for the segmentor alone; not in the paper."""
    if not f.outputs.fused_logits.shape[2]:
        return None
    masks = f.masks[:, :, None].expand(-1, -1, f.outputs.fused_logits.shape[2], -1, -1)
    losses = f.l_sup(f.outputs.fused_logits.flatten(0, 2), masks.flatten(0, 2)).view(masks.shape[:3])
    weights = fused_weights(f.outputs.weights, f.outputs.pairs).detach()
    return mean_where((losses * weights).sum(-1), f.annotated)


def known_warp(f: Forward) -> Tensor | None:
    """Error of sampling positions under the known warps of registered data, [-1, 1] units; not in the paper."""
    displacements, regions = f.batch.displacements, f.batch.regions
    if displacements is None or regions is None:
        return None
    fields, regions = displacements.transpose(0, 1), regions.transpose(0, 1)
    moving = torch.stack([fields[j] for _, j in f.outputs.pairs])
    parts = (f.outputs.grid, fields[f.fixed], moving, regions[f.fixed])
    return warp_error(*(t.flatten(0, 1) for t in parts)).mean()


def swapped(f: Forward) -> Tensor | None:
    """z encoded again from images of another modality's anatomy; not in the paper."""
    if not f.outputs.z_swapped.shape[1]:
        return None
    return modality_reconstruction_loss(f.outputs.z_swapped_reencoded, f.outputs.z_swapped)

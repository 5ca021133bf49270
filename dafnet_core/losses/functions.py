"""Losses as functions of tensors alone, one function a symbol of the paper (Sec. III), for any method."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dafnet_core.geometry import pixel_centres, warp
from dafnet_core.parallel import rank_and_size, summed

TOLERATED = 0.01  # share of an image that a class must fill falsely to cost half a Dice, where the mask lacks it
CE_WEIGHT = 0.01  # beta of L_sup in the paper; alpha, the weight of the Dice loss, is 1


def dice_loss(probs: Tensor, masks: Tensor) -> Tensor:
    """1 - Dice of each sample, over the classes that its mask contains, background left out (Sec. III-C).

    Args:
        probs: (N, L, H, W) class probabilities.
        masks: (N, H, W) int64 labels.

    Returns:
        (N,); 0 for a mask of nothing but background.
    """
    truth = F.one_hot(masks, probs.shape[1]).movedim(-1, 1)[:, 1:].to(probs.dtype)
    probs = probs[:, 1:]
    size = truth.sum((2, 3))
    dice = 2 * (probs * truth).sum((2, 3)) / (probs.sum((2, 3)) + size).clamp_min(1e-6)
    present = (size > 0).to(probs.dtype)
    return ((1 - dice) * present).sum(1) / present.sum(1).clamp_min(1)


def dice_loss_of_all(probs: Tensor, masks: Tensor) -> Tensor:
    """1 - Dice of each sample as one ratio over all pixels and classes, background left out (Sec. III-C).

    Pixels of a class that the mask lacks count against it, but where the mask is background alone the ratio is 0
    whatever was predicted.

    Args:
        probs: (N, L, H, W) class probabilities.
        masks: (N, H, W) int64 labels.

    Returns:
        (N,); 1 for a mask of nothing but background.
    """
    truth = F.one_hot(masks, probs.shape[1]).movedim(-1, 1)[:, 1:].to(probs.dtype)
    probs = probs[:, 1:]
    return 1 - 2 * (probs * truth).sum((1, 2, 3)) / (probs.sum((1, 2, 3)) + truth.sum((1, 2, 3))).clamp_min(1e-6)


def dice_loss_of_every(probs: Tensor, masks: Tensor) -> Tensor:
    """1 - Dice of each sample, mean over all classes but background; a class that the mask lacks costs its pixels.

    Not in the paper. The cost of an absent class is a / (a + TOLERATED), with a its share of the image.

    Args:
        probs: (N, L, H, W) class probabilities.
        masks: (N, H, W) int64 labels.

    Returns:
        (N,), in [0, 1].
    """
    truth = F.one_hot(masks, probs.shape[1]).movedim(-1, 1)[:, 1:].to(probs.dtype)
    probs = probs[:, 1:]
    size, found = truth.mean((2, 3)), probs.mean((2, 3))
    dice = 2 * (probs * truth).mean((2, 3)) / (found + size).clamp_min(1e-12)
    return torch.where(size > 0, 1 - dice, found / (found + TOLERATED)).mean(1)


def cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy of each sample, each class weighted by 1 - its share of that sample's pixels (Sec. III-C).

    Args:
        logits: (N, L, H, W); masks: (N, H, W) int64 labels.

    Returns:
        (N,) weighted mean over pixels.
    """
    truth = F.one_hot(masks, logits.shape[1]).movedim(-1, 1).to(logits.dtype)
    weight = (1 - truth.mean((2, 3)))[:, :, None, None] * truth
    return -(weight * logits.log_softmax(1)).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(1e-6)


DICE = {"present": dice_loss, "paper": dice_loss_of_all, "every": dice_loss_of_every}  # kinds of the Dice of L_sup


def supervised_loss(logits: Tensor, masks: Tensor, dice: str = "present", ce: float = CE_WEIGHT) -> Tensor:
    """L_sup of each sample (Sec. III-C), a kind of Dice and cross entropy: (N, L, H, W), (N, H, W) -> (N,)."""
    return DICE[dice](logits.softmax(1), masks) + ce * cross_entropy(logits, masks)


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """L_KL per dimension: KL(q || N(0, 1)) in nats (Sec. III-A), shaped like `mean`."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar)


def reconstruction_loss(y: Tensor, x: Tensor) -> Tensor:
    """L_rec of each image (Sec. III-D): mean absolute error over the last two axes, intensities in [-1, 1]."""
    return (y - x).abs().mean((-2, -1))


def modality_reconstruction_loss(z_reencoded: Tensor, z: Tensor) -> Tensor:
    """L_rec^z (Sec. III-E): mean absolute difference of z and its re-encoding, both (..., n_z); scalar, 0 if empty."""
    return (z_reencoded - z).abs().sum() / max(z.numel(), 1)


def warp_error(grid: Tensor, fixed: Tensor, moving: Tensor, region: Tensor) -> Tensor:
    """Error of sampling positions under known warps of registered images; not in the paper.

    A position q found for pixel p of the fixed image is right where both show the same point of the registered
    images: p + fixed(p) = q + moving(q).

    Args:
        grid: (N, H, W, 2) xy in [-1, 1], positions in the moving image.
        fixed, moving: (N, H, W, 2) displacements of both images, in the same units (Batch).
        region: (N, H, W) bool, pixels of the fixed image that count.

    Returns:
        (N,) mean Euclidean distance over the region, same units; 0 for an empty one.
    """
    height, width = grid.shape[1:3]
    p = pixel_centres(height, width, grid.dtype).to(grid.device).view(height, width, 2)
    at_q = warp(moving.movedim(-1, 1), grid).movedim(1, -1)
    distance = (p + fixed - grid - at_q).square().sum(-1).clamp_min(1e-12).sqrt()
    return (distance * region).sum((1, 2)) / region.sum((1, 2)).clamp_min(1)


def mean_where(values: Tensor, keep: Tensor) -> Tensor:
    """Mean of `values` where `keep`; 0 if nothing is kept. Excluded values have no gradient.

    With several processes the sum is divided by their mean count, so that the mean of their gradients is that
    of one process with the whole batch, even if one of them keeps nothing.
    """
    keep = keep.to(values.dtype)
    total = summed(keep.sum()).clamp_min(1)
    return (values * keep).sum() / total * rank_and_size()[1]

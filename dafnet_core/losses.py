"""Losses of the paper (Sec. III), one function a symbol; terms come as a dict that is weighted once.

Every term is a mean over modalities plus, where the paper uses deformed anatomies too, a mean over ordered
pairs; so terms keep their size whatever the number of modalities.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dafnet_core.config import LossWeights
from dafnet_core.networks.aligner import pixel_centres, warp
from dafnet_core.networks.discriminators import Critics
from dafnet_core.networks.pairing import fused_weights
from dafnet_core.parallel import rank_and_size, summed
from dafnet_core.types import Batch, PairOutputs

EVERY_TERM = LossWeights(fused=1.0, warp=1.0, swap=1.0)
CE_WEIGHT = 0.01  # beta of L_sup; alpha, the weight of the Dice loss, is 1


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


def supervised_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """L_sup of each sample (Sec. III-C): (N, L, H, W), (N, H, W) -> (N,)."""
    return dice_loss(logits.softmax(1), masks) + CE_WEIGHT * cross_entropy(logits, masks)


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """L_KL per dimension: KL(q || N(0, 1)) in nats (Sec. III-A), shaped like `mean`."""
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar)


def reconstruction_loss(y: Tensor, x: Tensor) -> Tensor:
    """L_rec of each image (Sec. III-D): mean absolute error over the last two axes, intensities in [-1, 1]."""
    return (y - x).abs().mean((-2, -1))


def modality_reconstruction_loss(z_found: Tensor, z_drawn: Tensor) -> Tensor:
    """L_rec^z (Sec. III-E): mean absolute difference of z and what is encoded from its image; 0 for none."""
    return (z_found - z_drawn).abs().sum() / max(z_drawn.numel(), 1)


def warp_error(grid: Tensor, fixed: Tensor, moving: Tensor, region: Tensor) -> Tensor:
    """How far sampling positions are from where known warps of registered images say; not in the paper.

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


def _mean_where(values: Tensor, keep: Tensor) -> Tensor:
    """Mean of `values` where `keep`; 0 if nothing is kept. What is not kept has no gradient.

    With several processes the sum is divided by their mean count, so that the mean of their gradients is that
    of one process with the whole batch, also where one of them keeps nothing.
    """
    keep = keep.to(values.dtype)
    total = summed(keep.sum()).clamp_min(1)
    return (values * keep).sum() / total * rank_and_size()[1]


def _known_masks(batch: Batch) -> Tensor:
    """(M, B, H, W) labels, background where nothing is annotated, so that no unannotated value is ever read."""
    keep = batch.annotated.T[:, :, None, None]
    return torch.where(keep, batch.masks.transpose(0, 1), 0)


def generator_terms(
    outputs: PairOutputs, batch: Batch, critics: Critics, weights: LossWeights = EVERY_TERM
) -> dict[str, Tensor]:
    """The loss terms of DAFNet, not yet weighted; names are those of LossWeights.

    Adversarial terms, which need a pass through the discriminators, are left out while their weight is 0, and so is
    `warp`, which only registered data have, and `swap`, which needs images with swapped styles.
    """
    fixed = torch.tensor([i for i, _ in outputs.pairs], device=batch.images.device)
    masks, annotated = _known_masks(batch), batch.annotated.T
    x = batch.images[:, :, 0].transpose(0, 1)  # (M, B, H, W)
    p, b, k = outputs.deformed.shape[:3]
    w = outputs.weights

    own = supervised_loss(outputs.logits.flatten(0, 1), masks.flatten(0, 1)).view_as(annotated)
    pair_masks = masks[fixed][:, :, None].expand(-1, -1, k, -1, -1)
    cross = supervised_loss(outputs.deformed_logits.flatten(0, 2), pair_masks.flatten(0, 2)).view(p, b, k)
    rec_cross = reconstruction_loss(outputs.deformed_images, x[fixed][:, :, None])  # (P, B, K)

    fused = supervised_loss(
        outputs.fused_logits.flatten(0, 2), masks[:, :, None].expand(-1, -1, k, -1, -1).flatten(0, 2)
    )
    of_fused = (fused.view(-1, b, k) * fused_weights(w, outputs.pairs).detach()).sum(-1)

    terms = {
        "sup": _mean_where(own, annotated) + _mean_where((cross * w).sum(-1), annotated[fixed]),
        "rec": reconstruction_loss(outputs.images, x).mean() + (rec_cross * w).sum(-1).mean(),
        "rec_z": modality_reconstruction_loss(outputs.z_found, outputs.z_drawn),
        "kl": kl_divergence(outputs.mean, outputs.logvar).sum(-1).mean(),
        "fused": _mean_where(of_fused, annotated),
    }
    if outputs.z_swapped.shape[1]:
        terms["swap"] = modality_reconstruction_loss(outputs.z_swapped_found, outputs.z_swapped)
    if weights.warp and batch.displacements is not None:
        known, regions = batch.displacements.transpose(0, 1), batch.regions.transpose(0, 1)
        moving = torch.stack([known[j] for _, j in outputs.pairs])
        parts = (outputs.grid, known[fixed], moving, regions[fixed])
        terms["warp"] = warp_error(*(t.flatten(0, 1) for t in parts)).mean()
    if weights.adv_mask:
        judged = (_judge_masks(critics, logits) for logits in (outputs.logits, outputs.deformed_logits))
        terms["adv_mask"] = sum((score - 1).square().mean() for score in judged)
    if weights.adv_image:
        terms["adv_image"] = _adversarial_images(outputs, critics)
    return terms


def _judge_masks(critics: Critics, logits: Tensor) -> Tensor:
    """Realness of predicted masks (..., L, H, W); the background channel stays outside."""
    return critics.masks(logits.flatten(0, -4).softmax(1)[:, 1:])


def _images_of(outputs: PairOutputs, i: int) -> tuple[Tensor, Tensor]:
    """Own and crosswise reconstructions in the style of modality i, (N, 1, H, W) each."""
    cross = [outputs.deformed_images[p].flatten(0, 1) for p, (f, _) in enumerate(outputs.pairs) if f == i]
    return outputs.images[i][:, None], torch.cat(cross)[:, None]


def _adversarial_images(outputs: PairOutputs, critics: Critics) -> Tensor:
    """L_adv^I for the generator (Sec. III-D): (D(y) - 1)^2 for own and crosswise images, mean over modalities."""
    total = outputs.images.new_zeros(())
    for i, critic in enumerate(critics.images):
        own, cross = _images_of(outputs, i)
        scores = critic(torch.cat([own, cross]))
        total = total + sum((part - 1).square().mean() for part in scores.split([len(own), len(cross)]))
    return total / len(critics.images)


def critic_terms(
    outputs: PairOutputs, batch: Batch, critics: Critics, weights: LossWeights = EVERY_TERM
) -> dict[str, Tensor]:
    """LS-GAN losses of the discriminators: D(fake)^2 + (D(real) - 1)^2 (Sec. III-C and III-D).

    Only annotated masks are real ones. Gradients never reach the generator. A discriminator whose term has weight 0
    is left out.
    """
    terms = {}
    if weights.adv_mask:
        probs = [t.detach().flatten(0, -4).softmax(1)[:, 1:] for t in (outputs.logits, outputs.deformed_logits)]
        truth = F.one_hot(_known_masks(batch).flatten(0, 1), outputs.logits.shape[2]).movedim(-1, 1)[:, 1:]
        parts = [*probs, truth.to(probs[0].dtype)]
        own, cross, real = critics.masks(torch.cat(parts)).split([len(t) for t in parts])
        fake = 0.5 * (own.square().mean() + cross.square().mean())
        terms["masks"] = fake + _mean_where((real - 1).square(), batch.annotated.T.flatten())
    for i, critic in enumerate(critics.images if weights.adv_image else ()):
        parts = [*(t.detach() for t in _images_of(outputs, i)), batch.images[:, i, :1]]
        own, cross, real = critic(torch.cat(parts)).split([len(t) for t in parts])
        terms[f"images_{i}"] = 0.5 * (own.square().mean() + cross.square().mean()) + (real - 1).square().mean()
    return terms

"""One slice taken apart: every factor, mask and image of it, and the numbers that judge them.

The pages and `python -m dafnet_core.evaluate` both stand on this, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from dafnet_core.losses import kl_divergence
from dafnet_core.metrics.registration import grid_to_pixels, identity_pixels, position_error
from dafnet_core.metrics.segmentation import overlap_counts
from dafnet_core.networks.dafnet import DAFNet

CHANNEL_IS_CLASS = 0.8  # share of a channel's pixels that one class must hold for the channel to be called that class


@dataclass(frozen=True)
class Decomposition:
    """All that a model finds in n modalities of one slice; pair p is `pairs[p] = (fixed i, moving j)`.

    Attributes:
        names: of the n modalities.
        images: (n, H, W) float32 in [-1, 1].
        s: (n, C, H, W) float32 one-hot anatomies.
        deformed: (P, C, H, W) float32 anatomy of j in frame i; channels sum to 1.
        fused: (n, C, H, W) float32, pixel-wise maximum.
        positions: (P, H, W, 2) float64 xy in pixels: where in j each pixel of frame i is sampled.
        offsets: (P, control points, 2) xy in [-1, 1] units.
        weights: (P, K) pair weights of the candidates, summing to 1.
        z_mean, z_std: (n, n_z) of q(z | x, s).
        single, fused_masks: (n, H, W) uint8 labels; deformed_masks: (P, H, W).
        own: (n, H, W) float32 g(s_i, z_i); cross: (P, H, W) g(s_j in frame i, z_i);
            swapped: (P, H, W) g(s_i, z_j), the anatomy of i in the style of j.
    """

    names: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    images: np.ndarray
    s: np.ndarray
    deformed: np.ndarray
    fused: np.ndarray
    positions: np.ndarray
    offsets: np.ndarray
    weights: np.ndarray
    z_mean: np.ndarray
    z_std: np.ndarray
    single: np.ndarray
    deformed_masks: np.ndarray
    fused_masks: np.ndarray
    own: np.ndarray
    cross: np.ndarray
    swapped: np.ndarray


def decompose(model: DAFNet, images: np.ndarray, modalities: tuple[int, ...] | None = None) -> Decomposition:
    """Take one slice apart.

    Args:
        model: in eval mode.
        images: (n, H, W) float32 in [-1, 1], n >= 1; or (n, K, H, W) with K candidates, of which the first is the
            slice itself: masks are then weighted over candidates, everything else is that of the first.
        modalities: index of each image's modality in the model; the first n by default.

    Raises:
        ValueError: H or W does not fit the model's poolings, or an unknown modality.
    """
    device = next(model.parameters()).device
    x = torch.from_numpy(np.array(images, np.float32, order="C"))[None].to(device)
    found = model.predict(x, modalities)
    made = model.reconstruct(found, x)

    def array(values: torch.Tensor) -> np.ndarray:
        return values.cpu().numpy()

    def labels(probs: torch.Tensor) -> np.ndarray:
        return array(probs[:, 0].argmax(1).to(torch.uint8))

    return Decomposition(
        names=tuple(model.config.modalities[m] for m in found.modalities),
        pairs=found.pairs,
        images=np.asarray(images if images.ndim == 3 else images[:, 0], np.float32),
        s=array(found.s[:, 0, 0]),
        deformed=array(found.deformed[:, 0, 0]),
        fused=array(found.fused[:, 0, 0]),
        positions=grid_to_pixels(array(found.grid[:, 0, 0]).astype(np.float64)),
        offsets=array(found.offsets[:, 0, 0]),
        weights=array(found.weights[:, 0]),
        z_mean=array(made.mean[:, 0]),
        z_std=array(torch.exp(made.logvar[:, 0] / 2)),
        single=labels(found.single),
        deformed_masks=labels(found.deformed_masks),
        fused_masks=labels(found.fused_masks),
        own=array(made.own[:, 0]),
        cross=array(made.cross[:, 0, 0]),
        swapped=array(made.swapped[:, 0]),
    )


def style_of_swapped(model: DAFNet, found: Decomposition) -> np.ndarray:
    """Means of z that each swapped image g(s_i, z_j) has when encoded again by modality j's encoder, (P, n_z)."""
    styles = []
    for image, (_, j) in zip(found.swapped, found.pairs, strict=True):
        modality = model.config.modalities.index(found.names[j])
        styles.append(decompose(model, image[None], (modality,)).z_mean[0])
    return np.stack(styles)


def masks_of(found: Decomposition) -> Iterator[tuple[str, int, int | None, np.ndarray]]:
    """Every predicted mask as (kind, modality it belongs to, modality it was deformed from, labels (H, W))."""
    for i in range(len(found.names)):
        yield "single", i, None, found.single[i]
        for p, (fixed, moving) in enumerate(found.pairs):
            if fixed == i:
                yield "deformed", i, moving, found.deformed_masks[p]
        yield "fused", i, None, found.fused_masks[i]


def overlaps(
    found: Decomposition, truth: dict[int, np.ndarray], classes: int
) -> Iterator[tuple[str, int, int | None, np.ndarray]]:
    """`overlap_counts` of every mask whose modality has a truth, and of the other's truth, unmoved, as kind "copy".

    Args:
        truth: labels (H, W) of those of the n modalities that have any.
        classes: number of classes with the background.
    """
    for kind, i, j, labels in masks_of(found):
        if i in truth:
            yield kind, i, j, overlap_counts(labels, truth[i], classes)
    for i, j in found.pairs:
        if i in truth and j in truth:
            yield "copy", i, j, overlap_counts(truth[j], truth[i], classes)


def reconstruction_errors(
    found: Decomposition, truth: dict[int, np.ndarray]
) -> Iterator[tuple[str, int, int | None, float, float]]:
    """Mean absolute error of every reconstruction: (kind own or cross, i, j, over the image, inside the organs).

    Intensities are in [-1, 1]; inside is NaN without a truth mask of modality i, or where it is empty.
    """
    rows = [("own", i, None, found.own[i]) for i in range(len(found.names))]
    rows += [("cross", i, j, found.cross[p]) for p, (i, j) in enumerate(found.pairs)]
    for kind, i, j, image in rows:
        error = np.abs(image - found.images[i])
        organs = truth[i] > 0 if i in truth else np.zeros(error.shape, bool)
        yield kind, i, j, float(error.mean()), float(error[organs].mean()) if organs.any() else float("nan")


def registration_errors(
    found: Decomposition, regions: dict[int, np.ndarray], sampling: dict[tuple[int, int], np.ndarray]
) -> Iterator[tuple[int, int, float, float]]:
    """Error of the sampling position in pixels over a region of the fixed image: (i, j, before aligning, after).

    Args:
        regions: (H, W) of each modality, 0 outside: labels of organs, or a head.
        sampling: for each pair (i, j) with a known warp, the true position (H, W, 2) xy in pixels.
    """
    still = identity_pixels(*found.images.shape[1:])
    for p, pair in enumerate(found.pairs):
        if pair in sampling and pair[0] in regions:
            inside = regions[pair[0]] > 0
            yield (
                *pair,
                position_error(still, sampling[pair], inside),
                position_error(found.positions[p], sampling[pair], inside),
            )


def kl_per_dimension(found: Decomposition) -> np.ndarray:
    """KL(q || N(0, 1)) of each modality and z dimension in nats, (n, n_z): how much z says (Sec. V-F)."""
    mean, logvar = (torch.from_numpy(np.asarray(v, np.float64)) for v in (found.z_mean, 2 * np.log(found.z_std)))
    return kl_divergence(mean, logvar).numpy()


def channel_classes(found: Decomposition, classes: int) -> tuple[int | None, ...]:
    """Which class each anatomy channel is, where it is one: most of its pixels lie in that class's single masks.

    Returns:
        For each of the C channels a class from 1 on, or None for background and mixtures.
    """
    return classes_of(found.s.argmax(1), found.single, found.s.shape[1], classes)


def classes_of(anatomies: np.ndarray, masks: np.ndarray, channels: int, classes: int) -> tuple[int | None, ...]:
    """Which class each channel is, from channel indices and labels (n, H, W), as `channel_classes` has it."""
    names: list[int | None] = []
    for c in range(channels):
        inside = np.bincount(masks[anatomies == c], minlength=classes)
        best = int(inside.argmax())
        names.append(best if best and inside[best] >= CHANNEL_IS_CLASS * inside.sum() else None)
    return tuple(names)

"""What follows from a decomposition: styles of swapped images, KL of each dimension of z, channels that are classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from dafnet_core.analysis.scores import Overlap, image_errors, mask_overlaps, warp_errors
from dafnet_core.losses.functions import kl_divergence
from dafnet_core.methods.base import FactorModel, SliceInput, predict_all
from dafnet_core.methods.copy import Copy
from dafnet_core.methods.dafnet import estimate_of, masks_of
from dafnet_core.methods.decomposition import Decomposition, decompose

CHANNEL_IS_CLASS = 0.8  # share of a channel's pixels that one class must hold for the channel to be called that class


def style_of_swapped(model: FactorModel, found: Decomposition) -> np.ndarray:
    """Means of z that each swapped image g(s_i, z_j) has when encoded again by modality j's encoder, (P, n_z)."""
    styles = []
    for image, (_, j) in zip(found.swapped, found.pairs, strict=True):
        modality = model.config.modalities.index(found.names[j])
        styles.append(decompose(model, image[None], (modality,)).z_mean[0])
    return np.stack(styles)


def overlaps(found: Decomposition, truth: Mapping[int, np.ndarray], classes: int) -> Iterator[Overlap]:
    """`mask_overlaps` of every mask, and of the other's true mask, unmoved, as kind "copy".

    Args:
        truth: labels (H, W) of those of the n modalities that have any.
        classes: number of classes with the background.
    """
    yield from mask_overlaps(masks_of(found), truth, classes)
    given = SliceInput(found.images[:, None], tuple(range(len(found.names))), truth)
    yield from mask_overlaps(predict_all(Copy(found.names, ()), given).masks, truth, classes)


def reconstruction_errors(
    found: Decomposition, truth: Mapping[int, np.ndarray]
) -> Iterator[tuple[str, int, int | None, float, float]]:
    """`image_errors` of every reconstruction, kinds own and cross."""
    return image_errors(estimate_of(found).images, found.images, truth)


def registration_errors(
    found: Decomposition, regions: Mapping[int, np.ndarray], sampling: Mapping[tuple[int, int], np.ndarray]
) -> Iterator[tuple[int, int, float, float]]:
    """`warp_errors` of every pair."""
    return warp_errors(estimate_of(found).positions, regions, sampling)


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

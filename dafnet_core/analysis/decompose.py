"""Quantities computed from a decomposition: styles of swapped images, KL of each z dimension, classes of channels."""

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


def style_of_swapped(model: FactorModel, decomposition: Decomposition) -> np.ndarray:
    """Means of z that each swapped image g(s_i, z_j) has when encoded again by modality j's encoder, (P, n_z)."""
    styles = []
    for image, (_, j) in zip(decomposition.swapped, decomposition.pairs, strict=True):
        modality = model.config.modalities.index(decomposition.names[j])
        styles.append(decompose(model, image[None], (modality,)).z_mean[0])
    return np.stack(styles)


def overlaps(decomposition: Decomposition, truth: Mapping[int, np.ndarray], classes: int) -> Iterator[Overlap]:
    """`mask_overlaps` of every predicted mask, and of the other modality's true mask, undeformed, as kind "copy".

    Args:
        truth: labels (H, W) of those of the n modalities that have any.
        classes: number of classes with the background.
    """
    yield from mask_overlaps(masks_of(decomposition), truth, classes)
    given = SliceInput(decomposition.images[:, None], tuple(range(len(decomposition.names))), truth)
    yield from mask_overlaps(predict_all(Copy(decomposition.names, ()), given).masks, truth, classes)


def reconstruction_errors(
    decomposition: Decomposition, truth: Mapping[int, np.ndarray]
) -> Iterator[tuple[str, int, int | None, float, float]]:
    """`image_errors` of every reconstruction, kinds own and cross."""
    return image_errors(estimate_of(decomposition).images, decomposition.images, truth)


def registration_errors(
    decomposition: Decomposition, regions: Mapping[int, np.ndarray], sampling: Mapping[tuple[int, int], np.ndarray]
) -> Iterator[tuple[int, int, float, float]]:
    """`warp_errors` of every pair."""
    return warp_errors(estimate_of(decomposition).positions, regions, sampling)


def kl_per_dimension(decomposition: Decomposition) -> np.ndarray:
    """KL(q || N(0, 1)) of each modality and z dimension in nats, (n, n_z): the information in z (Sec. V-F)."""
    mean, logvar = (
        torch.from_numpy(np.asarray(v, np.float64)) for v in (decomposition.z_mean, 2 * np.log(decomposition.z_std))
    )
    return kl_divergence(mean, logvar).numpy()


def channel_classes(decomposition: Decomposition, classes: int) -> tuple[int | None, ...]:
    """Class that each anatomy channel corresponds to: the one that holds most of its pixels in the single masks.

    Returns:
        For each of the C channels a class from 1 on, or None for background and mixtures.
    """
    return classes_of(decomposition.s.argmax(1), decomposition.single, decomposition.s.shape[1], classes)


def classes_of(anatomies: np.ndarray, masks: np.ndarray, channels: int, classes: int) -> tuple[int | None, ...]:
    """Which class each channel is, from channel indices and labels (n, H, W), as `channel_classes` has it."""
    names: list[int | None] = []
    for c in range(channels):
        inside = np.bincount(masks[anatomies == c], minlength=classes)
        best = int(inside.argmax())
        names.append(best if best and inside[best] >= CHANNEL_IS_CLASS * inside.sum() else None)
    return tuple(names)

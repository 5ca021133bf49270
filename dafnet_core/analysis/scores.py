"""Scores of a method's estimate of one slice against the truth: overlap of masks, errors of images and warps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from dafnet_core.geometry import identity_pixels
from dafnet_core.methods.base import PredictedImage, PredictedMask
from dafnet_core.metrics.reconstruction import absolute_error
from dafnet_core.metrics.registration import position_error
from dafnet_core.metrics.segmentation import overlap_counts

Overlap = tuple[str, int, int | None, np.ndarray]


def mask_overlaps(masks: Iterable[PredictedMask], truth: Mapping[int, np.ndarray], classes: int) -> Iterator[Overlap]:
    """(kind, fixed, moving, `overlap_counts`) of every mask whose modality has a truth.

    Args:
        truth: labels (H, W) of modalities by position.
        classes: number of classes with the background.
    """
    for kind, i, j, labels in masks:
        if i in truth:
            yield kind, i, j, overlap_counts(labels, truth[i], classes)


def image_errors(
    images: Iterable[PredictedImage], real: np.ndarray, truth: Mapping[int, np.ndarray]
) -> Iterator[tuple[str, int, int | None, float, float]]:
    """(kind, fixed, moving, error over the image, error inside the organs), as `absolute_error` has them.

    Args:
        real: (n, H, W) images in [-1, 1].
        truth: labels (H, W) of modalities by position.
    """
    for kind, i, j, pixels in images:
        yield kind, i, j, *absolute_error(pixels, real[i], truth.get(i))


def warp_errors(
    positions: Mapping[tuple[int, int], np.ndarray],
    regions: Mapping[int, np.ndarray],
    sampling: Mapping[tuple[int, int], np.ndarray],
) -> Iterator[tuple[int, int, float, float]]:
    """Error of sampling positions in pixels over a region of the fixed image: (i, j, before aligning, after).

    Args:
        positions: predicted for ordered pairs (fixed, moving), (H, W, 2) xy in pixels.
        regions: (H, W) of modalities by position, 0 outside: labels of organs, or a head.
        sampling: the true positions of pairs with a known warp.
    """
    for pair, predicted in positions.items():
        if pair in sampling and pair[0] in regions:
            inside = regions[pair[0]] > 0
            still = identity_pixels(*predicted.shape[:2])
            yield (
                *pair,
                position_error(still, sampling[pair], inside),
                position_error(predicted, sampling[pair], inside),
            )

"""Distances between the surfaces of two masks in mm: HD95 and ASSD.

The surface of a mask is the mask minus its erosion by one pixel (4-connected); pixels of the mask at the border of the
picture are surface. HD95 is the larger one of the two directed 95th percentiles, the convention of MONAI and of
DeepMind's surface-distance (medpy takes the percentile of both directions pooled). ASSD is the mean over the distances
of both directions, pooled, as Metrics Reloaded (Maier-Hein et al. 2024) defines it.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def surface_distances(pred: np.ndarray, truth: np.ndarray, spacing: tuple[float, float]) -> tuple[float, float]:
    """95th percentile Hausdorff distance and average symmetric surface distance of two masks, in mm.

    Args:
        pred, truth: (H, W) bool.
        spacing: mm between rows, and between columns.

    Returns:
        HD95 and ASSD. Both are NaN where the truth is empty; where only the prediction is, the worst value that there
        is, the diagonal of the picture (the advice of Metrics Reloaded).

    Raises:
        ValueError: two shapes, or a spacing that is not positive.

    >>> pred, truth = np.zeros((2, 20, 20), bool)
    >>> pred[5:10, 4:8], truth[5:10, 6:10] = True, True
    >>> surface_distances(pred, truth, (1.0, 1.5))[0]
    3.0
    """
    if pred.ndim != 2 or pred.shape != truth.shape:
        raise ValueError(f"prediction is {pred.shape}, truth is {truth.shape}; expected one shape (H, W)")
    if not all(0 < mm < np.inf for mm in spacing):
        raise ValueError(f"spacing is {spacing}; expected two positive numbers, mm between rows and columns")
    if not truth.any():
        return float("nan"), float("nan")
    if not pred.any():
        diagonal = float(np.hypot(*np.multiply(pred.shape, spacing)))
        return diagonal, diagonal
    box = _bounding_box(pred | truth)  # no surface lies outside of it
    first, second = _surface(pred[box]), _surface(truth[box])
    directed = _distances(second, spacing)[first], _distances(first, spacing)[second]
    hd95 = max(np.percentile(distances, 95) for distances in directed)
    return float(hd95), float(np.concatenate(directed).mean())


def distances_per_class(pred: np.ndarray, truth: np.ndarray, classes: int, spacing: tuple[float, float]) -> np.ndarray:
    """`surface_distances` of each class but the background, (classes - 1, 2).

    Args:
        pred, truth: (H, W) labels.
        classes: number of classes with the background, class 0.
        spacing: mm between rows, and between columns.
    """
    rows = [surface_distances(pred == label, truth == label, spacing) for label in range(1, classes)]
    return np.array(rows, np.float64).reshape(-1, 2)


def _bounding_box(mask: np.ndarray) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def _distances(surface: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Distance of every pixel from a surface, (H, W) mm."""
    return ndimage.distance_transform_edt(~surface, sampling=spacing)

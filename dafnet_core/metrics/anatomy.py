"""How clean an anatomy is: speckle, length of boundaries, and agreement of two anatomies of one place."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def speckle(labels: np.ndarray) -> float:
    """Share of pixels whose label is not among the most frequent ones of their 3 x 3 neighbourhood.

    Args:
        labels: (H, W) integers: channels of an anatomy, tissues or classes; the border is mirrored.

    >>> labels = np.zeros((4, 4), int)
    >>> labels[1, 1] = 1
    >>> speckle(labels)
    0.0625
    """
    counts = {int(c): _count(labels == c) for c in np.unique(labels)}
    most = np.max(list(counts.values()), axis=0)
    own = np.zeros(labels.shape, np.int64)
    for c, count in counts.items():
        own = np.where(labels == c, count, own)
    return float((own < most).mean())


def _count(inside: np.ndarray) -> np.ndarray:
    """How many of the 3 x 3 pixels around each are inside."""
    return ndimage.convolve(inside.astype(np.int64), np.ones((3, 3), np.int64), mode="mirror")


def boundary_length(labels: np.ndarray) -> int:
    """Number of neighbouring pixel pairs with different labels, (H, W) integers.

    >>> boundary_length(np.array([[0, 0], [0, 1]]))
    2
    """
    return int((labels[1:] != labels[:-1]).sum() + (labels[:, 1:] != labels[:, :-1]).sum())


def agreement(fixed: np.ndarray, moving: np.ndarray, positions: np.ndarray) -> float:
    """Share of pixels with one label in both images of a place; NaN where no place lies in the moving image.

    Args:
        fixed, moving: (H, W) integer labels.
        positions: (H, W, 2) xy in pixels, where in the moving image each pixel of the fixed one is found.
    """
    x, y = (np.rint(positions[..., axis]).astype(int) for axis in range(2))
    height, width = moving.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if not inside.any():
        return float("nan")
    return float((moving[y[inside], x[inside]] == fixed[inside]).mean())

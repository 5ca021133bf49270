"""Error of a warp with a known true warp."""

from __future__ import annotations

import numpy as np


def position_error(positions: np.ndarray, true: np.ndarray, where: np.ndarray) -> float:
    """Mean Euclidean distance of sampling positions (H, W, 2) in pixels over a region (H, W) bool; NaN if empty.

    Args:
        positions, true: predicted and true sampling positions, xy in pixels of the moving image.
        where: pixels of the fixed image to average over.

    >>> still = np.zeros((2, 3, 2))
    >>> position_error(still + [3, 4], still, where=np.ones((2, 3), bool))
    5.0
    """
    if not where.any():
        return float("nan")
    return float(np.linalg.norm(positions[where] - true[where], axis=-1).mean())

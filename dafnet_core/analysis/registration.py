"""Errors of alignment where the true warp is known."""

from __future__ import annotations

import numpy as np


def grid_to_pixels(grid: np.ndarray) -> np.ndarray:
    """Sampling positions (..., H, W, 2) xy in [-1, 1] (align_corners=False) -> xy in pixels, 0 the first centre."""
    height, width = grid.shape[-3:-1]
    return ((grid + 1) * np.array([width, height]) - 1) / 2


def identity_pixels(height: int, width: int) -> np.ndarray:
    """The positions (H, W, 2) xy in pixels of a warp that does nothing."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y], -1).astype(np.float64)


def position_error(found: np.ndarray, true: np.ndarray, where: np.ndarray) -> float:
    """Mean Euclidean distance of sampling positions (H, W, 2) in pixels over a region (H, W) bool; NaN if empty."""
    if not where.any():
        return float("nan")
    return float(np.linalg.norm(found[where] - true[where], axis=-1).mean())

"""Warps in pixels: where they sample, what they fold, and how wrong they are where the true one is known."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from dafnet_core.networks.aligner import control_points, pixel_centres, spline_grid, spline_matrix


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


def positions_of(offsets: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sampling positions (H, W, 2) xy in pixels of control-point offsets (K, 2) xy in [-1, 1] units (Sec. III-B)."""
    grid = spline_grid(torch.from_numpy(np.array(offsets, np.float64))[None], height, width)
    return grid_to_pixels(grid[0].numpy())


@lru_cache(maxsize=8)
def _least_squares(height: int, width: int, side: int) -> np.ndarray:
    return np.linalg.pinv(spline_matrix(pixel_centres(height, width), control_points(side)).numpy())


def nearest_offsets(positions: np.ndarray, side: int = 5) -> np.ndarray:
    """Offsets (side^2, 2) xy in [-1, 1] units of the spline nearest to sampling positions (H, W, 2) xy in pixels.

    Nearest in the mean square over all pixels: what the aligner could do at best about a known warp.
    """
    height, width = positions.shape[:2]
    displacement = (positions - identity_pixels(height, width)) * (2 / np.array([width, height]))
    return _least_squares(height, width, side) @ displacement.reshape(-1, 2)


def jacobian(positions: np.ndarray) -> np.ndarray:
    """Determinant of a warp's Jacobian at each pixel, (H, W), from sampling positions (H, W, 2) xy in pixels.

    1 keeps areas, below 1 the moving image is magnified, and where it is not above 0 the warp folds.
    """
    by_row, by_column = np.gradient(np.asarray(positions, np.float64), axis=(0, 1))
    return by_column[..., 0] * by_row[..., 1] - by_row[..., 0] * by_column[..., 1]

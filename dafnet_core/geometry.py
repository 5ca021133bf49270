"""Splines and warps (Sec. III-B), in the frame of the networks and in pixels.

Frames: grids are (x, y) in [-1, 1] with align_corners=False; grid[b, y, x] is where in the MOVING image the output
pixel (y, x) is sampled. Offsets of control points are in the same units, row by row from the top left. Functions of
NumPy arrays use pixels: (x, y), 0 is the centre of the first one. Everything geometric is float32 or float64.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dafnet_core.precision import autocast


def control_points(side: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Rest positions of side x side control points, (side^2, 2) xy over [-1, 1], row by row."""
    line = torch.linspace(-1, 1, side, dtype=dtype, device="cpu")
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def pixel_centres(height: int, width: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Centres of an image's pixels, (H * W, 2) xy in [-1, 1], align_corners=False."""
    y = (torch.arange(height, dtype=dtype, device="cpu") * 2 + 1) / height - 1
    x = (torch.arange(width, dtype=dtype, device="cpu") * 2 + 1) / width - 1
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """Thin-plate kernel r^2 log r between (N, 2) and (K, 2) points; 0 at r = 0."""
    r2 = (a[:, None] - b[None]).square().sum(-1)
    return 0.5 * torch.special.xlogy(r2, r2)


def spline_matrix(points: Tensor, rest: Tensor) -> Tensor:
    """The thin-plate spline as a matrix from displacements of `rest` to displacements of `points`.

    Args:
        points: (N, 2) xy where the spline is evaluated.
        rest: (K, 2) xy of the control points, not all on one line.

    Returns:
        (N, K) in the dtype of `points`; rows sum to 1, and affine displacements are reproduced.

    >>> matrix = spline_matrix(pixel_centres(4, 6), control_points(5))
    >>> shift = torch.tensor([0.25, -0.5], dtype=torch.float64)
    >>> torch.allclose(matrix @ shift.expand(25, 2), shift.expand(24, 2))
    True
    """
    k = len(rest)
    affine = torch.cat([torch.ones_like(rest[:, :1]), rest], 1)
    system = rest.new_zeros(k + 3, k + 3)
    system[:k, :k] = _kernel(rest, rest)
    system[:k, k:] = affine
    system[k:, :k] = affine.T
    solution = torch.linalg.inv(system)[:, :k]  # offsets -> spline coefficients
    features = torch.cat([_kernel(points, rest), torch.ones_like(points[:, :1]), points], 1)
    return features @ solution


@lru_cache(maxsize=32)
def _spline(height: int, width: int, side: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    # outside inference mode, or a later training step could not save these tensors for its backward pass
    with torch.inference_mode(False), torch.no_grad():
        points = pixel_centres(height, width)
        matrix = spline_matrix(points, control_points(side))
        return points.to(device, dtype), matrix.to(device, dtype)


def spline_grid(offsets: Tensor, height: int, width: int) -> Tensor:
    """Sampling positions of every pixel from control-point offsets (Sec. III-B).

    Args:
        offsets: (B, K, 2) xy, K a square number; zero is the identity.
        height, width: of the output.

    Returns:
        (B, H, W, 2) xy in the moving image, dtype of `offsets`.

    >>> grid = spline_grid(torch.zeros(1, 25, 2), height=4, width=6)
    >>> torch.allclose(grid.view(-1, 2), pixel_centres(4, 6, torch.float32), atol=1e-6)
    True
    """
    side = round(offsets.shape[1] ** 0.5)
    if offsets.ndim != 3 or offsets.shape[1] != side**2 or offsets.shape[2] != 2:
        raise ValueError(f"offsets are {tuple(offsets.shape)}; expected (B, K, 2) with K a square number, such as 25")
    base, basis = _spline(height, width, side, offsets.dtype, offsets.device)
    with autocast(offsets.device, None):  # autocast would take this product in bf16, too
        return (base + basis @ offsets).view(-1, height, width, 2)  # basis @ offsets: (B, H*W, 2)


def warp(moving: Tensor, grid: Tensor) -> Tensor:
    """Bilinear samples of (B, C, H, W) at (B, H', W', 2) xy; borders are extended. float32 (B, C, H', W')."""
    return F.grid_sample(moving.float(), grid.float(), padding_mode="border", align_corners=False)


def grid_to_pixels(grid: np.ndarray) -> np.ndarray:
    """Sampling positions (..., H, W, 2) xy in [-1, 1] (align_corners=False) -> xy in pixels, 0 the first centre."""
    height, width = grid.shape[-3:-1]
    return ((grid + 1) * np.array([width, height]) - 1) / 2


def identity_pixels(height: int, width: int) -> np.ndarray:
    """Sampling positions (H, W, 2) xy in pixels of the identity warp."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y], -1).astype(np.float64)


def positions_of(offsets: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sampling positions (H, W, 2) xy in pixels of control-point offsets (K, 2) xy in [-1, 1] units (Sec. III-B)."""
    grid = spline_grid(torch.from_numpy(np.array(offsets, np.float64))[None], height, width)
    return grid_to_pixels(grid[0].numpy())


@lru_cache(maxsize=8)
def _least_squares(height: int, width: int, side: int) -> np.ndarray:
    return np.linalg.pinv(spline_matrix(pixel_centres(height, width), control_points(side)).numpy())


def nearest_offsets(positions: np.ndarray, side: int = 5) -> np.ndarray:
    """Offsets (side^2, 2) xy in [-1, 1] units of the spline nearest to sampling positions (H, W, 2) xy in pixels.

    Nearest in the mean square over all pixels: the best possible correction of a known warp by the aligner.
    """
    height, width = positions.shape[:2]
    displacement = (positions - identity_pixels(height, width)) * (2 / np.array([width, height]))
    return _least_squares(height, width, side) @ displacement.reshape(-1, 2)


def jacobian(positions: np.ndarray) -> np.ndarray:
    """Determinant of a warp's Jacobian at each pixel, (H, W), from sampling positions (H, W, 2) xy in pixels.

    1 keeps areas, below 1 the moving image is magnified, and where it is not above 0 the warp folds.

    >>> jacobian(identity_pixels(2, 2) * 0.5)
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    by_row, by_column = map(np.asarray, np.gradient(np.asarray(positions, np.float64), axis=(0, 1)))
    return by_column[..., 0] * by_row[..., 1] - by_row[..., 0] * by_column[..., 1]

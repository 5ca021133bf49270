"""Known deformations: rotations, and smooth random warps to train and evaluate an aligner on registered data.

Frame: displacements are (x, y) in pixels; a deformed image shows at pixel p what the original shows at
p + displacement(p).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

SMOOTHNESS = 1 / 8  # standard deviation of the Gaussian filter, as a share of the image's side
REFERENCE_SIDE = 96  # amounts of warp are given in pixels of an image with this side
_MODES = 14  # the filter leaves less than 1e-6 of the cosine after these


def field_rms(amount: float, side: int) -> float:
    """RMS displacement, pixels, of each of two independent fields whose difference has `amount` x side / 96 RMS."""
    return amount * side / REFERENCE_SIDE / math.sqrt(2)


@lru_cache(maxsize=8)
def _cosines(side: int) -> np.ndarray:
    """Cosine modes (side, modes) of white noise after the Gaussian filter with mirrored borders."""
    k = np.arange(_MODES)
    waves = np.cos(np.pi * (np.arange(side)[:, None] + 0.5) / side * k)
    return waves * np.where(k == 0, math.sqrt(0.5), 1) * np.exp(-0.5 * (np.pi * k * SMOOTHNESS) ** 2)


def smooth_displacement(rng: np.random.Generator, height: int, width: int, rms: float) -> np.ndarray:
    """Gaussian-filtered white noise (standard deviation 1/8 of the side), (H, W, 2) float32 xy in pixels.

    A thin-plate spline with 5 x 5 control points can undo all but about 9 % of it.

    Args:
        rms: root mean square of the displacement's length over the image, pixels; reached exactly.
    """
    field = np.stack(
        [_cosines(height) @ rng.standard_normal((_MODES, _MODES)) @ _cosines(width).T for _ in range(2)], -1
    )
    return (field * (rms / np.sqrt(np.square(field).sum(-1).mean()))).astype(np.float32)


def rotation(angle: float, height: int, width: int) -> np.ndarray:
    """Displacement (H, W, 2) xy in pixels that rotates an image about its centre by `angle` radians, clockwise."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x - (width - 1) / 2, y - (height - 1) / 2
    c, s = math.cos(angle), math.sin(angle)
    return np.stack([(c - 1) * x + s * y, (c - 1) * y - s * x], -1)


def deform(images: torch.Tensor, displacement: np.ndarray, *, labels: bool = False) -> torch.Tensor:
    """Images (N, C, H, W) deformed by displacements (N or 1, H, W, 2); border values are extended outwards.

    Args:
        labels: nearest-neighbour interpolation, so that no new labels appear.
    """
    height, width = images.shape[-2:]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    positions = displacement + np.stack([x, y], -1)
    grid = torch.from_numpy((2 * positions + 1) / np.array([width, height], np.float32) - 1).float()
    return F.grid_sample(
        images.float(),
        grid.expand(len(images), -1, -1, -1),
        mode="nearest" if labels else "bilinear",
        padding_mode="border",
        align_corners=False,
    ).to(images.dtype)


def sampling(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Sampling position in the moving image for each pixel of the fixed image.

    Solves p + fixed(p) = q + moving(q) for q by fixed-point iteration, which converges because no displacement
    changes by a pixel from one pixel to the next.

    Args:
        fixed, moving: displacements (H, W, 2) from a common frame, xy in pixels.

    Returns:
        (H, W, 2) float32, xy in pixels of the moving image; may lie outside it near the border.
    """
    rows, columns = np.indices(fixed.shape[:2], dtype=np.float32)
    target = np.stack([columns, rows], axis=-1) + fixed
    q = target - moving
    for _ in range(20):
        where = [q[..., 1], q[..., 0]]
        moved = [ndimage.map_coordinates(moving[..., axis], where, order=1, mode="nearest") for axis in range(2)]
        q = target - np.stack(moved, axis=-1)
    return q


def foreground(images: np.ndarray) -> np.ndarray:
    """The head or body in registered images (M, H, W) of one slice: (H, W) bool, one filled region.

    Otsu's threshold of the mean of the modalities, the largest connected region, its holes filled.
    """
    mean = images.mean(0)
    counts, edges = np.histogram(mean, bins=128)
    centres, total = (edges[:-1] + edges[1:]) / 2, counts.sum()
    below = counts.cumsum()
    sums = (counts * centres).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below / total - sums) ** 2 / (below * (total - below))
    regions, n = ndimage.label(mean > centres[np.nan_to_num(between).argmax()])
    if n == 0:
        return np.ones(mean.shape, bool)  # a constant image has no background
    largest = 1 + np.bincount(regions[regions > 0] - 1).argmax()
    return ndimage.binary_fill_holes(regions == largest)

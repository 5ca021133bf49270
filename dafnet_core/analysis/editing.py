"""Edited factors: another warp or a painted anatomy, segmented and decoded again (Sec. III-B to III-D)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dafnet_core.geometry import grid_to_pixels, jacobian, spline_grid, warp
from dafnet_core.methods.base import FactorModel
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.metrics.segmentation import dice_per_class, nanmean
from dafnet_core.networks.aligner import fuse
from dafnet_core.precision import inference_autocast

ERASE = -1  # channel of a stroke that restores the original channel of its pixels


def _tensor(model: FactorModel, values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(values, np.float32, order="C")).to(next(iter(model.parameters())).device)


@torch.inference_mode()
def segment(model: FactorModel, s: np.ndarray) -> np.ndarray:
    """Masks (N, H, W) uint8 of anatomies (N, C, H, W), by the same arithmetic as `decompose` (Sec. III-C)."""
    x = _tensor(model, s)
    with inference_autocast(x.device):
        return model.segment(x).argmax(1).to(torch.uint8).cpu().numpy()


@dataclass(frozen=True, eq=False)
class Realigned:
    """Results of one pair (fixed i, moving j) under another warp.

    Attributes:
        offsets: (control points, 2) xy in [-1, 1] units.
        positions: (H, W, 2) xy in pixels: where in j each pixel of frame i is sampled.
        deformed: (C, H, W) anatomy of j in frame i; fused: (C, H, W), computed with it.
        deformed_mask, fused_mask: (H, W) uint8 labels.
        cross: (H, W) g(s_j in frame i, z_i) in [-1, 1].
        folded: number of pixels where the warp folds (Jacobian <= 0).
    """

    offsets: np.ndarray
    positions: np.ndarray
    deformed: np.ndarray
    fused: np.ndarray
    deformed_mask: np.ndarray
    fused_mask: np.ndarray
    cross: np.ndarray
    folded: int


@torch.inference_mode()
def realign(model: FactorModel, decomposition: Decomposition, pair: int, offsets: np.ndarray) -> Realigned:
    """Deform, fuse, segment and decode again with given offsets (Sec. III-B).

    Args:
        model: that made `decomposition`.
        pair: index in `decomposition.pairs`.
        offsets: (control points, 2) xy in [-1, 1] units; those of `decomposition` reproduce its results.

    Raises:
        ValueError: a number of offsets that is not the model's.
    """
    i, j = decomposition.pairs[pair]
    if np.shape(offsets) != decomposition.offsets[pair].shape:
        raise ValueError(
            f"offsets are {np.shape(offsets)}; expected {decomposition.offsets[pair].shape} for this model"
        )
    height, width = decomposition.images.shape[1:]
    grid = spline_grid(_tensor(model, offsets)[None], height, width)
    deformed = warp(_tensor(model, decomposition.s[j])[None], grid)
    rest = [
        _tensor(model, decomposition.deformed[p])[None]
        for p, (a, _) in enumerate(decomposition.pairs)
        if a == i and p != pair
    ]
    both = torch.cat([deformed, fuse([_tensor(model, decomposition.s[i])[None], deformed, *rest])]).cpu().numpy()
    deformed_mask, fused_mask = segment(model, both)
    cross = model.decode(deformed, _tensor(model, decomposition.z_mean[i])[None])[0, 0].cpu().numpy()
    positions = grid_to_pixels(grid[0].double().cpu().numpy())
    folded = int((jacobian(positions) <= 0).sum())
    return Realigned(np.asarray(offsets), positions, both[0], both[1], deformed_mask, fused_mask, cross, folded)


@dataclass(frozen=True)
class Stroke:
    """One stroke of a round brush.

    Attributes:
        channel: new channel of the pixels; ERASE restores the original one.
        radius: pixels; a pixel is painted if its centre is at most this far from one of the points.
        points: (x, y) centres of the brush in pixels, whole numbers.
    """

    channel: int
    radius: int
    points: tuple[tuple[int, int], ...]


def paint(labels: np.ndarray, strokes: Sequence[Stroke], channels: int) -> np.ndarray:
    """Apply strokes to an anatomy in order. Labels in, labels out, so the anatomy stays one-hot.

    Args:
        labels: (H, W) channel of each pixel.
        strokes: earlier ones first; parts outside the image are ignored.
        channels: C.

    Returns:
        (H, W) uint8.

    Raises:
        ValueError: a channel that the model does not have, or a negative radius.
    """
    painted = np.array(labels, np.uint8)
    height, width = painted.shape
    for stroke in strokes:
        if not ERASE <= stroke.channel < channels or stroke.radius < 0:
            raise ValueError(
                f"a stroke of channel {stroke.channel}, radius {stroke.radius}; expected a channel from 0 to "
                f"{channels - 1} or {ERASE}, and a radius from 0 on"
            )
        for x, y in stroke.points:
            top, left = max(y - stroke.radius, 0), max(x - stroke.radius, 0)
            rows, columns = np.ogrid[top : min(y + stroke.radius + 1, height), left : min(x + stroke.radius + 1, width)]
            inside = (rows - y) ** 2 + (columns - x) ** 2 <= stroke.radius**2
            box = (slice(top, top + inside.shape[0]), slice(left, left + inside.shape[1]))
            painted[box][inside] = labels[box][inside] if stroke.channel == ERASE else stroke.channel
    return painted


def one_hot(labels: np.ndarray, channels: int) -> np.ndarray:
    """Channel indices (..., H, W) -> anatomies (..., C, H, W) float32."""
    return np.ascontiguousarray(np.moveaxis(np.eye(channels, dtype=np.float32)[labels], -1, -3))


def matching_channels(mine: np.ndarray, theirs: np.ndarray, channels: int) -> tuple[int | None, ...]:
    """For each channel of one model the channel of another that shares most pixels with it.

    Args:
        mine, theirs: (n, H, W) channel indices that two models give the same images.
        channels: of the other model.

    Returns:
        One a channel of the first model, up to the largest index in `mine`; None for one that is empty there.
    """
    shared = np.zeros((int(mine.max()) + 1, channels), np.int64)
    np.add.at(shared, (mine.ravel(), theirs.ravel()), 1)
    return tuple(int(row.argmax()) if row.any() else None for row in shared)


@dataclass(frozen=True, eq=False)
class Edit:
    """Effects of an edited anatomy.

    Attributes:
        pixels: (C, 2) pixels of each channel before and after.
        changed: (H, W) bool, pixels whose channel changed.
        masks: (2, H, W) uint8, of the anatomy before and after.
        images: (2, H, W) float32, g(s, z) before and after in [-1, 1]; only s differs.
        dice: (2,) mean Dice of the masks against a truth; NaN without one.
        inside, outside: mean absolute change of intensity where the anatomy changed, and where not; NaN for no pixel.
    """

    pixels: np.ndarray
    changed: np.ndarray
    masks: np.ndarray
    images: np.ndarray
    dice: tuple[float, float]
    inside: float
    outside: float


@torch.inference_mode()
def edited(
    model: FactorModel, before: np.ndarray, after: np.ndarray, z: np.ndarray, truth: np.ndarray | None = None
) -> Edit:
    """Segment and decode an anatomy before and after it was painted, with one z (Sec. III-C, III-D).

    Args:
        before, after: (H, W) channel of each pixel.
        z: (n_z,).
        truth: labels (H, W).
    """
    channels = model.config.channels
    both = np.stack([before, after])
    s = one_hot(both, channels)
    masks = segment(model, s)
    images = model.decode(_tensor(model, s), _tensor(model, np.stack([z, z])))[:, 0].cpu().numpy()
    changed, moved = before != after, np.abs(images[1] - images[0])
    classes = len(model.config.classes)
    dice = [float("nan") if truth is None else float(nanmean(dice_per_class(m, truth, classes))) for m in masks]
    return Edit(
        pixels=np.stack([np.bincount(part.ravel(), minlength=channels) for part in both], 1),
        changed=changed,
        masks=masks,
        images=images,
        dice=(dice[0], dice[1]),
        inside=float(nanmean(np.where(changed, moved, np.nan))),
        outside=float(nanmean(np.where(changed, np.nan, moved))),
    )

"""Edited factors: another warp or a painted anatomy, segmented and decoded again (Sec. III-B to III-D)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dafnet_core.geometry import grid_to_pixels, jacobian, spline_grid, warp
from dafnet_core.methods.base import FactorModel
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.methods.pieces import masks_from
from dafnet_core.metrics.segmentation import dice_per_class, nanmean
from dafnet_core.networks.aligner import fuse
from dafnet_core.precision import inference_autocast


def _tensor(model: FactorModel, values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(values, np.float32, order="C")).to(next(iter(model.parameters())).device)


@torch.inference_mode()
def segment(model: FactorModel, s: np.ndarray) -> np.ndarray:
    """Masks (N, H, W) uint8 of anatomies (N, C, H, W), by the same arithmetic as `decompose` (Sec. III-C)."""
    x = _tensor(model, s)
    with inference_autocast(x.device):
        return masks_from(model.segment(x), model.config)


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


def partly_warped(
    image: np.ndarray, labels: np.ndarray, offsets: np.ndarray, shares: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """A moving image and its labels while a warp sets in (Sec. III-B).

    Args:
        image: (H, W) float32; labels: (H, W) integers, such as the channels of its anatomy.
        offsets: (control points, 2) xy in [-1, 1] units, of the whole warp.
        shares: of the offsets: 0 leaves the image as it is, 1 deforms it onto the fixed one.

    Returns:
        (N, H, W) float32 images, sampled bilinearly, and (N, H, W) labels of the nearest pixels.
    """
    images, deformed = [], []
    height, width = image.shape
    for share in shares:
        grid = spline_grid(torch.from_numpy(np.asarray(offsets, np.float32) * share)[None], height, width)
        images.append(warp(torch.from_numpy(np.array(image, np.float32))[None, None], grid)[0, 0].numpy())
        x, y = np.rint(grid_to_pixels(grid[0].double().numpy())).astype(int).transpose(2, 0, 1)
        deformed.append(labels[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)])
    return np.stack(images), np.stack(deformed)


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

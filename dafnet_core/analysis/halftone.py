"""Does the place of single pixels in s carry intensities? Shuffling keeps their density only (not in the paper).

A clean anatomy loses nothing when pixels are shuffled within one tissue: they have one channel. A halftone does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dafnet_core.methods.base import FactorModel
from dafnet_core.methods.decomposition import Decomposition

CELL = 8  # pixels a side, within which channels are shuffled


@dataclass(frozen=True, eq=False)
class Halftone:
    """One image decoded from its anatomy, from the shuffled one, and from one with flipped pixels.

    Attributes:
        shuffled, flipped: (H, W) uint8 channels.
        own, of_shuffled, of_flipped: (H, W) float32 images in [-1, 1] with the image's own z.
        errors: mean absolute error against the image of each of the three, in that order.
    """

    shuffled: np.ndarray
    flipped: np.ndarray
    own: np.ndarray
    of_shuffled: np.ndarray
    of_flipped: np.ndarray
    errors: tuple[float, float, float]


def shuffle_within(channels: np.ndarray, regions: np.ndarray, rng: np.random.Generator, cell: int = CELL) -> np.ndarray:
    """Channels (H, W) shuffled among the pixels that share a cell of `cell` x `cell` pixels and a region.

    Args:
        regions: (H, W) integers, such as true tissues or masks: no pixel changes its region.
    """
    height, width = channels.shape
    rows, columns = np.indices(channels.shape)
    groups = (rows // cell) * -(-width // cell) + columns // cell
    keys = groups.astype(np.int64) * (int(regions.max()) + 1) + regions
    order = np.argsort(keys, axis=None, kind="stable")
    mixed = np.lexsort((rng.random(height * width), keys.ravel()))
    out = np.empty(height * width, channels.dtype)
    out[order] = channels.ravel()[mixed]
    return out.reshape(height, width)


@torch.inference_mode()
def halftone(
    model: FactorModel,
    decomposition: Decomposition,
    modality: int,
    regions: np.ndarray | None = None,
    *,
    share: float = 0.05,
    seed: int = 0,
) -> Halftone:
    """Shuffle and flip the pixels of an anatomy, and decode again.

    Args:
        model: that made `decomposition`, in eval mode.
        modality: index of the image in `decomposition`.
        regions: (H, W) integers within which pixels are shuffled; the single mask by default.
        share: of the pixels that are flipped to a random channel.
    """
    rng = np.random.default_rng([seed, modality])
    s, image = decomposition.s[modality], decomposition.images[modality]
    labels = s.argmax(0).astype(np.uint8)
    shuffled = shuffle_within(labels, decomposition.single[modality] if regions is None else regions, rng)
    flips = rng.random(labels.shape) < share
    flipped = np.where(flips, rng.integers(0, len(s), labels.shape), labels).astype(np.uint8)
    each = np.eye(len(s), dtype=np.float32)[np.stack([labels, shuffled, flipped])].transpose(0, 3, 1, 2)
    device = next(iter(model.parameters())).device
    z = torch.from_numpy(decomposition.z_mean[modality].astype(np.float32)).to(device).expand(3, -1)
    images = model.decode(torch.from_numpy(each.copy()).to(device), z)[:, 0].cpu().numpy()
    errors = np.abs(images - image).mean((1, 2)).tolist()
    return Halftone(shuffled, flipped, images[0], images[1], images[2], (errors[0], errors[1], errors[2]))

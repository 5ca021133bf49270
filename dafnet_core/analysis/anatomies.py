"""Facts of the anatomies of one slice: channels that are empty, channels of organs, and what fusing adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dafnet_core.methods.decomposition import Decomposition


@dataclass(frozen=True)
class Growth:
    """What the maximum adds to the anatomies that are fused in one frame.

    Attributes:
        total: sum of the channels' shares of the image, 1 if all anatomies are the same, more where they differ.
        least, most: of the channels that are not empty, how much larger than in the anatomy that has most of it; 0
            for not at all.
    """

    total: float
    least: float
    most: float


def growth(decomposition: Decomposition, i: int) -> Growth:
    """What fusing adds in the frame of modality i."""
    deformed = [decomposition.deformed[p] for p, (fixed, _) in enumerate(decomposition.pairs) if fixed == i]
    parts = np.stack([decomposition.s[i], *deformed]).mean((2, 3))  # (anatomies, C)
    fused, largest = decomposition.fused[i].mean((1, 2)), parts.max(0)
    ratios = fused[largest > 0] / largest[largest > 0] - 1
    return Growth(float(fused.sum()), float(ratios.min()), float(ratios.max()))


def empty_channels(s: np.ndarray) -> tuple[int, ...]:
    """Indices of the channels of an anatomy (C, H, W) that no pixel is in."""
    return tuple(np.flatnonzero(~s.any((1, 2))).tolist())


def organ_channels(s: np.ndarray, masks: Mapping[int, np.ndarray], classes: int) -> dict[int, dict[int, int]]:
    """The most frequent channel of each organ in each image, by class and then image.

    Args:
        s: (n, C, H, W) one-hot anatomies.
        masks: labels (H, W) by image.
        classes: number of classes with the background.
    """
    found: dict[int, dict[int, int]] = {}
    for label in range(1, classes):
        for i, mask in masks.items():
            if (mask == label).any():
                shares = s[i][:, mask == label].mean(1)
                found.setdefault(label, {})[i] = int(shares.argmax())
    return found

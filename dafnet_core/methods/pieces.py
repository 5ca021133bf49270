"""Masks without small pieces: the postprocessing that is common today, and that the paper does not have."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from dafnet_core.config import ModelConfig


def masks_from(scores: torch.Tensor, config: ModelConfig) -> np.ndarray:
    """Masks (..., H, W) uint8 of class scores (..., L, H, W): the best class, without small pieces."""
    return without_small_pieces(scores.argmax(-3).to(torch.uint8).cpu().numpy(), config.smallest_piece)


def without_small_pieces(labels: np.ndarray, smallest: int) -> np.ndarray:
    """Labels (..., H, W) whose connected pieces of one class with fewer pixels than `smallest` are background.

    Pixels are connected by their sides. With `smallest` 0 or 1 nothing is dropped, and the array itself is returned.
    """
    if smallest < 2:
        return labels
    kept = labels.copy()
    for mask in kept.reshape(-1, *labels.shape[-2:]):
        for label in np.unique(mask[mask > 0]):
            pieces, _ = ndimage.label(mask == label)
            small = np.bincount(pieces.ravel()) < smallest
            small[0] = False  # all that is of another class
            mask[small[pieces]] = 0
    return kept

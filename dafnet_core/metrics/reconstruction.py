"""Error of synthetic images."""

from __future__ import annotations

import numpy as np


def absolute_error(image: np.ndarray, real: np.ndarray, mask: np.ndarray | None = None) -> tuple[float, float]:
    """Mean absolute error over the image, and over the organs of its mask.

    Args:
        image, real: (H, W) intensities in [-1, 1].
        mask: (H, W) labels, 0 the background.

    Returns:
        Both in [0, 2]; the second is NaN without a mask or where it is empty.
    """
    error = np.abs(image - real)
    inside = np.zeros(error.shape, bool) if mask is None else mask > 0
    return float(error.mean()), float(error[inside].mean()) if inside.any() else float("nan")

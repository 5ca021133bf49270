"""Error of synthetic images, and the errors of what cannot be reconstructed: noise and texture."""

from __future__ import annotations

import numpy as np

LEVELS = 128  # of intensities without noise, each with equally many pixels


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


def flat_error(image: np.ndarray, regions: np.ndarray) -> float:
    """Mean absolute error of one grey value for each region, the best: its median.

    Args:
        image: (H, W).
        regions: (H, W) integers, such as true tissues.

    >>> flat_error(np.array([[0.0, 1.0], [5.0, 5.0]]), np.array([[0, 0], [1, 1]]))
    0.25
    """
    flat = np.empty(image.shape)
    for region in np.unique(regions):
        inside = regions == region
        flat[inside] = np.median(image[inside])
    return absolute_error(image, flat)[0]


def noise_error(image: np.ndarray, without_noise: np.ndarray) -> float:
    """Mean absolute error that noise alone leaves: of the best grey value at each level of the image without noise.

    Noise makes dark places of a magnitude image brighter on average, which is no error that is left: so the image
    without noise is not itself the best one.

    Args:
        image, without_noise: (H, W), the same but for noise.
    """
    edges = np.unique(np.quantile(without_noise, np.linspace(0, 1, LEVELS + 1)[1:-1]))
    return flat_error(image, np.searchsorted(edges, without_noise, side="right"))


def contrast(image: np.ndarray, region: np.ndarray, around: np.ndarray) -> float:
    """Mean intensity of a region minus that of another, (H, W) bool each; NaN where one is empty."""
    if not (region.any() and around.any()):
        return float("nan")
    return float(image[region].mean() - image[around].mean())

"""What a decoded image loses: its error beside those of noise and of flat tissues, and the contrast of a scar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from dafnet_core.metrics.reconstruction import absolute_error, contrast, flat_error, noise_error

SCAR, HEALTHY = "scar", "myocardium"  # names of tissues


@dataclass(frozen=True, eq=False)
class Lost:
    """Mean absolute errors of intensities in [-1, 1] over an image, and what becomes of a scar.

    Attributes:
        error: of the decoded image.
        noise: that noise alone leaves (`noise_error`); None where the image without it is not known.
        flat: of the true tissues, each in its best grey value; None where they are not known.
        scar: (H, W) bool, its pixels; None where there is none or it is not known.
        contrast: mean intensity of the scar minus that of the healthy myocardium, in the image and in the decoded
            one; None without a scar.
    """

    error: float
    noise: float | None = None
    flat: float | None = None
    scar: np.ndarray | None = None
    contrast: tuple[float, float] | None = None


def lost(
    made: np.ndarray,
    real: np.ndarray,
    tissues: np.ndarray | None = None,
    names: Sequence[str] = (),
    without_noise: np.ndarray | None = None,
) -> Lost:
    """What an image that was decoded, `made`, lacks of the real one.

    Args:
        made, real: (H, W) in [-1, 1].
        tissues: (H, W) labels of the true tissues; names: of the labels.
        without_noise: (H, W) the real image without its noise.
    """
    noise = None if without_noise is None else noise_error(real, without_noise)
    error = absolute_error(made, real)[0]
    if tissues is None:
        return Lost(error, noise)
    flat = flat_error(real, tissues)
    scar, healthy = (tissue(tissues, names, name) for name in (SCAR, HEALTHY))
    if not scar.any():
        return Lost(error, noise, flat)
    return Lost(error, noise, flat, scar, (contrast(real, scar, healthy), contrast(made, scar, healthy)))


def tissue(tissues: np.ndarray, names: Sequence[str], name: str) -> np.ndarray:
    """Pixels (H, W) bool of the tissue of a name; none where it is not among the names."""
    return tissues == names.index(name) if name in names else np.zeros(tissues.shape, bool)


def seen_from(image: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """An image (H, W) in another frame, by linear interpolation; borders are extended.

    Args:
        positions: (H, W, 2) xy in pixels, where in the image each pixel of that frame is found.
    """
    where = [positions[..., 1], positions[..., 0]]
    return ndimage.map_coordinates(image, where, order=1, mode="nearest")

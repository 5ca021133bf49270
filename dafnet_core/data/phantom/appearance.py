"""Appearance of tissue beyond its mean signal: texture, and the sensitivity of the receive coil.

Not modelled: texture that moves with the heart; it stays in place while the heart moves through it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import ndimage

from dafnet_core.data.phantom.fields import smooth_field
from dafnet_core.data.phantom.random_streams import Purpose, random_stream


@lru_cache(maxsize=64)
def draw_texture(seed: int, subject: int) -> np.ndarray:
    """Unit-variance structure of the tissue, one value every 2.5 mm, wider than the image."""
    noise = random_stream(seed, subject, Purpose.TEXTURE).standard_normal((104, 104), dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, 0.9, mode="wrap")
    return smooth / smooth.std()


def sample_texture(lattice: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Texture at positions x, y (mm, same shape) by linear interpolation of `draw_texture`'s lattice."""
    middle = (len(lattice) - 1) / 2
    return ndimage.map_coordinates(lattice, [y / 2.5 + middle, x / 2.5 + middle], order=1, mode="nearest")


def draw_coil_sensitivity(seed: int, subject: int, modality: int, size: int) -> np.ndarray:
    """Receive sensitivity, (size, size), about 1: brighter towards the coil on the chest."""
    rng = random_stream(seed, subject, Purpose.BIAS, modality)
    height = np.linspace(0.5, -0.5, size, dtype=np.float32)[:, None]
    slope = rng.uniform(0.1, 0.5)
    return np.exp(slope * height + 0.1 * smooth_field(rng, size, 60.0))

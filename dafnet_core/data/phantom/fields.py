"""Smooth random fields that are the same at every image size."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from dafnet_core.data.phantom.constants import FIELD_OF_VIEW_MM

_FIELD_PERIOD_MM = 1.5 * FIELD_OF_VIEW_MM  # mirrored borders double the variance there: keep them out of view
_FIELD_MODES = 8  # across FIELD_OF_VIEW_MM


@lru_cache(maxsize=8)
def _cosines(size: int, modes: int) -> np.ndarray:
    """Cosines at the pixel centres, (size, modes), of unit mean square over their period."""
    position = 0.5 + ((np.arange(size) + 0.5) / size - 0.5) * (FIELD_OF_VIEW_MM / _FIELD_PERIOD_MM)
    waves = np.cos(np.pi * position[:, None] * np.arange(modes)) * np.sqrt(2)
    waves[:, 0] = 1
    return waves.astype(np.float32)


def smooth_field(
    rng: np.random.Generator, size: int, smoothness: float, field_of_view: float = FIELD_OF_VIEW_MM
) -> np.ndarray:
    """Gaussian-filtered white noise of unit variance, (size, size): the same field at every size.

    Drawn as the filter's response in cosines, so that nothing depends on the pixels.

    Args:
        smoothness: the filter's standard deviation, mm.
        field_of_view: of the image, mm; the field's period grows with it.
    """
    zoom = field_of_view / FIELD_OF_VIEW_MM
    modes = math.ceil(_FIELD_MODES * zoom)
    response = np.exp(-0.5 * (np.pi * smoothness / (_FIELD_PERIOD_MM * zoom) * np.arange(modes)) ** 2)
    response /= np.sqrt((response**2).sum())
    weights = rng.standard_normal((modes, modes)) * np.outer(response, response)
    waves = _cosines(size, modes)
    return waves @ weights.astype(np.float32) @ waves.T

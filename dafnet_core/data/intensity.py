"""Random changes of intensities that leave the anatomy where it is: contrast curves, bias fields, noise, and random
convolutions. An anatomy factor should not follow them; the paper does not use them.

Frame: images are (H, W) in [-1, 1], -1 being the padding around a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

_STEPS = 64  # of a contrast curve's table
_FIELD = 4  # control values a side of a bias field
_LAYERS, _WIDTH = 4, 2  # of random convolutions (GIN, Ouyang et al. 2022)


@dataclass(frozen=True)
class IntensityChange:
    """How strongly intensities are changed; each image draws its own amounts.

    Attributes:
        curve: how far the two inner control points of a cubic Bezier curve leave the diagonal, 0 to 1.
        bias: standard deviation of a smooth multiplicative field of the brightness in [0, 1].
        noise: largest standard deviation of Gaussian noise, in [-1, 1] units.
        convolutions: largest share of a random convolution network's output, 0 to 1; texture may change.
    """

    curve: float = 0.8
    bias: float = 0.15
    noise: float = 0.08
    convolutions: float = 0.0


MILD = IntensityChange()
CONVOLUTIONS = IntensityChange(curve=0.0, bias=0.0, noise=0.0, convolutions=1.0)  # GIN as published
STRONG = IntensityChange(curve=1.0, bias=0.25, noise=0.1, convolutions=0.7)


def change_intensity(image: np.ndarray, change: IntensityChange, rng: np.random.Generator) -> np.ndarray:
    """One image with other intensities, (H, W) float32 in [-1, 1]; padding stays -1.

    Args:
        image: (H, W) in [-1, 1].
    """
    padding = image <= -1
    bright = (image.astype(np.float32) + 1) / 2
    if change.convolutions:
        share = rng.uniform(0, change.convolutions)
        bright = (1 - share) * bright + share * _convolved(bright, rng)
    bright = np.interp(bright, np.linspace(0, 1, _STEPS), contrast_curve(change.curve, rng))
    if change.bias:
        bright = bright * np.exp(_smooth(image.shape, change.bias, rng))
    changed = 2 * bright - 1
    if change.noise:
        changed = changed + rng.uniform(0, change.noise) * rng.standard_normal(image.shape)
    changed[padding] = -1
    return np.clip(changed, -1, 1).astype(np.float32)


def contrast_curve(amount: float, rng: np.random.Generator) -> np.ndarray:
    """A rising cubic Bezier curve from (0, 0) to (1, 1), its values at equally spaced places, (_STEPS,)."""
    t = np.linspace(0, 1, 4 * _STEPS)
    inner = np.array([[1 / 3, 1 / 3], [2 / 3, 2 / 3]])
    inner = inner + amount * (np.sort(rng.uniform(0, 1, (2, 2)), axis=0) - inner)
    points = np.array([[0, 0], *inner, [1, 1]])
    weights = np.stack([(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3], 1)
    x, y = (weights @ points).T
    return np.interp(np.linspace(0, 1, _STEPS), x, y)


def _smooth(shape: tuple[int, ...], deviation: float, rng: np.random.Generator) -> np.ndarray:
    values = deviation * rng.standard_normal((_FIELD, _FIELD))
    return ndimage.zoom(values, [side / _FIELD for side in shape], order=3, grid_mode=True, mode="nearest")


def _convolved(bright: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A small random network of convolutions with kernels of 1 or 3 pixels; mean and norm of the image are kept."""
    layer = bright[None]
    for n in range(_LAYERS):
        side, outputs = int(rng.choice((1, 3))), 1 if n == _LAYERS - 1 else _WIDTH
        kernels = rng.standard_normal((outputs, len(layer), side, side)).astype(np.float32)
        summed = [
            sum(ndimage.correlate(x, k, mode="nearest") for x, k in zip(layer, ks, strict=True)) for ks in kernels
        ]
        layer = np.stack(summed) + rng.standard_normal((outputs, 1, 1)).astype(np.float32)
        if n < _LAYERS - 1:
            layer = np.where(layer > 0, layer, 0.2 * layer)
    out = layer[0] - layer[0].mean()
    centred = bright - bright.mean()
    return bright.mean() + out * (np.linalg.norm(centred) / max(float(np.linalg.norm(out)), 1e-6))

"""From tissue signals to the wide phantom's images: coil, banding, ghosts, resolution, noise, display.

Bands of balanced SSFP: Scheffler and Lehnhardt, Eur Radiol 2003;13:2409. Ghosts repeat the image along the phase
encoding. Form and amount of both are our own choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from dafnet_core.data.phantom.constants import CINE, LGE
from dafnet_core.data.phantom.fields import smooth_field
from dafnet_core.data.phantom.random_streams import Purpose, random_stream

BRIGHT = 300.0  # a bright tissue's signal, which the display curve leaves as it is
GHOSTS, BANDS, SIGNED = 0.3, 0.5, 0.3  # share of the subjects
RESOLUTION_MM = (1.0, 2.5)


@dataclass(frozen=True)
class Artefacts:
    """How one scan of a subject was received and shown."""

    shading: float  # natural logarithm of the sensitivity's change over 200 mm
    shading_angle: float  # radians in the image: the direction in which it grows
    resolution_mm: tuple[float, float]  # along rows and columns: full width at half maximum
    ghost: float  # share of the signal in the ghosts
    ghost_shift: float  # share of the field of view
    ghost_axis: int  # 0 for vertical
    band_depth: float  # share of the signal lost in a band
    band_slope: tuple[float, float]  # radians of phase per 200 mm, x and y
    band_phase: float
    gamma: float
    offset: float  # signal that appears as black in a phase-sensitive image; 0 for a magnitude image
    texture: float  # scale of the texture


@lru_cache(maxsize=64)
def draw_artefacts(seed: int, subject: int, modality: int) -> Artefacts:
    """The same for all slices of a scan."""
    rng = random_stream(seed, subject, Purpose.ARTEFACTS, modality)
    u = rng.uniform
    ghosts, bands, signed = rng.random(3)
    row = u(*RESOLUTION_MM)
    return Artefacts(
        shading=1.8 * u() ** 1.5,
        shading_angle=-np.pi / 2 + rng.normal(0, 0.7),
        resolution_mm=(row, min(RESOLUTION_MM[1], row * u(1.0, 1.6))),
        ghost=u(0.03, 0.14) if ghosts < GHOSTS else 0.0,
        ghost_shift=u(0.08, 0.5),
        ghost_axis=int(rng.integers(0, 2)),
        band_depth=u(0.4, 0.9) if bands < BANDS and modality == CINE else 0.0,
        band_slope=(rng.normal(0, 2.2), rng.normal(0, 2.2)),
        band_phase=rng.normal(0, 0.8),
        gamma=u(0.6, 1.25),
        offset=u(90, 260) if signed < SIGNED and modality == LGE else 0.0,
        texture=u(0.5, 1.5),
    )


def receive(
    signal: np.ndarray,
    artefacts: Artefacts,
    sensitivity: np.ndarray,
    spacing: float,
    sigma: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Image (H, W) float32 >= 0 of SIGNED tissue signals (H, W).

    Args:
        sensitivity: (H, W), of `draw_sensitivity`.
        spacing: mm per pixel.
        sigma: standard deviation of the noise in each channel.
        rng: of the noise.
    """
    received = signal * sensitivity
    if artefacts.ghost:
        shift = round(artefacts.ghost_shift * len(signal))
        ghosts = np.roll(received, shift, artefacts.ghost_axis) + np.roll(received, -shift, artefacts.ghost_axis)
        received = (1 - artefacts.ghost) * received + artefacts.ghost * (0.7 * ghosts)
    widths = [max(0.3, mm / 2.355 / spacing) for mm in artefacts.resolution_mm]
    gain = math.prod(_noise_gain(round(width, 3)) for width in widths)
    noise = (sigma / gain) * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    real = ndimage.gaussian_filter(received + noise[0], widths, mode="nearest", truncate=3.0)
    if artefacts.offset:
        image = np.maximum(real + np.float32(artefacts.offset), 0)
    else:
        imaginary = ndimage.gaussian_filter(noise[1], widths, mode="nearest", truncate=3.0)
        image = np.sqrt(real * real + imaginary * imaginary)
    return np.float32(BRIGHT) * (image / np.float32(BRIGHT)) ** np.float32(artefacts.gamma)


@lru_cache(maxsize=256)
def _noise_gain(width: float) -> float:
    """Standard deviation that a Gaussian filter of this width (pixels) leaves of white noise along one axis."""
    impulse = np.zeros(41)
    impulse[20] = 1
    return float(np.sqrt((ndimage.gaussian_filter1d(impulse, width, truncate=3.0) ** 2).sum()))


def draw_sensitivity(
    seed: int, subject: int, slice_index: int, modality: int, size: int, field_of_view: float
) -> np.ndarray:
    """Receive sensitivity of the coil and, in the cine, the bands of off-resonance: (size, size) float32, about 1.

    Args:
        size, field_of_view: of the image in pixels and mm.
    """
    a = draw_artefacts(seed, subject, modality)
    rng = random_stream(seed, subject, Purpose.SLICE_ARTEFACTS, slice_index, modality)
    axis = ((np.arange(size) + 0.5) / size - 0.5).astype(np.float32) * np.float32(field_of_view / 200)
    x, y = axis[None, :], axis[:, None]
    along = math.cos(a.shading_angle) * x + math.sin(a.shading_angle) * y
    rough = smooth_field(rng, size, 60.0, field_of_view)
    sensitivity = np.exp(a.shading * np.clip(along, -0.6, 0.6) + (0.08 + 0.1 * a.shading) * rough)
    if a.band_depth:
        phase = a.band_phase + a.band_slope[0] * x + a.band_slope[1] * y
        phase = phase + 0.7 * smooth_field(rng, size, 45.0, field_of_view)
        away = (phase % (2 * math.pi) - math.pi) / 0.5  # bands lie where the phase is an odd multiple of pi
        sensitivity = sensitivity * (1 - a.band_depth * np.exp(-away * away))
    return sensitivity.astype(np.float32)

"""MR signal equations, the sequences of both modalities and the noise of magnitude images.

Balanced SSFP (cine): Scheffler and Lehnhardt, Eur Radiol 2003;13:2409. Inversion recovery and nulling (LGE): Kellman
and Arai, J Magn Reson Imaging 2012;36:529. Rician noise: Gudbjartsson and Patz, Magn Reson Med 1995;34:910.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dafnet_core.data.phantom.constants import CINE, LGE
from dafnet_core.data.phantom.tissue import FAT, TISSUE_TABLE

FULL_MAGNETISATION = 1000.0  # signal of proton density 1, fully relaxed and read at once: the arbitrary unit


@dataclass(frozen=True)
class Sequence:
    """Sequence parameters of one subject's two scans."""

    flip_degrees: float
    cine_tr_ms: float
    inversion_ms: float
    nulling_ms: float
    lge_tr_ms: float
    t1_ms: tuple[float, ...]  # before contrast, per tissue
    t2_ms: tuple[float, ...]
    t1_contrast_ms: tuple[float, ...]
    fat_signal: float
    noise: tuple[float, float]  # per modality
    blur_mm: tuple[float, float]


def bssfp_signal(density: float, t1: float, t2: float, flip: float, tr: float) -> float:
    """Steady-state balanced SSFP signal on resonance, echo at TR / 2 (Scheffler and Lehnhardt 2003).

    Args:
        density: proton density, the signal's unit.
        t1, t2, tr: ms.
        flip: flip angle, radians.
    """
    e1, e2 = np.exp(-tr / t1), np.exp(-tr / t2)
    return float(density * np.sin(flip) * (1 - e1) / (1 - (e1 - e2) * np.cos(flip) - e1 * e2) * np.sqrt(e2))


def inversion_recovery_signal(density: float, t1: float, ti: float, tr: float) -> float:
    """SIGNED longitudinal signal TI after an inversion repeated every TR (ms): negative before the null."""
    return float(density * (1 - 2 * np.exp(-ti / t1) + np.exp(-tr / t1)))


def nulling_time(t1: float, tr: float) -> float:
    """Inversion time (ms) at which tissue of this T1 gives no signal."""
    return float(t1 * (np.log(2) - np.log1p(np.exp(-tr / t1))))


def rician_magnitude(signal: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """|S + n1 + i n2| with n1, n2 of standard deviation sigma: float32, same shape, >= 0."""
    real, imaginary = sigma * rng.standard_normal((2, *signal.shape), dtype=np.float32)
    real += signal
    return np.sqrt(real * real + imaginary * imaginary)


def tissue_signals(sequence: Sequence, modality: int) -> np.ndarray:
    """SIGNED signal of each pure tissue, (len(TISSUES),) float32, in units of FULL_MAGNETISATION = 1000.

    0 for tissues that the sequence has no relaxation times of: the narrow phantom has none of them.
    """
    signals = np.zeros(len(TISSUE_TABLE), dtype=np.float32)
    for index, (tissue, _) in enumerate(zip(TISSUE_TABLE, sequence.t1_ms, strict=False)):
        if modality == CINE:
            signals[index] = bssfp_signal(
                tissue.density,
                sequence.t1_ms[index],
                sequence.t2_ms[index],
                np.deg2rad(sequence.flip_degrees),
                sequence.cine_tr_ms,
            )
        else:
            signals[index] = inversion_recovery_signal(
                tissue.density, sequence.t1_contrast_ms[index], sequence.inversion_ms, sequence.lge_tr_ms
            )
    if modality == LGE:
        signals[list(FAT)] *= sequence.fat_signal
    return FULL_MAGNETISATION * signals

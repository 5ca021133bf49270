"""Motion: breath hold and deformation between the two scans, and the heartbeat.

The beat is one curve, the left ventricle's volume, which every slice follows. We chose its form to have the phases that
a cine shows: ejection, early filling, diastasis, and an atrial contraction that adds the last fifth (Hall, Guyton and
Hall Textbook of Medical Physiology, ch. 9: about 20 %). Not modelled: descent of the base, torsion, pulsation of the
aorta.

Ejection fractions are uniform from 45 to 70 %, our own range about the 58 and 61 % (SD 5) of healthy men and women in
Petersen et al., J Cardiovasc Magn Reson 2017;19:18, wider at its lower end; end systole is uniform from 35 to 40 % of
the cycle, our own choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from dafnet_core.data.phantom.constants import FIELD_OF_VIEW_MM, MODALITIES
from dafnet_core.data.phantom.fields import smooth_field
from dafnet_core.data.phantom.random_streams import Purpose, random_stream

# Standard deviation per modality and axis, and of the Gaussian that smooths it. Two independent fields give a
# mean relative displacement near 6 mm (3 pixels at 96), so smooth that a 5x5 spline can follow.
DEFORMATION_MM = 3.3
DEFORMATION_SMOOTHNESS_MM = 34.0
BREATHING_MM = (0.8, 2.0)  # standard deviation of a breath hold's rigid shift (x, y): the diaphragm moves along y
EJECTION_FRACTION = (0.45, 0.70)
END_SYSTOLE = (0.35, 0.40)  # of the cycle
FILLING = 0.25  # of the cycle: from end systole to diastasis
ATRIAL_START = 0.82  # of the cycle: the atria contract from here to its end
ATRIAL_SHARE = 0.2  # of the stroke volume that they add


@dataclass(frozen=True)
class Beat:
    """How one subject's heart contracts."""

    ejection_fraction: float  # of the left ventricle
    end_systole: float  # share of the cycle at which the volume is smallest

    def lv_volume(self, position: float) -> float:
        """The left ventricle's volume as a share of the end-diastolic one: smooth, and 1 where a cycle begins.

        Args:
            position: in the cycle, 0 at end diastole to 1 at the next; any further number wraps around.
        """
        position %= 1.0
        relaxed = self.end_systole + FILLING
        if position < self.end_systole:
            out = _ease(position / self.end_systole)
        elif position < ATRIAL_START:
            out = 1 - (1 - ATRIAL_SHARE) * _ease((position - self.end_systole) / (relaxed - self.end_systole))
        else:
            out = ATRIAL_SHARE * (1 - _ease((position - ATRIAL_START) / (1 - ATRIAL_START)))
        return 1 - self.ejection_fraction * out


def _ease(share: float) -> float:
    """From 0 to 1 along half a cosine, and flat beyond."""
    return 0.5 - 0.5 * math.cos(math.pi * min(1.0, share))


@lru_cache(maxsize=64)
def draw_beat(seed: int, subject: int) -> Beat:
    """How the subject's heart contracts, the same at every difficulty, slice, image size and number of phases."""
    rng = random_stream(seed, subject, Purpose.BEAT)
    return Beat(ejection_fraction=rng.uniform(*EJECTION_FRACTION), end_systole=rng.uniform(*END_SYSTOLE))


def lv_volumes(seed: int, subject: int, phases: int) -> list[float]:
    """The left ventricle's volume at each phase, as a share of that at the first."""
    beat = draw_beat(seed, subject)
    return [beat.lv_volume(phase / phases) for phase in range(phases)]


def draw_breathing(seed: int, subject: int, slice_index: int, modality: int) -> tuple[float, float]:
    """Rigid shift (x, y) in mm of the whole slice by this breath hold."""
    x, y = random_stream(seed, subject, Purpose.BREATHING, slice_index, modality).normal(0, BREATHING_MM)
    return float(x), float(y)


def draw_displacement(
    seed: int,
    subject: int,
    slice_index: int,
    modality: int,
    size: int,
    field_of_view: float = FIELD_OF_VIEW_MM,
    scale: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Displacement from each pixel to the reference position of its anatomy: (size, size, 2), (x, y) in mm.

    Args:
        field_of_view: mm along each side of the image.
        scale: of the deformation and of the breath hold's shift.
    """
    rng = random_stream(seed, subject, Purpose.DEFORMATION, slice_index, modality)
    fields = [
        scale[0] * DEFORMATION_MM * smooth_field(rng, size, DEFORMATION_SMOOTHNESS_MM, field_of_view) for _ in range(2)
    ]
    breathing = scale[1] * np.array(draw_breathing(seed, subject, slice_index, modality))
    return np.stack(fields, axis=-1) + breathing.astype(np.float32)


def misregistration_parameters(
    seed: int, subject: int, slice_index: int, scale: tuple[float, float] = (1.0, 1.0)
) -> dict[str, Any]:
    """Parameters of a slice's displacements, JSON-serialisable; `scale` as in `draw_displacement`."""
    breaths = [draw_breathing(seed, subject, slice_index, modality) for modality in range(len(MODALITIES))]
    return {
        "deformation_mm": scale[0] * DEFORMATION_MM,
        "smoothness_mm": DEFORMATION_SMOOTHNESS_MM,
        "breathing_mm": [(scale[1] * x, scale[1] * y) for x, y in breaths],
    }

"""What the wide phantom draws beyond `Anatomy`: shapes of every kind, and how the image shows them.

Lengths in mm, angles in radians (clockwise on screen, 0 = right), levels from 0 (base) to 1 (apex).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dafnet_core.data.phantom.anatomy import Anatomy, Scar
from dafnet_core.data.phantom.constants import FIELD_OF_VIEW_MM


@dataclass(frozen=True)
class View:
    """Where a subject lies in its images. By default as in generator version 1: the anatomy's own frame."""

    field_of_view: float = FIELD_OF_VIEW_MM
    rotation: float = 0.0  # of the anatomy in the image
    place: tuple[float, float] = (0.0, 0.0)  # in the image, (x, y) from its middle, of the anatomy's `pivot`
    pivot: tuple[float, float] = (0.0, 0.0)  # in the anatomy's frame
    motion: tuple[float, float] = (1.0, 1.0)  # scale of the deformation and of the breath hold's shift

    def to_anatomy(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the image (mm from its middle) -> positions in the anatomy's frame, same shape."""
        if self == View():
            return x, y
        c, s = math.cos(self.rotation), math.sin(self.rotation)
        x, y = x - self.place[0], y - self.place[1]
        return c * x + s * y + self.pivot[0], c * y - s * x + self.pivot[1]


@dataclass(frozen=True)
class RightVentricle:
    """Shape of a right ventricle: an ellipse behind the left one, with lobes and a rough border."""

    middle: float  # where the ellipse's centre lies, as a share of the left ventricle's outer radius
    width: float  # half width at no depth, as a share of that radius
    spread: float  # by which the half width grows with the depth
    wall: float
    lobes: tuple[tuple[int, float, float], ...]  # (order, amplitude in mm, phase) of waves about the left ventricle
    roughness: tuple[tuple[int, float, float], ...]
    trabeculae: tuple[tuple[float, float, float], ...]  # (angle from rv_angle, share of the depth, radius)
    outflow: tuple[float, float, float]  # (angle from rv_angle, radius, level at which it ends: 0 for none)


@dataclass(frozen=True)
class Surroundings:
    """Organs that the narrow phantom does not have."""

    stomach: tuple[float, float, float, float, float] | None  # x, y, half axes, tilt
    stomach_content: str  # name of a tissue
    stomach_air: float  # share of its height that holds air
    cava: tuple[float, float, float]  # vein in the liver: x, y, radius
    breast: tuple[float, float, float, float]  # x, y, half axes: fat before the chest
    arms: tuple[tuple[float, float, float], ...]  # x, y, radius


@dataclass(frozen=True)
class WideAnatomy(Anatomy):
    """One subject's anatomy, in the frame of `Anatomy`."""

    flattening: float  # share of the radius by which the septum is flat
    right: RightVentricle
    trabeculae: tuple[tuple[float, float, float], ...]  # of the left ventricle: (angle, share of its radius, size)
    papillary_levels: tuple[float, float]
    atrium: tuple[float, float, float]  # left: (angle from the free wall, radius, level at which it ends: 0 for none)
    effusion: float  # thickness of fluid around the heart
    surroundings: Surroundings


@dataclass(frozen=True)
class WideScar:
    """Scars of one subject."""

    patches: tuple[Scar, ...]
    layer: float  # share of the wall that is spared inside: above 0 the scar is not an infarct
    obstruction: float  # size of the first patch's dark core, as a share of it; 0 for none

"""One subject's anatomy and infarct as numbers: lengths in mm, angles in radians, levels from 0 (base) to 1 (apex)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Anatomy:
    """One subject's reference anatomy; lengths in mm, angles in radians (clockwise on screen, 0 = right)."""

    centre: tuple[float, float]  # of the left ventricle at mid level
    axis_tilt: tuple[float, float]  # how far the centre moves from base to apex
    radius: float  # LV cavity at its widest
    apex: float  # share of the radius left at the apex
    wall: float
    wall_thick_side: float
    ripples: tuple[tuple[int, float, float], ...]  # (order, relative amplitude, phase) of the LV outline
    rv_angle: float
    rv_depth: float
    rv_end: float  # level (0 base, 1 apex) at which the right ventricle ends
    rv_skew: float
    fat: float
    papillary: tuple[tuple[float, float, float], ...]  # (angle, share of cavity radius, size) of each
    body_centre: tuple[float, float]
    body_axes: tuple[float, float]
    body_tilt: float
    skin_fat: float
    chest_muscle: float
    ribs: tuple[float, ...]  # angles along the chest
    fat_pad: tuple[float, float, float]  # behind the chest wall: x, thickness, half width
    spine: tuple[float, float, float]
    aorta: tuple[float, float, float]
    liver: tuple[float, float, float, float, float]  # x, y, half axes, tilt
    spleen: tuple[float, float, float, float, float]
    lung_vessels: tuple[tuple[float, float, float], ...]
    liver_vessels: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Scar:
    """A wedge of infarct that grows from the endocardium outwards."""

    angle: float
    half_angle: float
    depth: float  # share of the wall; from 1 on transmural, and the more the wider
    level: float  # its middle between base (0) and apex (1)
    half_length: float

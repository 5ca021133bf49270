"""Anatomy as signed distances in mm: nothing random, no signals, no pixels.

Frame: x to the right (columns, towards the patient's left), y down (rows, towards posterior), as radiologists look at a
short-axis slice: right ventricle on the left, liver below, left lung on the right. Level 0 is the base, 1 the apex.
A distance is negative inside. Shapes come back to front, as (name of the tissue, distance at each point).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dafnet_core.data.phantom.anatomy import Anatomy, Scar

SEPTAL_PULL = 0.6  # of the outer radius' change by which the centre moves to the septum, which so moves little
RV_SHORTENING = 0.6  # of its depth, if the left one emptied: its ejection fraction comes a little below the left's


def ellipse(x: np.ndarray, y: np.ndarray, cx: float, cy: float, a: float, b: float, tilt: float = 0.0) -> np.ndarray:
    """Signed distance to an ellipse with half axes a, b: exact to first order at its boundary."""
    x, y, c, s = x - cx, y - cy, math.cos(tilt), math.sin(tilt)
    u, v = (c * x + s * y) / a, (c * y - s * x) / b
    level = np.sqrt(u * u + v * v)
    return level * (level - 1) / (np.sqrt((u / a) ** 2 + (v / b) ** 2) + 1e-6)


def dots(x: np.ndarray, y: np.ndarray, discs: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    """Signed distance to the union of discs (x, y, radius)."""
    nearest = np.full_like(x, np.inf)
    for cx, cy, radius in discs:
        np.minimum(nearest, np.sqrt((x - cx) ** 2 + (y - cy) ** 2) - radius, out=nearest)
    return nearest


def torso(a: Anatomy, level: float, x: np.ndarray, y: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Everything around the heart, back to front."""
    body = ellipse(x, y, *a.body_centre, *a.body_axes, a.body_tilt)
    cavity = body + (a.skin_fat + a.chest_muscle)
    drift = 10.0 * (level - 0.5)  # apical slices lie lower in the chest: more liver, less lung
    liver_x, liver_y, *liver_shape = a.liver
    liver = ellipse(x, y, liver_x, liver_y - drift, *liver_shape)
    spine = ellipse(x, y, a.spine[0], a.spine[1], a.spine[2], 0.85 * a.spine[2])
    ribs = _ribs(a, x, y)
    pad_x, pad_thickness, pad_width = a.fat_pad
    pad = -cavity - pad_thickness * np.exp(-(((x - pad_x) / pad_width) ** 2))
    return [
        ("subcutaneous fat", body),
        ("torso muscle", body + a.skin_fat),
        ("lung", cavity),
        ("vessel", np.maximum(dots(x + 2 * drift, y, a.lung_vessels), cavity + 3.0)),
        ("pericardial fat", np.maximum(pad, cavity)),
        ("cortical bone", ribs),
        ("marrow", ribs + 1.8),
        ("torso muscle", spine - 7.0),
        ("cortical bone", spine),
        ("marrow", spine + 1.5),
        ("spleen", np.maximum(ellipse(x, y + drift, *a.spleen), cavity)),
        ("liver", np.maximum(liver, cavity)),
        ("vessel", np.maximum(dots(x, y + drift, a.liver_vessels), liver + 4.0)),
        ("pericardial fat", ellipse(x, y, a.aorta[0], a.aorta[1], a.aorta[2] + 3.0, a.aorta[2] + 2.5)),
        ("vessel", dots(x, y, (a.aorta,))),
    ]


def _ribs(a: Anatomy, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Oval cross sections in the chest's muscle layer."""
    inset = a.skin_fat + 0.5 * a.chest_muscle
    half_a, half_b = a.body_axes[0] - inset, a.body_axes[1] - inset
    c, s = math.cos(a.body_tilt), math.sin(a.body_tilt)
    nearest = np.full_like(x, np.inf)
    for angle in a.ribs:
        u, v = half_a * math.cos(angle), half_b * math.sin(angle)
        along = math.atan2(half_b * math.cos(angle), -half_a * math.sin(angle)) + a.body_tilt
        rib = ellipse(
            x,
            y,
            a.body_centre[0] + c * u - s * v,
            a.body_centre[1] + s * u + c * v,
            8.0,
            0.42 * a.chest_muscle,
            along,
        )
        np.minimum(nearest, rib, out=nearest)
    return nearest


def _lv_size(a: Anatomy, level: float) -> tuple[float, float]:
    """Radius of the left ventricle's cavity and its wall thickness (mm) at a level.

    A half ellipsoid cut above its widest level, so that the base tapers a little too.
    """
    taper = a.apex + (1 - a.apex) * math.sqrt(max(0.0, 1 - ((level - 0.12) / 0.9) ** 2))
    return a.radius * taper, a.wall * (0.75 + 0.25 * taper)


@dataclass(frozen=True)
class LeftVentricle:
    """Outlines of the left ventricle in a slice, in polar coordinates about its centre; arrays shaped like x, in mm."""

    x: np.ndarray  # from the centre
    y: np.ndarray
    rho: np.ndarray
    theta: np.ndarray  # radians
    endo: np.ndarray  # radius of the inner border at each point's angle
    epi: np.ndarray
    cavity: float  # mean radius of the inner border
    mean_epi: float


def left_ventricle(a: Anatomy, level: float, x: np.ndarray, y: np.ndarray, volume: float) -> LeftVentricle:
    """Outlines at a level; arguments as in `heart`."""
    cavity, wall = _lv_size(a, level)
    lost = 1 - volume
    mean_epi = math.sqrt((cavity + wall) * (cavity + wall) - lost * cavity * cavity)
    pull = SEPTAL_PULL * (cavity + wall - mean_epi)
    x = x - (a.centre[0] + (level - 0.5) * a.axis_tilt[0] + pull * math.cos(a.rv_angle))
    y = y - (a.centre[1] + (level - 0.5) * a.axis_tilt[1] + pull * math.sin(a.rv_angle))
    rho, theta = np.sqrt(x * x + y * y), np.arctan2(y, x)
    endo = cavity * (1 + ripple(theta, a.ripples))
    # Only the slow ripples reach the outside: trabeculae roughen the inner border alone.
    slow = ripple(theta, tuple(wave for wave in a.ripples if wave[0] < 5))
    epi = wall * (1 + a.wall_thick_side * np.cos(theta - a.rv_angle)) + cavity * (1 + slow)
    epi = np.sqrt(epi * epi - lost * endo * endo)  # the same to the last bit where nothing is lost
    endo, cavity = math.sqrt(volume) * endo, math.sqrt(volume) * cavity
    return LeftVentricle(x, y, rho, theta, endo, epi, cavity, mean_epi)


def heart(
    a: Anatomy, scar: Scar | None, level: float, x: np.ndarray, y: np.ndarray, volume: float = 1.0
) -> list[tuple[str, np.ndarray]]:
    """The heart in its fat, back to front, at a level between base (0) and apex (1).

    Args:
        x, y: mm, of any one shape.
        volume: share of the end-diastolic volume that the left ventricle holds. Its cavity's area is that share of
            itself in every slice and its wall keeps its area at every angle; the right ventricle's depth falls too.
    """
    left = left_ventricle(a, level, x, y, volume)
    x, y, theta = left.x, left.y, left.theta
    outer, inner = left.rho - left.epi, left.rho - left.endo
    rv = _right_ventricle(a, level, left.mean_epi, volume, x, y)
    # Fat is thick over the right ventricle and thin over the free wall, where the lung touches the heart.
    fat = a.fat * (1 - 0.4 * level) * (0.15 + 0.85 * (0.5 + 0.5 * np.cos(theta - a.rv_angle - 0.6)))
    shapes = [
        ("pericardial fat", np.minimum(outer, rv - 3.0) - fat),
        ("RV wall", rv - 3.0),
        ("RV blood", rv),
        ("myocardium", outer),
    ]
    if scar is not None:
        shapes.append(("scar", scar_distance(scar, level, left)))
    shapes.append(("LV blood", inner))
    if 0.2 < level < 0.8:
        muscles = tuple(
            (share * left.cavity * math.cos(angle), share * left.cavity * math.sin(angle), size)
            for angle, share, size in a.papillary
        )
        # Kept inside the cavity: they are a part of the blood pool's label.
        shapes.append(("papillary muscle", np.maximum(dots(x, y, muscles), inner + 0.5)))
    return shapes


def ripple(theta: np.ndarray, ripples: tuple[tuple[int, float, float], ...]) -> np.ndarray:
    """Sum of waves (frequency, amplitude, phase) at each angle, shaped like `theta`; 0 without waves."""
    return sum((amp * np.cos(k * theta + phase) for k, amp, phase in ripples), start=np.zeros_like(theta))


def _right_ventricle(a: Anatomy, level: float, epi: float, volume: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance to the ellipse whose part outside the left ventricle is the right one's crescent."""
    depth = a.rv_depth * (1 - (level / a.rv_end) ** 2) if level < a.rv_end else 0.0
    if depth < 2.0:
        return np.full_like(x, 1e3)  # nothing is left of it near the apex
    depth *= 1 - RV_SHORTENING * (1 - volume)
    c, s = math.cos(a.rv_angle), math.sin(a.rv_angle)
    out, along = c * x + s * y, c * y - s * x
    middle = 0.45 * epi
    # At zero depth the ellipse hides behind the left ventricle; it widens as it gets deeper.
    half_out, half_along = epi + depth - middle, 0.8 * epi + 0.42 * depth
    return ellipse(out, along + a.rv_skew * (out - middle), middle, 0.0, half_out, half_along)


def scar_distance(scar: Scar, level: float, left: LeftVentricle) -> np.ndarray:
    """Signed distance across the wall; the wedge is deepest in its middle and ends where its depth is 0."""
    across = ((left.theta - scar.angle + math.pi) % (2 * math.pi) - math.pi) / scar.half_angle
    along = (level - scar.level) / scar.half_length
    depth = 1.6 * scar.depth * (1 - across * across - along * along)
    return left.rho - (left.endo + (left.epi - left.endo) * np.clip(depth, -1.0, min(1.0, scar.depth)))

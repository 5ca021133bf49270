"""The wide phantom's anatomy as signed distances in mm: frame, order and levels as in `shapes`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from dafnet_core.data.phantom.shapes import (
    RV_SHORTENING,
    LeftVentricle,
    dots,
    ellipse,
    left_ventricle,
    ripple,
    scar_distance,
    torso,
)
from dafnet_core.data.phantom.wide_anatomy import WideAnatomy, WideScar

_Shapes = list[tuple[str, np.ndarray]]


def wide_torso(a: WideAnatomy, level: float, x: np.ndarray, y: np.ndarray) -> _Shapes:
    """Everything around the heart, back to front; arguments as in `torso`."""
    around = a.surroundings
    shapes: _Shapes = []
    for arm_x, arm_y, radius in around.arms:
        arm = np.sqrt((x - arm_x) ** 2 + (y - arm_y) ** 2) - radius
        shapes += [("subcutaneous fat", arm), ("torso muscle", arm + 0.25 * radius)]
        shapes += [("cortical bone", arm + 0.75 * radius), ("marrow", arm + 0.75 * radius + 3.0)]
    shapes.append(("subcutaneous fat", ellipse(x, y, *around.breast)))
    shapes += torso(a, level, x, y)
    drift = 10.0 * (level - 0.5)  # as in `torso`
    if around.stomach is not None:
        stomach_x, stomach_y, half_a, half_b, tilt = around.stomach
        stomach_y -= drift
        stomach = ellipse(x, y, stomach_x, stomach_y, half_a, half_b, tilt)
        surface = stomach_y - half_b + 2 * half_b * around.stomach_air  # patients lie on their back: air rises
        shapes += [("torso muscle", stomach - 3.5), (around.stomach_content, stomach)]
        shapes.append(("air", np.maximum(stomach, y - surface)))
    cava_x, cava_y, radius = around.cava
    shapes.append(("vessel", dots(x, y + drift, ((cava_x, cava_y, radius),))))
    return shapes


def wide_heart(
    a: WideAnatomy, scar: WideScar | None, level: float, x: np.ndarray, y: np.ndarray, volume: float = 1.0
) -> _Shapes:
    """The heart in its fat, back to front; arguments as in `heart`."""
    left = _flattened(a, left_ventricle(a, level, x, y, volume))
    outer, inner = left.rho - left.epi, left.rho - left.endo
    rv, depth = _right_ventricle(a, level, left, volume)
    wall = rv - a.right.wall
    heart = np.minimum(outer, wall)
    fat = a.fat * (1 - 0.4 * level) * (0.15 + 0.85 * (0.5 + 0.5 * np.cos(left.theta - a.rv_angle - 0.6)))
    shapes = [("pericardial fat", heart - (fat + a.effusion))]
    if a.effusion > 0:
        shapes.append(("fluid", heart - a.effusion))
    shapes += _atrium(a, level, left)
    shapes += [("RV wall", wall), ("RV blood", rv)]
    beams = tuple(
        ((left.mean_epi + share * depth) * math.cos(angle), (left.mean_epi + share * depth) * math.sin(angle), size)
        for angle, share, size in ((a.rv_angle + t[0], t[1], t[2]) for t in a.right.trabeculae)
    )
    if beams and depth > 8:
        shapes.append(("RV trabecula", np.maximum(dots(left.x, left.y, beams), rv + 0.5)))
    shapes.append(("myocardium", outer))
    if scar is not None:
        shapes += _scars(scar, level, left)
    shapes.append(("LV blood", inner))
    return shapes + _inside(a, level, left, inner)


def _flattened(a: WideAnatomy, left: LeftVentricle) -> LeftVentricle:
    """The left ventricle with its septum pushed in, as by a loaded right one."""
    towards = np.maximum(np.cos(left.theta - a.rv_angle), 0)
    inwards = 1 - a.flattening * towards**3
    return replace(left, endo=left.endo * inwards, epi=left.epi * inwards)


def _right_ventricle(a: WideAnatomy, level: float, left: LeftVentricle, volume: float) -> tuple[np.ndarray, float]:
    """Signed distance to the right ventricle, of which the left one covers a part, and its depth (mm)."""
    shape, epi = a.right, left.mean_epi
    depth = a.rv_depth * (1 - (level / a.rv_end) ** 2) if level < a.rv_end else 0.0
    depth *= 1 - RV_SHORTENING * (1 - volume)
    rv = np.full_like(left.x, 1e3)
    if depth >= 2.0:
        c, s = math.cos(a.rv_angle), math.sin(a.rv_angle)
        out, along = c * left.x + s * left.y, c * left.y - s * left.x
        middle = shape.middle * epi
        half_out = epi + depth - middle
        # No wider than lets both ventricles meet in front of the left one's middle
        half_along = min(shape.width * epi + shape.spread * depth, (0.85 + 0.6 * shape.middle) * epi)
        rv = ellipse(out, along + a.rv_skew * (out - middle), middle, 0.0, half_out, half_along)
        waves = tuple((k, amplitude, phase + 3 * level) for k, amplitude, phase in shape.roughness)
        small = min(1.0, depth / 15.0)  # a thin ventricle has no room for them
        rv = rv + small * ripple(left.theta, shape.lobes + waves)
    angle, radius, end = shape.outflow
    if level < end:
        radius *= math.sqrt(1 - (level / end) ** 2)
        away = epi + 0.7 * radius
        angle += a.rv_angle
        outflow = dots(left.x, left.y, ((away * math.cos(angle), away * math.sin(angle), radius),))
        rv = np.minimum(rv, outflow)
    return rv, depth


def _atrium(a: WideAnatomy, level: float, left: LeftVentricle) -> _Shapes:
    """The left atrium's lower part behind the free wall of basal slices: bright, and no class of its own."""
    angle, radius, end = a.atrium
    if level >= end:
        return []
    radius *= math.sqrt(1 - (level / end) ** 2)
    angle, away = angle + a.rv_angle + math.pi, left.mean_epi + 0.6 * radius
    atrium = dots(left.x, left.y, ((away * math.cos(angle), away * math.sin(angle), radius),))
    return [("RV wall", atrium - 2.0), ("vessel", atrium)]


def _scars(scar: WideScar, level: float, left: LeftVentricle) -> _Shapes:
    """Scars in the wall, and the dark core of the first."""
    wall = left.epi - left.endo
    shapes: _Shapes = []
    for patch in scar.patches:
        distance = scar_distance(patch, level, left)
        if scar.layer:
            distance = np.maximum(distance, left.endo + scar.layer * wall - left.rho)
        shapes.append(("scar", distance))
    if scar.obstruction and scar.patches:
        first, share = scar.patches[0], scar.obstruction
        core = replace(
            first,
            half_angle=first.half_angle * share,
            depth=first.depth * share,
            half_length=first.half_length * share,
        )
        rim = left.endo + 0.12 * wall - left.rho
        shapes.append(("microvascular obstruction", np.maximum(scar_distance(core, level, left), rim)))
    return shapes


def _inside(a: WideAnatomy, level: float, left: LeftVentricle, inner: np.ndarray) -> _Shapes:
    """Papillary muscles and trabeculae in the left ventricle's cavity, which are a part of its label."""
    low, high = a.papillary_levels
    muscles = a.trabeculae + (a.papillary if low < level < high else ())
    if not muscles:
        return []
    scale = left.cavity / a.radius  # they shrink with the cavity
    discs = tuple(
        (share * left.cavity * math.cos(angle), share * left.cavity * math.sin(angle), size * scale)
        for angle, share, size in muscles
    )
    return [("papillary muscle", np.maximum(dots(left.x, left.y, discs), inner + 0.5))]

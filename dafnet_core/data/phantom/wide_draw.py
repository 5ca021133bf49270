"""Random draws of the wide phantom: anatomy, view, scar and sequence. None depends on the image size.

All ranges are our own choice, wider than what is seen in most patients.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from dafnet_core.data.phantom.anatomy import Scar
from dafnet_core.data.phantom.constants import CINE, LGE
from dafnet_core.data.phantom.difficulty import KNOBS, WIDE
from dafnet_core.data.phantom.draw import draw_scar, draw_sequence, draw_vessels
from dafnet_core.data.phantom.random_streams import Purpose, random_stream
from dafnet_core.data.phantom.signal import Sequence
from dafnet_core.data.phantom.wide_anatomy import RightVentricle, Surroundings, View, WideAnatomy, WideScar

RADIUS, WALL, OUTER = (14.0, 34.0), (5.0, 16.0), 46.0  # mm of the left ventricle; OUTER is the most of both together
FIELD_OF_VIEW, PLACE, ROTATION = (160.0, 330.0), 40.0, math.radians(60)  # mm, mm, radians
INVERSION = ((0.72, 0.94), (1.06, 1.6))  # TI / nulling TI where it is too short and too long
SHORT_INVERSION, LONG_INVERSION = 0.15, 0.25  # share of the subjects
CINE_NOISE = (2.0, 18.0)  # as Difficulty.noise


@lru_cache(maxsize=64)
def draw_wide_anatomy(seed: int, subject: int) -> WideAnatomy:
    """The subject's anatomy in its own frame, the same in every slice and at every image size."""
    rng = random_stream(seed, subject, Purpose.WIDE_HEART)
    u = rng.uniform
    radius = u(*RADIUS)
    wall = u(WALL[0], min(WALL[1], OUTER - radius))
    orders = ((2, 0.05), (3, 0.03), (4, 0.02), (7, 0.015), (9, 0.015), (12, 0.012))
    depth = u(10, 26) if rng.random() < 0.6 else u(22, 44)
    return WideAnatomy(
        **_draw_torso(seed, subject, radius + wall, depth),
        centre=(u(4, 22), u(-6, 10)),
        axis_tilt=(u(-2, 16), u(-2, 12)),
        radius=radius,
        apex=u(0.15, 0.55),
        wall=wall,
        wall_thick_side=u(-0.1, 0.35),
        ripples=tuple((k, rng.normal(0, a), u(0, 2 * np.pi)) for k, a in orders),
        rv_angle=np.pi + u(-0.4, 0.6),
        rv_depth=depth,
        rv_end=u(0.6, 1.15),
        rv_skew=u(-0.35, 0.35),
        fat=1 + 13 * u() ** 1.5,
        papillary=tuple(
            (middle + u(-0.35, 0.35), u(0.5, 0.85), radius * u(0.1, 0.24)) for middle in (-0.7, 1.25) if u() < 0.9
        ),
        flattening=max(0.0, u(-0.15, 0.25)),
        right=_draw_right_ventricle(rng, depth),
        trabeculae=tuple((u(0, 2 * np.pi), u(0.8, 1.0), radius * u(0.03, 0.1)) for _ in range(rng.integers(0, 14))),
        papillary_levels=(u(0.05, 0.3), u(0.65, 0.95)),
        atrium=(u(-0.5, 0.9), u(14, 26), u(0.05, 0.2) * (rng.random() < 0.4)),
        effusion=u(2, 9) * float(rng.random() < 0.12),
    )


def _draw_right_ventricle(rng: np.random.Generator, depth: float) -> RightVentricle:
    """From a thin crescent to a round ventricle that is larger than the left one."""
    u = rng.uniform
    return RightVentricle(
        middle=u(0.25, 0.75),
        width=u(0.6, 0.95),
        spread=u(0.2, 0.5),
        wall=u(1.5, 4.5),
        lobes=tuple((k, 0.08 * depth * u(0, 1), u(0, 2 * np.pi)) for k in (2, 3, 5)),
        roughness=tuple((k, u(0, 1.0), u(0, 2 * np.pi)) for k in (11, 16, 23)),
        trabeculae=tuple((u(-0.9, 0.9), u(0.35, 0.95), u(1.0, 3.2)) for _ in range(rng.integers(0, 9))),
        outflow=(u(0.5, 1.2), u(9, 17), u(0.05, 0.4) * (rng.random() < 0.6)),
    )


def _draw_torso(seed: int, subject: int, outer: float, depth: float) -> dict[str, Any]:
    """Fields of `WideAnatomy` around a left ventricle of this outer radius and a right one of this depth (mm)."""
    rng = random_stream(seed, subject, Purpose.WIDE_TORSO)
    u = rng.uniform
    skin, muscle = 3 + 37 * u() ** 2, u(6, 15)
    axes = (u(125, 185), u(98, 140))
    body = (u(-12, 34), axes[1] - outer - 0.4 * depth - u(4, 26) - skin - muscle)
    spine = (u(14, 50), body[1] + axes[1] - u(46, 62), u(16, 22))
    half_liver = u(38, 62)
    liver = (u(-85, -15), outer + half_liver + u(-12, 18), u(60, 100), half_liver, u(-0.4, 0.3))
    return {
        "body_centre": body,
        "body_axes": axes,
        "body_tilt": u(-0.35, 0.05),
        "skin_fat": skin,
        "chest_muscle": muscle,
        "ribs": tuple(-np.pi * (0.98 - 0.16 * i) + u(-0.06, 0.06) for i in range(7)),
        "fat_pad": (u(-30, 25), u(4, 36), u(22, 50)),
        "spine": spine,
        "aorta": (spine[0] + u(14, 34), spine[1] - u(20, 38), u(8, 14)),
        "liver": liver,
        "spleen": (u(78, 112), outer + u(35, 75), u(20, 38), u(16, 30), u(-0.6, 0.6)),
        "lung_vessels": draw_vessels(rng, 26, (70.0, 5.0), 42.0),
        "liver_vessels": draw_vessels(rng, 9, (liver[0], liver[1] - 8.0), 26.0),
        "surroundings": _draw_surroundings(rng, outer, axes, body, liver),
    }


def _draw_surroundings(
    rng: np.random.Generator,
    outer: float,
    axes: tuple[float, float],
    body: tuple[float, float],
    liver: tuple[float, float, float, float, float],
) -> Surroundings:
    u = rng.uniform
    half = (u(18, 44), u(14, 34))
    stomach = (u(38, 92), outer + half[1] + u(-4, 26), *half, u(-0.6, 0.6))
    content = ("fluid", "food", "air")[rng.choice(3, p=(0.5, 0.3, 0.2))]
    arms = tuple((body[0] + side * (axes[0] + u(42, 62)), body[1] + u(-10, 50), u(32, 44)) for side in (-1, 1))
    return Surroundings(
        stomach=stomach if rng.random() < 0.7 else None,
        stomach_content=content,
        stomach_air=max(0.0, u(-0.5, 0.7)),
        cava=(u(-45, -10), liver[1] - u(0.2, 0.8) * liver[3], u(6, 14)),
        breast=(body[0] - u(10, 100), body[1] - axes[1] + u(12, 30), u(50, 85), u(10, 45)),
        arms=arms if rng.random() < 0.5 else (),
    )


@lru_cache(maxsize=64)
def draw_view(seed: int, subject: int) -> View:
    """Field of view, place and rotation of the heart, and how well both scans agree."""
    rng = random_stream(seed, subject, Purpose.VIEW)
    u = rng.uniform
    a = draw_wide_anatomy(seed, subject)
    outer = a.radius + a.wall
    smallest = max(FIELD_OF_VIEW[0], 2 * outer + a.rv_depth + 60)
    view = smallest * (FIELD_OF_VIEW[1] / smallest) ** (u() ** 1.8)
    room = min(PLACE, view / 2 - outer - 0.5 * a.rv_depth - 12)
    reach = a.rv_depth / 2  # the middle of both ventricles, not of the left one, is placed
    pivot = (a.centre[0] + reach * math.cos(a.rv_angle), a.centre[1] + reach * math.sin(a.rv_angle))
    return View(
        field_of_view=view,
        rotation=float(rng.triangular(-ROTATION, 0.0, ROTATION)),
        place=(u(-room, room), u(-room, room)),
        pivot=pivot,
        motion=(u(0.2, 1.15), u(0.3, 1.8)),
    )


@lru_cache(maxsize=64)
def draw_wide_scar(seed: int, subject: int) -> WideScar | None:
    """No scar, one infarct with or without a dark core, patches, or a scar in the middle of the wall."""
    first = draw_scar(seed, subject, WIDE)
    if first is None:
        return None
    rng = random_stream(seed, subject, Purpose.WIDE_SCAR)
    u = rng.uniform
    kind = rng.random()
    if kind < 0.3:  # patches
        patches = tuple(
            Scar(u(0, 2 * np.pi), u(0.12, 0.35), u(0.3, 1.0), u(0.1, 0.9), u(0.15, 0.4))
            for _ in range(rng.integers(2, 5))
        )
        return WideScar(patches, layer=u(0.2, 0.5) * float(rng.random() < 0.5), obstruction=0.0)
    if kind < 0.4:
        return WideScar((replace(first, depth=min(0.8, first.depth)),), layer=u(0.25, 0.45), obstruction=0.0)
    core = u(0.45, 0.85) * float(rng.random() < 0.35 and first.depth > 0.6)
    return WideScar((first,), layer=0.0, obstruction=core)


@lru_cache(maxsize=64)
def draw_wide_sequence(seed: int, subject: int) -> Sequence:
    """Sequence parameters, with inversion times from too short to too long and any contrast of the cine."""
    base = draw_sequence(seed, subject, WIDE)
    rng = random_stream(seed, subject, Purpose.WIDE_SEQUENCE)
    kind, along = rng.random(2)
    inversion = base.inversion_ms
    if kind < SHORT_INVERSION:
        inversion = base.nulling_ms * (INVERSION[0][0] + along * (INVERSION[0][1] - INVERSION[0][0]))
    elif kind < SHORT_INVERSION + LONG_INVERSION:
        inversion = base.nulling_ms * (INVERSION[1][0] + along * (INVERSION[1][1] - INVERSION[1][0]))
    t1 = np.exp(rng.normal(0, 0.08, len(base.t1_ms))) * base.t1_ms
    t2 = np.exp(rng.normal(0, 0.12, len(base.t2_ms))) * base.t2_ms
    low, high = KNOBS[WIDE].noise
    noise = [_log_uniform(rng, *CINE_NOISE), _log_uniform(rng, low, high)]
    return replace(
        base,
        flip_degrees=rng.uniform(28, 75),
        cine_tr_ms=rng.uniform(2.6, 4.2),
        inversion_ms=float(inversion),
        t1_ms=tuple(t1.tolist()),
        t2_ms=tuple(t2.tolist()),
        noise=(noise[CINE], noise[LGE]),
        blur_mm=(rng.uniform(0.8, 3.5), rng.uniform(1.0, 4.5)),
    )


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(low * (high / low) ** rng.random())

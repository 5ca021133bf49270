"""Random draws of one subject: anatomy, scar and sequence parameters. None depends on the image size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from dafnet_core.data.phantom.anatomy import Anatomy, Scar
from dafnet_core.data.phantom.difficulty import KNOBS, WIDE
from dafnet_core.data.phantom.random_streams import Purpose, random_stream
from dafnet_core.data.phantom.signal import Sequence, nulling_time
from dafnet_core.data.phantom.tissue import NARROW_TABLE, T1_CONTRAST_MS, TISSUE_TABLE

CINE_NOISE = (5.0, 8.0)  # as Difficulty.noise
CINE_BLUR_MM = 1.5  # as Difficulty.blur_mm


def draw_vessels(
    rng: np.random.Generator, count: int, centre: tuple[float, float], spread: float
) -> tuple[tuple[float, float, float], ...]:
    """`count` small round vessels as (x, y, radius), mm, about a centre with a standard deviation `spread` (mm)."""
    places = rng.normal(centre, spread, (count, 2))
    radii = rng.uniform(0.6, 2.6, count)
    return tuple((float(x), float(y), float(r)) for (x, y), r in zip(places, radii, strict=True))


@lru_cache(maxsize=64)
def draw_anatomy(seed: int, subject: int) -> Anatomy:
    """The subject's reference anatomy, the same in standard and hard data, at every slice and image size."""
    rng = random_stream(seed, subject, Purpose.ANATOMY)
    u = rng.uniform
    orders = ((2, 0.05), (3, 0.025), (4, 0.015), (7, 0.012), (9, 0.010), (12, 0.008))
    liver = (u(-55, -35), u(90, 100), u(76, 90), u(46, 54), u(-0.1, 0.15))
    return Anatomy(
        centre=(u(6, 20), u(-4, 9)),
        axis_tilt=(u(2, 8), u(1, 7)),
        radius=u(22, 29),
        apex=u(0.36, 0.5),
        wall=u(9, 12),
        wall_thick_side=u(0.05, 0.2),
        ripples=tuple((k, rng.normal(0, a), u(0, 2 * np.pi)) for k, a in orders),
        rv_angle=np.pi + u(-0.15, 0.4),
        rv_depth=u(19, 27),
        rv_end=u(0.88, 1.0),
        rv_skew=u(-0.15, 0.15),
        fat=u(3, 8),
        papillary=(
            (u(-0.95, -0.45), u(0.55, 0.72), u(3.5, 5.5)),
            (u(0.95, 1.6), u(0.55, 0.72), u(3.5, 5.5)),
        ),
        body_centre=(u(20, 40), u(30, 42)),
        body_axes=(u(145, 165), u(112, 124)),
        body_tilt=u(-0.35, -0.1),
        skin_fat=u(7, 20),
        chest_muscle=u(9, 15),
        ribs=tuple(-np.pi * (0.95 - 0.16 * i) + u(-0.05, 0.05) for i in range(6)),
        fat_pad=(u(-20, 15), u(14, 30), u(28, 42)),
        spine=(u(22, 40), u(92, 104), u(17, 21)),
        aorta=(u(46, 60), u(62, 74), u(9, 12)),
        liver=liver,
        spleen=(u(82, 98), u(84, 100), u(24, 34), u(20, 28), u(-0.4, 0.4)),
        lung_vessels=draw_vessels(rng, 16, (70.0, 5.0), 32.0),
        liver_vessels=draw_vessels(rng, 6, (liver[0], liver[1] - 8.0), 22.0),
    )


def draw_scar(seed: int, subject: int, difficulty: str) -> Scar | None:
    """The subject's infarct, or None; harder data has it more often and larger, at the same place."""
    knobs = KNOBS[difficulty]
    rng = random_stream(seed, subject, Purpose.SCAR)
    chance, angle, half_angle, depth, level, half_length = rng.random(6).tolist()
    if chance >= knobs.scar_probability:
        return None
    return Scar(
        angle=2 * np.pi * angle,
        half_angle=(0.45 + 0.6 * half_angle) * knobs.scar_scale,
        depth=(0.4 + 0.8 * depth) * knobs.scar_scale,
        level=0.2 + 0.6 * level,
        half_length=(0.25 + 0.35 * half_length) * knobs.scar_scale,
    )


@lru_cache(maxsize=64)
def draw_sequence(seed: int, subject: int, difficulty: str) -> Sequence:
    """Sequence parameters and the subject's relaxation times."""
    knobs = KNOBS[difficulty]
    rng = random_stream(seed, subject, Purpose.SEQUENCE)
    jitter = {kind: np.exp(rng.normal(0, 0.04, 2)) for kind in T1_CONTRAST_MS}
    contrast = {kind: rng.uniform(*span) for kind, span in T1_CONTRAST_MS.items()}
    heart = contrast["heart"]
    contrast["blood"] += rng.uniform(*knobs.blood_to_myocardium) * (heart - contrast["blood"])
    contrast["scar"] += rng.uniform(*knobs.scar_to_blood) * (contrast["blood"] - contrast["scar"])
    lge_tr = rng.uniform(1500, 2200)  # every other heartbeat
    null = nulling_time(heart, lge_tr)
    table = TISSUE_TABLE if difficulty == WIDE else NARROW_TABLE
    unchanged = (1.0, 1.0)
    return Sequence(
        flip_degrees=rng.uniform(48, 62),
        cine_tr_ms=rng.uniform(2.9, 3.5),
        inversion_ms=null * (1 + knobs.inversion_error * float(np.clip(rng.standard_normal(), -2, 2))),
        nulling_ms=null,
        lge_tr_ms=lge_tr,
        t1_ms=tuple(float(tissue.t1 * jitter.get(tissue.uptake, unchanged)[0]) for tissue in table),
        t2_ms=tuple(float(tissue.t2 * jitter.get(tissue.uptake, unchanged)[1]) for tissue in table),
        t1_contrast_ms=tuple(float(contrast.get(tissue.uptake, tissue.t1)) for tissue in table),
        fat_signal=rng.uniform(*knobs.fat_signal),
        noise=(rng.uniform(*CINE_NOISE), rng.uniform(*knobs.noise)),
        blur_mm=(CINE_BLUR_MM, knobs.blur_mm),
    )


def phase_duration_ms(seed: int, subject: int, difficulty: str, phases: int) -> float:
    """Time from one phase of the cine to the next; the LGE repeats every other heartbeat."""
    return draw_sequence(seed, subject, difficulty).lge_tr_ms / 2 / phases

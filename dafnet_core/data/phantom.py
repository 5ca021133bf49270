"""Procedural short-axis cardiac pairs (cine, LGE) with known masks, motion and tissue.

One reference anatomy, in millimetres, is a stack of shapes given by their signed distance to each boundary.
Each modality looks at it through its own smooth displacement, fills the shapes with its own signal equation,
mixes signals where boundaries cross a pixel, and adds a bias field and Rician noise. Nothing anatomical is
drawn in pixels, so a subject is the same at every image size.

Frame: x to the right (columns, towards the patient's left), y down (rows, towards posterior), as radiologists
look at a short-axis slice: right ventricle on the left, liver below, left lung on the right.

Signal equations and where the relaxation times come from (1.5 T):
    balanced SSFP: Scheffler and Lehnhardt, Eur Radiol 2003;13:2409.
    T1, T2 before contrast: Stanisz et al., Magn Reson Med 2005;54:507 (blood, heart); de Bazelaire et al.,
        Radiology 2004;230:652 (liver, spleen, muscle, fat, marrow).
        Lung, bone, scar, venous blood and all proton densities are chosen by us.
    inversion recovery, nulling and T1 after contrast: Kellman and Arai, J Magn Reson Imaging 2012;36:529.
    noise of magnitude images: Gudbjartsson and Patz, Magn Reson Med 1995;34:910.

`python -m dafnet_core.data.phantom OUT --subjects N --seed S` writes an nnU-Net v2 folder.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage

VERSION = 1  # generator version: raise it whenever the same seed gives other pixels
MODALITIES = ("cine", "LGE")
CLASSES = ("background", "LV blood pool", "myocardium", "RV blood pool")
DIFFICULTIES = ("standard", "hard")
FIELD_OF_VIEW_MM = 200.0
SLICES = 8
SLICE_DISTANCE_MM = 9.0
FULL_MAGNETISATION = 1000.0  # signal of proton density 1, fully relaxed and read at once: the arbitrary unit

CINE, LGE = 0, 1
BACKGROUND, LV, MYOCARDIUM, RV = range(4)


# T1 after contrast agent (ms, low and high) of everything that takes it up alike.
T1_CONTRAST_MS = {
    "blood": (350.0, 400.0),
    "heart": (450.0, 500.0),
    "scar": (250.0, 300.0),
    "fat": (320.0, 350.0),  # takes none up
    "muscle": (560.0, 660.0),
    "marrow": (420.0, 480.0),
    "lung": (420.0, 480.0),
    "liver": (360.0, 420.0),
    "spleen": (400.0, 460.0),
}


@dataclass(frozen=True)
class Tissue:
    """What a tissue is called, which class it belongs to and how it relaxes at 1.5 T (times in ms)."""

    name: str
    label: int
    uptake: str  # key of T1_CONTRAST_MS
    density: float  # proton density, 1 = water
    t1: float
    t2: float
    texture: float  # relative standard deviation of the signal inside the tissue


TISSUE_TABLE = (
    Tissue("air", BACKGROUND, "lung", 0.0, 1000, 50, 0.0),
    Tissue("subcutaneous fat", BACKGROUND, "fat", 1.0, 343, 58, 0.08),
    Tissue("torso muscle", BACKGROUND, "muscle", 0.8, 856, 27, 0.15),
    Tissue("cortical bone", BACKGROUND, "marrow", 0.1, 549, 10, 0.0),
    Tissue("marrow", BACKGROUND, "marrow", 0.6, 549, 49, 0.10),
    Tissue("lung", BACKGROUND, "lung", 0.2, 1000, 40, 0.25),
    Tissue("vessel", BACKGROUND, "blood", 0.9, 1441, 290, 0.04),
    Tissue("liver", BACKGROUND, "liver", 0.75, 586, 46, 0.06),
    Tissue("spleen", BACKGROUND, "spleen", 0.8, 1057, 79, 0.06),
    Tissue("pericardial fat", BACKGROUND, "fat", 0.95, 343, 58, 0.08),
    Tissue("RV wall", BACKGROUND, "heart", 0.8, 1030, 40, 0.04),
    Tissue("RV blood", RV, "blood", 0.9, 1441, 230, 0.06),  # venous: T2 falls with the oxygen
    Tissue("myocardium", MYOCARDIUM, "heart", 0.8, 1030, 40, 0.04),
    Tissue("scar", MYOCARDIUM, "scar", 0.85, 1150, 50, 0.08),
    Tissue("LV blood", LV, "blood", 0.9, 1441, 290, 0.04),
    Tissue("papillary muscle", LV, "heart", 0.8, 1030, 40, 0.04),
)
TISSUES = tuple(tissue.name for tissue in TISSUE_TABLE)
CLASS_OF_TISSUE = np.array([tissue.label for tissue in TISSUE_TABLE], dtype=np.uint8)
_INDEX = {name: index for index, name in enumerate(TISSUES)}
_FAT = (_INDEX["subcutaneous fat"], _INDEX["pericardial fat"])


@dataclass(frozen=True)
class Difficulty:
    """How hard the LGE images are; anatomy, misregistration and cine do not depend on it.

    Ranges are (low, high) of a uniform draw per subject.
    """

    noise: tuple[float, float]  # standard deviation in each channel, of FULL_MAGNETISATION = 1000
    inversion_error: float  # standard deviation of TI / nulling TI - 1
    blood_to_myocardium: tuple[float, float]  # share of the way from blood's T1 to myocardium's: contrast
    scar_to_blood: tuple[float, float]  # share of the way from scar's T1 to blood's: 1 = equally bright
    fat_signal: tuple[float, float]  # what fat suppression leaves of fat: little = epicardium lost against it
    blur_mm: float  # edge width from resolution and slice thickness, added in quadrature to the pixel
    scar_probability: float
    scar_scale: float  # of the scar's angle, depth and length


KNOBS = {
    "standard": Difficulty(
        noise=(9.0, 15.0),
        inversion_error=0.025,
        blood_to_myocardium=(0.0, 0.0),
        scar_to_blood=(0.0, 0.2),
        fat_signal=(0.6, 1.0),
        blur_mm=2.0,
        scar_probability=0.5,
        scar_scale=1.0,
    ),
    "hard": Difficulty(
        noise=(24.0, 38.0),
        inversion_error=0.13,
        blood_to_myocardium=(0.45, 0.72),
        scar_to_blood=(0.75, 1.1),
        fat_signal=(0.1, 0.35),
        blur_mm=3.0,
        scar_probability=0.8,
        scar_scale=1.3,
    ),
}
CINE_NOISE = (5.0, 8.0)
CINE_BLUR_MM = 1.5

# Standard deviation per modality and axis, and of the Gaussian that smooths it. Two independent fields give a
# mean relative displacement near 6 mm (3 pixels at 96), so smooth that a 5x5 spline can follow.
DEFORMATION_MM = 3.3
DEFORMATION_SMOOTHNESS_MM = 34.0
BREATHING_MM = (0.8, 2.0)  # rigid shift (x, y) of a breath hold: the diaphragm moves along y


# --- signal equations ---------------------------------------------------------------------------------------


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


# --- draws --------------------------------------------------------------------------------------------------


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


@dataclass(frozen=True)
class Sequence:
    """How one subject's two scans were taken."""

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


def _stream(seed: int, subject: int, *purpose: int) -> np.random.Generator:
    return np.random.default_rng([VERSION, seed, subject, *purpose])


# What a stream of random numbers is for: a new use gets a new number, so that the others stay as they are.
_ANATOMY, _SCAR, _SEQUENCE, _TEXTURE, _DEFORMATION, _BREATHING, _BIAS, _NOISE = range(8)


def _draw_dots(
    rng: np.random.Generator, count: int, centre: tuple[float, float], spread: float
) -> tuple[tuple[float, float, float], ...]:
    """Positions and radii (mm) of small round vessels."""
    places = rng.normal(centre, spread, (count, 2))
    radii = rng.uniform(0.6, 2.6, count)
    return tuple((float(x), float(y), float(r)) for (x, y), r in zip(places, radii, strict=True))


@lru_cache(maxsize=64)
def draw_anatomy(seed: int, subject: int) -> Anatomy:
    """The subject's reference anatomy, the same at every difficulty, slice and image size."""
    rng = _stream(seed, subject, _ANATOMY)
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
        lung_vessels=_draw_dots(rng, 16, (70.0, 5.0), 32.0),
        liver_vessels=_draw_dots(rng, 6, (liver[0], liver[1] - 8.0), 22.0),
    )


def draw_scar(seed: int, subject: int, difficulty: str) -> Scar | None:
    """The subject's infarct, or None; harder data has it more often and larger, at the same place."""
    knobs = KNOBS[difficulty]
    rng = _stream(seed, subject, _SCAR)
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
    rng = _stream(seed, subject, _SEQUENCE)
    jitter = {kind: np.exp(rng.normal(0, 0.04, 2)) for kind in T1_CONTRAST_MS}
    contrast = {kind: rng.uniform(*span) for kind, span in T1_CONTRAST_MS.items()}
    heart = contrast["heart"]
    contrast["blood"] += rng.uniform(*knobs.blood_to_myocardium) * (heart - contrast["blood"])
    contrast["scar"] += rng.uniform(*knobs.scar_to_blood) * (contrast["blood"] - contrast["scar"])
    lge_tr = rng.uniform(1500, 2200)  # every other heartbeat
    null = nulling_time(heart, lge_tr)
    return Sequence(
        flip_degrees=rng.uniform(48, 62),
        cine_tr_ms=rng.uniform(2.9, 3.5),
        inversion_ms=null * (1 + knobs.inversion_error * float(np.clip(rng.standard_normal(), -2, 2))),
        nulling_ms=null,
        lge_tr_ms=lge_tr,
        t1_ms=tuple(float(tissue.t1 * jitter[tissue.uptake][0]) for tissue in TISSUE_TABLE),
        t2_ms=tuple(float(tissue.t2 * jitter[tissue.uptake][1]) for tissue in TISSUE_TABLE),
        t1_contrast_ms=tuple(float(contrast[tissue.uptake]) for tissue in TISSUE_TABLE),
        fat_signal=rng.uniform(*knobs.fat_signal),
        noise=(rng.uniform(*CINE_NOISE), rng.uniform(*knobs.noise)),
        blur_mm=(CINE_BLUR_MM, knobs.blur_mm),
    )


def tissue_signals(sequence: Sequence, modality: int) -> np.ndarray:
    """SIGNED signal of each pure tissue, (len(TISSUES),) float32, in units of FULL_MAGNETISATION = 1000."""
    signals = np.zeros(len(TISSUE_TABLE), dtype=np.float32)
    for index, tissue in enumerate(TISSUE_TABLE):
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
        signals[list(_FAT)] *= sequence.fat_signal
    return FULL_MAGNETISATION * signals


# --- shapes: signed distances in mm, negative inside --------------------------------------------------------


def _ellipse(x: np.ndarray, y: np.ndarray, cx: float, cy: float, a: float, b: float, tilt: float = 0.0) -> np.ndarray:
    """Signed distance to an ellipse with half axes a, b: exact to first order at its boundary."""
    x, y, c, s = x - cx, y - cy, math.cos(tilt), math.sin(tilt)
    u, v = (c * x + s * y) / a, (c * y - s * x) / b
    level = np.sqrt(u * u + v * v)
    return level * (level - 1) / (np.sqrt((u / a) ** 2 + (v / b) ** 2) + 1e-6)


def _dots(x: np.ndarray, y: np.ndarray, dots: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    """Signed distance to the union of discs (x, y, radius)."""
    nearest = np.full_like(x, np.inf)
    for cx, cy, radius in dots:
        np.minimum(nearest, np.sqrt((x - cx) ** 2 + (y - cy) ** 2) - radius, out=nearest)
    return nearest


def _torso(a: Anatomy, level: float, x: np.ndarray, y: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Everything around the heart, back to front."""
    body = _ellipse(x, y, *a.body_centre, *a.body_axes, a.body_tilt)
    cavity = body + (a.skin_fat + a.chest_muscle)
    drift = 10.0 * (level - 0.5)  # apical slices lie lower in the chest: more liver, less lung
    liver_x, liver_y, *liver_shape = a.liver
    liver = _ellipse(x, y, liver_x, liver_y - drift, *liver_shape)
    spine = _ellipse(x, y, a.spine[0], a.spine[1], a.spine[2], 0.85 * a.spine[2])
    ribs = _ribs(a, x, y)
    pad_x, pad_thickness, pad_width = a.fat_pad
    pad = -cavity - pad_thickness * np.exp(-(((x - pad_x) / pad_width) ** 2))
    return [
        ("subcutaneous fat", body),
        ("torso muscle", body + a.skin_fat),
        ("lung", cavity),
        ("vessel", np.maximum(_dots(x + 2 * drift, y, a.lung_vessels), cavity + 3.0)),
        ("pericardial fat", np.maximum(pad, cavity)),
        ("cortical bone", ribs),
        ("marrow", ribs + 1.8),
        ("torso muscle", spine - 7.0),
        ("cortical bone", spine),
        ("marrow", spine + 1.5),
        ("spleen", np.maximum(_ellipse(x, y + drift, *a.spleen), cavity)),
        ("liver", np.maximum(liver, cavity)),
        ("vessel", np.maximum(_dots(x, y + drift, a.liver_vessels), liver + 4.0)),
        ("pericardial fat", _ellipse(x, y, a.aorta[0], a.aorta[1], a.aorta[2] + 3.0, a.aorta[2] + 2.5)),
        ("vessel", _dots(x, y, (a.aorta,))),
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
        rib = _ellipse(
            x, y, a.body_centre[0] + c * u - s * v, a.body_centre[1] + s * u + c * v,
            8.0, 0.42 * a.chest_muscle, along,
        )  # fmt: skip
        np.minimum(nearest, rib, out=nearest)
    return nearest


def _heart_size(a: Anatomy, level: float) -> tuple[float, float]:
    """Radius of the left ventricle's cavity and its wall thickness (mm) at a level.

    A half ellipsoid cut above its widest level, so that the base tapers a little too.
    """
    taper = a.apex + (1 - a.apex) * math.sqrt(max(0.0, 1 - ((level - 0.12) / 0.9) ** 2))
    return a.radius * taper, a.wall * (0.75 + 0.25 * taper)


def _heart(a: Anatomy, scar: Scar | None, level: float, x: np.ndarray, y: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The heart in its fat, back to front, at a level between base (0) and apex (1)."""
    x = x - (a.centre[0] + (level - 0.5) * a.axis_tilt[0])
    y = y - (a.centre[1] + (level - 0.5) * a.axis_tilt[1])
    rho, theta = np.sqrt(x * x + y * y), np.arctan2(y, x)
    cavity, wall = _heart_size(a, level)
    endo = cavity * (1 + sum(amp * np.cos(k * theta + phase) for k, amp, phase in a.ripples))
    # Only the slow ripples reach the outside: trabeculae roughen the inner border alone.
    epi = wall * (1 + a.wall_thick_side * np.cos(theta - a.rv_angle)) + cavity * (
        1 + sum(amp * np.cos(k * theta + phase) for k, amp, phase in a.ripples if k < 5)
    )
    outer, inner = rho - epi, rho - endo
    rv = _right_ventricle(a, level, cavity + wall, x, y)
    # Fat is thick over the right ventricle and thin over the free wall, where the lung touches the heart.
    fat = a.fat * (1 - 0.4 * level) * (0.15 + 0.85 * (0.5 + 0.5 * np.cos(theta - a.rv_angle - 0.6)))
    shapes = [
        ("pericardial fat", np.minimum(outer, rv - 3.0) - fat),
        ("RV wall", rv - 3.0),
        ("RV blood", rv),
        ("myocardium", outer),
    ]
    if scar is not None:
        shapes.append(("scar", _scar(scar, level, theta, rho, endo, epi - endo)))
    shapes.append(("LV blood", inner))
    if 0.2 < level < 0.8:
        muscles = tuple(
            (share * cavity * math.cos(angle), share * cavity * math.sin(angle), size)
            for angle, share, size in a.papillary
        )
        # Kept inside the cavity: they are a part of the blood pool's label.
        shapes.append(("papillary muscle", np.maximum(_dots(x, y, muscles), inner + 0.5)))
    return shapes


def _right_ventricle(a: Anatomy, level: float, epi: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance to the ellipse whose part outside the left ventricle is the right one's crescent."""
    depth = a.rv_depth * (1 - (level / a.rv_end) ** 2) if level < a.rv_end else 0.0
    if depth < 2.0:
        return np.full_like(x, 1e3)  # nothing is left of it near the apex
    c, s = math.cos(a.rv_angle), math.sin(a.rv_angle)
    out, along = c * x + s * y, c * y - s * x
    middle = 0.45 * epi
    # At zero depth the ellipse hides behind the left ventricle; it widens as it gets deeper.
    half_out, half_along = epi + depth - middle, 0.8 * epi + 0.42 * depth
    return _ellipse(out, along + a.rv_skew * (out - middle), middle, 0.0, half_out, half_along)


def _scar(
    scar: Scar, level: float, theta: np.ndarray, rho: np.ndarray, endo: np.ndarray, wall: np.ndarray
) -> np.ndarray:
    """Signed distance across the wall; the wedge is deepest in its middle and ends where its depth is 0."""
    across = ((theta - scar.angle + math.pi) % (2 * math.pi) - math.pi) / scar.half_angle
    along = (level - scar.level) / scar.half_length
    depth = 1.6 * scar.depth * (1 - across * across - along * along)
    return rho - (endo + wall * np.clip(depth, -1.0, min(1.0, scar.depth)))


# --- motion, texture, coil ----------------------------------------------------------------------------------


_FIELD_PERIOD_MM = 1.5 * FIELD_OF_VIEW_MM  # mirrored borders double the variance there: keep them out of view
_FIELD_MODES = 8


@lru_cache(maxsize=8)
def _cosines(size: int) -> np.ndarray:
    """Cosines at the pixel centres, (size, _FIELD_MODES), of unit mean square over their period."""
    position = 0.5 + ((np.arange(size) + 0.5) / size - 0.5) * (FIELD_OF_VIEW_MM / _FIELD_PERIOD_MM)
    waves = np.cos(np.pi * position[:, None] * np.arange(_FIELD_MODES)) * np.sqrt(2)
    waves[:, 0] = 1
    return waves.astype(np.float32)


def _smooth_field(rng: np.random.Generator, size: int, smoothness: float) -> np.ndarray:
    """Gaussian-filtered white noise of unit variance, (size, size): the same field at every size.

    Drawn as the filter's response in cosines, so that nothing depends on the pixels.

    Args:
        smoothness: the filter's standard deviation, mm.
    """
    response = np.exp(-0.5 * (np.pi * smoothness / _FIELD_PERIOD_MM * np.arange(_FIELD_MODES)) ** 2)
    response /= np.sqrt((response**2).sum())
    weights = rng.standard_normal((_FIELD_MODES, _FIELD_MODES)) * np.outer(response, response)
    waves = _cosines(size)
    return waves @ weights.astype(np.float32) @ waves.T


def draw_breathing(seed: int, subject: int, slice_index: int, modality: int) -> tuple[float, float]:
    """How far (x, y) in mm this breath hold moved the whole slice."""
    x, y = _stream(seed, subject, _BREATHING, slice_index, modality).normal(0, BREATHING_MM)
    return float(x), float(y)


def _displacement(seed: int, subject: int, slice_index: int, modality: int, size: int) -> np.ndarray:
    """How far from each pixel lies the anatomy that it shows: (size, size, 2), (x, y) in mm."""
    rng = _stream(seed, subject, _DEFORMATION, slice_index, modality)
    fields = [DEFORMATION_MM * _smooth_field(rng, size, DEFORMATION_SMOOTHNESS_MM) for _ in range(2)]
    breathing = draw_breathing(seed, subject, slice_index, modality)
    return np.stack(fields, axis=-1) + np.array(breathing, dtype=np.float32)


@lru_cache(maxsize=64)
def _texture_lattice(seed: int, subject: int) -> np.ndarray:
    """Unit-variance structure of the tissue, one value every 2.5 mm, wider than the image."""
    noise = _stream(seed, subject, _TEXTURE).standard_normal((104, 104), dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, 0.9, mode="wrap")
    return smooth / smooth.std()


def _texture(lattice: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    middle = (len(lattice) - 1) / 2
    return ndimage.map_coordinates(lattice, [y / 2.5 + middle, x / 2.5 + middle], order=1, mode="nearest")


def _bias(seed: int, subject: int, modality: int, size: int) -> np.ndarray:
    """Receive sensitivity, (size, size), about 1: brighter towards the coil on the chest."""
    rng = _stream(seed, subject, _BIAS, modality)
    height = np.linspace(0.5, -0.5, size, dtype=np.float32)[:, None]
    slope = rng.uniform(0.1, 0.5)
    return np.exp(slope * height + 0.1 * _smooth_field(rng, size, 60.0))


# --- pairs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PhantomPair:
    """One slice seen by both modalities, with everything that is true about it."""

    images: np.ndarray  # (2, H, W) float32, magnitude >= 0, arbitrary units
    masks: np.ndarray  # (2, H, W) uint8, indices into CLASSES, each in its own modality's frame
    displacement: np.ndarray  # (2, H, W, 2) float32, (x, y) pixels: p shows reference p + displacement(p)
    tissue: np.ndarray  # (H, W) uint8, indices into TISSUES, reference frame
    spacing: float  # mm per pixel
    parameters: dict  # everything that was drawn, JSON-serialisable

    def sampling(self, fixed: int, moving: int) -> np.ndarray:
        """Where in the moving image to look for what each pixel of the fixed image shows.

        Solves p + d_fixed(p) = q + d_moving(q) for q by fixed-point iteration, which converges because no
        displacement changes by a pixel from one pixel to the next.

        Returns:
            (H, W, 2) float32, (x, y) in pixels of the moving image; may lie outside it near the border.
        """
        rows, columns = np.indices(self.tissue.shape, dtype=np.float32)
        target = np.stack([columns, rows], axis=-1) + self.displacement[fixed]
        q = target - self.displacement[moving]
        for _ in range(20):
            where = [q[..., 1], q[..., 0]]
            moved = [
                ndimage.map_coordinates(self.displacement[moving, ..., axis], where, order=1, mode="nearest")
                for axis in range(2)
            ]
            q = target - np.stack(moved, axis=-1)
        return q


def _paint(shapes: list[tuple[str, np.ndarray]], signals: np.ndarray, edge: float, texture: np.ndarray) -> np.ndarray:
    """SIGNED signal (H, W) float32 of shapes laid over each other.

    Args:
        edge: mm over which a boundary goes from none to all of a shape.
        texture: (H, W), unit variance.
    """
    signal = np.zeros_like(texture)
    for name, distance in shapes:
        index = _INDEX[name]
        coverage = np.clip(0.5 - distance / edge, 0, 1)
        own = signals[index] * (1 + TISSUE_TABLE[index].texture * texture)
        signal += coverage * (own - signal)  # signed on both sides: a boundary can cancel to black
    return signal


def _tissue_map(shapes: list[tuple[str, np.ndarray]]) -> np.ndarray:
    """Tissue at each pixel's centre, (H, W) uint8 indices into TISSUES."""
    tissue = np.zeros(shapes[0][1].shape, dtype=np.uint8)
    for name, distance in shapes:
        tissue[distance < 0] = _INDEX[name]
    return tissue


def _check(seed: int, subject: int, slice_index: int, size: int, slices: int, difficulty: str) -> None:
    for name, value in (("seed", seed), ("subject", subject)):
        if value < 0:
            raise ValueError(f"{name} is {value}; expected 0 or more")
    if size < 32 or size % 16:
        raise ValueError(f"size is {size}; expected a multiple of 16, at least 32")
    if slices < 1:
        raise ValueError(f"slices is {slices}; expected 1 or more")
    if not 0 <= slice_index < slices:
        raise ValueError(f"slice_index is {slice_index}; expected 0 to {slices - 1}")
    if difficulty not in DIFFICULTIES:
        raise ValueError(f"difficulty is {difficulty!r}; expected one of {', '.join(DIFFICULTIES)}")


def generate(
    seed: int,
    subject: int,
    slice_index: int,
    *,
    size: int = 128,
    slices: int = SLICES,
    difficulty: str = "standard",
) -> PhantomPair:
    """One short-axis slice of one subject in both modalities; the same arguments give the same bits.

    Args:
        seed, subject: which subject; 0 or more.
        slice_index: 0 (base) to slices - 1 (apex).
        size: pixels along each side, a multiple of 16; the field of view stays FIELD_OF_VIEW_MM.
        difficulty: one of DIFFICULTIES; changes the LGE contrast and the scar, never masks or motion.

    Raises:
        ValueError: an argument is out of its range.
    """
    _check(seed, subject, slice_index, size, slices, difficulty)
    spacing = FIELD_OF_VIEW_MM / size
    level = slice_index / max(1, slices - 1)
    anatomy, sequence = draw_anatomy(seed, subject), draw_sequence(seed, subject, difficulty)
    scar = draw_scar(seed, subject, difficulty)
    lattice = _texture_lattice(seed, subject)
    axis = ((np.arange(size) + 0.5) * spacing - FIELD_OF_VIEW_MM / 2).astype(np.float32)
    x, y = np.meshgrid(axis, axis)

    def shapes(x: np.ndarray, y: np.ndarray) -> list[tuple[str, np.ndarray]]:
        return _torso(anatomy, level, x, y) + _heart(anatomy, scar, level, x, y)

    images, masks, displacement = [], [], []
    for modality in range(len(MODALITIES)):
        moved = _displacement(seed, subject, slice_index, modality, size)
        seen_x, seen_y = x + moved[..., 0], y + moved[..., 1]
        seen = shapes(seen_x, seen_y)
        signal = _paint(
            seen,
            tissue_signals(sequence, modality),
            edge=math.hypot(spacing, sequence.blur_mm[modality]),
            texture=_texture(lattice, seen_x, seen_y),
        )
        received = signal * _bias(seed, subject, modality, size)
        rng = _stream(seed, subject, _NOISE, slice_index, modality)
        images.append(rician_magnitude(received, sequence.noise[modality], rng))
        masks.append(CLASS_OF_TISSUE[_tissue_map(seen)])
        displacement.append(moved / np.float32(spacing))
    return PhantomPair(
        images=np.stack(images),
        masks=np.stack(masks),
        displacement=np.stack(displacement),
        tissue=_tissue_map(shapes(x, y)),
        spacing=spacing,
        parameters=_parameters(seed, subject, slice_index, slices, difficulty),
    )


def _parameters(seed: int, subject: int, slice_index: int, slices: int, difficulty: str) -> dict:
    """All that was drawn for a pair, in types that JSON knows."""
    scar = draw_scar(seed, subject, difficulty)
    return {
        "version": VERSION,
        "seed": seed,
        "subject": subject,
        "slice": slice_index,
        "slices": slices,
        "difficulty": difficulty,
        "knobs": asdict(KNOBS[difficulty]),
        "anatomy": asdict(draw_anatomy(seed, subject)),
        "scar": None if scar is None else asdict(scar),
        "sequence": asdict(draw_sequence(seed, subject, difficulty)),
        "misregistration": {
            "deformation_mm": DEFORMATION_MM,
            "smoothness_mm": DEFORMATION_SMOOTHNESS_MM,
            "breathing_mm": [
                draw_breathing(seed, subject, slice_index, modality) for modality in range(len(MODALITIES))
            ],
        },
    }


# --- nnU-Net v2 folder --------------------------------------------------------------------------------------


def case_name(seed: int, subject: int) -> str:
    """What a written subject's files start with."""
    return f"phantom_s{seed}_{subject:04d}"


def write_folder(out: Path, subjects: int, seed: int, *, difficulty: str, size: int, slices: int) -> None:
    """Write subjects as an nnU-Net v2 data set; labelsTr has one mask per modality, our only extension.

    Raises:
        ValueError: the folder has something in it, or an argument is out of its range.
    """
    if subjects < 1:
        raise ValueError(f"subjects is {subjects}; expected 1 or more")
    _check(seed, 0, 0, size, slices, difficulty)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not an empty folder; choose a new one or empty it")
    for folder in ("imagesTr", "labelsTr"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for subject in range(subjects):
        stack = [generate(seed, subject, k, size=size, slices=slices, difficulty=difficulty) for k in range(slices)]
        for modality in range(len(MODALITIES)):
            name = f"{case_name(seed, subject)}_{modality:04d}.nii.gz"
            _write_nifti(out / "imagesTr" / name, [p.images[modality] for p in stack], stack[0].spacing)
            _write_nifti(out / "labelsTr" / name, [p.masks[modality] for p in stack], stack[0].spacing)
    description = {
        "name": "phantom",
        "channel_names": {str(index): name for index, name in enumerate(MODALITIES)},
        "labels": {name: index for index, name in enumerate(CLASSES)},
        "numTraining": subjects,
        "file_ending": ".nii.gz",
        "labels_per_modality": True,  # labelsTr/CASE_000i is the mask in the frame of imagesTr/CASE_000i
        "generator": "dafnet_core.data.phantom",
        "generator_version": VERSION,
        "seed": seed,
        "difficulty": difficulty,
    }
    (out / "dataset.json").write_text(json.dumps(description, indent=2) + "\n")


def _write_nifti(path: Path, slices: list[np.ndarray], spacing: float) -> None:
    """Stack slices along z with columns towards the patient's left and rows towards posterior."""
    import nibabel  # here alone, so that generating needs nothing but numpy and scipy

    # NIfTI's first axes point right and anterior where positive: hence the transposition and the signs.
    volume = np.stack([pixels.T for pixels in slices], axis=-1)
    image = nibabel.Nifti1Image(volume, np.diag([-spacing, -spacing, SLICE_DISTANCE_MM, 1.0]))
    image.header.set_xyzt_units("mm")
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))  # no clock: same bytes again


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m dafnet_core.data.phantom",
        description="Write phantom subjects as an nnU-Net v2 folder with one mask per modality.",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write, new or empty")
    parser.add_argument("--subjects", type=int, required=True, help="how many")
    parser.add_argument("--seed", type=int, required=True, help="which population")
    parser.add_argument("--difficulty", choices=DIFFICULTIES, default="standard")
    parser.add_argument("--size", type=int, default=128, help="pixels along each side (default 128)")
    parser.add_argument("--slices", type=int, default=SLICES, help=f"base to apex (default {SLICES})")
    options = parser.parse_args(arguments)
    try:
        write_folder(
            options.out,
            options.subjects,
            options.seed,
            difficulty=options.difficulty,
            size=options.size,
            slices=options.slices,
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Procedural short-axis cardiac pairs (cine, LGE) with known masks, motion and tissue.

One reference anatomy, in millimetres, is a stack of shapes given by their signed distance to each boundary.
Each modality looks at it through its own smooth displacement, fills the shapes with its own signal equation,
mixes signals where boundaries cross a pixel, and adds a bias field and Rician noise. Nothing anatomical is
drawn in pixels, so a subject is the same at every image size.

Frame: x to the right (columns, towards the patient's left), y down (rows, towards posterior), as radiologists
look at a short-axis slice: right ventricle on the left, liver below, left lung on the right.

The cine may show the heart over its cycle in P phases, the first at end diastole; the LGE is taken at rest, in the
state of the first phase. Breath hold and displacement are the cine's for all phases, noise is each phase's own.

Signal equations and where the relaxation times come from (1.5 T):
    balanced SSFP: Scheffler and Lehnhardt, Eur Radiol 2003;13:2409.
    T1, T2 before contrast: Stanisz et al., Magn Reson Med 2005;54:507 (blood, heart); de Bazelaire et al.,
        Radiology 2004;230:652 (liver, spleen, muscle, fat, marrow).
        Lung, bone, scar, venous blood and all proton densities are chosen by us.
    inversion recovery, nulling and T1 after contrast: Kellman and Arai, J Magn Reson Imaging 2012;36:529.
    noise of magnitude images: Gudbjartsson and Patz, Magn Reson Med 1995;34:910.

The beat's curve is explained in shapes.py. Ejection fractions are drawn evenly from 45 to 70 %, a range chosen by us
about the 58 and 61 % (SD 5) of healthy men and women in Petersen et al., J Cardiovasc Magn Reson 2017;19:18, and
wider at its lower end; end systole from 35 to 40 % of the cycle, chosen by us.

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

from dafnet_core.data.deform import sampling
from dafnet_core.data.shapes import Anatomy, Beat, Scar, heart, torso

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
EJECTION_FRACTION = (0.45, 0.70)
END_SYSTOLE = (0.35, 0.40)  # of the cycle
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
_ANATOMY, _SCAR, _SEQUENCE, _TEXTURE, _DEFORMATION, _BREATHING, _BIAS, _NOISE, _BEAT, _PHASE_NOISE = range(10)


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


@lru_cache(maxsize=64)
def draw_beat(seed: int, subject: int) -> Beat:
    """How the subject's heart contracts, the same at every difficulty, slice, image size and number of phases."""
    rng = _stream(seed, subject, _BEAT)
    return Beat(ejection_fraction=rng.uniform(*EJECTION_FRACTION), end_systole=rng.uniform(*END_SYSTOLE))


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
    frames: np.ndarray  # (P, H, W) float32, the cine over its cycle: phase 0 is images[CINE]
    frame_masks: np.ndarray  # (P, H, W) uint8, in the cine's frame: phase 0 is masks[CINE]

    def sampling(self, fixed: int, moving: int) -> np.ndarray:
        """Where in the moving image to look for what each pixel of the fixed image shows.

        Returns:
            (H, W, 2) float32, (x, y) in pixels of the moving image; may lie outside it near the border.
        """
        return sampling(self.displacement[fixed], self.displacement[moving])


def _paint(
    shapes: list[tuple[str, np.ndarray]],
    signals: np.ndarray,
    edge: float,
    texture: np.ndarray,
    behind: np.ndarray | None = None,
) -> np.ndarray:
    """SIGNED signal (H, W) float32 of shapes laid over each other.

    Args:
        edge: mm over which a boundary goes from none to all of a shape.
        texture: (H, W), unit variance.
        behind: signal that the shapes cover; left as it is. Default: none.
    """
    signal = np.zeros_like(texture) if behind is None else behind.copy()
    for name, distance in shapes:
        index = _INDEX[name]
        coverage = np.clip(0.5 - distance / edge, 0, 1)
        own = signals[index] * (1 + TISSUE_TABLE[index].texture * texture)
        signal += coverage * (own - signal)  # signed on both sides: a boundary can cancel to black
    return signal


def _tissue_map(shapes: list[tuple[str, np.ndarray]], behind: np.ndarray | None = None) -> np.ndarray:
    """Tissue at each pixel's centre, (H, W) uint8 indices into TISSUES; `behind` as in _paint."""
    tissue = np.zeros(shapes[0][1].shape, dtype=np.uint8) if behind is None else behind.copy()
    for name, distance in shapes:
        tissue[distance < 0] = _INDEX[name]
    return tissue


def _check(seed: int, subject: int, slice_index: int, size: int, slices: int, difficulty: str, phases: int) -> None:
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
    if phases < 1:
        raise ValueError(f"phases is {phases}; expected 1 or more")


def generate(
    seed: int,
    subject: int,
    slice_index: int,
    *,
    size: int = 128,
    slices: int = SLICES,
    difficulty: str = "standard",
    phases: int = 1,
) -> PhantomPair:
    """One short-axis slice of one subject in both modalities; the same arguments give the same bits.

    Args:
        seed, subject: which subject; 0 or more.
        slice_index: 0 (base) to slices - 1 (apex).
        size: pixels along each side, a multiple of 16; the field of view stays FIELD_OF_VIEW_MM.
        difficulty: one of DIFFICULTIES; changes the LGE contrast and the scar, never masks or motion.
        phases: frames of the cine, evenly over the cycle; images and masks are those of the first, however many.

    Raises:
        ValueError: an argument is out of its range.
    """
    _check(seed, subject, slice_index, size, slices, difficulty, phases)
    spacing = FIELD_OF_VIEW_MM / size
    level = slice_index / max(1, slices - 1)
    anatomy, sequence = draw_anatomy(seed, subject), draw_sequence(seed, subject, difficulty)
    scar = draw_scar(seed, subject, difficulty)
    lattice = _texture_lattice(seed, subject)
    axis = ((np.arange(size) + 0.5) * spacing - FIELD_OF_VIEW_MM / 2).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    volumes = {CINE: _lv_volumes(seed, subject, phases), LGE: [1.0]}

    images, masks, displacement = [], [], []  # of each modality: (P, H, W), (P, H, W), (H, W, 2)
    for modality in range(len(MODALITIES)):
        moved = _displacement(seed, subject, slice_index, modality, size)
        seen_x, seen_y = x + moved[..., 0], y + moved[..., 1]
        look = {
            "signals": tissue_signals(sequence, modality),
            "edge": math.hypot(spacing, sequence.blur_mm[modality]),
            "texture": _texture(lattice, seen_x, seen_y),
        }
        still = torso(anatomy, level, seen_x, seen_y)
        signal, tissue = _paint(still, **look), _tissue_map(still)  # once for all phases
        bias = _bias(seed, subject, modality, size)
        frames, frame_masks = [], []
        for phase, volume in enumerate(volumes[modality]):
            beating = heart(anatomy, scar, level, seen_x, seen_y, volume)
            received = _paint(beating, **look, behind=signal) * bias
            rng = _noise_stream(seed, subject, slice_index, modality, phase)
            frames.append(rician_magnitude(received, sequence.noise[modality], rng))
            frame_masks.append(CLASS_OF_TISSUE[_tissue_map(beating, behind=tissue)])
        images.append(np.stack(frames))
        masks.append(np.stack(frame_masks))
        displacement.append(moved / np.float32(spacing))
    return PhantomPair(
        images=np.stack([frames[0] for frames in images]),
        masks=np.stack([frame_masks[0] for frame_masks in masks]),
        displacement=np.stack(displacement),
        tissue=_tissue_map(torso(anatomy, level, x, y) + heart(anatomy, scar, level, x, y)),
        spacing=spacing,
        parameters=_parameters(seed, subject, slice_index, slices, difficulty, phases),
        frames=images[CINE],
        frame_masks=masks[CINE],
    )


def known_factors(seed: int, subject: int, slice_index: int, difficulty: str) -> dict[str, bool | float]:
    """What was drawn for a slice of a subject and may be looked for in its factors, by names for people."""
    anatomy, sequence = draw_anatomy(seed, subject), draw_sequence(seed, subject, difficulty)
    blood, heart = (sequence.t1_contrast_ms[_INDEX[name]] for name in ("LV blood", "myocardium"))
    breaths = [draw_breathing(seed, subject, slice_index, modality) for modality in (CINE, LGE)]
    return {
        "scar": draw_scar(seed, subject, difficulty) is not None,
        "heart radius (mm)": anatomy.radius,
        "heart across (mm)": anatomy.centre[0],
        "heart down (mm)": anatomy.centre[1],
        "breathing, cine less LGE (mm)": breaths[0][1] - breaths[1][1],
        "chest fat (mm)": anatomy.skin_fat,
        "cine flip angle (degrees)": sequence.flip_degrees,
        "LGE inversion time / nulling time": sequence.inversion_ms / sequence.nulling_ms,
        "LGE blood T1 / myocardium T1": blood / heart,
        "LGE noise": sequence.noise[LGE],
    }


def _lv_volumes(seed: int, subject: int, phases: int) -> list[float]:
    """The left ventricle's volume at each phase, as a share of that at the first."""
    beat = draw_beat(seed, subject)
    return [beat.lv_volume(phase / phases) for phase in range(phases)]


def _noise_stream(seed: int, subject: int, slice_index: int, modality: int, phase: int) -> np.random.Generator:
    """Each image's own; the first phase's is the one that there was before a cine had phases."""
    if phase == 0:
        return _stream(seed, subject, _NOISE, slice_index, modality)
    return _stream(seed, subject, _PHASE_NOISE, slice_index, modality, phase)


def phase_duration_ms(seed: int, subject: int, difficulty: str, phases: int) -> float:
    """Time from one phase of the cine to the next; the LGE repeats every other heartbeat."""
    return draw_sequence(seed, subject, difficulty).lge_tr_ms / 2 / phases


def _parameters(seed: int, subject: int, slice_index: int, slices: int, difficulty: str, phases: int) -> dict:
    """All that was drawn for a pair, in types that JSON knows; the beat only where the cine shows it."""
    scar = draw_scar(seed, subject, difficulty)
    parameters = {
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
    if phases > 1:
        parameters["cycle"] = {
            "phases": phases,
            "phase_duration_ms": phase_duration_ms(seed, subject, difficulty, phases),
            "beat": asdict(draw_beat(seed, subject)),
            "lv_volume": _lv_volumes(seed, subject, phases),
        }
    return parameters


# --- nnU-Net v2 folder --------------------------------------------------------------------------------------


def case_name(seed: int, subject: int) -> str:
    """What a written subject's files start with."""
    return f"phantom_s{seed}_{subject:04d}"


def write_folder(
    out: Path, subjects: int, seed: int, *, difficulty: str, size: int, slices: int, phases: int = 1
) -> None:
    """Write subjects as an nnU-Net v2 data set; labelsTr has one mask per modality, our only extension.

    With more than one phase the cine's images are (x, y, slice, phase), and its masks those of the first phase.

    Raises:
        ValueError: the folder has something in it, or an argument is out of its range.
    """
    if subjects < 1:
        raise ValueError(f"subjects is {subjects}; expected 1 or more")
    _check(seed, 0, 0, size, slices, difficulty, phases)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not an empty folder; choose a new one or empty it")
    for folder in ("imagesTr", "labelsTr"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for subject in range(subjects):
        options = {"size": size, "slices": slices, "difficulty": difficulty, "phases": phases}
        stack = [generate(seed, subject, k, **options) for k in range(slices)]
        step = phase_duration_ms(seed, subject, difficulty, phases)
        for modality in range(len(MODALITIES)):
            moving = modality == CINE and phases > 1
            images = [pair.frames if moving else pair.images[modality] for pair in stack]
            name = f"{case_name(seed, subject)}_{modality:04d}.nii.gz"
            _write_nifti(out / "imagesTr" / name, images, stack[0].spacing, step)
            _write_nifti(out / "labelsTr" / name, [pair.masks[modality] for pair in stack], stack[0].spacing, step)
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
    if phases > 1:
        description["phases"] = {MODALITIES[CINE]: phases}
    (out / "dataset.json").write_text(json.dumps(description, indent=2) + "\n")


def _write_nifti(path: Path, slices: list[np.ndarray], spacing: float, step: float) -> None:
    """Stack slices along z with columns towards the patient's left and rows towards posterior.

    Args:
        slices: (H, W) each, or (P, H, W): then the phases become the fourth axis.
        spacing: mm per pixel.
        step: ms from phase to phase.
    """
    import nibabel  # here alone, so that generating needs nothing but numpy and scipy

    # NIfTI's first axes point right and anterior where positive: hence the transposition and the signs.
    volume = np.stack([pixels.T for pixels in slices], axis=2)  # (W, H, slices) or (W, H, slices, P)
    image = nibabel.Nifti1Image(volume, np.diag([-spacing, -spacing, SLICE_DISTANCE_MM, 1.0]))
    image.header.set_xyzt_units("mm")
    if volume.ndim == 4:
        image.header.set_zooms((spacing, spacing, SLICE_DISTANCE_MM, step))
        image.header.set_xyzt_units("mm", "msec")
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
    parser.add_argument("--phases", type=int, default=1, help="frames of the cine over one heartbeat (default 1)")
    options = parser.parse_args(arguments)
    try:
        write_folder(
            options.out,
            options.subjects,
            options.seed,
            difficulty=options.difficulty,
            size=options.size,
            slices=options.slices,
            phases=options.phases,
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

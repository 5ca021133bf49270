"""Pairs of short-axis slices (cine, LGE) with known masks, motion and tissue."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dafnet_core.data.deform import sampling
from dafnet_core.data.phantom.appearance import draw_coil_sensitivity, draw_texture, sample_texture
from dafnet_core.data.phantom.artefacts import draw_artefacts, draw_sensitivity, receive
from dafnet_core.data.phantom.constants import CINE, LGE, SLICES
from dafnet_core.data.phantom.difficulty import DIFFICULTIES, WIDE
from dafnet_core.data.phantom.motion import draw_displacement, lv_volumes
from dafnet_core.data.phantom.paint import paint, tissue_map
from dafnet_core.data.phantom.parameters import drawn_parameters
from dafnet_core.data.phantom.random_streams import Purpose, random_stream
from dafnet_core.data.phantom.signal import rician_magnitude, tissue_signals
from dafnet_core.data.phantom.subject import Subject, draw_subject
from dafnet_core.data.phantom.tissue import CLASS_OF_TISSUE


@dataclass(frozen=True)
class PhantomPair:
    """One slice in both modalities, with its ground truth."""

    images: np.ndarray  # (2, H, W) float32, magnitude >= 0, arbitrary units
    masks: np.ndarray  # (2, H, W) uint8, indices into CLASSES, each in its own modality's frame
    displacement: np.ndarray  # (2, H, W, 2) float32, (x, y) pixels: p shows reference p + displacement(p)
    tissue: np.ndarray  # (H, W) uint8, indices into TISSUES, reference frame
    tissues: np.ndarray  # (2, H, W) uint8, the same, each in its own modality's frame; of the first phase
    spacing: float  # mm per pixel
    parameters: dict[str, Any]  # everything that was drawn, JSON-serialisable
    frames: np.ndarray  # (P, H, W) float32, the cine over its cycle: phase 0 is images[CINE]
    frame_masks: np.ndarray  # (P, H, W) uint8, in the cine's frame: phase 0 is masks[CINE]

    def sampling(self, fixed: int, moving: int) -> np.ndarray:
        """Position in the moving image of what each pixel of the fixed image shows.

        Returns:
            (H, W, 2) float32, (x, y) in pixels of the moving image; may lie outside it near the border.
        """
        return sampling(self.displacement[fixed], self.displacement[moving])


@dataclass(frozen=True)
class _Slice:
    """Arguments of `generate` that both modalities share, and the slice's geometry."""

    seed: int
    subject: int
    index: int
    size: int
    slices: int
    difficulty: str
    noise: bool

    @property
    def drawn(self) -> Subject:
        """What was drawn for the subject."""
        return draw_subject(self.seed, self.subject, self.difficulty)

    @property
    def spacing(self) -> float:
        """Millimetres per pixel."""
        return self.drawn.view.field_of_view / self.size

    @property
    def level(self) -> float:
        """From 0 (base) to 1 (apex)."""
        return self.index / max(1, self.slices - 1)

    def pixel_centres(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y of each pixel's centre, (H, W) float32 in mm; 0 in the middle of the image."""
        axis = ((np.arange(self.size) + 0.5) * self.spacing - self.drawn.view.field_of_view / 2).astype(np.float32)
        x, y = np.meshgrid(axis, axis)
        return x, y


def generate(
    seed: int,
    subject: int,
    slice_index: int,
    *,
    size: int = 128,
    slices: int = SLICES,
    difficulty: str = "standard",
    phases: int = 1,
    noise: bool = True,
) -> PhantomPair:
    """One short-axis slice of one subject in both modalities; the same arguments give the same bits.

    Args:
        seed, subject: which subject; 0 or more.
        slice_index: 0 (base) to slices - 1 (apex).
        size: pixels along each side, a multiple of 16; the field of view is FIELD_OF_VIEW_MM, or the subject's if wide.
        slices: from base to apex.
        difficulty: one of DIFFICULTIES. Hard differs from standard in LGE contrast and scar, never in masks or motion;
            wide is another population.
        phases: frames of the cine, evenly over the cycle; images and masks are those of the first, however many.
        noise: False for the same images without their noise.

    Raises:
        ValueError: an argument is out of its range.
    """
    check_arguments(seed, subject, slice_index, size, slices, difficulty, phases)
    where = _Slice(seed, subject, slice_index, size, slices, difficulty, noise)
    cine, cine_tissues, cine_displacement = _acquire(where, CINE, lv_volumes(seed, subject, phases))
    lge, lge_tissues, lge_displacement = _acquire(where, LGE, [1.0])
    cine_masks, lge_masks = CLASS_OF_TISSUE[cine_tissues], CLASS_OF_TISSUE[lge_tissues]
    drawn = where.drawn
    x, y = drawn.view.to_anatomy(*where.pixel_centres())
    return PhantomPair(
        images=np.stack([cine[0], lge[0]]),
        masks=np.stack([cine_masks[0], lge_masks[0]]),
        displacement=np.stack([cine_displacement, lge_displacement]),
        tissue=tissue_map(drawn.torso(where.level, x, y) + drawn.heart(where.level, x, y)),
        tissues=np.stack([cine_tissues[0], lge_tissues[0]]),
        spacing=where.spacing,
        parameters=drawn_parameters(seed, subject, slice_index, slices, difficulty, phases),
        frames=cine,
        frame_masks=cine_masks,
    )


def _acquire(where: _Slice, modality: int, volumes: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One modality's images, tissues and displacement of a slice.

    Args:
        volumes: of the left ventricle at each of P phases, as shares of the end-diastolic one.

    Returns:
        Magnitude (P, H, W) float32; tissues (P, H, W) uint8; displacement (H, W, 2) float32, (x, y) in pixels.
    """
    seed, subject, drawn, wide = where.seed, where.subject, where.drawn, where.difficulty == WIDE
    sequence, view = drawn.sequence, drawn.view
    x, y = where.pixel_centres()
    displacement = draw_displacement(seed, subject, where.index, modality, where.size, view.field_of_view, view.motion)
    x, y = view.to_anatomy(x + displacement[..., 0], y + displacement[..., 1])
    texture = sample_texture(draw_texture(seed, subject), x, y)
    if wide:
        artefacts = draw_artefacts(seed, subject, modality)
        texture *= np.float32(artefacts.texture)
        sensitivity = draw_sensitivity(seed, subject, where.index, modality, where.size, view.field_of_view)
        image_of = partial(receive, artefacts=artefacts, sensitivity=sensitivity, spacing=where.spacing)
    else:
        sensitivity = draw_coil_sensitivity(seed, subject, modality, where.size)
        image_of = partial(_magnitude, sensitivity=sensitivity)
    painted = partial(
        paint,
        signals=tissue_signals(sequence, modality),
        edge=math.hypot(where.spacing, sequence.blur_mm[modality]),
        texture=texture,
    )
    still = drawn.torso(where.level, x, y)
    signal, tissue = painted(still), tissue_map(still)  # once for all phases
    sigma = sequence.noise[modality] if where.noise else 0.0
    frames, tissues = [], []
    for phase, volume in enumerate(volumes):
        beating = drawn.heart(where.level, x, y, volume)
        rng = _noise_stream(seed, subject, where.index, modality, phase)
        frames.append(image_of(painted(beating, behind=signal), sigma=sigma, rng=rng))
        tissues.append(tissue_map(beating, behind=tissue))
    return np.stack(frames), np.stack(tissues), displacement / np.float32(where.spacing)


def _magnitude(signal: np.ndarray, sensitivity: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return rician_magnitude(signal * sensitivity, sigma, rng)


def _noise_stream(seed: int, subject: int, slice_index: int, modality: int, phase: int) -> np.random.Generator:
    """Each image's own stream; phase 0 keeps the stream that images had before a cine had phases."""
    if phase == 0:
        return random_stream(seed, subject, Purpose.NOISE, slice_index, modality)
    return random_stream(seed, subject, Purpose.PHASE_NOISE, slice_index, modality, phase)


def check_arguments(
    seed: int, subject: int, slice_index: int, size: int, slices: int, difficulty: str, phases: int
) -> None:
    """Check the arguments of `generate`.

    Raises:
        ValueError: an argument is out of its range.
    """
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

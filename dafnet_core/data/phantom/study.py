"""Phantom subjects as studies and samples, their slices generated when first indexed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from dafnet_core.data.dataset import PairedSlices
from dafnet_core.data.phantom.constants import (
    CLASSES,
    FIELD_OF_VIEW_MM,
    MODALITIES,
    SLICE_DISTANCE_MM,
    SLICES,
    case_name,
)
from dafnet_core.data.phantom.generator import PhantomPair, generate
from dafnet_core.data.phantom.parameters import known_factors
from dafnet_core.data.prepare import Preparation, scale_intensity


class PhantomStudy:
    """A phantom subject with the interface of `Study`, its slices generated when first indexed and then kept.

    Args:
        seed, subject, size, slices, difficulty, phases: of `generate`.
    """

    def __init__(self, seed: int, subject: int, size: int, slices: int, difficulty: str, phases: int = 1) -> None:
        self.name = case_name(seed, subject)
        self.positions = (np.arange(slices, dtype=np.float64) * SLICE_DISTANCE_MM,) * 2
        self._generate = partial(generate, seed, subject, size=size, slices=slices, difficulty=difficulty)
        self._known = partial(known_factors, seed, subject, difficulty=difficulty)
        self._phases = phases
        self._made: dict[int, tuple[tuple[np.ndarray, ...], np.ndarray]] = {}
        self.images = tuple(_Lazy(self, i, (frames, slices, size, size)) for i, frames in enumerate((phases, 1)))
        self.masks = tuple(_Lazy(self, i, (slices, size, size)) for i in range(2))

    def pair(self, position: int) -> PhantomPair:
        """The pair with its ground truth, generated on each call: training keeps thousands of slices, without truth."""
        return self._generate(position)

    def truth(self, position: int) -> tuple[dict[tuple[int, int], np.ndarray], dict[int, np.ndarray]]:
        """The known misregistration of a slice, as `Study.truth` describes it; the regions are the heart's classes."""
        pair = self.pair(position)
        pairs = permutations(range(len(MODALITIES)), 2)
        return {p: pair.sampling(*p) for p in pairs}, {i: mask > 0 for i, mask in enumerate(pair.masks)}

    def ground_truth(self, position: int) -> dict[str, bool | float]:
        """Parameters drawn for a slice, as `Study.ground_truth` describes them."""
        return self._known(position)

    def made(self, position: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Images of each modality, (frames, H, W) in [-1, 1], and masks (M, H, W)."""
        if position not in self._made:
            pair = self._generate(position, phases=self._phases)
            raw = (pair.frames, pair.images[1:])
            images = tuple(np.stack([scale_intensity(x) for x in stack]) for stack in raw)
            self._made[position] = images, pair.masks
        return self._made[position]


@dataclass(frozen=True, eq=False)
class _Lazy:
    """Indexable like an array (frames, slices, H, W) of images, or (slices, H, W) of masks."""

    study: PhantomStudy
    modality: int
    shape: tuple[int, ...]

    def __getitem__(self, at: int | tuple[int, int]) -> np.ndarray:
        if isinstance(at, tuple):
            return self.study.made(at[1])[0][self.modality][at[0]]
        return self.study.made(at)[1][self.modality]


def phantom_slices(
    seed: int,
    subjects: range,
    *,
    size: int = 128,
    difficulty: str = "standard",
    slices: int = SLICES,
    phases: int = 1,
    **options: Any,
) -> PairedSlices:
    """Phantom subjects as samples.

    Args:
        seed, subjects: of `generate`.
        size: image side in pixels.
        difficulty: of every subject, or "mixed": odd subjects are hard.
        slices: of each subject.
        phases: frames of the cine over the cardiac cycle.
        options: of `PairedSlices`.
    """
    studies = [
        PhantomStudy(
            seed, n, size, slices, ("hard" if n % 2 else "standard") if difficulty == "mixed" else difficulty, phases
        )
        for n in subjects
    ]
    preparation = Preparation(size, size, FIELD_OF_VIEW_MM / size)
    return PairedSlices(MODALITIES, CLASSES, preparation, studies, **options)

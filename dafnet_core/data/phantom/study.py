"""Phantom subjects as studies and samples, their slices generated when they are indexed."""

from __future__ import annotations

from collections.abc import Callable
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
from dafnet_core.data.phantom.difficulty import kinds_of
from dafnet_core.data.phantom.generator import PhantomPair, generate
from dafnet_core.data.phantom.motion import draw_displacement
from dafnet_core.data.phantom.parameters import known_factors
from dafnet_core.data.phantom.subject import draw_subject
from dafnet_core.data.prepare import PERCENTILES, Preparation, scale_intensity

# images of each modality (frames, H, W), masks (M, H, W), masks of the cine's frames (frames, H, W)
_Made = tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]


class Kept:
    """The slices of a data set that were generated last, within a bound: making one again takes less than a step.

    Args:
        most: bytes; by default those of the 3936 pairs of a default training run.
    """

    def __init__(self, most: int = 3 * 2**28) -> None:
        self._most, self._bytes = most, 0
        self._made: dict[tuple[Any, ...], _Made] = {}

    def get(self, key: tuple[Any, ...], make: Callable[[], _Made]) -> _Made:
        """What `make` returned for this key, or returns now."""
        made = self._made.pop(key, None)
        if made is None:
            made = make()
            self._bytes += _bytes(made)
        self._made[key] = made  # the last one to go
        while self._bytes > self._most and len(self._made) > 1:
            self._bytes -= _bytes(self._made.pop(next(iter(self._made))))
        return made


def _bytes(made: _Made) -> int:
    return sum(images.nbytes for images in made[0]) + made[1].nbytes + made[2].nbytes


class PhantomStudy:
    """A phantom subject with the interface of `Study`, its slices generated when they are indexed.

    Args:
        seed, subject, size, slices, difficulty, phases: of `generate`.
        kept: keeps slices, of other subjects too.
        percentiles: of a slice's intensities that become -1 and 1.
    """

    def __init__(
        self,
        seed: int,
        subject: int,
        size: int,
        slices: int,
        difficulty: str,
        phases: int = 1,
        kept: Kept | None = None,
        percentiles: tuple[float, float] = PERCENTILES,
    ) -> None:
        self.name = case_name(seed, subject)
        self.positions = (np.arange(slices, dtype=np.float64) * SLICE_DISTANCE_MM,) * 2
        self._generate = partial(generate, seed, subject, size=size, slices=slices, difficulty=difficulty)
        self._known = partial(known_factors, seed, subject, difficulty=difficulty)
        self._phases, self._kept, self._percentiles = phases, kept or Kept(), percentiles
        self._key = seed, subject, size, slices, difficulty, phases, percentiles
        self.notes: tuple[str, ...] = ()
        self.images = tuple(_Lazy(self, i, (frames, slices, size, size)) for i, frames in enumerate((phases, 1)))
        self.masks = tuple(_Lazy(self, i, (slices, size, size)) for i in range(2))
        self.frame_masks = (_LazyFrameMasks(self, (phases, slices, size, size)), None)

    @property
    def spacing(self) -> tuple[tuple[float, float], ...]:
        """mm between rows and columns of each modality, as `Study.spacing` describes them; of this subject if wide."""
        seed, subject, size, _, difficulty = self._key[:5]
        side = draw_subject(seed, subject, difficulty).view.field_of_view / size
        return ((side, side),) * len(MODALITIES)

    def pair(self, position: int) -> PhantomPair:
        """The pair with its ground truth, generated on each call: slices are kept without it."""
        return self._generate(position)

    def truth(self, position: int) -> tuple[dict[tuple[int, int], np.ndarray], dict[int, np.ndarray]]:
        """The known misregistration of a slice, as `Study.truth` describes it; the regions are the heart's classes."""
        pair = self.pair(position)
        pairs = permutations(range(len(MODALITIES)), 2)
        return {p: pair.sampling(*p) for p in pairs}, {i: mask > 0 for i, mask in enumerate(pair.masks)}

    def displacements(self, position: int) -> np.ndarray:
        """Displacements (M, H, W, 2) xy in pixels: modality i shows at p what the reference shows at p + its own."""
        seed, subject, size, _, difficulty = self._key[:5]
        view = draw_subject(seed, subject, difficulty).view
        fields = [
            draw_displacement(seed, subject, position, i, size, view.field_of_view, view.motion)
            for i in range(len(MODALITIES))
        ]
        return np.stack(fields) / np.float32(view.field_of_view / size)

    def tissues(self, position: int) -> dict[int, np.ndarray]:
        """True tissues of a slice, as `Study.tissues` describes them: indices into TISSUES."""
        return dict(enumerate(self.pair(position).tissues))

    def ground_truth(self, position: int) -> dict[str, bool | float]:
        """Parameters drawn for a slice, as `Study.ground_truth` describes them."""
        return self._known(position)

    def made(self, position: int) -> _Made:
        """Images of each modality, (frames, H, W) in [-1, 1], masks (M, H, W), and masks of the cine's frames."""
        return self._kept.get((*self._key, position), partial(self._make, position))

    def _make(self, position: int) -> _Made:
        pair = self._generate(position, phases=self._phases)
        stacks = pair.frames, pair.images[1:]
        images = tuple(np.stack([scale_intensity(x, self._percentiles) for x in stack]) for stack in stacks)
        return images, pair.masks, pair.frame_masks


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


@dataclass(frozen=True, eq=False)
class _LazyFrameMasks:
    """Indexable like an array (frames, slices, H, W) of masks of the cine."""

    study: PhantomStudy
    shape: tuple[int, ...]

    def __getitem__(self, at: int | tuple[int, int]) -> np.ndarray:
        frame, position = at if isinstance(at, tuple) else (0, at)
        return self.study.made(position)[2][frame]


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
        difficulty: of every subject, or one of MIXTURES.
        slices: of each subject.
        phases: frames of the cine over the cardiac cycle.
        options: of `PairedSlices`.
    """
    kinds, kept = kinds_of(difficulty), Kept()
    studies = [PhantomStudy(seed, n, size, slices, kinds[n % len(kinds)], phases, kept) for n in subjects]
    preparation = Preparation(size, size, FIELD_OF_VIEW_MM / size)
    return PairedSlices(MODALITIES, CLASSES, preparation, studies, **options)

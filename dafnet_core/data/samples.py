"""Samples: single slices that a source offers for a look, on a model's grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from dafnet_core.data.dataset import PairedSlices
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.studies import StudyLike


@dataclass(frozen=True)
class SampleSet:
    """Example slices of a source, by the numbers of their subjects.

    Attributes:
        subjects: how many.
        slices: of each subject; None where they have different numbers of slices.
        variants: versions of every subject, the usual one first; at least one.
        about: readable description, to follow "built-in"; of files, the name of the data set.
        slice_help, variant_help: one sentence each about the choice of a slice and of a variant.
    """

    subjects: int
    slices: int | None
    variants: tuple[str, ...]
    about: str
    slice_help: str
    variant_help: str


@dataclass(frozen=True, eq=False)
class Sample:
    """One slice of one subject on a model's grid, with its ground truth; M modalities.

    Attributes:
        title: readable; never a patient's name, but the name of a case in its data set.
        images: (M, H, W) float32 in [-1, 1].
        masks: labels (H, W) of those of the M that have any, by position.
        sampling: of ordered pairs (fixed, moving), where in the moving image each pixel of the fixed one is found,
            (H, W, 2) xy in pixels; {} where unknown.
        tissues: (H, W) labels of the true tissues of each image, by position; {} where unknown.
        tissue_names: of these labels; () where unknown.
        mm: size of a pixel of the grid; None where it is not known.
        around: gives (M, K, H, W) images of the K nearest slices, this one first; None for a single slice.
        notes: what was assumed when its files were read, each a plain sentence.
        without_noise: gives (M, H, W) the same images without their noise, in the same units; None where unknown.
    """

    title: str
    images: np.ndarray
    masks: dict[int, np.ndarray] = field(default_factory=dict)
    sampling: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    tissues: dict[int, np.ndarray] = field(default_factory=dict)
    tissue_names: tuple[str, ...] = ()
    mm: float | None = None
    around: Callable[[int], np.ndarray] | None = None
    notes: tuple[str, ...] = ()
    without_noise: Callable[[], np.ndarray] | None = None


class SampleSlices(Protocol):
    """All slices of one subject, in order: `len(slices)`, `slices[position]`."""

    def __len__(self) -> int: ...
    def __getitem__(self, position: int, /) -> Sample: ...


class StudySlices:
    """The slices of a study as samples: those positions that all of its modalities show, as `PairedSlices` pairs them.

    Args:
        title: of the subject, readable.
        study: on the grid of `preparation`.
        modalities: of the study's images, in order.
        wanted: names of the modalities that the samples have, in this order; upper and lower case are alike.
    """

    def __init__(
        self, title: str, study: StudyLike, preparation: Preparation, modalities: Sequence[str], wanted: Sequence[str]
    ) -> None:
        known = [name.casefold() for name in modalities]
        self._order = [known.index(name.casefold()) for name in wanted]
        self._title, self._study, self._preparation, self._modalities = title, study, preparation, tuple(modalities)
        self._slices = self._paired("expert", 1)
        self._depth = min(study.images[i].shape[1] for i in self._order)

    def __len__(self) -> int:
        return len(self._slices)

    def __getitem__(self, position: int, /) -> Sample:
        if not 0 <= position < len(self):
            raise IndexError(f"slice {position} of {len(self)}")
        sample, tissues = self._slices[position], self._slices.tissues(position)

        def around(count: int) -> np.ndarray:
            """A stack with fewer slices than wanted gives all of its own."""
            return self._paired("neighbours", min(count, self._depth))[position].images[self._order]

        return Sample(
            title=f"{self._title}, slice {position + 1} of {len(self)}",
            images=sample.images[self._order, 0],
            masks={n: sample.masks[i] for n, i in enumerate(self._order) if sample.annotated[i]},
            tissues={n: tissues[i] for n, i in enumerate(self._order) if i in tissues},
            mm=self._slices.spacing(position).get(self._order[0], (None,))[0],
            around=around if self._depth > 1 else None,
            notes=tuple(getattr(self._study, "notes", ())),
        )

    def _paired(self, pairing: str, candidates: int) -> PairedSlices:
        return PairedSlices(
            self._modalities, (), self._preparation, [self._study], pairing=pairing, candidates=candidates
        )


def nearest_slices(position: int, count: int, wanted: int) -> list[int]:
    """A slice of `count` and its neighbours, nearest first, at most so many as wanted."""
    return sorted(range(count), key=lambda k: abs(k - position))[:wanted]

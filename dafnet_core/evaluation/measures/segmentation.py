"""Dice of every kind of mask, of the other modality's true mask, and differences by subject (Sec. V)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from dafnet_core.evaluation.base import Context, ScoredSlice, difference
from dafnet_core.methods.base import SliceInput, predict_all
from dafnet_core.methods.copy import Copy
from dafnet_core.metrics.segmentation import (
    dice_by_subject,
    nanmean,
    number,
    overlap_counts,
    summarise,
    volume_dice_by_subject,
)

COMPARED = (
    *(("fused", "single"), ("deformed", "single"), ("fused", "copy"), ("single", "copy")),
    *(("registered", "copy"), ("contour", "copy")),
)
PAPER_KINDS = ("single", "deformed", "fused")


@dataclass(frozen=True)
class FalsePositives:
    """Classes that a slice's truth lacks: how many there are, and the share of them that the mask shows."""

    slices: int = 0
    rate: float | None = None


@dataclass(frozen=True)
class DiceSummary:
    """Dice over a data set, in [0, 1]; None where it cannot be known.

    Attributes:
        dice_mean: over a modality's own slices, each once, within a subject, then over classes and subjects.
        dice_std: over subjects.
        dice_volume_mean: each subject's slices as one volume.
        per_class: by name.
        n_subjects: with a truth.
        false_positive: of classes that a slice's truth lacks.
    """

    dice_mean: float | None = None
    dice_std: float | None = None
    dice_volume_mean: float | None = None
    per_class: dict[str, float | None] = field(default_factory=dict)
    n_subjects: int = 0
    false_positive: FalsePositives = field(default_factory=FalsePositives)


@dataclass(frozen=True)
class CopySummary:
    """Dice of the other modality's true mask, undeformed: over slices, and of volumes."""

    dice_mean: float | None = None
    dice_volume_mean: float | None = None


def scored_masks(seen: ScoredSlice) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """(kind, modality, mask, truth) of every mask that is scored, labels (H, W) of the picture; Copy's too."""
    method, masks = seen.method, seen.estimate.masks
    if "copy" not in method.kinds:
        given = SliceInput(seen.images, tuple(range(len(seen.images))), seen.truth)
        masks += predict_all(Copy(method.modalities, method.classes), given).masks
    for kind, i, _, labels in masks:
        if i in seen.truth and i in seen.own:
            yield kind, i, labels[seen.picture], seen.truth[i][seen.picture]


class Segmentation:
    """Dice of a method's masks and of Copy, which every method is compared with."""

    needs: ClassVar[frozenset[str]] = frozenset()
    costly: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {
        "segmentation": "no subject of these data has a mask of this modality",
        "copy": "no slice of these data has masks of both modalities",
        "paired": "fewer than two subjects have both numbers",
    }

    def observe(self, seen: ScoredSlice) -> list[tuple[str, int, str, Any]]:
        classes = len(seen.method.classes)
        known = [("truth", i, seen.subject, None) for i in seen.truth if i in seen.own]
        scored = scored_masks(seen)
        return [*known, *((kind, i, seen.subject, overlap_counts(m, truth, classes)) for kind, i, m, truth in scored)]

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        method, counts, known_masks = context.method, defaultdict(list), set()
        for kind, i, subject, counted in (row for of_slice in rows for row in of_slice):
            if kind == "truth":
                known_masks.add(method.modalities[i])
            else:
                counts[method.modalities[i], kind].append((subject, counted))
        for (name, kind), slices in counts.items():
            path = f"copy.{name}" if kind == "copy" else f"segmentation.{name}.{kind}"
            context.by_subject[f"{path}.dice_mean"] = dice_by_subject(slices, context.subjects)
            context.by_subject[f"{path}.dice_volume"] = volume_dice_by_subject(slices, context.subjects)

        def of(name: str, kind: str) -> DiceSummary:
            values = summarise(counts[name, kind], method.classes)
            return DiceSummary(**values | {"false_positive": FalsePositives(**values["false_positive"])})

        def copied(name: str) -> CopySummary:
            known = context.by_subject.get(f"copy.{name}.dice_mean")
            volume = summarise(counts[name, "copy"], method.classes)["dice_volume_mean"]
            return CopySummary(None if known is None else number(float(nanmean(known))), volume)

        def compared(name: str, a: str, b: str) -> Any:
            paths = [f"copy.{name}" if k == "copy" else f"segmentation.{name}.{k}" for k in (a, b)]
            first, second = (context.by_subject.get(f"{path}.dice_mean") for path in paths)
            return None if first is None or second is None else difference(first, second)

        asked = [pair for pair in COMPARED if set(pair) <= {*method.kinds, "copy"} and pair[0] != pair[1]]
        if set(PAPER_KINDS) <= set(method.kinds):
            asked.remove(("single", "copy"))
        names = method.modalities
        for n in known_masks:
            if not any(counts[n, kind] for kind in method.kinds):
                reason = f"{method.title} predicts no mask of {n}"
                context.reasons |= {f"segmentation.{n}": reason, f"paired.{n}": reason}
        return {
            "segmentation": {n: {k: of(n, k) for k in method.kinds} for n in names},
            "copy": {n: copied(n) for n in names},
            "paired": {n: {f"{a}_minus_{b}": compared(n, a, b) for a, b in asked} for n in names},
        }

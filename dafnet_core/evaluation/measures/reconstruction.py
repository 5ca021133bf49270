"""Absolute error of own and crosswise reconstructions (Sec. III-D)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from dafnet_core.analysis.scores import image_errors
from dafnet_core.evaluation.base import Context, ScoredSlice


@dataclass(frozen=True)
class ReconstructionSummary:
    """Mean absolute errors, intensities in [-1, 1]: of own images, of those inside the organs, of crosswise images."""

    own_l1: float | None = None
    own_l1_inside: float | None = None
    cross_l1: float | None = None


class Reconstruction:
    """Error of a method's synthetic images."""

    needs: ClassVar[frozenset[str]] = frozenset({"images"})
    costly: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {"reconstruction": "inside needs masks of this modality"}

    def observe(self, seen: ScoredSlice) -> list[tuple[str, int, str, float, float]]:
        images = (replace(image, pixels=image.pixels[seen.picture]) for image in seen.estimate.images)
        truth = {i: mask[seen.picture] for i, mask in seen.truth.items()}
        errors = image_errors(images, seen.images[:, 0][:, *seen.picture], truth)
        return [(kind, i, seen.subject, everywhere, inside) for kind, i, _, everywhere, inside in errors]

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        values: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for kind, i, subject, everywhere, inside in (row for of_slice in rows for row in of_slice):
            path = f"reconstruction.{context.method.modalities[i]}.{kind}_l1"
            values[path].append((subject, everywhere))
            values[f"{path}_inside"].append((subject, inside))
        means = {path: context.mean(path, pairs) for path, pairs in values.items()}
        keys = ("own_l1", "own_l1_inside", "cross_l1")
        absent = {f"reconstruction.{n}.{k}" for n in context.method.modalities for k in keys} - set(values)
        context.reasons |= dict.fromkeys(absent, f"{context.method.title} makes no such image")
        return {
            "reconstruction": {
                n: ReconstructionSummary(*(means.get(f"reconstruction.{n}.{k}") for k in keys))
                for n in context.method.modalities
            }
        }

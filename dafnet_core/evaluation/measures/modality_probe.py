"""Can the modality be classified from z, and from z of images with swapped style (Sec. V-H.1)?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any, ClassVar

import numpy as np

from dafnet_core.analysis.decompose import style_of_swapped
from dafnet_core.evaluation.base import Context, ScoredSlice
from dafnet_core.metrics.probe import probe
from dafnet_core.typed_json import all_or_nothing


@dataclass(frozen=True)
class ProbeSummary:
    """Held-out accuracy of logistic regression from z to the modality; fields as in `metrics.probe.Probe`."""

    accuracy: float | None = None
    ci95: tuple[float, float] | None = None
    per_dimension: tuple[float, ...] | None = None
    per_dimension_ci95: tuple[tuple[float, float], ...] | None = None
    chance: float | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        all_or_nothing(self, "accuracy", "ci95", "per_dimension", "chance")


@dataclass(frozen=True)
class SwapSummary:
    """Share of images g(s_i, z_j) whose z, encoded again, is classified as modality j."""

    accuracy: float | None = None


class ModalityProbe:
    """Logistic regression on z of subjects that it was not fitted on."""

    needs: ClassVar[frozenset[str]] = frozenset({"factors"})
    costly: ClassVar[bool] = True
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {}

    def observe(self, seen: ScoredSlice) -> np.ndarray:
        return style_of_swapped(seen.model, seen.factors)  # (P, n_z)

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        e, swapped = context.encodings, np.stack(rows)
        pairs = list(permutations(range(len(e.names)), 2))
        after: dict[int, np.ndarray] = {}
        summary = ProbeSummary()
        try:
            classifier = probe(e.z, e.modality, e.subjects)
        except ValueError as error:
            context.reasons["probe"] = context.reasons["swap"] = str(error)
        else:
            context.details["probe"] = classifier
            after = {p: classifier.classify(swapped[:, p], e.subjects[:: len(e.names)]) for p in range(len(pairs))}
            summary = ProbeSummary(
                classifier.accuracy,
                classifier.ci95,
                classifier.per_dimension,
                classifier.per_dimension_ci95,
                classifier.chance,
                classifier.confusion,
            )
        return {
            "z": e.z_is,
            "probe": summary,
            "swap": {
                f"{e.names[i]}_to_{e.names[j]}": SwapSummary(float((after[p] == j).mean()) if after else None)
                for p, (i, j) in enumerate(pairs)
            },
        }

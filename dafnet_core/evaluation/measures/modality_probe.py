"""Can the modality be classified from z or a style code, and from z of images with swapped style (Sec. V-H.1)?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any, ClassVar

import numpy as np

from dafnet_core.analysis.decompose import style_of_swapped
from dafnet_core.evaluation.base import Context, ScoredSlice
from dafnet_core.metrics.probe import Probe, probe
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
    """Logistic regression on z, or on a style code, of subjects that it was not fitted on."""

    needs: ClassVar[frozenset[str]] = frozenset({"modality factor"})
    costly: ClassVar[bool] = True
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {"swap": "each modality has a style encoder of its own"}

    def observe(self, seen: ScoredSlice) -> Any:
        if seen.estimate.factors is None:
            return seen.subject, seen.estimate.style
        return style_of_swapped(seen.model, seen.factors)  # (P, n_z)

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        if not context.encoded:
            return self._of_styles(rows, context)
        e, swapped = context.encodings, np.stack(rows)
        pairs = list(permutations(range(len(e.names)), 2))
        after: dict[int, np.ndarray] = {}
        summary = ProbeSummary()
        try:
            classifier = probe(e.z, e.modality, e.subjects)
        except ValueError as error:
            context.reasons["probe"] = context.reasons["swap"] = str(error)
        else:
            after = {p: classifier.classify(swapped[:, p], e.subjects[:: len(e.names)]) for p in range(len(pairs))}
            context.details["probe"], summary = classifier, _summary(classifier)
        return {
            "z": e.z_is,
            "probe": summary,
            "swap": {
                f"{e.names[i]}_to_{e.names[j]}": SwapSummary(float((after[p] == j).mean()) if after else None)
                for p, (i, j) in enumerate(pairs)
            },
        }

    def _of_styles(self, rows: list[Any], context: Context) -> dict[str, Any]:
        """The probe of style codes (n, n_z) of slices; there are no swaps, since a style has its modality's encoder."""
        styles = np.concatenate([style for _, style in rows])
        modalities = np.concatenate([np.arange(len(style)) for _, style in rows])
        subjects = np.concatenate([np.repeat(subject, len(style)) for subject, style in rows])
        summary = ProbeSummary()
        try:
            summary = _summary(probe(styles, modalities, subjects))
        except ValueError as error:
            context.reasons["probe"] = str(error)
        return {"z": "style code", "probe": summary}


def _summary(classifier: Probe) -> ProbeSummary:
    return ProbeSummary(
        classifier.accuracy,
        classifier.ci95,
        classifier.per_dimension,
        classifier.per_dimension_ci95,
        classifier.chance,
        classifier.confusion,
    )

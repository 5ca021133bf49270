"""Can the modality be classified from s better than from true masks (Sec. V-H.1, turned to s)?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dafnet_core.evaluation.base import Context, ScoredSlice
from dafnet_core.metrics.paired import Paired
from dafnet_core.metrics.probe import Leakage, leakage, occupancies, pooled

FEATURES = (occupancies, pooled)


@dataclass(frozen=True)
class LeakageSummary:
    """Accuracy from features of s and from the same features of true masks, and their difference by subject."""

    accuracy: float | None = None
    ci95: tuple[float, float] | None = None
    truth_accuracy: float | None = None
    excess: Paired | None = None


class ModalityLeakage:
    """The probe of the modality on features of s and of true masks."""

    needs: ClassVar[frozenset[str]] = frozenset({"factors"})
    costly: ClassVar[bool] = True
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {}

    def observe(self, seen: ScoredSlice) -> None:
        return None

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        e, leaks, summaries = context.encodings, {}, {}
        for features in FEATURES:
            name, path = features.__name__, f"leakage.{features.__name__}"
            summaries[name] = LeakageSummary()
            try:
                leaks[name] = leakage(
                    e.anatomies, e.channels, e.masks, len(e.classes), e.modality, e.subjects, features=features
                )
            except ValueError as error:
                context.reasons[path] = str(error)
                continue
            summaries[name] = _summary(leaks[name])
            if leaks[name].truth is None:
                context.reasons[path] = "not every slice of these data has masks of all modalities"
        context.details["leakage"] = leaks
        return {"leakage": summaries}


def _summary(leak: Leakage) -> LeakageSummary:
    if leak.truth is None:
        return LeakageSummary(leak.anatomy.accuracy, leak.anatomy.ci95)
    return LeakageSummary(leak.anatomy.accuracy, leak.anatomy.ci95, leak.truth.accuracy, leak.excess)

"""Can the modality be classified from s better than from true masks (Sec. V-H.1, turned to s)?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.analysis.v_information import usable_information
from dafnet_core.evaluation.base import Context, ScoredSlice
from dafnet_core.metrics.paired import Paired
from dafnet_core.metrics.probe import Leakage, leakage, occupancies, pooled

FEATURES = (occupancies, pooled)
NO_MASKS = "not every slice of these data has masks of all modalities"


@dataclass(frozen=True)
class LeakageSummary:
    """Accuracy from features of s and from the same features of true masks, and their difference by subject."""

    accuracy: float | None = None
    ci95: tuple[float, float] | None = None
    truth_accuracy: float | None = None
    excess: Paired | None = None


@dataclass(frozen=True)
class CnnLeakage:
    """V-information of s about the modality less that of true masks, by a small CNN on other subjects.

    Attributes:
        excess_nats: cross-entropy from masks minus that from s, mean over subjects; positive: s tells more.
        ci95: its t interval over subjects.
    """

    excess_nats: float | None = None
    ci95: tuple[float, float] | None = None


@dataclass(frozen=True)
class LeakageByReader:
    """By what reads the modality from s: logistic regression on two kinds of features, and a CNN.

    Older cards lack the latter.
    """

    occupancies: LeakageSummary
    pooled: LeakageSummary
    cnn: CnnLeakage | None = None


class ModalityLeakage:
    """The modality read from s and from true masks."""

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
                context.reasons[path] = NO_MASKS
        context.details["leakage"] = leaks
        return {"leakage": LeakageByReader(**summaries, cnn=_read_by_cnn(e, context))}


def _summary(leak: Leakage) -> LeakageSummary:
    if leak.truth is None:
        return LeakageSummary(leak.anatomy.accuracy, leak.anatomy.ci95)
    return LeakageSummary(leak.anatomy.accuracy, leak.anatomy.ci95, leak.truth.accuracy, leak.excess)


def _read_by_cnn(e: Encodings, context: Context) -> CnnLeakage | None:
    if e.masks is None:
        context.reasons["leakage.cnn"] = NO_MASKS
        return None
    try:
        found = usable_information(e.anatomies, e.channels, e.masks, len(e.classes), e.modality, e.subjects)
    except ValueError as error:
        context.reasons["leakage.cnn"] = str(error)
        return None
    by_subject = dict(zip(sorted(set(e.subjects.tolist())), found.truth - found.anatomy, strict=True))
    path = "leakage.cnn.excess_nats"
    return CnnLeakage(context.mean(path, [(s, float(v)) for s, v in by_subject.items()]), found.excess.ci95)

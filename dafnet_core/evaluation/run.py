"""Evaluate a method: every measure, slice by slice, then summarised."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.data.dataset import PairedSlices
from dafnet_core.evaluation.base import Context, Measure, ScoredSlice
from dafnet_core.evaluation.measures.dependence import FactorDependence
from dafnet_core.evaluation.measures.leakage import ModalityLeakage
from dafnet_core.evaluation.result import EvaluationResult, KnownWarp, unknown
from dafnet_core.evaluation.slices import (
    DICE,
    DISAGREEMENT,
    ERROR,
    LEAKAGE,
    JudgedSlice,
    disagreement,
    judge_slice,
    leakage_of_slices,
)
from dafnet_core.methods.base import Method, SliceInput, predict_all
from dafnet_core.metrics.dependence import Dependence
from dafnet_core.metrics.probe import Leakage, Probe
from dafnet_core.metrics.segmentation import number
from dafnet_core.typed_json import to_json

LENGTHY = ModalityLeakage, FactorDependence  # once all slices are there: networks are trained, subjects permuted
MEASURES = ("brief", "default", "all", "slow")
SLICES = 0.6  # share of the time that slices take where these follow
WHY = {"warp": "these data are not registered: no known warp is applied"}


@dataclass(frozen=True, eq=False)
class FactorStatistics:
    """Objects behind the statistics of z and s, for figures.

    Attributes:
        encodings: the factors of every slice.
        probe: of the modality in z; None where the data do not allow one.
        leakage: of the modality in s, by "occupancies" and "pooled"; those that the data allow.
        dependence: "s_z", "image_s", "image_z", and "within.NAME" of s and z within one modality; those allowed.
    """

    encodings: Encodings
    probe: Probe | None
    leakage: dict[str, Leakage]
    dependence: dict[str, Dependence]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Evaluation of a method on a data set.

    Attributes:
        result: every number.
        by_subject: those of every subject, (n_subjects,) with NaN, by dotted path.
        statistics: None without factors, or where statistics were not asked for.
        subjects: their names, in the order of `by_subject`.
        slices: numbers of every slice; () where statistics were not asked for.
    """

    result: EvaluationResult
    by_subject: dict[str, np.ndarray] = field(default_factory=dict)
    statistics: FactorStatistics | None = None
    subjects: tuple[str, ...] = ()
    slices: tuple[JudgedSlice, ...] = ()

    def with_subjects(self) -> EvaluationResult:
        """The numbers with those of each subject; of the subjects' names a digest only."""
        digest = hashlib.blake2b("\n".join(self.subjects).encode(), digest_size=8).hexdigest()
        rows = {name: tuple(number(v) for v in values) for name, values in self.by_subject.items()}
        return replace(self.result, subjects=digest, by_subject=rows)

    def of_slices(self, other: Evaluation | None = None) -> dict[str, np.ndarray]:
        """Numbers of `slices`, (n,) with NaN where unknown, by name with unit.

        Args:
            other: of the same data, to disagree with.
        """
        found = {DICE: np.array([s.dice for s in self.slices]), ERROR: np.array([s.error for s in self.slices])}
        if self.statistics is not None and (leak := self.statistics.leakage.get("occupancies")):
            found[LEAKAGE] = leakage_of_slices(self.slices, self.statistics.encodings, leak)
        if other is not None:
            found[DISAGREEMENT] = disagreement(self.slices, other.slices)
        return found

    def slice_rows(self, modalities: Sequence[str], other: Evaluation | None = None) -> list[dict[str, Any]]:
        """The same as rows of a table, with subject, slice (from 1) and modality; None where unknown."""
        columns = {name: values.tolist() for name, values in self.of_slices(other).items()}
        return [
            {"subject": s.subject, "slice": s.number + 1, "modality": modalities[s.modality]}
            | {name: number(values[n]) for name, values in columns.items()}
            for n, s in enumerate(self.slices)
        ]


def evaluate_method(
    method: Method,
    data: PairedSlices,
    *,
    limit: int | None = None,
    statistics: bool = True,
    measures: str = "default",
    sample_z: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
    each: Callable[[ScoredSlice], None] = lambda seen: None,
    result: type[EvaluationResult] = EvaluationResult,
) -> Evaluation:
    """Evaluate a method on subjects that it was not trained on.

    Args:
        method: for the data's modalities and classes; networks in eval mode.
        data: all slices, or the first `limit`.
        statistics: also costly measures: probe, swap, leakage, dependence, cycle, invariance, sensitivity.
        measures: one of MEASURES, else ValueError. "brief": without leakage and dependence, which take longer than all
            slices; "all": also prior, iob and style, which take minutes; "slow": these three alone.
        sample_z: seed of samples of q(z | x, s) for statistics of z; None for its mean.
        progress, each: called with the share done, in [0, 1], and with every slice; may raise, to cancel.
        result: which measures there are.
    """
    wanted = _wanted(result, statistics, measures)
    rows: dict[Measure, list[Any]] = {m: [] for m in wanted}
    lacking: dict[Measure, str] = {}
    encoded: list[Encoded] = []
    judged: list[JudgedSlice] = []
    subjects: list[str] = []
    count = len(data) if limit is None else min(limit, len(data))
    slices = SLICES if any(isinstance(m, LENGTHY) for m in wanted) else 0.95
    for index in range(count):
        progress(slices * index / count)
        seen = _scored(method, data, index)
        each(seen)
        if statistics and measures != "slow":
            judged += judge_slice(seen, index, subjects.count(seen.subject))
        subjects.append(seen.subject)
        if seen.estimate.factors is not None:
            encoded.append(_encoded(data, index, seen))
        lacking |= _observe(wanted, seen, rows)
    context = Context(method, encoded, sample_z, tuple(dict.fromkeys(subjects)), reasons=dict(WHY))
    values = _summaries(wanted, rows, lacking, context, lambda share: progress(slices + (1 - slices) * share))
    numbers = result(
        data="",
        method=method.name,
        n_subjects=len(context.subjects),
        n_slices=count,
        warp=known_warp(data),
        pairing=None if data.pairing == "expert" else data.pairing,
        assumed=data.notes or None,
        **values,
    )
    why = _reasons(numbers, {name for names in wanted.values() for name in names}, context.reasons)
    details = _statistics(context) if statistics and encoded else None
    progress(1.0)
    return Evaluation(replace(numbers, why=why), context.by_subject, details, context.subjects, tuple(judged))


def _observe(measures: Iterable[Measure], seen: ScoredSlice, rows: dict[Measure, list[Any]]) -> dict[Measure, str]:
    """Add what measures take from a slice to their rows; why others can take nothing."""
    lacking = {}
    for measure in measures:
        if absent := measure.needs - _available(seen):
            lacking[measure] = f"{seen.method.title} has no {', '.join(sorted(absent))}"
        else:
            rows[measure].append(measure.observe(seen))
    return lacking


def _summaries(
    measures: Mapping[Measure, tuple[str, ...]],
    rows: Mapping[Measure, list[Any]],
    lacking: Mapping[Measure, str],
    context: Context,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Values of all fields; reasons for those that are lacking are added to the context."""
    values: dict[str, Any] = {}
    for done, (measure, names) in enumerate(measures.items()):
        progress(done / len(measures))
        context.reasons |= dict.fromkeys(names, lacking[measure]) if measure in lacking else dict(measure.why)
        values |= {} if measure in lacking else measure.summarise(rows[measure], context)
    return values


def _wanted(result: type[EvaluationResult], statistics: bool, measures: str) -> dict[Measure, tuple[str, ...]]:
    """Measures to take, and the fields that each fills; raises ValueError for `measures` that are none of MEASURES."""
    if measures not in MEASURES:
        raise ValueError(f"measures is {measures!r}; expected one of {', '.join(MEASURES)}")
    speeds = {"all": (False, True), "slow": (True,)}.get(measures, (False,))
    every = result.measures().items()
    asked = {m(): names for m, names in every if (statistics or not m.costly) and m.slow in speeds}
    return {m: names for m, names in asked.items() if not (measures == "brief" and isinstance(m, LENGTHY))}


def encode(method: Method, data: PairedSlices, *, sample_z: int | None = None) -> Encodings:
    """The factors of every slice, as `evaluate_method` gathers them, without any measure.

    Raises:
        ValueError: a method without factors, or no slices.
    """
    encoded = [_encoded(data, index, _scored(method, data, index)) for index in range(len(data))]
    return Context(method, encoded, sample_z, ()).encodings


def _statistics(context: Context) -> FactorStatistics:
    details = context.details
    return FactorStatistics(
        context.encodings, details.get("probe"), details.get("leakage", {}), details.get("dependence", {})
    )


def known_warp(data: PairedSlices) -> KnownWarp:
    """The known warps applied to the data, in pixels of their grid."""
    if not data.warp:
        return KnownWarp()
    return KnownWarp(data.warp * max(data.preparation.height, data.preparation.width) / 96, data.warp_seed)


def _scored(method: Method, data: PairedSlices, index: int) -> ScoredSlice:
    sample = data[index]
    truth = {i: mask for i, mask in enumerate(sample.masks) if sample.annotated[i]}
    positions, regions = data.truth(index)
    given = SliceInput(sample.images, tuple(range(len(sample.images))), truth)
    return ScoredSlice(
        method,
        sample.subject,
        sample.position,
        sample.images,
        truth,
        predict_all(method, given),
        positions,
        regions,
        frozenset(i for i in range(len(sample.images)) if not sample.own or sample.own[i]),
        data.preparation.picture,
        data.tissues(index),
        data.spacing(index),
        sample.slices,
    )


def _encoded(data: PairedSlices, index: int, seen: ScoredSlice) -> Encoded:
    whole = len(seen.truth) == len(seen.images)
    masks = np.stack([seen.truth[i] for i in range(len(seen.images))]) if whole else None
    return Encoded.of(seen.factors, seen.subject, seen.position, masks=masks, ground_truth=data.ground_truth(index))


def _available(seen: ScoredSlice) -> set[str]:
    estimate = seen.estimate
    has = {
        "masks": bool(seen.truth),
        "images": bool(estimate.images),
        "positions": bool(estimate.positions),
        "factors": estimate.factors is not None,
        "modality factor": estimate.factors is not None or estimate.style is not None,
    }
    return {name for name, there in has.items() if there}


def _reasons(result: EvaluationResult, asked: set[str], reasons: Mapping[str, str]) -> dict[str, str]:
    """The reason for every None of a result, and of the fields that were asked for."""
    shown = {key: value for key, value in to_json(result).items() if value is not None or key in asked}
    why = {}
    for path in unknown(shown):
        if path.endswith("false_positive.rate"):
            why[path] = "every slice's truth contains every class, or there is no truth"
        elif path.endswith("dice_std"):
            why[path] = "fewer than two subjects have a truth"
        else:
            fits = (path.rsplit(".", cut)[0] for cut in range(path.count(".") + 1))
            why[path] = next(reasons[p] for p in fits if p in reasons)
    return why

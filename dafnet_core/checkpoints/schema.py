"""Typed schema of a checkpoint's metadata, validated on reading: cards and pages rely on these shapes.

Files of earlier versions are converted here and nowhere else: `method` was always "dafnet", metrics had fewer keys.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from dafnet_core.config import ModelConfig, sanitize
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.typed_json import Name, from_json, need, to_json

MAX_DEPTH, MAX_VALUES = 16, 200_000


def parse(text: str | bytes) -> Any:
    """Parse JSON without NaN, duplicate keys or integers beyond 64 bits, limited in depth and size.

    Raises:
        ValueError: invalid JSON; RecursionError: thousands of nested lists.
    """
    value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    level, depth = [value], 0
    while level:
        depth += 1
        if any(abs(v) >= 2**63 if type(v) is int else type(v) is float and not math.isfinite(v) for v in level):
            raise ValueError("it holds a number that does not fit in 64 bits")
        if depth > MAX_DEPTH or len(level) > MAX_VALUES:
            raise ValueError(f"it is more than {MAX_DEPTH} levels deep, or has more than {MAX_VALUES} values")
        level = [i for v in level if isinstance(v, dict | list) for i in (v.values() if isinstance(v, dict) else v)]
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
        raise ValueError(f"the key {sanitize(repr(twice), 60)} appears twice")
    return members


def _no_number(name: str) -> None:
    raise ValueError(f"it holds {name}, which is no number")


@dataclass(frozen=True)
class StartRecord:
    """The checkpoint that a run was fine-tuned from, and that one's own start."""

    step: int
    minutes: float
    command: str
    name: str
    digest: str
    start: StartRecord | None = None


@dataclass(frozen=True)
class SplitRecord:
    """Names of the subjects of each part."""

    train: tuple[Name, ...]
    val: tuple[Name, ...]
    test: tuple[Name, ...]

    def parts(self) -> dict[str, tuple[str, ...]]:
        """Names of subjects by part: train, val and test."""
        return {"train": self.train, "val": self.val, "test": self.test}

    def seen(self) -> dict[str, str]:
        """The part of each subject by name."""
        return {name: part for part, names in self.parts().items() for name in names}


@dataclass(frozen=True)
class TrainingRecord:
    """Facts of a run.

    Attributes:
        step, minutes, command, machine: how it was trained; the command contains no local path.
        data, data_licence: readable names.
        target: the modality with limited annotations.
        split: of its subjects; annotated_target_subjects: training subjects whose target masks were used.
        configuration: every option of the command line.
        validation: numbers of its validation subjects.
        registered: whether the modalities of a subject lie on one grid; None in older files.
        start: None if trained from scratch.
        patients: of each subject, where several are cases of one patient; None where none are, and in older files.
        warnings: what the run said of its data; None where it said nothing, and in older files.
    """

    step: int
    minutes: float
    command: str
    data: str
    data_licence: str
    target: str
    machine: str
    split: SplitRecord
    annotated_target_subjects: tuple[Name, ...]
    configuration: dict[str, Any]
    validation: EvaluationResult
    registered: bool | None = None
    start: StartRecord | None = None
    patients: dict[Name, Name] | None = None
    warnings: tuple[str, ...] | None = None

    def option(self, name: str, default: Any = None) -> Any:
        """The value of an option of the command line; `default` where the run's version did not have it."""
        return self.configuration.get(name, default)

    def to_json(self) -> dict[str, Any]:
        """The inverse of `training_from_json`."""
        record = to_json(self) | {"validation": self.validation.to_json()}
        record["validation"].pop("data")
        return {k: v for k, v in record.items() if v is not None or k == "start"}


def training_from_json(value: Any, config: ModelConfig) -> TrainingRecord:
    """Facts of a run from JSON.

    Raises:
        ValueError: naming the place, the value and what was expected.
    """
    need(isinstance(value, dict), value, "training", "an object")
    validation = value.get("validation")
    if isinstance(validation, dict):
        need("segmentation" in validation, None, "training.validation.segmentation is missing; it", "an object")
        value = value | {"validation": {"data": "validation", "split": "val"} | validation}
    record = from_json(TrainingRecord, value, "training")
    for name, kind, expected in (("seed", int, "a whole number"), ("data", str, "text")):
        if name not in record.configuration:
            raise ValueError(f"training.configuration.{name} is missing")
        place = f"training.configuration.{name}"
        need(isinstance(record.configuration[name], kind), record.configuration[name], place, expected)
    need(
        type(record.option("w_warp", 0)) in (int, float),
        record.option("w_warp"),
        "training.configuration.w_warp",
        "a number",
    )
    for name in ("data", "pairing"):
        from_json(str, record.option(name, ""), f"training.configuration.{name}")
    _keys(record.validation.segmentation, config.modalities, "training.validation.segmentation")
    return record


def metrics_from_json(value: Any, config: ModelConfig) -> dict[str, EvaluationResult]:
    """Numbers of `evaluate` by data set; errors as in `training_from_json`."""
    metrics = from_json(dict[str, EvaluationResult], value, "metrics")
    for title, result in metrics.items():
        for where, has, wants in _shapes(result, config):
            _keys(has, wants, f"metrics.{title}.{where}")
        for where, row, length in _lengths(result, config):
            need(len(row) == length, row, f"metrics.{title}.{where}", f"a list of {length}")
    return metrics


def _keys(has: Mapping[str, Any] | None, wants: tuple[str, ...], where: str) -> None:
    if has is not None:
        need(sorted(has) == sorted(wants), sorted(has), f"{where}, by its keys,", ", ".join(sorted(wants)))


def _shapes(
    r: EvaluationResult, config: ModelConfig
) -> Iterator[tuple[str, Mapping[str, Any] | None, tuple[str, ...]]]:
    """(place, object, the keys that it needs to have)."""
    names, ways = config.modalities, tuple(f"{a}_to_{b}" for a, b in permutations(config.modalities, 2))
    for key in (
        "segmentation",
        "copy",
        "paired",
        "surface",
        "reconstruction",
        "channel_occupancy",
        "cycle",
        "speckle",
        "sensitivity",
    ):
        yield key, getattr(r, key), names
    yield "swap", r.swap, ways
    for key in ("segmentation", "surface", "paired"):  # the same kinds, or comparisons, of every modality
        kinds: tuple[str, ...] = ()
        for name, by_kind in (getattr(r, key) or {}).items():
            kinds = kinds or tuple(by_kind)
            yield f"{key}.{name}", by_kind, kinds
    for name, by_kind in (r.segmentation or {}).items():
        for kind, summary in by_kind.items():
            yield f"segmentation.{name}.{kind}.per_class", summary.per_class, config.classes[1:]
    if r.invariance is not None:
        yield "invariance.intensity", r.invariance.intensity, names
    if r.dependence is not None:
        yield "dependence.within", r.dependence.within, names


def _lengths(r: EvaluationResult, config: ModelConfig) -> Iterator[tuple[str, tuple[Any, ...], int]]:
    """(place, list, the length that it needs to have)."""
    for key in ("kl_per_dimension", "variance_per_dimension", "posterior_variance_per_dimension"):
        if (row := getattr(r, key)) is not None:
            yield key, row, config.z_dim
    for name, shares in (r.channel_occupancy or {}).items():
        yield f"channel_occupancy.{name}", shares, config.channels
    if r.probe is not None and r.probe.per_dimension is not None:
        yield "probe.per_dimension", r.probe.per_dimension, config.z_dim
        if r.probe.per_dimension_ci95 is not None:
            yield "probe.per_dimension_ci95", r.probe.per_dimension_ci95, config.z_dim
        for n, counts in enumerate(r.probe.confusion or ()):
            yield f"probe.confusion[{n}]", counts, len(config.modalities)

"""What a checkpoint tells about itself, checked before anybody uses it: cards and pages rely on these shapes.

Further keys may stand there: newer versions of train.py and evaluate add some.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from itertools import permutations
from typing import Any

from dafnet_core.config import ModelConfig, plain

Check = Callable[[Any, str], None]  # raises ValueError, naming the place, unless a value is what is needed

MAX_DEPTH, MAX_VALUES = 16, 200_000


def parse(text: str | bytes) -> Any:
    """JSON without NaN, without keys that stand twice, neither deep nor endless.

    Raises:
        ValueError: it is not that; RecursionError where it is thousands of lists deep.
    """
    value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    level, depth = [value], 0
    while level:
        depth += 1
        if any(abs(v) >= 2**63 if type(v) is int else type(v) is float and not math.isfinite(v) for v in level):
            raise ValueError("it holds a number that no computer has")
        if depth > MAX_DEPTH or len(level) > MAX_VALUES:
            raise ValueError(f"it is more than {MAX_DEPTH} levels deep, or has more than {MAX_VALUES} values")
        level = [i for v in level if isinstance(v, dict | list) for i in (v.values() if isinstance(v, dict) else v)]
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
        raise ValueError(f"the key {plain(repr(twice), 60)} stands there twice")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"it holds {name}, which is no number")


# --- shapes -------------------------------------------------------------------------------------------------


def _need(fits: bool, value: Any, where: str, expected: str) -> None:
    if not fits:
        raise ValueError(f"{where} is {plain(repr(value), 60)}; expected {expected}")


def number(value: Any, where: str) -> None:
    _need(type(value) in (int, float), value, where, "a number")


def count(value: Any, where: str) -> None:
    _need(type(value) is int and value >= 0, value, where, "a whole number from 0 on")


def words(value: Any, where: str) -> None:
    """Text that pages show."""
    _need(isinstance(value, str) and plain(value, 4000) == value, value, where, "one line of text without markup")


def name(value: Any, where: str) -> None:
    _need(isinstance(value, str), value, where, "text")


def colour(value: Any, where: str) -> None:
    _need(isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value) is not None, value, where, "a #rrggbb")


def known(check: Check) -> Check:
    """What may be None because nobody knows it."""
    return lambda value, where: None if value is None else check(value, where)


def rows(check: Check, length: int | None = None) -> Check:
    def whole(value: Any, where: str) -> None:
        fits = isinstance(value, list) and (length is None or len(value) == length)
        _need(fits, value, where, "a list" if length is None else f"a list of {length}")
        for n, item in enumerate(value):
            check(item, f"{where}[{n}]")

    return whole


def each(check: Check, keys: Iterable[str] | None = None, *, title: Check = words) -> Check:
    """An object with values of one kind: under any keys, or under these."""
    wanted = None if keys is None else sorted(keys)

    def whole(value: Any, where: str) -> None:
        _need(isinstance(value, dict), value, where, "an object")
        if wanted is not None:
            _need(sorted(value) == wanted, sorted(value), f"{where}, by its keys,", ", ".join(wanted))
        for key, item in value.items():
            title(key, f"a key of {where}")
            check(item, f"{where}.{key}")

    return whole


def record(needed: dict[str, Check], others: dict[str, Check] | None = None) -> Check:
    """An object that has some keys and may have others."""

    def whole(value: Any, where: str) -> None:
        _need(isinstance(value, dict), value, where, "an object")
        for key, check in needed.items():
            if key not in value:
                raise ValueError(f"{where}.{key} is missing")
            check(value[key], f"{where}.{key}")
        for key, check in (others or {}).items():
            if key in value:
                check(value[key], f"{where}.{key}")

    return whole


def together(needed: dict[str, Check]) -> Check:
    """An object whose values are known all or not at all."""

    def whole(value: Any, where: str) -> None:
        nobody = isinstance(value, dict) and all(key in value and value[key] is None for key in needed)
        record(dict.fromkeys(needed, known(number)) if nobody else needed)(value, where)

    return whole


# --- what stands in a checkpoint ----------------------------------------------------------------------------

PREPARATION = record({"height": count, "width": count}, {"spacing": known(number), "percentiles": rows(number, 2)})


def check_training(value: Any, config: ModelConfig) -> None:
    """Facts of the run, as train.py writes them.

    Raises:
        ValueError: naming the place, what stands there and what was expected.
    """
    fused = record({"fused": record({"dice_mean": known(number)})})
    run = {"step": count, "minutes": number, "command": words}
    record(
        {
            **run,
            "data": words,
            "data_licence": words,
            "target": words,
            "machine": words,
            "split": each(rows(name), ("train", "val", "test")),
            "annotated_target_subjects": rows(name),
            "configuration": record({"seed": count, "data": words}, {"pairing": words, "w_warp": number}),
            "validation": record({"segmentation": each(fused, config.modalities)}),
        },
        {"start": lambda start, where: _begun_with(start, where, run)},
    )(value, "training")


def _begun_with(value: Any, where: str, run: dict[str, Check]) -> None:
    if value is not None:
        record({**run, "name": words, "digest": words, "start": known(lambda v, w: _begun_with(v, w, run))})(
            value, where
        )


def check_metrics(value: Any, config: ModelConfig) -> None:
    """Numbers of `evaluate`, by data set.

    Raises:
        ValueError: as `check_training`.
    """
    names, classes = config.modalities, config.classes[1:]
    maybe, span = known(number), known(rows(number, 2))
    dice = record(
        {
            "dice_mean": maybe,
            "dice_std": maybe,
            "per_class": each(maybe, classes),
            "n_subjects": count,
            "false_positive": record({"slices": count, "rate": maybe}),
        },
        {"dice_volume_mean": maybe},
    )
    by_subject = known(record({"difference": number, "ci95": rows(number, 2), "p_value": number, "n": count}))
    compared = ("fused_minus_single", "deformed_minus_single", "fused_minus_copy")
    statistic = {"dcor": number, "dcor_squared_unbiased": number, "p_value": number, "n": count, "n_subjects": count}
    depends = [together(statistic), record({"dcor_ci95": span, "dcor_squared_unbiased_ci95": span})]
    depends += [record({"null_dcor_mean": maybe}, {"null_dcor_squared_unbiased_mean": maybe})]
    leak = record({"accuracy": maybe, "ci95": span, "truth_accuracy": maybe, "excess": by_subject})
    ways = [f"{a}_to_{b}" for a, b in permutations(names, 2)]
    per_dimension = rows(number, config.z_dim)
    probe = {"accuracy": number, "ci95": rows(number, 2), "per_dimension": per_dimension, "chance": number}

    def all_of(*checks: Check) -> Check:
        return lambda v, where: [check(v, where) for check in checks] and None

    def dependence(v: Any, where: str) -> None:
        if not (isinstance(v, dict) and "within" in v):
            record(statistic)(v, where)  # cards of older checkpoints hold this and no more
            return
        one = all_of(*depends)
        all_of(one, record({"within": each(one, names), "image_s": one, "image_z": one}))(v, where)

    def judged(v: Any, where: str) -> None:
        record(
            {
                "data": words,
                "n_subjects": count,
                "n_slices": count,
                "warp": together({"rms_px": number, "seed": count}),
                "segmentation": each(each(dice, ("single", "deformed", "fused")), names),
                "copy": each(record({"dice_mean": maybe}), names),
                "paired": each(each(by_subject, compared), names),
                "registration": together({"error_before_px": number, "error_after_px": number}),
                "reconstruction": each(record({"own_l1": maybe, "own_l1_inside": maybe, "cross_l1": maybe}), names),
                "kl_per_dimension": per_dimension,
                "channel_occupancy": each(rows(number, config.channels), names),
                "probe": together(probe),
                "dependence": dependence,
            },
            {
                "why": each(words),
                "z": words,
                "split": words,
                "version": each(lambda *_: None),
                "variance_per_dimension": per_dimension,
                "active_dimensions": count,
                "leakage": each(leak, ("occupancies", "pooled")),
                "cycle": each(record({"z_l1": number, "s_agreement": number}), names),
            },
        )(v, where)
        told = v["probe"]["accuracy"] is not None
        record({"swap": each(record({"accuracy": number if told else maybe}), ways)})(v, where)
        if told:
            square = rows(rows(number, len(names)), len(names))
            more = {"per_dimension_ci95": rows(rows(number, 2), config.z_dim), "confusion": square}
            record({}, more)(v["probe"], f"{where}.probe")
        else:
            record({"why": each(words)})(v, where)

    each(judged)(value, "metrics")

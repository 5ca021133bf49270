"""Every number of a checkpoint on a data set, as JSON: python -m dafnet_core.evaluate --help

The pages show the same numbers, made by the same functions of analysis/.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dafnet_core.analysis.decompose import (
    Decomposition,
    decompose,
    kl_per_dimension,
    overlaps,
    reconstruction_errors,
    registration_errors,
    style_of_swapped,
)
from dafnet_core.analysis.dependence import anatomy_distances, dependence, euclidean_distances
from dafnet_core.analysis.paired import paired
from dafnet_core.analysis.probe import probe
from dafnet_core.analysis.segmentation import dice_by_subject, mean_by_subject, nanmean, number, summarise
from dafnet_core.checkpoint import Checkpoint, CheckpointError, load, write_aside
from dafnet_core.data import phantom
from dafnet_core.data.datasets import Slices
from dafnet_core.data.sources import DATA_HELP, JUDGING_WARP, judging_data
from dafnet_core.model import DAFNet

KINDS = ("single", "deformed", "fused")
COMPARED = (("fused", "single"), ("deformed", "single"), ("fused", "copy"))
NO_TRUTH = "no subject of these data has a mask of this modality"
WHY = {  # the longest path that fits is the reason for a null
    "warp": "these data are not registered: nobody warped them",
    "registration": "the true misregistration of these data is not known",
    "segmentation": NO_TRUTH,
    "copy": "no slice of these data has masks of both modalities",
    "paired": "fewer than two subjects have both numbers",
    "reconstruction": "inside needs masks of this modality",
    "statistics": "not asked for",
}


@dataclass(frozen=True)
class Judged:
    """Numbers of a model on a data set, and those of every subject, (n_subjects,) with NaN, under dotted paths."""

    found: dict[str, Any]
    by_subject: dict[str, np.ndarray]


def judge(model: DAFNet, data: Slices, *, limit: int | None = None, statistics: bool = True) -> Judged:
    """Every number of a model on subjects that it was not trained on.

    Args:
        model: in eval mode, for the data's modalities and classes.
        data: judged whole, or its first `limit` slices.
        statistics: also those of z: probe, swap and dependence.

    Returns:
        `found` is JSON-ready with the keys that README describes; what cannot be known is None, and `why` says why.
    """
    names, classes = model.config.modalities, model.config.classes
    counts: dict[tuple[str, str], list[tuple[str, np.ndarray]]] = defaultdict(list)
    values: dict[str, list[tuple[str, float]]] = defaultdict(list)
    seen: list[tuple[str, Decomposition, np.ndarray]] = []
    for index in range(len(data) if limit is None else min(limit, len(data))):
        sample = data[index]
        found = decompose(model, sample.images)
        truth = {i: mask for i, mask in enumerate(sample.masks) if sample.annotated[i]}
        for kind, i, _, counted in overlaps(found, truth, len(classes)):
            counts[names[i], kind].append((sample.subject, counted))
        for kind, i, _, everywhere, inside in reconstruction_errors(found, truth):
            values[f"reconstruction.{names[i]}.{kind}_l1"].append((sample.subject, everywhere))
            values[f"reconstruction.{names[i]}.{kind}_l1_inside"].append((sample.subject, inside))
        positions, regions = data.truth(index)
        for _, _, before, after in registration_errors(found, regions, positions):
            values["registration.error_before_px"].append((sample.subject, before))
            values["registration.error_after_px"].append((sample.subject, after))
        seen.append((sample.subject, found, style_of_swapped(model, found) if statistics else np.empty(0)))

    ids = tuple(dict.fromkeys(subject for subject, _, _ in seen))
    by_subject = {key: mean_by_subject(rows, ids) for key, rows in values.items()}
    for (name, kind), rows in counts.items():
        path = f"copy.{name}" if kind == "copy" else f"segmentation.{name}.{kind}"
        by_subject[f"{path}.dice_mean"] = dice_by_subject(rows, ids)

    def mean(key: str) -> float | None:
        return number(nanmean(by_subject[key])) if key in by_subject else None

    result = {
        "n_subjects": len(ids),
        "n_slices": len(seen),
        "warp": {
            "rms_px": data.warp * max(data.preparation.height, data.preparation.width) / 96 if data.warp else None,
            "seed": data.warp_seed if data.warp else None,
        },
        "segmentation": {n: {k: summarise(counts[n, k], classes) for k in KINDS} for n in names},
        "copy": {n: {"dice_mean": mean(f"copy.{n}.dice_mean")} for n in names},
        "paired": {n: {f"{a}_minus_{b}": _paired(by_subject, n, a, b) for a, b in COMPARED} for n in names},
        "registration": {k: mean(f"registration.{k}") for k in ("error_before_px", "error_after_px")},
        "reconstruction": {
            n: {k: mean(f"reconstruction.{n}.{k}") for k in ("own_l1", "own_l1_inside", "cross_l1")} for n in names
        },
        "kl_per_dimension": np.mean([kl_per_dimension(f).mean(0) for _, f, _ in seen], 0).tolist(),
        "channel_occupancy": dict(zip(names, np.mean([f.s.mean((2, 3)) for _, f, _ in seen], 0).tolist(), strict=True)),
    }
    reasons = dict(WHY)
    if statistics:
        result |= _statistics(names, seen, reasons)
    return Judged(result | {"why": dict(_reasons(result, reasons))}, by_subject)


def _paired(by_subject: dict[str, np.ndarray], name: str, a: str, b: str) -> dict[str, Any] | None:
    """Dice from one kind of anatomy minus that from another, by subject (Paired)."""
    keys = [f"copy.{name}.dice_mean" if k == "copy" else f"segmentation.{name}.{k}.dice_mean" for k in (a, b)]
    return difference(*(by_subject[k] for k in keys)) if all(k in by_subject for k in keys) else None


def difference(a: np.ndarray, b: np.ndarray) -> dict[str, Any] | None:
    """Mean paired difference by subject with its 95 % interval and the p of a sign-flip permutation; None for < 2."""
    return asdict(paired(a, b)) if (~np.isnan(a) & ~np.isnan(b)).sum() > 1 else None


def _statistics(
    names: tuple[str, ...], seen: list[tuple[str, Decomposition, np.ndarray]], reasons: dict[str, str]
) -> dict[str, Any]:
    """What z tells about the modality, alone and after a swap, and how much s and z depend on each other (Sec. V-H).

    A reason for what cannot be known is added to `reasons`.
    """
    m = len(names)
    subjects = np.repeat([s for s, _, _ in seen], m)
    z = np.concatenate([f.z_mean for _, f, _ in seen]).astype(np.float64)
    labels = np.tile(np.arange(m), len(seen))
    pairs = seen[0][1].pairs
    empty = dict.fromkeys(("accuracy", "ci95", "per_dimension", "chance"))
    result: dict[str, Any] = {
        "probe": empty,
        "swap": {f"{names[i]}_to_{names[j]}": {"accuracy": None} for i, j in pairs},
        "dependence": dict.fromkeys(("dcor", "dcor_squared_unbiased", "p_value", "n", "n_subjects")),
    }
    try:
        found = probe(z, labels, subjects)
        result["probe"] = {key: getattr(found, key) for key in empty}
        for p, (i, j) in enumerate(pairs):
            after = found.classify(np.stack([styles[p] for _, _, styles in seen]), subjects[::m])
            result["swap"][f"{names[i]}_to_{names[j]}"]["accuracy"] = float((after == j).mean())
    except ValueError as error:
        reasons["probe"] = reasons["swap"] = str(error)
    try:
        maps = np.concatenate([f.s.argmax(1).reshape(m, -1) for _, f, _ in seen]).astype(np.uint8)
        depends = dependence(anatomy_distances(maps), euclidean_distances(z), subjects)
        result["dependence"] = {key: getattr(depends, key) for key in result["dependence"]}
    except ValueError as error:
        reasons["dependence"] = str(error)
    return result


def _reasons(value: Any, reasons: dict[str, str], path: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, reason) of every None in a nested dict."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _reasons(inner, reasons, f"{path}.{key}" if path else key)
    elif value is None:
        if path.endswith("false_positive.rate"):
            yield path, "every slice's truth contains every class, or there is no truth"
        elif path.endswith("dice_std"):
            yield path, "fewer than two subjects have a truth"
        else:
            yield path, reasons[path.partition(".")[0]]


def evaluate_checkpoint(
    checkpoint: Checkpoint, spec: str, *, split: str = "test", warp_seed: int = 0, limit: int | None = None
) -> Judged:
    """`judge` of a checkpoint on data named as on the command line.

    Raises:
        ValueError: data that cannot be read, or of other modalities or classes.
    """
    config, preparation = checkpoint.config, checkpoint.preparation
    data = judging_data(
        spec, split, size=preparation.height, spacing=preparation.spacing, modalities=config.modalities,
        pairing=checkpoint.training["configuration"].get("pairing", "expert"), candidates=config.candidates,
        split=checkpoint.training.get("split"), warp_seed=warp_seed,
    )  # fmt: skip
    for what, has, wants in (
        ("modalities", data.modalities, config.modalities), ("classes", data.classes, config.classes),
    ):  # fmt: skip
        if has != wants:
            raise ValueError(f"the checkpoint knows the {what} {', '.join(wants)}; {spec} holds {', '.join(has)}")
    judged = judge(checkpoint.model, data, limit=limit)
    version = {"phantom": phantom.VERSION} if spec.startswith("phantom") else {}
    return Judged(
        {"data": spec, "split": split, "version": version | checkpoint.versions} | judged.found, judged.by_subject
    )


def evaluate(checkpoint: Checkpoint, spec: str, **options: Any) -> dict[str, Any]:
    """The numbers of `evaluate_checkpoint`, JSON-ready."""
    return evaluate_checkpoint(checkpoint, spec, **options).found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dafnet_core.evaluate", description=__doc__)
    parser.add_argument("checkpoint", help="a .safetensors checkpoint")
    parser.add_argument("--data", default="phantom", help=DATA_HELP)
    parser.add_argument(
        "--split", default="test", choices=("train", "val", "test", "all"),
        help="by the split stored in the checkpoint; the phantom and data that it does not name are judged whole",
    )  # fmt: skip
    parser.add_argument("--against", metavar="OTHER", help="another checkpoint, compared subject by subject")
    parser.add_argument(
        "--warp-seed", type=int, default=0,
        help=f"of the known warps that registered data are judged under ({JUDGING_WARP:g} px RMS of a 96-pixel side)",
    )  # fmt: skip
    parser.add_argument("--json", default="-", metavar="FILE", help="where to write; - is standard output")
    options = parser.parse_args(arguments)
    how = dict(split=options.split, warp_seed=options.warp_seed)
    try:
        judged = evaluate_checkpoint(load(options.checkpoint), options.data, **how)
        found = {"checkpoint": Path(options.checkpoint).name} | judged.found
        if options.against:
            other = evaluate_checkpoint(load(options.against), options.data, **how).by_subject
            shared = {k: difference(v, other[k]) for k, v in judged.by_subject.items() if k in other}
            found["against"] = {
                "checkpoint": Path(options.against).name,
                "difference": {k: v for k, v in shared.items() if v is not None},
            }
        text = json.dumps(found, indent=1)
        if options.json != "-":
            write_aside(Path(options.json), (text + "\n").encode())
    except (CheckpointError, ValueError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    if options.json == "-":
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Every number of a checkpoint on a data set, as JSON: python -m dafnet_core.evaluate --help

The pages show the same numbers, made by the same functions of analysis/.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dafnet_core.analysis.decompose import (
    Decomposition,
    decompose,
    overlaps,
    reconstruction_errors,
    registration_errors,
    style_of_swapped,
)
from dafnet_core.analysis.dependence import anatomy_distances, dependence, euclidean_distances
from dafnet_core.analysis.informativeness import Cycle, cycle, informativeness
from dafnet_core.analysis.paired import paired
from dafnet_core.analysis.probe import leakage, occupancies, pooled, probe
from dafnet_core.analysis.segmentation import dice_by_subject, mean_by_subject, nanmean, number, summarise
from dafnet_core.checkpoint import Checkpoint, CheckpointError, load, write_aside
from dafnet_core.config import ModelConfig
from dafnet_core.data import phantom
from dafnet_core.data.datasets import Slices
from dafnet_core.data.sources import DATA_HELP, JUDGING_WARP, judging_data
from dafnet_core.model import DAFNet

KINDS = ("single", "deformed", "fused")
DEPENDENCE = (
    "dcor", "dcor_ci95", "null_dcor_mean", "dcor_squared_unbiased", "dcor_squared_unbiased_ci95", "p_value", "n",
    "n_subjects",
)  # fmt: skip
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


@dataclass(frozen=True, eq=False)
class Seen:
    """One judged slice: what was found, the style of its swapped images, and its masks (M, H, W) if all are known."""

    subject: str
    found: Decomposition
    swapped: np.ndarray | None
    again: Cycle | None
    masks: np.ndarray | None


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
    seen: list[Seen] = []
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
        more = (style_of_swapped(model, found), cycle(model, found)) if statistics else (None, None)
        seen.append(Seen(sample.subject, found, *more, sample.masks if sample.annotated.all() else None))

    ids = tuple(dict.fromkeys(s.subject for s in seen))
    by_subject = {key: mean_by_subject(rows, ids) for key, rows in values.items()}
    for (name, kind), rows in counts.items():
        path = f"copy.{name}" if kind == "copy" else f"segmentation.{name}.{kind}"
        by_subject[f"{path}.dice_mean"] = dice_by_subject(rows, ids)

    def mean(key: str) -> float | None:
        return number(nanmean(by_subject[key])) if key in by_subject else None

    informed = informativeness([s.found for s in seen])
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
        "kl_per_dimension": informed.kl.tolist(),
        "variance_per_dimension": informed.variance.tolist(),
        "active_dimensions": informed.active,
        "channel_occupancy": dict(zip(names, np.mean([s.found.s.mean((2, 3)) for s in seen], 0).tolist(), strict=True)),
    }
    reasons = dict(WHY)
    if statistics:
        result |= _statistics(model.config, seen, np.concatenate([s.found.images for s in seen]), reasons)
    return Judged(result | {"why": dict(_reasons(result, reasons))}, by_subject)


def _paired(by_subject: dict[str, np.ndarray], name: str, a: str, b: str) -> dict[str, Any] | None:
    """Dice from one kind of anatomy minus that from another, by subject (Paired)."""
    keys = [f"copy.{name}.dice_mean" if k == "copy" else f"segmentation.{name}.{k}.dice_mean" for k in (a, b)]
    return difference(*(by_subject[k] for k in keys)) if all(k in by_subject for k in keys) else None


def difference(a: np.ndarray, b: np.ndarray) -> dict[str, Any] | None:
    """Mean paired difference by subject with its 95 % interval and the p of a sign-flip permutation; None for < 2."""
    return asdict(paired(a, b)) if (~np.isnan(a) & ~np.isnan(b)).sum() > 1 else None


def _statistics(config: ModelConfig, seen: list[Seen], images: np.ndarray, reasons: dict[str, str]) -> dict[str, Any]:
    """What factors tell about the modality and about each other, and what is left of them (Sec. V-H, V-F).

    A reason for what cannot be known is added to `reasons`.
    """
    names, m = config.modalities, len(config.modalities)
    subjects = np.repeat([s.subject for s in seen], m)
    z = np.concatenate([s.found.z_mean for s in seen]).astype(np.float64)
    maps = np.concatenate([s.found.s.argmax(1) for s in seen]).astype(np.uint8)
    modalities = np.tile(np.arange(m), len(seen))
    pairs = seen[0].found.pairs
    empty = dict.fromkeys(("accuracy", "ci95", "per_dimension", "per_dimension_ci95", "chance", "confusion"))
    result: dict[str, Any] = {
        "probe": empty,
        "swap": {f"{names[i]}_to_{names[j]}": {"accuracy": None} for i, j in pairs},
        "cycle": {
            name: {
                "z_l1": float(np.mean([s.again.z_l1[i] for s in seen])),
                "s_agreement": float(np.mean([s.again.s_agreement[i] for s in seen])),
            }
            for i, name in enumerate(names)
        },
    }
    try:
        found = probe(z, modalities, subjects)
        result["probe"] = {key: getattr(found, key) for key in empty}
        for p, (i, j) in enumerate(pairs):
            after = found.classify(np.stack([s.swapped[p] for s in seen]), subjects[::m])
            result["swap"][f"{names[i]}_to_{names[j]}"]["accuracy"] = float((after == j).mean())
    except ValueError as error:
        reasons["probe"] = reasons["swap"] = str(error)
    masks = None if any(s.masks is None for s in seen) else np.concatenate([s.masks for s in seen])
    result["leakage"] = {
        kind.__name__: _leakage(kind, config, maps, masks, modalities, subjects, reasons)
        for kind in (occupancies, pooled)
    }

    distances = {
        "s": anatomy_distances(maps.reshape(len(maps), -1)),
        "z": euclidean_distances(z),
        "image": euclidean_distances(images.reshape(len(images), -1)),
    }

    def of(a: str, b: str, where: str, rows: np.ndarray | slice = slice(None)) -> dict[str, Any]:
        try:
            found = dependence(*(distances[k][rows][:, rows] for k in (a, b)), subjects[rows])
        except ValueError as error:
            reasons[where] = str(error)
            return dict.fromkeys(DEPENDENCE)
        shown = {key: getattr(found, key) for key in DEPENDENCE if key != "null_dcor_mean"}
        for key in ("dcor_ci95", "dcor_squared_unbiased_ci95"):
            if np.isnan(shown[key]).any():
                shown[key], reasons[f"{where}.{key}"] = None, "without one of the subjects a factor does not vary"
        return shown | {"null_dcor_mean": float(np.mean(found.null_dcor))}

    result["dependence"] = of("s", "z", "dependence") | {
        "within": {
            name: of("s", "z", f"dependence.within.{name}", np.flatnonzero(modalities == i))
            for i, name in enumerate(names)
        },
        "image_s": of("image", "s", "dependence.image_s"),
        "image_z": of("image", "z", "dependence.image_z"),
    }
    return result


def _leakage(
    features: Callable[[np.ndarray, int], np.ndarray], config: ModelConfig, maps: np.ndarray,
    masks: np.ndarray | None, modalities: np.ndarray, subjects: np.ndarray, reasons: dict[str, str],
) -> dict[str, Any]:  # fmt: skip
    """JSON of `leakage` by one kind of features."""
    path = f"leakage.{features.__name__}"
    found: dict[str, Any] = dict.fromkeys(("accuracy", "ci95", "truth_accuracy", "excess"))
    try:
        leak = leakage(maps, config.channels, masks, len(config.classes), modalities, subjects, features=features)
    except ValueError as error:
        reasons[path] = str(error)
        return found
    found |= {"accuracy": leak.anatomy.accuracy, "ci95": leak.anatomy.ci95}
    if leak.truth is None:
        reasons[path] = "not every slice of these data has masks of all modalities"
        return found
    return found | {"truth_accuracy": leak.truth.accuracy, "excess": asdict(leak.excess)}


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
            fits = (path.rsplit(".", cut)[0] for cut in range(path.count(".") + 1))
            yield path, next(reasons[p] for p in fits if p in reasons)


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

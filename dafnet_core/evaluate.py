"""Every number of a checkpoint on a data set, as JSON: python -m dafnet_core.evaluate --help

The pages show the same numbers, made by the same functions of analysis/.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from dafnet_core.analysis.decompose import (
    decompose,
    overlaps,
    reconstruction_errors,
    registration_errors,
    style_of_swapped,
)
from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.analysis.informativeness import Cycle, cycle, informativeness
from dafnet_core.checkpoints.file import Checkpoint, CheckpointError, check_writable, in_words, load, write_aside
from dafnet_core.data import phantom
from dafnet_core.data.dataset import Slices
from dafnet_core.data.sources import DATA_HELP, JUDGING_WARP, judging_data
from dafnet_core.metrics.dependence import Dependence, anatomy_distances, dependence, euclidean_distances
from dafnet_core.metrics.paired import paired
from dafnet_core.metrics.probe import Leakage, Probe, leakage, occupancies, pooled, probe
from dafnet_core.metrics.segmentation import dice_by_subject, mean_by_subject, nanmean, number, summarise
from dafnet_core.networks.dafnet import DAFNet

KINDS = ("single", "deformed", "fused")
DEPENDENCE = (
    "dcor",
    "dcor_ci95",
    "dcor_squared_unbiased",
    "dcor_squared_unbiased_ci95",
    "p_value",
    "n",
    "n_subjects",
)
NULLS = "null_dcor", "null_dcor_squared_unbiased"
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
class Evidence:
    """What the statistics of z and s stand on.

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


@dataclass(frozen=True)
class Judged:
    """Numbers of a model on a data set, and those of every subject, (n_subjects,) with NaN, under dotted paths."""

    found: dict[str, Any]
    by_subject: dict[str, np.ndarray]
    evidence: Evidence | None = None


def judge(
    model: DAFNet,
    data: Slices,
    *,
    limit: int | None = None,
    statistics: bool = True,
    sample_z: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Judged:
    """Every number of a model on subjects that it was not trained on.

    Args:
        model: in eval mode, for the data's modalities and classes.
        data: judged whole, or its first `limit` slices.
        statistics: also those of z: probe, swap and dependence.
        sample_z: statistics of z take a sample of q(z | x, s) by this seed, and not its mean.
        progress: called with the share that is done, in [0, 1]; what it raises ends the work.

    Returns:
        `found` is JSON-ready with the keys that README describes; what cannot be known is None, and `why` says why.
    """
    names, classes = model.config.modalities, model.config.classes
    counts: dict[tuple[str, str], list[tuple[str, np.ndarray]]] = defaultdict(list)
    values: dict[str, list[tuple[str, float]]] = defaultdict(list)
    seen: list[Encoded] = []
    occupancy, swapped, again = [], [], []
    count = len(data) if limit is None else min(limit, len(data))
    for index in range(count):
        progress(0.95 * index / count)
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
        masks = sample.masks if sample.annotated.all() else None
        seen.append(Encoded.of(found, sample.subject, sample.position, masks=masks, known=data.known(index)))
        occupancy.append(found.s.mean((2, 3)))
        if statistics:
            swapped.append(style_of_swapped(model, found))
            again.append(cycle(model, found))

    ids = tuple(dict.fromkeys(s.subject for s in seen))
    by_subject = {key: mean_by_subject(rows, ids) for key, rows in values.items()}
    for (name, kind), rows in counts.items():
        path = f"copy.{name}" if kind == "copy" else f"segmentation.{name}.{kind}"
        by_subject[f"{path}.dice_mean"] = dice_by_subject(rows, ids)

    def mean(key: str) -> float | None:
        return number(nanmean(by_subject[key])) if key in by_subject else None

    encodings = Encodings(names, classes, model.config.channels, seen, sample_z)
    informed = informativeness(encodings)
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
        "channel_occupancy": dict(zip(names, np.mean(occupancy, 0).tolist(), strict=True)),
    }
    reasons = dict(WHY)
    evidence = None
    if statistics:
        evidence = gather_evidence(encodings, reasons)
        result |= _statistics(evidence, np.stack(swapped), again, reasons)
    progress(1.0)
    return Judged(result | {"why": dict(_reasons(result, reasons))}, by_subject, evidence)


def _paired(by_subject: dict[str, np.ndarray], name: str, a: str, b: str) -> dict[str, Any] | None:
    """Dice from one kind of anatomy minus that from another, by subject (Paired)."""
    keys = [f"copy.{name}.dice_mean" if k == "copy" else f"segmentation.{name}.{k}.dice_mean" for k in (a, b)]
    return difference(*(by_subject[k] for k in keys)) if all(k in by_subject for k in keys) else None


def difference(a: np.ndarray, b: np.ndarray) -> dict[str, Any] | None:
    """Mean paired difference by subject with its 95 % interval and the p of a sign-flip permutation; None for < 2."""
    return asdict(paired(a, b)) if (~np.isnan(a) & ~np.isnan(b)).sum() > 1 else None


def gather_evidence(encodings: Encodings, reasons: dict[str, str]) -> Evidence:
    """Probe, leakage and dependence of factors (Sec. V-H).

    Args:
        reasons: is given the reason for what the data do not allow, by dotted path.
    """
    e = encodings
    subjects, modality = e.subjects, e.modality
    found: Probe | None = None
    try:
        found = probe(e.z, modality, subjects)
    except ValueError as error:
        reasons["probe"] = reasons["swap"] = str(error)
    leaks: dict[str, Leakage] = {}
    for features in (occupancies, pooled):
        try:
            leaks[features.__name__] = leakage(
                e.anatomies, e.channels, e.masks, len(e.classes), modality, subjects, features=features
            )
        except ValueError as error:
            reasons[f"leakage.{features.__name__}"] = str(error)

    distances = factor_distances(e)
    dependences: dict[str, Dependence] = {}
    asked = [("s_z", "s", "z", np.arange(len(subjects)))]
    asked += [(f"within.{name}", "s", "z", np.flatnonzero(modality == i)) for i, name in enumerate(e.names)]
    asked += [(f"image_{b}", "image", b, np.arange(len(subjects))) for b in ("s", "z")]
    for key, a, b, rows in asked:
        try:
            dependences[key] = dependence(*(distances[k][rows][:, rows] for k in (a, b)), subjects[rows])
        except ValueError as error:
            reasons["dependence" if key == "s_z" else f"dependence.{key}"] = str(error)
    return Evidence(e, found, leaks, dependences)


def factor_distances(encodings: Encodings) -> dict[str, np.ndarray]:
    """(n, n) distances of the anatomies ("s"), modality factors ("z") and images ("image")."""
    n = len(encodings.subjects)
    return {
        "s": anatomy_distances(encodings.anatomies.reshape(n, -1)),
        "z": euclidean_distances(encodings.z),
        "image": euclidean_distances(encodings.images.reshape(n, -1)),
    }


def _statistics(
    evidence: Evidence, swapped: np.ndarray, again: Sequence[Cycle], reasons: dict[str, str]
) -> dict[str, Any]:
    """JSON of what factors tell about the modality and about each other, and what is left of them (Sec. V-H, V-F).

    Args:
        swapped: (slices, P, n_z) z of swapped images encoded again.
        again: of each slice.
    """
    e, found = evidence.encodings, evidence.probe
    names, pairs = e.names, list(permutations(range(len(e.names)), 2))
    numbers = ("accuracy", "ci95", "per_dimension", "per_dimension_ci95", "chance", "confusion")
    after = {p: found.classify(swapped[:, p], e.subjects[:: len(names)]) for p in range(len(pairs))} if found else {}
    result: dict[str, Any] = {
        "z": e.z_is,
        "probe": {key: getattr(found, key, None) for key in numbers},
        "swap": {
            f"{names[i]}_to_{names[j]}": {"accuracy": float((after[p] == j).mean()) if found else None}
            for p, (i, j) in enumerate(pairs)
        },
        "cycle": {
            name: {
                "z_l1": float(np.mean([c.z_l1[i] for c in again])),
                "s_agreement": float(np.mean([c.s_agreement[i] for c in again])),
            }
            for i, name in enumerate(names)
        },
        "leakage": {
            kind: _leakage(evidence.leakage.get(kind), f"leakage.{kind}", reasons) for kind in ("occupancies", "pooled")
        },
    }

    def of(key: str, path: str) -> dict[str, Any]:
        known = evidence.dependence.get(key)
        if known is None:
            return dict.fromkeys((*DEPENDENCE, *(f"{name}_mean" for name in NULLS)))
        shown = {name: getattr(known, name) for name in DEPENDENCE}
        for name in ("dcor_ci95", "dcor_squared_unbiased_ci95"):
            if np.isnan(shown[name]).any():
                shown[name], reasons[f"{path}.{name}"] = None, "without one of the subjects a factor does not vary"
        return shown | {f"{name}_mean": float(np.mean(getattr(known, name))) for name in NULLS}

    within = {name: of(f"within.{name}", f"dependence.within.{name}") for name in names}
    images = {key: of(key, f"dependence.{key}") for key in ("image_s", "image_z")}
    return result | {"dependence": of("s_z", "dependence") | {"within": within} | images}


def _leakage(leak: Leakage | None, path: str, reasons: dict[str, str]) -> dict[str, Any]:
    """JSON of `leakage` by one kind of features."""
    found: dict[str, Any] = dict.fromkeys(("accuracy", "ci95", "truth_accuracy", "excess"))
    if leak is None:
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
    checkpoint: Checkpoint, spec: str, *, split: str = "test", warp_seed: int = 0, **how: Any
) -> Judged:
    """`judge` of a checkpoint on data named as on the command line.

    Args:
        split, warp_seed: of `judging_data`.
        how: limit, sample_z, progress of `judge`.

    Raises:
        ValueError: data that cannot be read, or of other modalities or classes.
    """
    config, preparation = checkpoint.config, checkpoint.preparation
    data = judging_data(
        spec,
        split,
        size=preparation.height,
        spacing=preparation.spacing,
        modalities=config.modalities,
        pairing=checkpoint.training["configuration"].get("pairing", "expert"),
        candidates=config.candidates,
        split=checkpoint.training.get("split"),
        warp_seed=warp_seed,
    )
    for what, has, wants in (
        ("modalities", data.modalities, config.modalities),
        ("classes", data.classes, config.classes),
    ):
        if has != wants:
            raise ValueError(f"the checkpoint knows the {what} {', '.join(wants)}; {spec} holds {', '.join(has)}")
    if not len(data):
        raise ValueError(f"{spec} has no slice that all of {', '.join(config.modalities)} show; nothing can be judged")
    judged = judge(checkpoint.model, data, **how)
    version = {"phantom": phantom.VERSION} if spec.startswith("phantom") else {}
    return Judged(
        {"data": spec, "split": split, "version": version | checkpoint.versions} | judged.found,
        judged.by_subject,
        judged.evidence,
    )


def evaluate(checkpoint: Checkpoint, spec: str, **options: Any) -> dict[str, Any]:
    """The numbers of `evaluate_checkpoint`, JSON-ready."""
    return evaluate_checkpoint(checkpoint, spec, **options).found


def _check_comparable(checkpoints: Sequence[Checkpoint]) -> None:
    """Refuse, before minutes of judging, checkpoints of other modalities or classes than the first one's."""
    first, *others = ((c.config.modalities, c.config.classes) for c in checkpoints)
    for modalities, classes in others:
        if (modalities, classes) != first:
            known = [f"{', '.join(m)} ({', '.join(c[1:])})" for m, c in (first, (modalities, classes))]
            raise ValueError(f"the checkpoint knows {known[0]}, --against {known[1]}; compare two of the same")


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"it is {text!r}; expected a whole number from 0 on")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dafnet_core.evaluate", description=__doc__)
    parser.add_argument("checkpoint", help="a .safetensors checkpoint")
    parser.add_argument("--data", default="phantom", help=DATA_HELP)
    parser.add_argument(
        "--split",
        default="test",
        choices=("train", "val", "test", "all"),
        help="by the split stored in the checkpoint; the phantom and data that it does not name are judged whole",
    )
    parser.add_argument("--against", metavar="OTHER", help="another checkpoint, compared subject by subject")
    parser.add_argument(
        "--warp-seed",
        type=_seed,
        default=0,
        help=f"of the known warps that registered data are judged under ({JUDGING_WARP:g} px RMS of a 96-pixel side)",
    )
    parser.add_argument(
        "--sample-z", type=_seed, metavar="SEED", help="statistics of a sample of q(z | x, s), and not of its mean"
    )
    parser.add_argument("--json", default="-", metavar="FILE", help="where to write; - is standard output")
    options = parser.parse_args(arguments)
    how = dict(split=options.split, warp_seed=options.warp_seed, sample_z=options.sample_z)
    try:
        if options.json != "-":
            check_writable(Path(options.json))
        checkpoints = [load(path) for path in (options.checkpoint, options.against) if path]
        _check_comparable(checkpoints)
        judged, *others = (evaluate_checkpoint(checkpoint, options.data, **how) for checkpoint in checkpoints)
        found = {"checkpoint": Path(options.checkpoint).name} | judged.found
        for other in others:
            theirs = other.by_subject
            shared = {k: difference(v, theirs[k]) for k, v in judged.by_subject.items() if k in theirs}
            found["against"] = {
                "checkpoint": Path(options.against).name,
                "difference": {k: v for k, v in shared.items() if v is not None},
            }
        text = json.dumps(found, indent=1)
        if options.json != "-":
            write_aside(Path(options.json), (text + "\n").encode())
    except (CheckpointError, ValueError, OSError) as error:
        print(f"evaluate: {in_words(error) if isinstance(error, OSError) else error}", file=sys.stderr)
        return 2
    if options.json == "-":
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

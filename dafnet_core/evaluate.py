"""Every number of a checkpoint on a data set, as JSON: python -m dafnet_core.evaluate --help

The pages show the same numbers, computed by the same functions. A method without training, such as copy, can be named
in place of a checkpoint.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dafnet_core.checkpoints.file import Checkpoint, CheckpointError, load
from dafnet_core.checkpoints.weights import weight_differences
from dafnet_core.data.dataset import PAIRINGS
from dafnet_core.data.sources import DATA_HELP, EVALUATION_WARP, evaluation_data, open_source, tuning_data
from dafnet_core.evaluation.comparison import compare
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.evaluation.run import MEASURES, Evaluation, evaluate_method
from dafnet_core.files import atomic_write, check_writable, describe_error
from dafnet_core.methods import METHODS, trainable
from dafnet_core.typed_json import to_json


def evaluate_checkpoint(
    checkpoint: Checkpoint, spec: str, *, split: str = "test", warp_seed: int = 0, pairing: str = "", **options: Any
) -> Evaluation:
    """`evaluate_method` of a checkpoint on data named as on the command line.

    Args:
        split, warp_seed: of `evaluation_data`.
        pairing: by default that of the checkpoint's training.
        options: limit, measures, sample_z, progress of `evaluate_method`.

    Raises:
        ValueError: data that cannot be read, or of other modalities or classes.
    """
    config, training = checkpoint.config, checkpoint.training
    source, data = evaluation_data(
        spec,
        split,
        preparation=checkpoint.preparation,
        modalities=config.modalities,
        pairing=pairing or training.option("pairing", "expert"),
        candidates=config.candidates,
        seen=training.split.seen(),
        patients=training.patients,
        warp_seed=warp_seed,
    )
    for what, has, wants in (
        ("modalities", data.modalities, config.modalities),
        ("classes", data.classes, config.classes),
    ):
        if has != wants:
            raise ValueError(f"the checkpoint knows the {what} {', '.join(wants)}; {spec} holds {', '.join(has)}")
    if not len(data):
        raise ValueError(
            f"{spec} has no slice that all of {', '.join(config.modalities)} show; nothing can be evaluated"
        )
    evaluation = evaluate_method(checkpoint.method, data, **options)
    version = source.version | checkpoint.versions
    return replace(evaluation, result=replace(evaluation.result, data=spec, split=split, version=version))


def judged_part(checkpoint: Checkpoint, spec: str) -> str:
    """The part of some data that judges a checkpoint: "test", or "val" where its folds left no test subject.

    Raises:
        ValueError: data that cannot be read.
    """
    seen = checkpoint.training.split.seen()
    source = open_source(spec, checkpoint.config.modalities)
    others = source.evaluated_whole or "test" in seen.values() or not set(source.names()) <= set(seen)
    return "test" if others else "val"


def evaluate(checkpoint: Checkpoint, spec: str, **options: Any) -> EvaluationResult:
    """The numbers of `evaluate_checkpoint`."""
    return evaluate_checkpoint(checkpoint, spec, **options).result


def evaluate_untrained(
    name: str,
    spec: str,
    *,
    split: str = "all",
    warp_seed: int = 0,
    pairing: str = "",
    like: Checkpoint | None = None,
    **options: Any,
) -> Evaluation:
    """`evaluate_method` of a method without training, such as copy, on all modalities of the data at 128 x 128 pixels.

    A method that can be tuned is tuned on training subjects, which are then not evaluated.

    Args:
        split, warp_seed, pairing: as in `evaluate_checkpoint`.
        like: a checkpoint whose modalities, split, grid and pairing are taken, to compare with it.

    Raises:
        ValueError: data that cannot be read, or a package that is not installed.
    """
    known: dict[str, Any] = {"modalities": (), "seen": {}, "pairing": pairing or "expert"}
    if like is not None:
        record = like.training
        known = {
            "modalities": like.config.modalities,
            "preparation": like.preparation,
            "seen": record.split.seen(),
            "pairing": pairing or record.option("pairing", "expert"),
        }
    kind, tuned = METHODS[name], None
    if hasattr(kind, "tuned"):
        examples, known["seen"] = tuning_data(spec, **known)
        tuned = kind.tuned(examples)
    patients = like.training.patients if like else None
    source, data = evaluation_data(spec, split, warp_seed=warp_seed, patients=patients, **known)
    evaluation = evaluate_method(tuned or kind(data.modalities, data.classes), data, **options)
    return replace(evaluation, result=replace(evaluation.result, data=spec, split=split, version=dict(source.version)))


def _check_comparable(checkpoints: Sequence[Checkpoint]) -> None:
    """Check, before minutes of evaluation, that all checkpoints have the modalities and classes of the first one."""
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
    """The command line; 0 if all went well, 2 with a sentence on standard error if not."""
    parser = argparse.ArgumentParser(prog="python -m dafnet_core.evaluate", description=__doc__)
    untrained = ", ".join(sorted(set(METHODS) - set(trainable())))
    parser.add_argument("checkpoint", help=f"a .safetensors checkpoint, or a method without training: {untrained}")
    parser.add_argument("--data", default="phantom", help=DATA_HELP)
    parser.add_argument(
        "--split",
        default="test",
        choices=("train", "val", "test", "all"),
        help="by the split stored in the checkpoint; the phantom and data that it does not name are used whole; val is "
        "for folds without a test part, such as nnU-Net's usual five",
    )
    parser.add_argument("--against", metavar="OTHER", help="another checkpoint, compared subject by subject")
    parser.add_argument(
        "--like",
        metavar="CHECKPOINT",
        help="for a method without training: a checkpoint whose modalities, split, grid and pairing are taken, so that "
        "both are judged on the same slices",
    )
    parser.add_argument(
        "--warp-seed",
        type=_seed,
        default=0,
        help=f"of the known warps that registered data are evaluated under ({EVALUATION_WARP:g} px RMS for 96 pixels)",
    )
    parser.add_argument(
        "--sample-z", type=_seed, metavar="SEED", help="statistics of a sample of q(z | x, s), and not of its mean"
    )
    parser.add_argument(
        "--pairing",
        default="",
        choices=("", *PAIRINGS),
        help="of the slices; by default that of the checkpoint's training, expert for methods without one",
    )
    parser.add_argument(
        "--measures",
        default="default",
        choices=MEASURES,
        help="brief: without leakage and dependence; all: also prior, iob and style, in minutes; slow: only these",
    )
    parser.add_argument(
        "--slices", metavar="FILE", help="a CSV of Dice, L1, leakage, and disagreement with --against, of every slice"
    )
    parser.add_argument("--json", default="-", metavar="FILE", help="where to write; - is standard output")
    options = parser.parse_args(arguments)
    try:
        if options.json != "-":
            check_writable(Path(options.json))
        if options.slices:
            check_writable(Path(options.slices))
        text = json.dumps(_numbers(options), indent=1)
        if options.json != "-":
            atomic_write(Path(options.json), (text + "\n").encode())
    except (CheckpointError, ValueError, OSError) as error:
        print(f"evaluate: {describe_error(error)}", file=sys.stderr)
        return 2
    if options.json == "-":
        print(text)
    return 0


def _numbers(options: argparse.Namespace) -> dict[str, Any]:
    """JSON of what the command line asks for."""
    arguments: dict[str, Any] = dict(
        split=options.split,
        warp_seed=options.warp_seed,
        sample_z=options.sample_z,
        pairing=options.pairing,
        measures=options.measures,
    )
    if options.checkpoint in set(METHODS) - set(trainable()):
        arguments["like"] = load(options.like) if options.like else None
        untrained = evaluate_untrained(options.checkpoint, options.data, **arguments)
        _write_slices(options.slices, untrained.slice_rows(tuple(untrained.result.segmentation or ())))
        return untrained.result.to_json()
    checkpoints = [load(path) for path in (options.checkpoint, options.against) if path]
    _check_comparable(checkpoints)
    evaluated, *others = (evaluate_checkpoint(checkpoint, options.data, **arguments) for checkpoint in checkpoints)
    numbers = {"checkpoint": Path(options.checkpoint).name} | evaluated.result.to_json()
    for other in others:
        if other.subjects != evaluated.subjects:
            strange = sorted(set(other.subjects) ^ set(evaluated.subjects))
            raise ValueError(
                f"the {options.split} parts of the two checkpoints differ (in {', '.join(strange[:3])}), because their "
                "splits do; compare checkpoints of one split, or use data that neither was trained on"
            )
        found = compare(evaluated.with_subjects(), other.with_subjects())
        numbers["against"] = {
            "checkpoint": Path(options.against).name,
            "difference": {k: to_json(v.paired) | {"p_holm": v.p_holm} for k, v in found.items()},
            "weights": {d.module: to_json(d) for d in weight_differences(*checkpoints)},
        }
    _write_slices(options.slices, evaluated.slice_rows(checkpoints[0].config.modalities, *others))
    return numbers


def _write_slices(path: str | None, rows: Sequence[Mapping[str, Any]]) -> None:
    """Numbers of every slice as CSV, where they were asked for."""
    if path:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        atomic_write(Path(path), text.getvalue().encode())


if __name__ == "__main__":
    sys.exit(main())

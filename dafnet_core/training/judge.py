"""Judge a checkpoint again and keep the numbers in it and on its card: python -m dafnet_core.training.judge --help

Its weights stay as they are. Data that it was judged on under another title stay too.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from dafnet_core.checkpoints.card import measures_of
from dafnet_core.checkpoints.file import load
from dafnet_core.data.sources import public_name
from dafnet_core.evaluate import evaluate_checkpoint, judged_part
from dafnet_core.evaluation.run import MEASURES
from dafnet_core.files import check_writable, describe_error
from dafnet_core.training.export import write_checkpoint


def judge(path: Path, specs: dict[str, str], measures: str = "") -> None:
    """Evaluate a checkpoint and write it back, with its card.

    Args:
        specs: data by title, as on the command line; those of the checkpoint itself where empty.
        measures: of `evaluate_method`; by default those of the numbers that are there.

    Raises:
        ValueError: data that cannot be read, or of other modalities or classes; CheckpointError, OSError: the file.
    """
    checkpoint = load(path)
    check_writable(path)
    metrics = dict(checkpoint.metrics)
    for title, spec in (specs or {title: result.data for title, result in metrics.items()}).items():
        asked = measures or (measures_of(metrics[title]) if title in metrics else "default")
        found = evaluate_checkpoint(checkpoint, spec, split=judged_part(checkpoint, spec), measures=asked)
        metrics[title] = replace(found.with_subjects(), data=public_name(spec))
    write_checkpoint(replace(checkpoint, metrics=metrics), path, half=True)


def _titled(text: str) -> tuple[str, str]:
    title, found, spec = text.partition("=")
    if not (title and found and spec):
        raise argparse.ArgumentTypeError(f"it is {text!r}; expected TITLE=DATA, such as test=chaos:PATH")
    return title, spec


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well, 2 with a sentence on standard error if not."""
    parser = argparse.ArgumentParser(prog="python -m dafnet_core.training.judge", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--data",
        type=_titled,
        nargs="+",
        default=[],
        metavar="TITLE=DATA",
        help="data to judge it on and the heading of their numbers; by default those that it was judged on",
    )
    parser.add_argument(
        "--measures",
        default="",
        choices=MEASURES,
        help="all or slow: also, or only, those that take minutes (by default those of the numbers that are there)",
    )
    given = parser.parse_args(arguments)
    try:
        judge(given.checkpoint, dict(given.data), given.measures)
    except (ValueError, OSError) as error:
        print(f"judge: {describe_error(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

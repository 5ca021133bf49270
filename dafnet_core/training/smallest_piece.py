"""Which pieces of masks to drop: python -m dafnet_core.training.smallest_piece CHECKPOINT --data DATA [--write]

Small pieces of a class are often false. This prints the volume Dice of all masks of the checkpoint's validation
subjects, and how often slices show a class which they lack, by the size of the smallest piece that is kept. --write
stores the size with the highest mean Dice (the smaller of equal ones); then judge the checkpoint again (python -m
dafnet_core.training.judge).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dafnet_core.checkpoints.card_numbers import decimal
from dafnet_core.checkpoints.file import Checkpoint, load
from dafnet_core.evaluate import evaluate_checkpoint, judged_part
from dafnet_core.evaluation.base import ScoredSlice
from dafnet_core.files import check_writable, describe_error
from dafnet_core.methods.pieces import without_small_pieces
from dafnet_core.metrics.segmentation import overlap_counts, summarise
from dafnet_core.training.export import write_checkpoint

SIZES = (0, 8, 16, 32, 64, 96, 128, 192, 256)  # pixels

Counts = dict[tuple[str, str], list[tuple[str, np.ndarray]]]  # rows of `summarise` by modality and kind of mask
Summaries = dict[tuple[str, str], dict[str, Any]]  # what it makes of them


def counts_by_size(checkpoint: Checkpoint, spec: str, sizes: Iterable[int] = SIZES) -> dict[int, Counts]:
    """Pixels of the masks of a checkpoint's validation subjects, by the smallest piece that is kept.

    Data that hold none of them, such as a phantom of another seed, count whole. `smallest_piece` of the checkpoint is 0
    afterwards.

    Raises:
        ValueError: data that cannot be read, or of other modalities or classes.
    """
    with_pieces(checkpoint, 0)
    found: dict[int, Counts] = {size: {} for size in sizes}
    names = checkpoint.config.modalities

    def add(seen: ScoredSlice) -> None:
        for kind, i, _, labels in seen.estimate.masks:
            if i in seen.own and i in seen.truth:
                for size, counts in found.items():
                    mask = without_small_pieces(labels, size)
                    row = seen.subject, overlap_counts(mask, seen.truth[i], len(checkpoint.config.classes))
                    counts.setdefault((names[i], kind), []).append(row)

    part = "val" if "val" in checkpoint.training.split.seen().values() else judged_part(checkpoint, spec)
    evaluate_checkpoint(checkpoint, spec, split=part, statistics=False, each=add)
    return found


def with_pieces(checkpoint: Checkpoint, size: int) -> None:
    """Change which pieces of masks a checkpoint's networks keep; raises ValueError beyond the limits of the option."""
    checkpoint.model.config = replace(checkpoint.config, smallest_piece=size)


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well, 2 with a sentence on standard error if not."""
    parser = argparse.ArgumentParser(prog="python -m dafnet_core.training.smallest_piece", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", required=True, help="that it was trained on")
    parser.add_argument("--write", action="store_true", help="store the best size in the checkpoint")
    given = parser.parse_args(arguments)
    try:
        checkpoint = load(given.checkpoint)
        if given.write:
            check_writable(given.checkpoint)
        found = counts_by_size(checkpoint, given.data)
        classes = checkpoint.config.classes
        summaries = {
            size: {key: summarise(rows, classes) for key, rows in counts.items()} for size, counts in found.items()
        }
        best = max(summaries, key=lambda size: (mean_dice(summaries[size]), -size))
        print(table(summaries, best))
        if given.write:
            with_pieces(checkpoint, best)
            write_checkpoint(checkpoint, given.checkpoint, half=True)
            print(f"pieces below {best} pixels are dropped from now on; judge it again")
    except (ValueError, OSError) as error:
        print(f"smallest_piece: {describe_error(error)}", file=sys.stderr)
        return 2
    return 0


def mean_dice(summaries: Summaries) -> float:
    """Mean volume Dice over modalities and kinds of masks; those without one do not count."""
    known = [s["dice_volume_mean"] for s in summaries.values() if s["dice_volume_mean"] is not None]
    return float(np.mean(known)) if known else 0.0


def table(by_size: dict[int, Summaries], best: int) -> str:
    """Volume Dice, and the share of slices that show a class which they lack, as Markdown."""
    columns = list(next(iter(by_size.values())))
    rows = [["smallest piece, pixels", *(f"{kind} {modality}" for modality, kind in columns)]]
    rows += [["---"] * len(rows[0])]
    for size, summaries in by_size.items():
        cells = [_cell(summaries[column]) for column in columns]
        rows.append([f"{size}{' (best)' if size == best else ''}", *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(summary: dict[str, Any]) -> str:
    dice, rate = summary["dice_volume_mean"], summary["false_positive"]["rate"]
    return f"{decimal(dice)} / {decimal(rate)}"


if __name__ == "__main__":
    sys.exit(main())

"""Logs of a run: CSV files, and TensorBoard events if it is installed."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.files import atomic_write


class Log:
    """A CSV of numbers by step; on resuming, rows of steps that will be repeated are dropped."""

    def __init__(self, path: Path, before: int) -> None:
        self.path, self.rows = path, []
        if path.exists():
            with open(path, newline="") as old:
                # a row that a full disk cut short belongs to a step after the last state, too
                whole = [row for row in csv.DictReader(old) if None not in row.values()]
            self.rows = [row for row in whole if int(row["step"]) < before]
        self.names: list[str] = []
        self._rewrite()

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; a new column rewrites the file."""
        row = {k: "" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for k, v in row.items()}
        self.rows.append(row)
        if set(row) - set(self.names):
            self._rewrite()  # a new term, such as adversarial ones: a new column
        else:
            try:
                with open(self.path, "a", newline="") as file:
                    csv.DictWriter(file, self.names).writerow(row)
            except OSError as error:
                error.filename = str(self.path)  # a full disk names no file
                raise

    def _rewrite(self) -> None:
        self.names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, self.names)
        writer.writeheader()
        writer.writerows(self.rows)
        atomic_write(self.path, text.getvalue().encode())


def epoch_means(rows: list[dict[str, str]]) -> str:
    """Mean of every term over each epoch, as CSV; with candidates also the pair weights (Fig. 6)."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    names = [n for n in dict.fromkeys(n for row in rows for n in row) if n not in ("step", "epoch")]
    for row in rows:
        for name in names:
            if row.get(name):
                values[row["epoch"]][name].append(float(row[name]))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", *names])
    writer.writeheader()
    for epoch, terms in values.items():
        writer.writerow({"epoch": epoch} | {n: f"{np.mean(v):.6g}" for n, v in terms.items()})
    return text.getvalue()


class TensorBoardLog:
    """TensorBoard's event files, where tensorboard is installed; nothing where it is not."""

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.writer = None
        else:
            self.writer = SummaryWriter(str(run / "tensorboard"))

    def add(self, row: dict[str, Any], step: int) -> None:
        """Add the floats of a row as scalars of a step."""
        if self.writer is None:
            return
        for name, value in row.items():
            if isinstance(value, float):
                self.writer.add_scalar(name, value, step)


def fused_dice(result: EvaluationResult, volume: bool = True) -> float:
    """Criterion of the best checkpoint: mean Dice in [0, 1] over the modalities with validation masks.

    Of fused masks, or, for a method without them, of the last of its kinds; 0 without any mask.

    Args:
        volume: of each subject's slices as one volume, where false pixels count in every slice; else the mean over
            slices, which leaves out those whose truth lacks a class.
    """
    found = [list(kinds.values())[-1] for kinds in (result.segmentation or {}).values()]
    known = [v for v in (s.dice_volume_mean if volume else s.dice_mean for s in found) if v is not None]
    return float(np.mean(known)) if known else 0.0


def validation_row(result: EvaluationResult, step: int) -> dict[str, Any]:
    """A row of validation.csv."""
    row: dict[str, Any] = {"step": step, "fused_dice": fused_dice(result)}
    row["fused_dice_of_slices"] = fused_dice(result, volume=False)
    for name, kinds in (result.segmentation or {}).items():
        row |= {f"{name}_{kind}": value.dice_mean for kind, value in kinds.items()}
    if result.registration is not None:
        row |= vars(result.registration)
    row |= {f"kl_{d}": v for d, v in enumerate(result.kl_per_dimension or ())}
    for name, shares in (result.channel_occupancy or {}).items():
        row |= {f"{name}_channel_{c}": share for c, share in enumerate(shares)}
    return row

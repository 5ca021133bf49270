"""A table of the paper: which cells it needs, and what their records say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from dafnet_core.methods import trainable
from dafnet_core.metrics.paired import paired
from experiments.cell import NOT_APPLICABLE, Cell
from experiments.grids import Grid
from experiments.paper import Numbers
from experiments.protocol import Setting
from experiments.record import Record

FEWEST = 6  # subjects of a test: of five differences with one sign p is 2 / 2^5, more than LEVEL
LEVEL = 0.05
Key = TypeVar("Key")
LOWER_IS_BETTER = ("hd95_mm", "assd_mm")
DIGITS = {"dice": 2, "dice_volume": 2, "hd95_mm": 1, "assd_mm": 1}  # of a mean as tables print it, Dice from 0 to 1


@dataclass(frozen=True)
class Row:
    """A method, or a variant of one, by its masks of one kind; `paper` is its name in paper.py, "" for none."""

    title: str
    method: str
    kind: str
    variant: str = ""
    paper: str = ""

    @property
    def learned(self) -> bool:
        return self.method in trainable()


def dafnet(title: str, variant: str, paper: str = "", kind: str = "fused") -> Row:
    """A row of a variant of DAFNet, by default of the masks from both inputs."""
    return Row(title, "dafnet", kind, variant, paper)


@dataclass(frozen=True)
class Scope:
    """What a table is made for: data and protocol, target modalities, folds, and seeds of the training."""

    setting: Setting
    targets: tuple[str, ...]
    folds: tuple[int, ...]
    seeds: tuple[int, ...]

    def cells(self, row: Row, target: str, share: float) -> list[Cell]:
        """The cells whose subjects stand in one place of a table."""
        every = [(fold, seed) for fold in self.folds for seed in self.seeds]
        return [
            Cell.of(row.method, row.variant, target, share, fold, seed, self.setting.source.modalities[-1])
            for fold, seed in every
        ]


@dataclass(frozen=True)
class Entry:
    """What a table has in one place.

    Attributes:
        mean, deviation: over subjects, in the metric's unit; None where unknown. n: subjects.
        best: whether it is the best learned method of its column, or prints the same number as the best.
        p: of the paired permutation test of the best against the second best; None for others, for several that print
            the same and for too few subjects.
        said: in place of a number; paper: the paper's number; "" for none.
    """

    row: str
    method: str
    variant: str
    kind: str
    target: str
    annotations: float
    mean: float | None = None
    deviation: float | None = None
    n: int = 0
    best: bool = False
    p: float | None = None
    said: str = ""
    paper: str = ""

    @property
    def significant(self) -> bool:
        return self.p is not None and self.p < LEVEL


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Attributes:
        name: on the command line; title: of the paper; about: what it compares.
        rows, annotations: rows, and shares of annotations of the target.
        all_targets: whether every modality is a target by default, or the last one.
        paper: its numbers, which stand beside the same data; paper_data: whose they are if they stand beside any data.
        second: title of a further grid, and the grid from the records of each row of the first column.
    """

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]
    paper: Numbers
    annotations: tuple[float, ...] = (1.0, 0.0)
    all_targets: bool = False
    paper_data: str = ""
    second: tuple[str, Callable[[Mapping[Row, list[Record]]], Grid]] | None = None

    def columns(self, scope: Scope) -> list[tuple[str, float]]:
        """Target and share of annotations of every column."""
        return [(target, share) for share in self.annotations for target in scope.targets]

    def cells(self, scope: Scope) -> dict[str, Cell]:
        """All cells by name, each once."""
        found = [cell for column in self.columns(scope) for row in self.rows for cell in scope.cells(row, *column)]
        return {cell.name: cell for cell in found}

    def paper_number(self, row: Row, target: str, share: float, data: str) -> str:
        """The paper's number beside ours of some data, "" for none."""
        theirs = self.paper_data or (f"CHAOS {target}" if data.startswith("chaos") else "")
        return self.paper.get((theirs, share), {}).get(row.paper, "")

    def column(
        self, target: str, share: float, scope: Scope, records: Mapping[str, Record], metric: str
    ) -> list[Entry]:
        """The entries of one column, the best learned one marked."""
        entries, values = [], []
        for row in self.rows:
            cells = scope.cells(row, target, share)
            found = [records[cell.name] for cell in cells if cell.name in records]
            by_subject = values_by_subject(found, target, row.kind, metric)
            entry = Entry(row.title, row.method, row.variant, row.kind, target, share, **summary(by_subject))
            if found and not by_subject:
                entry = replace(entry, said=without_number(found[0].failure))
            if metric == "dice":
                entry = replace(entry, paper=self.paper_number(row, target, share, scope.setting.data))
            entries.append(entry)
            values.append(by_subject if row.learned else {})
        return marked(entries, values, metric)


def without_number(failure: str | None) -> str:
    """In place of a number, as in the paper: n/a, or – for a training that did not converge; ? for one not measured."""
    return "?" if failure is None else NOT_APPLICABLE if failure.startswith(NOT_APPLICABLE) else "–"


def values_by_subject(records: Sequence[Record], target: str, kind: str, metric: str) -> dict[str, float]:
    """A metric of each subject that has one, averaged over the seeds that judged it."""
    found: dict[str, list[float]] = {}
    for record in records:
        for subject, value in zip(record.subjects, record.values(target, kind, metric), strict=False):
            if value is not None:
                found.setdefault(subject, []).append(value)
    return {subject: float(np.mean(values)) for subject, values in found.items()}


def summary(by_subject: Mapping[str, float]) -> dict[str, Any]:
    """Mean, deviation and number of subjects."""
    values, n = [*by_subject.values()], len(by_subject)
    return {
        "mean": float(np.mean(values)) if n else None,
        "deviation": float(np.std(values, ddof=1)) if n > 1 else None,
        "n": n,
    }


def leaders(means: Mapping[Key, float], metric: str, digits: int) -> tuple[list[Key], frozenset[Key]]:
    """Keys of means in order, the best first, and those whose mean is the best one with so many digits."""
    sign = 1 if metric in LOWER_IS_BETTER else -1
    order = sorted(means, key=lambda key: sign * means[key])
    return order, frozenset(key for key in order if round(means[key], digits) == round(means[order[0]], digits))


def marked(entries: Sequence[Entry], values: Sequence[Mapping[str, float]], metric: str) -> list[Entry]:
    """Entries with the best ones marked; a single best one is tested against the second best on the subjects of both.

    Args:
        values: by subject, of each entry; {} for those that do not compete.
    """
    means = {n: float(np.mean([*v.values()])) for n, v in enumerate(values) if v}
    order, best = leaders(means, metric, DIGITS[metric])
    p = None
    if len(best) == 1 < len(order):
        first, second = (values[n] for n in order[:2])
        shared = sorted(set(first) & set(second))
        if len(shared) >= FEWEST:
            p = paired(np.array([first[s] for s in shared]), np.array([second[s] for s in shared])).p_value
    return [replace(entry, best=True, p=p) if n in best else entry for n, entry in enumerate(entries)]

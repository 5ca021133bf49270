"""Records of the experiments for the page Benchmark: the folders that hold any, and the tables that are made of them.

Records are files of the server: those that come with the project, and those of folders named when the app was started.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

import dafnet_core
from dafnet_core.data.formats.scan import clean_name
from dafnet_core.methods import METHODS, trainable
from dafnet_core.metrics.paired import Paired, paired
from dafnet_explorer.paths import ROOT
from experiments.record import Record, read

Stamp = tuple[tuple[str, int, int], ...]  # path, time of the last change and size of files
RESULTS = ROOT / "experiments" / "results"
FEWEST = 6  # subjects of a comparison whose p may fall below 0.05: 2 of the 2^5 signs of five are already 0.06
SIGNIFICANT = 0.05
LOWER_IS_BETTER = ("hd95_mm", "assd_mm")
TIE = {"dice": 3, "dice_volume": 3, "hd95_mm": 1, "assd_mm": 1}  # digits of what a table shows as different


@dataclass(frozen=True)
class Row:
    """A method as it was trained, and a kind of its masks."""

    method: str
    variant: str
    kind: str

    @property
    def training(self) -> tuple[str, str]:
        """What rows of different kinds have in common."""
        return self.method, self.variant

    @property
    def training_title(self) -> str:
        """Readable name of what rows of different kinds have in common."""
        method = METHODS.get(self.method)
        return (method.title if method else self.method) + (f" ({self.variant})" if self.variant else "")

    @property
    def title(self) -> str:
        """Readable, and different for every row of a table."""
        method = METHODS.get(self.method)
        several = method is None or len(method.kinds) > 1
        return self.training_title + (f", {self.kind}" if self.kind and several else "")


@dataclass(frozen=True)
class Column:
    """The modality that is segmented, and the share of its training subjects that has masks."""

    target: str
    annotations: float

    @property
    def title(self) -> str:
        """Readable, such as T2, 12.5 %."""
        return f"{self.target}, {100 * self.annotations:g} %"


def why(record: Record) -> str:
    """The failure of a record, without the mark of what cannot be trained by its nature."""
    return (record.failure or "").removeprefix("n/a: ")


@dataclass(frozen=True)
class Cell:
    """What is known of one row and one column.

    Attributes:
        kind, target: of the row and the column.
        records: of all folds and seeds; some may have failed.
    """

    kind: str
    target: str
    records: tuple[Record, ...]

    def numbers(self, metric: str) -> dict[str, float]:
        """By subject: the mean over the records that know it. Subjects of none are left out."""
        found: dict[str, list[float]] = {}
        for record in self.records:
            values = record.values(self.target, self.kind, metric)
            for subject, value in zip(record.subjects, values or [None] * len(record.subjects), strict=True):
                if value is not None:
                    found.setdefault(subject, []).append(value)
        return {subject: float(np.mean(values)) for subject, values in found.items()}

    @property
    def failures(self) -> tuple[str, ...]:
        """Why some of the records have no numbers, each reason once."""
        return tuple(dict.fromkeys(why(record) for record in self.records if record.failure))


@dataclass(frozen=True)
class Table:
    """A table of the paper, filled with our records.

    Attributes:
        name, about: as the paper calls it, and what it compares.
        data: public name, such as "chaos:FOLDER".
        cells: those of some rows and columns; others were not run.
    """

    name: str
    about: str
    data: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    cells: Mapping[tuple[Row, Column], Cell]

    def numbers(self, row: Row, column: Column, metric: str) -> dict[str, float]:
        """Of a cell by subject; {} for one that was not run or has failed."""
        cell = self.cells.get((row, column))
        return cell.numbers(metric) if cell else {}


def mean(numbers: Mapping[str, float]) -> float:
    """Over the subjects; NaN for none."""
    return float(np.mean(list(numbers.values()))) if numbers else float("nan")


def deviation(numbers: Mapping[str, float]) -> float:
    """Standard deviation over the subjects; NaN for fewer than two."""
    return float(np.std(list(numbers.values()), ddof=1)) if len(numbers) > 1 else float("nan")


def compare(a: Mapping[str, float], b: Mapping[str, float]) -> Paired | None:
    """Paired comparison of two cells on the subjects that both know; None for fewer than two."""
    both = [subject for subject in a if subject in b]
    if len(both) < 2:
        return None
    return paired(np.array([a[s] for s in both]), np.array([b[s] for s in both]))


def is_significant(found: Paired | None) -> bool:
    """Whether p is below 0.05, of six subjects or more."""
    return found is not None and found.n >= FEWEST and found.p_value < SIGNIFICANT


def best(table: Table, column: Column, metric: str) -> tuple[frozenset[Row], bool]:
    """The rows of the best mean as tables show it, and whether a single best one differs from the second best.

    Methods that are given true masks of the other modality do not compete; a column with one other has no best.
    """
    sign = -1 if metric in LOWER_IS_BETTER else 1
    given = [name for name, method in METHODS.items() if method.needs_source_masks]
    numbers = {
        row: found for row in table.rows if (found := table.numbers(row, column, metric)) and row.method not in given
    }
    if len(numbers) < 2:
        return frozenset(), False
    shown = {row: sign * round(mean(found), TIE[metric]) for row, found in numbers.items()}
    first, second = sorted(shown, key=lambda row: sign * mean(numbers[row]), reverse=True)[:2]
    winners = frozenset(row for row in shown if shown[row] == shown[first])
    return winners, len(winners) == 1 and is_significant(compare(numbers[first], numbers[second]))


def ranked(table: Table, column: Column, metric: str) -> list[Row]:
    """The rows of a column, the best mean first, and those without numbers last."""
    sign = -1 if metric in LOWER_IS_BETTER else 1
    rows = [row for row in table.rows if (row, column) in table.cells]
    means = {row: sign * mean(table.numbers(row, column, metric)) for row in rows}
    return sorted(rows, key=lambda row: (np.isnan(means[row]), -means[row]))


def paper_value(table: Table, row: Row, column: Column) -> str | None:
    """What the paper reports for a cell, as text; None where it has none."""
    return None


def provenance(table: Table, results: str, metric: str) -> dict[str, object]:
    """What a download of a table says of itself: its data and protocol, and the checkpoint of each training."""
    digests = {record.cell: record.digest for cell in table.cells.values() for record in cell.records}
    about = {"results": results, "data": table.data, "table": table.name, "metric": metric}
    return about | {"checkpoint_digests": digests, "dafnet": dafnet_core.__version__}


# --- which records belong to which table ----------------------------------------------------------------------

ABLATIONS = {  # variants of each table of them, beside which the method as it is stands
    "Table III": ("neighbours", "shuffled", "shuffled-phases"),
    "Table IV": ("without-adv_mask", "without-adv_image", "without-rec_z", "without-decoding", "without-segmentor"),
    "V-D": ("without-aligner",),
    "V-F": ("C4", "C16", "z4", "z16"),
    "V-G": ("spade",),
}
AS_IT_IS = "", "paper"  # and for methods compared with each other also "clean"
ABOUT = {
    "Table I": "all or none of the target's subjects annotated",
    "Table II": "some of the target's subjects annotated",
    "Table III": "pairs by position, found automatically, and shuffled",
    "Table IV": "without some of the loss terms",
    "V-D": "with and without the aligner",
    "V-F": "numbers of channels of s and of dimensions of z",
    "V-G": "FiLM and SPADE decoders",
}


def _is_trained(record: Record) -> bool:
    return record.method in trainable()


def tables(records: Sequence[Record]) -> dict[str, Table]:
    """The tables of which some cell has numbers, by name."""
    found = {}
    for name, about in ABOUT.items():
        own = [record for record in records if _is_of(name, record)]
        beside = [record for record in records if not _is_of(name, record) and _stands_beside(name, record)]
        if any(record.numbers for record in own):
            found[name] = _table(name, about, own, beside)
    return found


def _is_of(name: str, record: Record) -> bool:
    """Whether a table was made for a record; Tables I and II show methods without training beside theirs."""
    if name in ABLATIONS:
        return record.variant in ABLATIONS[name]
    extreme = record.annotations in (0, 1)
    return record.variant in (*AS_IT_IS, "clean") and extreme == (name == "Table I")


def _stands_beside(name: str, record: Record) -> bool:
    if name in ABLATIONS:
        return record.variant in AS_IT_IS and record.method in ("dafnet", *(("copy",) * (name == "Table III")))
    return record.variant == "" and not _is_trained(record)


def _table(name: str, about: str, own: Sequence[Record], beside: Sequence[Record]) -> Table:
    everything = [*own, *beside]
    columns = _columns(own, every_target=name not in ABLATIONS)
    cells: dict[tuple[Row, Column], list[Record]] = {}
    for record in everything:
        for column in columns:
            if _fills(record, column):
                for row in _rows(record, column.target, everything):
                    cells.setdefault((row, column), []).append(record)
    return Table(
        name,
        about,
        own[0].data,
        tuple(sorted({row for row, _ in cells}, key=_row_order)),
        columns,
        {(row, column): Cell(row.kind, column.target, tuple(found)) for (row, column), found in cells.items()},
    )


def _columns(own: Sequence[Record], *, every_target: bool) -> tuple[Column, ...]:
    """Columns by falling annotations, the modality that is listed last first, which is the paper's target.

    Args:
        every_target: whether trainings with all annotations count for each modality that is the target of any.
    """
    trained = [record for record in own if _is_trained(record)] or own
    targets = list(dict.fromkeys(name for record in own for name in record.numbers))
    targets += [record.target for record in own if record.target not in targets]
    found = {Column(record.target, record.annotations) for record in trained}
    if every_target and 1 in {column.annotations for column in found}:
        found |= {Column(column.target, 1.0) for column in found}
    return tuple(sorted(found, key=lambda column: (-column.annotations, -targets.index(column.target))))


def _fills(record: Record, column: Column) -> bool:
    """Whether a record is one of a column.

    Methods without training are the same whatever is annotated, and with all annotations no modality is the target
    but for the methods that are made for one.
    """
    trained = _is_trained(record)
    if trained and record.annotations != column.annotations:
        return False
    whole = not trained or (record.annotations == 1 and not record.method.endswith("-single"))
    if not whole and record.target != column.target:
        return False
    return bool(record.failure) or column.target in record.numbers


def _rows(record: Record, target: str, records: Sequence[Record]) -> set[Row]:
    """One for each kind of mask of the target; a failed record has the kinds that others of its method have."""
    same = [record] if record.numbers else [other for other in records if other.method == record.method]
    kinds = {kind for other in same for kind in other.numbers.get(target, {})}
    method = METHODS.get(record.method)
    return {Row(record.method, record.variant, kind) for kind in kinds or (method.kinds[-1:] if method else ("",))}


def _row_order(row: Row) -> tuple[bool, bool, int, str, int]:
    """Methods without training first, DAFNet last, as in the paper."""
    names, method = list(METHODS), METHODS.get(row.method)
    at = names.index(row.method) if method else len(names)
    kind = method.kinds.index(row.kind) if method and row.kind in method.kinds else 0
    return row.method in trainable(), row.method == "dafnet", at, row.variant, kind


# --- folders --------------------------------------------------------------------------------------------------


@st.cache_resource(max_entries=1, show_spinner=False)
def named_results() -> tuple[Path, ...]:
    """Folders of results named on the command line: streamlit run app.py -- --results FOLDER."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--results", action="append", default=[], type=Path)
    return tuple(dict.fromkeys(parser.parse_known_args(sys.argv[1:])[0].results))


def folders() -> dict[str, Path]:
    """Folders that hold records, one for each data set and protocol, by names that differ."""
    found: dict[str, Path] = {}
    for parent in (RESULTS, *named_results()):
        for folder in (parent, *sorted(path for path in parent.glob("*") if path.is_dir())):
            if any(_is_record(path) for path in folder.glob("*.json")):
                name = clean_name(folder.resolve().name)
                while name in found:
                    name += f" ({parent.resolve().name})"
                found[name] = folder
    return found


def _is_record(path: Path) -> bool:
    """Whether a file begins as `Record.write` begins it."""
    with path.open("rb") as file:
        return b'"cell"' in file.read(64)


def stamp(paths: Sequence[Path]) -> Stamp:
    """What changes when one of some files does."""
    return tuple((str(path), (at := path.stat()).st_mtime_ns, at.st_size) for path in paths)


@st.cache_resource(max_entries=4, show_spinner=False)
def _tables(files: Stamp, folder: str) -> dict[str, Table]:
    records = read(Path(folder))
    for name, record in records.items():
        lists = [values for kinds in record.numbers.values() for found in kinds.values() for values in found.values()]
        if wrong := [len(values) for values in lists if len(values) != len(record.subjects)]:
            subjects = len(record.subjects)
            raise ValueError(f"{name}.json has {wrong[0]} numbers of {subjects} subjects; run its table again")
    return tables(list(records.values()))


def tables_of(folder: Path) -> dict[str, Table]:
    """`tables` of the records of a folder, which is read again whenever one of its files changes.

    Raises:
        ValueError: a file that is no record, named.
    """
    return _tables(stamp(sorted(folder.glob("*.json"))), str(folder))

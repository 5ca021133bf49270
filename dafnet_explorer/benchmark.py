"""Records of the experiments for the page Benchmark: folders that hold any, and the paper's tables filled with them.

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
from dafnet_core.metrics.paired import Paired, paired
from experiments import aligner, decoders, factors, table1, table2, table3, table4
from experiments.cell import NOT_APPLICABLE, has_target
from experiments.grids import Grid
from experiments.protocol import RESULTS
from experiments.record import Record, read
from experiments.table import DIGITS, FEWEST, LEVEL, LOWER_IS_BETTER, Row, leaders, values_by_subject
from experiments.table import Table as Definition

DEFINITIONS = tuple(module.TABLE for module in (table1, table2, table3, table4, aligner, factors, decoders))
Stamp = tuple[tuple[str, int, int], ...]  # path, time of the last change and size of files


@dataclass(frozen=True)
class Column:
    """The modality that is segmented, and the share of its training subjects that has masks."""

    target: str
    annotations: float

    @property
    def title(self) -> str:
        """Readable, such as T2, 12.5 %."""
        return f"{self.target}, {100 * self.annotations:g} %"


@dataclass(frozen=True)
class Table:
    """A table of the paper, filled with records.

    Attributes:
        definition: its rows, what it compares, and the paper's numbers.
        data: public name, such as "chaos:FOLDER".
        rows, columns: those that have a cell.
        cells: records of all folds and seeds, of which some may have failed; places that were not run are left out.
    """

    definition: Definition
    data: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    cells: Mapping[tuple[Row, Column], tuple[Record, ...]]

    def numbers(self, row: Row, column: Column, metric: str) -> dict[str, float]:
        """Of a cell by subject, averaged over seeds; {} for one that was not run or has failed."""
        return values_by_subject(self.cells.get((row, column), ()), column.target, row.kind, metric)

    def failures(self, row: Row, column: Column) -> list[str]:
        """Why trainings of a cell have no numbers; once for each of them."""
        records = self.cells.get((row, column), ())
        return [record.failure.removeprefix(f"{NOT_APPLICABLE}: ") for record in records if record.failure]

    def paper(self, row: Row, column: Column) -> str:
        """The paper's Dice in per cent, such as "85 (17)"; "" where it has none."""
        return self.definition.paper_number(row, column.target, column.annotations, self.data)


def compare(a: Mapping[str, float], b: Mapping[str, float]) -> Paired | None:
    """Paired comparison of two cells on the subjects that both know; None for fewer than two."""
    both = [subject for subject in a if subject in b]
    if len(both) < 2:
        return None
    return paired(np.array([a[s] for s in both]), np.array([b[s] for s in both]))


def is_significant(found: Paired | None) -> bool:
    """Whether p is below 0.05, of six subjects or more."""
    return found is not None and found.n >= FEWEST and found.p_value < LEVEL


def ranked(table: Table, column: Column, metric: str) -> list[Row]:
    """The rows of a column, the best mean first, and those without numbers last."""
    sign = -1 if metric in LOWER_IS_BETTER else 1
    rows = [row for row in table.rows if (row, column) in table.cells]
    means = {row: sign * np.mean(list(n.values())) for row in rows if (n := table.numbers(row, column, metric))}
    return sorted(rows, key=lambda row: -means.get(row, -np.inf))


def best(table: Table, column: Column, metric: str) -> tuple[frozenset[Row], bool]:
    """The best learned rows as tables show their means, and whether a single one differs from the second best."""
    learned = {row: n for row in table.rows if row.learned and (n := table.numbers(row, column, metric))}
    means = {row: float(np.mean(list(numbers.values()))) for row, numbers in learned.items()}
    order, winners = leaders(means, metric, DIGITS[metric] + (metric not in LOWER_IS_BETTER))
    return winners, len(winners) == 1 < len(order) and is_significant(compare(*(learned[row] for row in order[:2])))


def second_grid(table: Table) -> tuple[str, Grid] | None:
    """Title and rows of a table's further grid, of its first column; None where it has none."""
    if table.definition.second is None or not table.columns:
        return None
    title, make = table.definition.second
    records = {row: list(table.cells.get((row, table.columns[0]), ())) for row in table.rows}
    return f"{title} ({table.columns[0].title})", make(records)


def provenance(table: Table, results: str, metric: str) -> dict[str, object]:
    """What a download of a table says of itself: its data and protocol, and the checkpoint of each training."""
    digests = {record.cell: record.digest for records in table.cells.values() for record in records}
    about = {"results": results, "data": table.data, "table": table.definition.name, "metric": metric}
    return about | {"checkpoint_digests": digests, "dafnet": dafnet_core.__version__}


# --- which records a table has --------------------------------------------------------------------------------


def tables(records: Sequence[Record]) -> dict[str, Table]:
    """The tables with a finished cell that none before them has, by the paper's names, such as Table I."""
    found: dict[str, Table] = {}
    known: set[str] = set()
    for definition in DEFINITIONS:
        table = _filled(definition, records)
        finished = {record.cell for cell in table.cells.values() for record in cell if record.numbers}
        if finished - known:
            found[definition.title.partition(":")[0]] = table
        known |= finished
    return found


def _filled(definition: Definition, records: Sequence[Record]) -> Table:
    cells: dict[tuple[Row, Column], tuple[Record, ...]] = {}
    columns = _columns(definition, records)
    for row in definition.rows:
        for column in columns:
            if place := tuple(record for record in records if _fills(record, row, column)):
                cells[row, column] = place
    return Table(
        definition,
        records[0].data if records else "",
        tuple(row for row in definition.rows if any(row == of for of, _ in cells)),
        tuple(column for column in columns if any(column == of for _, of in cells)),
        cells,
    )


def _columns(definition: Definition, records: Sequence[Record]) -> list[Column]:
    """Columns in the definition's order: of the last modality that is a target, or of all if the definition says so."""
    modalities = max((tuple(record.numbers) for record in records), key=len, default=())
    targets = [name for name in modalities[::-1] if any(name == record.target for record in records)]
    chosen = targets if definition.all_targets else targets[:1]
    return [Column(target, share) for share in definition.annotations for target in chosen]


def _fills(record: Record, row: Row, column: Column) -> bool:
    """Whether a record is of a row and a column.

    Methods without training are the same whatever is annotated. With all annotations, only networks for one modality
    are trained for a target.
    """
    if (record.method, record.variant) != (row.method, row.variant):
        return False
    if row.learned and record.annotations != column.annotations:
        return False
    serves_all = not row.learned or (record.annotations == 1 and not has_target(record.method))
    if not serves_all and record.target != column.target:
        return False
    return bool(record.failure) or row.kind in record.numbers.get(column.target, {})


# --- folders --------------------------------------------------------------------------------------------------


@st.cache_resource(max_entries=1, show_spinner=False)
def named_results() -> tuple[Path, ...]:
    """Folders of results named on the command line: streamlit run app.py -- --results FOLDER."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--results", action="append", default=[], type=Path)
    return tuple(dict.fromkeys(parser.parse_known_args(sys.argv[1:])[0].results))


def folders() -> dict[str, Path]:
    """Folders that hold records, one for each data set and protocol, by names that differ.

    In each folder of results, those with masks come first.
    """
    found: dict[str, Path] = {}
    for parent in (RESULTS, *named_results()):
        inner = sorted(path for path in parent.glob("*") if path.is_dir())
        for folder in (parent, *sorted(inner, key=lambda path: not (path / "masks").is_dir())):
            if any(_is_record(path) for path in folder.glob("*.json")):
                name = clean_name(folder.resolve().name)
                while name in found:
                    name += f" ({clean_name(parent.resolve().name)})"
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

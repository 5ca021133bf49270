"""The command line of a table: which cells are missing, run them, print what is there."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dafnet_core.files import atomic_write, check_writable, describe_error
from dafnet_core.methods import trainable
from experiments.cell import Cell, differs, has_target
from experiments.protocol import Setting
from experiments.record import METRICS, Record, read
from experiments.rendering import FORMATS, METRIC_WORDS, render
from experiments.running import run_here, run_processes, until
from experiments.table import FEWEST, Scope, Table

CHAOS = (
    "The paper's cardiac data, ERI and BOLD, are not public. Pairs of CHAOS are formed by the position of slices, "
    "the paper's by hand."
)
UNTESTED = "the validation subjects where a fold has no test part: optimistic, they chose the best weights"
GIVEN = "Copy, register and active contour are given the other modality's true mask of the test slice."
ONCE = "With all annotations, a method that serves all modalities is trained once for all targets."


def parser_of(table: Table) -> argparse.ArgumentParser:
    """The command line of a table."""
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments {table.name}", description=f"{table.title}: {table.about}"
    )
    Setting.add_to(parser)
    default = "all, the last one first" if table.all_targets else "the last one"
    parser.add_argument("--targets", nargs="+", default=(), help=f"target modalities (default: {default})")
    parser.add_argument("--folds", type=int, nargs="+", default=(), help="of the data (default: the protocol's)")
    parser.add_argument("--seeds", type=int, nargs="+", default=(0,), help="of the trainings; means are over all")
    parser.add_argument("--jobs", type=_count, default=1, metavar="N", help="cells at once, each in its own process")
    parser.add_argument("--budget-minutes", type=float, metavar="M", help="start no cell after so many minutes")
    parser.add_argument("--list", action="store_true", help="print one complete command a cell, and stop")
    parser.add_argument("--only", nargs="+", metavar="CELL", help="make these cells, and print no table")
    parser.add_argument("--metric", default="dice", choices=METRICS)
    parser.add_argument("--format", default="markdown", choices=FORMATS)
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table there, not to standard output")
    return parser


def main(table: Table, arguments: Sequence[str] | None = None) -> int:
    """The command line; 0 if all went well, 2 with a sentence on standard error if not."""
    given = parser_of(table).parse_args(arguments)
    try:
        return _run(table, given)
    except (ValueError, OSError) as error:
        print(f"experiments: {describe_error(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("experiments: stopped; the same command goes on", file=sys.stderr)
    return 2


def _run(table: Table, given: argparse.Namespace) -> int:
    scope = scope_of(table, given)
    setting, cells = scope.setting, table.cells(scope)
    if unknown := [name for name in given.only or () if name not in cells]:
        raise ValueError(f"{table.name} has no cell {unknown[0]}; it has {', '.join(cells)}")
    commands = {name: [table.name, "--only", name, *arguments_of(scope)] for name in given.only or cells}
    if given.list:
        for command in commands.values():
            print("python -m experiments", shlex.join(command))
        return 0
    if given.output:
        check_writable(given.output)
    done = read(setting.results_folder)
    missing = [cells[name] for name in commands if name not in done]
    in_time = until(given.budget_minutes)
    if given.jobs > 1:
        wanted = {cell.name: commands[cell.name] for cell in missing}
        problems = run_processes(wanted, setting.runs_folder, given.jobs, in_time)
    else:
        problems = run_here(missing, setting, in_time)
    if not given.only:
        records = read(setting.results_folder)
        text = text_of(table, scope, records, problems, given.metric, given.format)
        if given.output:
            atomic_write(given.output, f"{text}\n".encode())
        else:
            print(text)
    return 2 if problems else 0


def scope_of(table: Table, given: argparse.Namespace) -> Scope:
    """What a command line asks for; raises ValueError where the data do not have it."""
    setting = Setting.of(given)
    modalities = setting.source.modalities
    every = modalities[::-1] if table.all_targets else modalities[-1:]
    targets, folds = setting.targets(tuple(given.targets)), setting.folds(tuple(given.folds))
    scope = Scope(setting, targets or every, folds, tuple(given.seeds))
    tested(scope)
    return scope


def tested(scope: Scope) -> bool:
    """Whether every fold has test subjects; raises ValueError for a fold that does not exist."""
    splits = [scope.setting.split(fold, seed) for fold in scope.folds for seed in scope.seeds]
    return scope.setting.built_in or all(split["test"] for split in splits)


def arguments_of(scope: Scope) -> list[str]:
    """The command line that gives a scope."""
    lists = {"--targets": scope.targets, "--folds": scope.folds, "--seeds": scope.seeds}
    return [*scope.setting.arguments(), *(w for name, values in lists.items() for w in (name, *map(str, values)))]


def text_of(
    table: Table, scope: Scope, records: Mapping[str, Record], problems: Mapping[str, str], metric: str, form: str
) -> str:
    """The table of what is there, with its notes."""
    cells = table.cells(scope)
    known = {name: records[name] for name in cells if name in records}
    columns = [table.column(*column, scope, known, metric) for column in table.columns(scope)]
    second = None
    if table.second:
        target, share = table.columns(scope)[0]
        of_rows = {
            row: [known[cell.name] for cell in scope.cells(row, target, share) if cell.name in known]
            for row in table.rows
        }
        second = table.second[1](of_rows)
    return render(table, columns, second, notes_of(cells, scope, known, problems, metric), metric, form)


def notes_of(
    cells: Mapping[str, Cell],
    scope: Scope,
    records: Mapping[str, Record],
    problems: Mapping[str, str],
    metric: str,
) -> list[str]:
    """What stands below a table: measure, protocol, machine, data, what did not converge and what is missing."""
    setting = scope.setting
    judged = setting.judged if setting.built_in else "the test subjects of each fold" if tested(scope) else UNTESTED
    notes = [
        METRIC_WORDS[metric],
        "Bold: the best learned method of a column. Asterisk: the second best is worse, p < 0.05 by a paired "
        f"permutation test over subjects; never with fewer than {FEWEST} subjects.",
        setting.in_words(),
        f"Data {setting.public_name}; fold {_listed(scope.folds)}, seed {_listed(scope.seeds)}; judged on {judged}.",
    ]
    trained = [record for record in records.values() if record.minutes is not None]
    if minutes := [record.minutes or 0 for record in trained]:
        machines = _listed(sorted({record.machine for record in trained}))
        notes.append(
            f"{len(trained)} trainings of {min(minutes):g} to {max(minutes):g} minutes, {sum(minutes):.0f} together, "
            f"on {machines}."
        )
    if any(cell.method not in trainable() for cell in cells.values()):
        notes.append(GIVEN)
    if any(cell.annotations == 1 and not has_target(cell.method) for cell in cells.values()) and len(scope.targets) > 1:
        notes.append(ONCE)
    if setting.data.startswith("chaos"):
        notes.append(CHAOS)
    failed = [f"{name}: {record.failure}" for name, record in records.items() if record.failure]
    missing = [f"{name} ({problems[name]})" if name in problems else name for name in cells if name not in records]
    changed = [name for name, record in records.items() if differs(record, cells[name], setting)]
    for what, names in (
        ("Without numbers", failed),
        ("Missing", missing),
        (f"Trained by other options than {setting.protocol} has here", changed),
    ):
        if names:
            notes.append(f"{what}: {'; '.join(names)}.")
    return notes


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"it is {text!r}; expected a whole number from 1 on")
    return int(text)

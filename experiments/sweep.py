"""Short trainings that differ in their options, each measured once and kept as JSON, and one table of them all."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dafnet_core.checkpoints.file import load
from dafnet_core.data.sources import public_name
from dafnet_core.evaluate import evaluate
from dafnet_core.files import atomic_write
from dafnet_core.training.cli import main as train
from experiments.grids import markdown
from experiments.protocol import RESULTS


@dataclass(frozen=True)
class Cell:
    """One training: options of train.py, and the data and part of its split that measure it."""

    options: str
    data: str
    split: str = "test"

    def arguments(self, run: Path, further: Sequence[str] = ()) -> list[str]:
        """Arguments of train.py; a run that was begun is resumed, and `further` options come last."""
        asked = ["--resume"] if (run / "config.json").exists() else [*shlex.split(self.options), *further]
        return [*asked, "--out", str(run)]


@dataclass(frozen=True)
class Sweep:
    """Cells of one question.

    Attributes:
        name: of its command and of the folder of its results.
        columns: title of a column: dotted paths of its numbers in the JSON of `evaluate`.
        measures: of `evaluate_method`.
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    measures: str = "default"

    def parser(self, about: str, options: str) -> argparse.ArgumentParser:
        """The command line that all sweeps share; `options` are the default of --options."""
        parser = argparse.ArgumentParser(
            prog=f"python -m experiments {self.name}",
            description=about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--runs", type=Path, default=Path("runs") / self.name, help="folder of the runs")
        parser.add_argument("--results", type=Path, default=RESULTS / self.name, help="folder of the numbers")
        parser.add_argument("--list", action="store_true", help="print the commands that train, and stop")
        parser.add_argument("--options", default=options, help="further options of train.py, in one string")
        return parser

    def run(self, cells: Mapping[str, Cell], given: argparse.Namespace) -> int:
        """Train and measure the cells that have no result yet; 0 if all went well."""
        for name, cell in cells.items():
            asked = cell.arguments(given.runs / name, shlex.split(given.options))
            result = given.results / f"{name}.json"
            if given.list:
                print("python train.py", shlex.join(asked))
            elif not result.exists():
                if code := train(asked):
                    return code
                atomic_write(result, (json.dumps(self._measured(cell, given.runs / name), indent=1) + "\n").encode())
        if not given.list:
            print(self.table({p.stem: json.loads(p.read_text()) for p in sorted(given.results.glob("*.json"))}))
        return 0

    def _measured(self, cell: Cell, run: Path) -> dict[str, Any]:
        checkpoint = load(run / "last.safetensors")  # all cells after the same number of steps
        numbers = evaluate(checkpoint, cell.data, split=cell.split, measures=self.measures).to_json()
        numbers["data"] = public_name(cell.data)
        return {"training": checkpoint.training.command, "minutes": checkpoint.training.minutes} | numbers

    def table(self, results: Mapping[str, Mapping[str, Any]]) -> str:
        """Results by cell as Markdown; several numbers in a cell are those of its column's paths."""
        rows = [["", "channels", *self.columns]]
        for name, result in results.items():
            alive = [sum(share > 0.01 for share in shares) for shares in result["channel_occupancy"].values()]
            cells = [" / ".join(_shown(number_at(result, path)) for path in paths) for paths in self.columns.values()]
            rows.append([name, " / ".join(map(str, alive)), *cells])
        return markdown(rows)


def number_at(result: Mapping[str, Any], path: str) -> float | None:
    """A number of the JSON of `evaluate` by its dotted path; None where it is not there.

    A part of the path may list keys, `LGE|T2`, of which the first one there is taken.
    """
    value: Any = result
    for keys in path.split("."):
        known = value if isinstance(value, Mapping) else {}
        value = next((known[key] for key in keys.split("|") if key in known), None)
    return None if value is None else float(value)


def _shown(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"

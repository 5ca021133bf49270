"""The paper's experiments: python -m experiments NAME [...], and NAME --help for its options."""

from __future__ import annotations

import sys
from importlib import import_module

from experiments import aligner, command, decoders, factors, table1, table2, table3, table4

TABLES = {module.TABLE.name: module.TABLE for module in (table1, table2, table3, table4, aligner, factors, decoders)}
OTHERS = {
    "section-vh": "Sec. V-H: what z and s hold, FiLM beside SPADE",
    "disentangle": "the terms of the recipe clean, each alone",
    "dice": "the kinds of --dice",
    "masks": "masks of 12 phantom slices of every finished cell, to ship",
    "figures": "Figures 4 to 9 from the cells that are there",
}


def described() -> str:
    """What there is, a line each."""
    about = {name: f"{table.title}: {table.about}" for name, table in TABLES.items()} | OTHERS
    return "\n".join([str(__doc__), *(f"  {name:12} {text}" for name, text in about.items())])


def main(arguments: list[str]) -> int:
    """Run one experiment; 2 with the names of all for an unknown one."""
    if arguments[:1] in (["--help"], ["-h"]):
        print(described())
        return 0
    name, *rest = arguments or [""]
    if name in TABLES:
        return command.main(TABLES[name], rest)
    if name in OTHERS:  # loaded now: trainings need no package of the app, whose figures some of these draw
        return int(import_module(f"experiments.{name.replace('-', '_')}").main(rest))
    print(f"experiments: expected one of {', '.join([*TABLES, *OTHERS])}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

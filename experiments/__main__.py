"""The paper's experiments: python -m experiments NAME [...], and NAME --help for its options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from experiments import (
    aligner,
    command,
    decoders,
    dice,
    disentangle,
    factors,
    figures,
    masks,
    section_vh,
    table1,
    table2,
    table3,
    table4,
)

TABLES = {module.TABLE.name: module.TABLE for module in (table1, table2, table3, table4, aligner, factors, decoders)}
OTHERS: dict[str, tuple[Callable[[list[str]], int], str]] = {
    "section-vh": (section_vh.main, "Sec. V-H: what z and s hold, FiLM beside SPADE"),
    "disentangle": (disentangle.main, "the terms of the recipe clean, each alone"),
    "dice": (dice.main, "the kinds of --dice"),
    "masks": (masks.main, "masks of 12 phantom slices of every finished cell, to ship"),
    "figures": (figures.main, "Figures 4 to 9 from the cells that are there"),
}
COMMANDS: dict[str, Callable[[list[str]], int]] = {
    **{name: partial(command.main, table) for name, table in TABLES.items()},
    **{name: run for name, (run, _) in OTHERS.items()},
}


def described() -> str:
    """What there is, a line each."""
    about = {name: f"{table.title}: {table.about}" for name, table in TABLES.items()}
    about |= {name: text for name, (_, text) in OTHERS.items()}
    return "\n".join([str(__doc__), *(f"  {name:12} {text}" for name, text in about.items())])


def main(arguments: list[str]) -> int:
    """Run one experiment; 2 with the names of all for an unknown one."""
    if arguments[:1] in (["--help"], ["-h"]):
        print(described())
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        print(f"experiments: expected one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return COMMANDS[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

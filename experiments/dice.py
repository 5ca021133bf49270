"""Which Dice finds organs and nothing else: the kinds of --dice on the phantom and on CHAOS.

    python -m experiments dice --chaos chaos:PATH --runs RUNS

trains FiLM with the terms of `disentangle` and each kind of Dice for the same number of steps at 96 x 96, measures it
on phantom subjects that no training and no shipped number uses and on the validation patients of fold 0, and prints
one table. Without --chaos it leaves CHAOS out.
"""

from __future__ import annotations

import sys

from dafnet_core.losses.functions import DICE
from experiments import disentangle
from experiments.sweep import Cell, Sweep

REAL = "--spacing 3.78 --rotation 10"  # the whole body in 96 pixels
KINDS = ("single", "deformed", "fused")
COLUMNS = {
    f"{title}, {name}": tuple(f"segmentation.{modality}.{kind}.{path}" for kind in KINDS)
    for title, path in (
        ("volume Dice", "dice_volume_mean"),
        ("Dice of slices", "dice_mean"),
        ("absent classes shown", "false_positive.rate"),
    )
    for name, modality in (("cine or T1", "cine|T1"), ("LGE or T2", "LGE|T2"))
}
SWEEP = Sweep("dice", COLUMNS)


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well."""
    parser = SWEEP.parser(f"{__doc__}\nCells hold {', '.join(KINDS)}.", "--steps 480 --finish-steps 60")
    parser.add_argument("--chaos", help="such as chaos:PATH; fold 0")
    parser.add_argument("--kinds", nargs="+", default=tuple(DICE), choices=tuple(DICE))
    given = parser.parse_args(arguments)
    cells = {
        f"phantom-{kind}": Cell(f"{disentangle.BASE} {disentangle.DATA} --dice {kind}", disentangle.SUBJECTS)
        for kind in given.kinds
    }
    if given.chaos:
        cells |= {
            f"chaos-{kind}": Cell(f"{disentangle.BASE} {REAL} --data {given.chaos} --dice {kind}", given.chaos, "val")
            for kind in given.kinds
        }
    return SWEEP.run(cells, given)


if __name__ == "__main__":
    sys.exit(main())

"""What keeps intensities and the modality out of the anatomy: FiLM on the phantom with each term alone, and with all.

    python -m experiments disentangle --runs RUNS

trains each variant for the same number of steps at 96 x 96 (--list prints the commands instead), measures it on phantom
subjects that no training and no shipped number uses, and prints one table. What is there already is not made again.
"""

from __future__ import annotations

import sys

from dafnet_core.training.config import CLEAN, RECIPES
from experiments.sweep import Cell, Sweep

SUBJECTS = "phantom:seed=9700,subjects=8,difficulty=standard"  # to choose terms on; never those of the cards
DATA = "--data phantom --difficulty varied"
BASE = "--recipe clean --decoder film --size 96 --ema 0.98"
LEFT_OUT = {"flips": 3.0, "contrast": 8.0}  # by the recipe clean
ALONE = {name: RECIPES["clean"].get(f"w_{name}", 0.0) for name in CLEAN} | LEFT_OUT


def options_of(*terms: str) -> str:
    """Options that give some of the terms that clean the anatomy their weight, and all others 0."""
    return " ".join(f"--w-{name.replace('_', '-')} {ALONE[name] if name in terms else 0:g}" for name in CLEAN)


VARIANTS = {  # options on top of BASE
    "none": options_of(),
    **{name: options_of(name) for name in CLEAN},
    "all": "",  # the recipe as it is
}
COLUMNS = {
    "speckle": ("speckle.cine.share", "speckle.LGE.share"),
    "boundary": ("speckle.cine.boundary_ratio", "speckle.LGE.boundary_ratio"),
    "intensity": ("invariance.intensity.cine", "invariance.intensity.LGE"),
    "modality": ("invariance.modality.agreement",),
    "sensitivity 5 %": ("sensitivity.cine.p05", "sensitivity.LGE.p05"),
    "modality from s": ("leakage.occupancies.accuracy", "leakage.pooled.accuracy"),
    "by a CNN, nats": ("leakage.cnn.excess_nats",),
    "probe of z": ("probe.accuracy",),
    "swaps": ("swap.cine_to_LGE.accuracy", "swap.LGE_to_cine.accuracy"),
    "prior, Dice kept": ("prior.dice_kept",),
    "IOB of s, z": ("iob.s.value", "iob.z.value"),
    "Dice single": ("segmentation.cine.single.dice_volume_mean", "segmentation.LGE.single.dice_volume_mean"),
    "Dice LGE fused": ("segmentation.LGE.fused.dice_volume_mean",),
    "own L1": ("reconstruction.cine.own_l1", "reconstruction.LGE.own_l1"),
    "alignment": ("registration.error_before_px", "registration.error_after_px"),
}
SWEEP = Sweep("disentangle", COLUMNS, measures="all")


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well."""
    parser = SWEEP.parser(__doc__, "--steps 480 --finish-steps 60")
    parser.add_argument("--variants", nargs="+", default=tuple(VARIANTS), choices=tuple(VARIANTS))
    given = parser.parse_args(arguments)
    return SWEEP.run({v: Cell(f"{BASE} {DATA} {VARIANTS[v]}", SUBJECTS) for v in given.variants}, given)


if __name__ == "__main__":
    sys.exit(main())

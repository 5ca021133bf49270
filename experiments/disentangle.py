"""What keeps intensities and the modality out of the anatomy: FiLM on the phantom with each term alone, and with all.

    python -m experiments disentangle --runs RUNS

trains each variant for the same number of steps at 96 x 96 (--list prints the commands instead), measures it on phantom
subjects that no training and no shipped number uses, and prints one table. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dafnet_core.checkpoints.file import load
from dafnet_core.evaluate import evaluate
from dafnet_core.files import atomic_write
from dafnet_core.training.cli import main as train

RESULTS = Path(__file__).parent / "results" / "disentangle"
SUBJECTS = "phantom:seed=9700,subjects=8,difficulty=standard"  # to choose terms on; never those of the cards
BASE = (
    "--data phantom --decoder film --size 96 --w-rec 6 --w-rec-z 0.1 --w-kl 0.01 --kl-phase1 0.002 --w-swap 1 "
    "--without adv_mask adv_image --lr 1.5e-3 --clean-from 60 --clean-ramp 120 --ema 0.98"
)
VARIANTS = {  # options on top of BASE
    "none": "",
    "invariance": "--w-invariance 1",
    "boundary": "--w-boundary 1.5",
    "confidence": "--w-confidence 0.6 --w-balance 1",
    "flips": "--w-flips 3",
    "hide": "--w-hide 0.1",
    "agree": "--w-agree 1",
    "all": "--w-invariance 1 --w-boundary 1.5 --w-confidence 0.6 --w-balance 1 --w-flips 1 --w-agree 1",
}
COLUMNS = {  # title: dotted paths of the numbers, one a modality or one alone
    "speckle": ("speckle.cine.share", "speckle.LGE.share"),
    "boundary": ("speckle.cine.boundary_ratio", "speckle.LGE.boundary_ratio"),
    "intensity": ("invariance.intensity.cine", "invariance.intensity.LGE"),
    "modality": ("invariance.modality.agreement",),
    "sensitivity 5 %": ("sensitivity.cine.p05", "sensitivity.LGE.p05"),
    "modality from s": ("leakage.occupancies.accuracy", "leakage.pooled.accuracy"),
    "probe of z": ("probe.accuracy",),
    "swaps": ("swap.cine_to_LGE.accuracy", "swap.LGE_to_cine.accuracy"),
    "prior, Dice kept": ("prior.dice_kept",),
    "Dice single": ("segmentation.cine.single.dice_volume_mean", "segmentation.LGE.single.dice_volume_mean"),
    "Dice LGE fused": ("segmentation.LGE.fused.dice_volume_mean",),
    "own L1": ("reconstruction.cine.own_l1", "reconstruction.LGE.own_l1"),
    "alignment": ("registration.error_before_px", "registration.error_after_px"),
}


def training_arguments(variant: str, runs: Path, options: Sequence[str]) -> list[str]:
    """Arguments of train.py for a variant; `options` come last."""
    run = runs / variant
    asked = [*shlex.split(BASE), *shlex.split(VARIANTS[variant]), *options]
    return [*(["--resume"] if (run / "config.json").exists() else asked), "--out", str(run)]


def number_at(result: Mapping[str, Any], path: str) -> float | None:
    """A number of the JSON of `evaluate` by its dotted path; None where it is not there."""
    value: Any = result
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return None if value is None else float(value)


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Results by variant as Markdown; two numbers in a cell are of cine and LGE, or as the column says."""
    rows = [["terms", "channels", *COLUMNS], ["---"] * (len(COLUMNS) + 2)]
    for variant in [v for v in VARIANTS if v in results]:
        occupancy = results[variant]["channel_occupancy"]
        alive = [sum(share > 0.01 for share in shares) for shares in occupancy.values()]
        cells = [" / ".join(_shown(number_at(results[variant], path)) for path in paths) for paths in COLUMNS.values()]
        rows.append([variant, " / ".join(map(str, alive)), *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _shown(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments disentangle",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=Path, default=Path("runs") / "disentangle", help="folder of the runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the numbers")
    parser.add_argument("--variants", nargs="+", default=tuple(VARIANTS), choices=tuple(VARIANTS))
    parser.add_argument("--data", default=SUBJECTS, help="to measure on")
    parser.add_argument("--list", action="store_true", help="print the commands that train, and stop")
    parser.add_argument("--options", default="--steps 480 --finish-steps 60", help="further options of train.py")
    given = parser.parse_args(arguments)
    options = shlex.split(given.options)
    for variant in given.variants:
        asked, result = training_arguments(variant, given.runs, options), given.results / f"{variant}.json"
        if given.list:
            print("python train.py", shlex.join(asked))
        elif not result.exists():
            last = given.runs / variant / "last.safetensors"
            if code := train(asked):
                return code
            numbers = evaluate(load(last), given.data, slow=True).to_json()
            about = {"variant": variant, "training": load(last).training.command}
            atomic_write(result, (json.dumps(about | numbers, indent=1) + "\n").encode())
    if not given.list:
        print(table({p.stem: json.loads(p.read_text()) for p in given.results.glob("*.json")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

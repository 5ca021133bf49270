"""What further passes of the aligner bring, without training again: python benchmarks/align_passes.py CHECKPOINT

Error of alignment and Dice with 1, 2 and 3 passes (`align_passes`), on 12 phantom subjects that the bars are not
judged on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dafnet_core.checkpoint import load
from dafnet_core.data.sources import judging_data
from dafnet_core.evaluate import judge

DATA = "phantom:seed=9100,subjects=12,difficulty=standard"


def main(path: str) -> None:
    checkpoint = load(path)
    model, info = checkpoint.model, {"trained_with": checkpoint.model.config.align_passes}
    data = judging_data(DATA, "all", size=checkpoint.train["size"], spacing=None, modalities=model.config.modalities)
    for passes in (1, 2, 3):
        model.aligner.passes = passes
        found = judge(model, data, statistics=False).found
        info[f"passes_{passes}"] = found["registration"] | {
            f"{name}_{kind}_dice": round(value["dice_mean"], 4)
            for name, kinds in found["segmentation"].items()
            for kind, value in kinds.items()
        }
    print(json.dumps({"checkpoint": Path(path).name, "data": DATA} | info, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])

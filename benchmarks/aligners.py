"""How fast aligners learn local warps: python -m benchmarks.aligners [STEPS]

The paper's aligner (dense) and the compact model's (matching), each with one and two passes, are trained alone, on
pairs of phantom label maps that are deformed by known smooth warps, from the same batches. Reported: mean error of the
sampling position over the organs, pixels at 128 x 128, on subjects never trained on. Steps of all four take turns, so
that `seconds` can be compared too.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dafnet_core.config import ModelConfig
from dafnet_core.data.dataset import PairedSlices, random_fields
from dafnet_core.data.deform import deform
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.geometry import pixel_centres
from dafnet_core.losses.functions import warp_error
from dafnet_core.networks.aligner import make_aligner

SIZE, BATCH, WARP = 128, 8, 4.0
WAYS = {
    "dense, 1 pass": ("dense", 1),
    "dense, 2 passes": ("dense", 2),
    "matching, 1 pass": ("matching", 1),
    "matching, 2 passes": ("matching", 2),
}


def pairs(data: PairedSlices, chosen: Sequence[int], rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Anatomies (2, B, 4, H, W) of fixed and moving, displacements (2, B, H, W, 2) as in Batch, organs (B, H, W)."""
    labels = torch.from_numpy(np.stack([data[int(n)].masks[0] for n in chosen]))
    fields = np.stack([random_fields(rng, len(chosen), SIZE, SIZE, WARP) for _ in range(2)])
    warped = torch.stack([deform(labels[:, None], f, labels=True)[:, 0] for f in fields])
    return F.one_hot(warped.long(), 4).movedim(-1, 2).float(), torch.from_numpy(fields) * (2 / SIZE), warped[0] > 0


def main(steps: int = 250) -> None:
    train, test = phantom_slices(5, range(64), size=SIZE), phantom_slices(9200, range(8), size=SIZE)
    torch.manual_seed(0)
    made = {
        way: make_aligner(
            ModelConfig.compact(
                ("a", "b"),
                ("x", "y"),
                channels=4,
                aligner=kind,
                align_passes=passes,
                aligner_width={"dense": 20, "matching": 32}[kind],
            )
        )
        for way, (kind, passes) in WAYS.items()
    }
    optimizers = {way: torch.optim.Adam(aligner.parameters(), 1e-3, (0.5, 0.999)) for way, aligner in made.items()}
    seconds = dict.fromkeys(WAYS, 0.0)
    for step in range(steps):
        rng = np.random.default_rng([1, step])
        (fixed, moving), known, organs = pairs(train, rng.choice(len(train), BATCH, replace=False), rng)
        for way, aligner in made.items():
            start = time.perf_counter()
            for group in optimizers[way].param_groups:
                group["lr"] = 1e-3 * min(1.0, (step + 1) / 50)
            optimizers[way].zero_grad()
            warp_error(aligner(moving, fixed).grid, *known, organs).mean().backward()
            optimizers[way].step()
            seconds[way] += time.perf_counter() - start

    (fixed, moving), known, organs = pairs(test, range(len(test)), np.random.default_rng(2))
    still = pixel_centres(SIZE, SIZE, torch.float32).view(1, SIZE, SIZE, 2).expand(len(organs), -1, -1, -1)
    with torch.no_grad():
        grids = {way: aligner(moving, fixed).grid for way, aligner in made.items()}
    errors = {
        way: warp_error(g, *known, organs).mean().item() * SIZE / 2 for way, g in ({"none": still} | grids).items()
    }
    found = {
        "steps": steps,
        "error_px": {way: round(e, 2) for way, e in errors.items()},
        "seconds": {way: round(s, 1) for way, s in seconds.items()},
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

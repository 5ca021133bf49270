"""A traversal sheet with one `condition(s)` against separate decodes: python -m benchmarks.traversal [--json FILE]

8 dimensions x 7 steps at 192 x 192, published decoder sizes: all images of the sheet through one conditioning, and
the same images by `decode` in batches of seven, each with its own. The two take turns in one run; ratios are of
medians. The sheets of the compact decoders are timed too.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from benchmarks.machine import by_rounds
from dafnet_core.analysis.traversal import traverse
from dafnet_core.config import ModelConfig
from dafnet_core.networks.dafnet import DAFNet

SIDE = 192


@torch.inference_mode()
def separately(model: DAFNet, s: np.ndarray, z: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The same images (n_z, steps, H, W), a row of steps in a batch."""
    rows = []
    anatomies = torch.from_numpy(s)[None].expand(len(values), -1, -1, -1)
    for d in range(len(z)):
        moved = torch.tensor(z, dtype=torch.float32).repeat(len(values), 1)
        moved[:, d] = torch.from_numpy(values)
        rows.append(model.decode(anatomies, moved)[:, 0].numpy())
    return np.stack(rows)


def main(rounds: int) -> dict[str, object]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, (SIDE // 8, SIDE // 8)).repeat(8, 0).repeat(8, 1)
    s, z = np.eye(8, dtype=np.float32)[labels].transpose(2, 0, 1).copy(), rng.standard_normal(8)
    found: dict[str, object] = {"torch": torch.__version__, "threads": torch.get_num_threads(), "rounds": rounds}
    worst = 0.0
    for decoder in ("film", "spade"):
        torch.manual_seed(0)
        make = {
            size: make(("a", "b"), ("background", "organ"), decoder=decoder)
            for size, make in (("published", ModelConfig.published), ("compact", ModelConfig.compact))
        }
        models = {size: DAFNet(c).eval().to(memory_format=torch.channels_last) for size, c in make.items()}
        times: dict[str, list[float]] = {"sheet": [], "separate": [], "compact": []}
        for n in range(rounds + 1):
            start = time.perf_counter()
            ours = traverse(models["published"], s, z)
            middle = time.perf_counter()
            theirs = separately(models["published"], s, z, ours.values)
            end = time.perf_counter()
            traverse(models["compact"], s, z)
            last = time.perf_counter()
            if n:  # the first round warms up
                for key, seconds in zip(times, (middle - start, end - middle, last - end), strict=True):
                    times[key].append(seconds)
            worst = max(worst, float(np.abs(ours.images - theirs).max()))
        medians = {key: statistics.median(t) for key, t in times.items()}
        found |= {
            f"{decoder}_ratio": round(medians["separate"] / medians["sheet"], 2),
            f"{decoder}_seconds": {key: round(t, 3) for key, t in medians.items()},
        }
    return found | {"max_abs_difference": worst}


if __name__ == "__main__":
    by_rounds(__doc__, main, 5)

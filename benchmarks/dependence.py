"""Distance correlation of anatomies and z, against distances of flattened arrays: python -m benchmarks.dependence

The field's public metric code gives scipy's pdist the flattened one-hot anatomies in double precision. Here both ways
take turns on n = 400 anatomies of 192 x 192 with 8 channels and z in R^8: from the arrays to both statistics, without
permutations; `permutations_seconds` is what 199 of them add. n = 2,000 runs in a process of its own, whose peak memory
is read at its end.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import dcor  # noqa: F401 - numba compiles at import, before the clock runs
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import pdist, squareform

from benchmarks.machine import STDOUT, add_json_option, report, write_json
from dafnet_core.metrics.dependence import Dependence, anatomy_distances, dependence, euclidean_distances

ROOT = Path(__file__).resolve().parent.parent
SIDE, CHANNELS, N_Z, SLICES = 192, 8, 8, 8


def factors(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Smooth random anatomies (n, pixels) uint8, z (n, 8) and subjects (n,), eight slices each."""
    rng = np.random.default_rng(0)
    coarse = gaussian_filter(rng.standard_normal((n, CHANNELS, SIDE // 8, SIDE // 8)), (0, 0, 2, 2))
    labels = coarse.argmax(1).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    return labels.reshape(n, -1), rng.standard_normal((n, N_Z)), np.arange(n) // SLICES


def ours(labels: np.ndarray, z: np.ndarray, subjects: np.ndarray, permutations: int = 0) -> Dependence:
    return dependence(anatomy_distances(labels), euclidean_distances(z), subjects, permutations=permutations)


def flattened(labels: np.ndarray, z: np.ndarray, subjects: np.ndarray) -> Dependence:
    one_hot = np.eye(CHANNELS)[labels].reshape(len(labels), -1)
    return dependence(squareform(pdist(one_hot)), squareform(pdist(z)), subjects, permutations=0)


def large() -> dict[str, float]:
    """n = 2,000, meant to run alone in its process."""
    data = factors(2000)
    start = time.perf_counter()
    ours(*data)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds_n2000": round(seconds, 2), "peak_mb_n2000": round(peak)}


def main(rounds: int) -> dict[str, object]:
    own = subprocess.run(
        [sys.executable, "-m", "benchmarks.dependence", "--large"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    data = factors(400)
    times: dict[str, list[float]] = {"ours": [], "flattened": [], "permuted": []}
    for _ in range(rounds):
        start = time.perf_counter()
        a = ours(*data)
        middle = time.perf_counter()
        b = flattened(*data)
        end = time.perf_counter()
        ours(*data, permutations=199)
        for key, seconds in zip(times, (middle - start, end - middle, time.perf_counter() - end), strict=True):
            times[key].append(seconds)
    medians = {key: statistics.median(t) for key, t in times.items()}
    return {
        "rounds": rounds,
        "ratio": round(medians["flattened"] / medians["ours"], 1),
        "difference": max(abs(a.dcor - b.dcor), abs(a.dcor_squared_unbiased - b.dcor_squared_unbiased)),
        "seconds": {key: round(t, 3) for key, t in medians.items()},
        "permutations_seconds": round(medians["permuted"] - medians["ours"], 3),
    } | json.loads(own.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="only n = 2,000")
    add_json_option(parser)
    options = parser.parse_args()
    if options.large:
        write_json(large(), options.json or STDOUT)
    else:
        report(main(options.rounds), options.json)

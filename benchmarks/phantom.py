"""Pairs per second of the phantom on one core, as JSON: python -m benchmarks.phantom."""

import json
import os
import time

from dafnet_core.data.phantom import SLICES, generate
from dafnet_core.data.phantom.difficulty import VERSIONS, WIDE

SUBJECTS = 16


def pairs_per_second(size: int, difficulty: str) -> float:
    """Generate SUBJECTS subjects of all slices, after one pair of warm-up."""
    generate(0, SUBJECTS, 0, size=size, difficulty=difficulty)
    start = time.perf_counter()
    for subject in range(SUBJECTS):
        for slice_index in range(SLICES):
            generate(0, subject, slice_index, size=size, difficulty=difficulty)
    return SUBJECTS * SLICES / (time.perf_counter() - start)


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):  # Linux: hold whatever threads numpy starts to one core
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    found = {
        kind: {str(size): round(pairs_per_second(size, kind), 1) for size in (96, 128)} for kind in ("standard", WIDE)
    }
    result = {"phantom_version": VERSIONS["standard"], "pairs_per_second": found["standard"]}
    print(json.dumps(result | {WIDE: {"phantom_version": VERSIONS[WIDE], "pairs_per_second": found[WIDE]}}))

"""Pairs per second of the phantom on one core, as JSON: python -m benchmarks.phantom."""

import json
import os
import time

from dafnet_core.data.phantom import SLICES, VERSION, generate

SUBJECTS = 16


def pairs_per_second(size: int) -> float:
    """Generate SUBJECTS subjects of all slices, after one pair of warm-up."""
    generate(0, SUBJECTS, 0, size=size)
    start = time.perf_counter()
    for subject in range(SUBJECTS):
        for slice_index in range(SLICES):
            generate(0, subject, slice_index, size=size)
    return SUBJECTS * SLICES / (time.perf_counter() - start)


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):  # Linux: hold whatever threads numpy starts to one core
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    speeds = {str(size): round(pairs_per_second(size), 1) for size in (96, 128)}
    print(json.dumps({"phantom_version": VERSION, "pairs_per_second": speeds}))

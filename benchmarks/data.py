"""Reading data: python -m benchmarks.data [--slices 100000] [--steps 300] [--chaos PATH] [--json FILE]

memory: the most private memory (USS, workers included) while a model trains on many slices. Each is a phantom's slice
    with noise of its own, so that no two are stored as one. They are prepared into a temporary folder.
pairs_per_s: how fast batches come by themselves for each number of workers, from files that were just written and are
    mostly in the system's memory; how fast steps are taken on a batch that is there; and both together.
chaos: seconds to read all slices of CHAOS for the first time, and again when all is prepared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import add_json_option, family, private_bytes, report
from dafnet_core.config import ModelConfig
from dafnet_core.data import phantom
from dafnet_core.data.cache import cache_folder, read_studies, usage
from dafnet_core.data.dataset import Augmentation, PairedSlices
from dafnet_core.data.loading import Steps, batches
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.sources import evaluation_data
from dafnet_core.data.studies import Study
from dafnet_core.parallel import usable_cores
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.step import TrainState, noise_of_step, pick_device, train_step

SIZE, BATCH_SIZE = 128, 4
PAIRS = 100  # of a subject
AUGMENTATIONS = {"plain": Augmentation(), "rotation 20, warp 4": Augmentation(20, 4)}


class Noisy:
    """Subjects of PAIRS pairs, each a phantom's with noise of its own; what `read_studies` needs of a DataSource."""

    kind = "noisy"

    def __init__(self, subjects: int) -> None:
        self.subjects = subjects
        self._drawn = phantom_slices(0, range(8), size=SIZE)

    def names(self) -> tuple[str, ...]:
        return tuple(f"{n:05d}" for n in range(self.subjects))

    def ingredients(self, name: str) -> list[str]:
        return [name]

    def study(self, name: str, preparation: Preparation) -> Study:
        rng = np.random.default_rng(int(name))
        samples = [self._drawn[(int(name) + k) % len(self._drawn)] for k in range(PAIRS)]
        pixels = np.stack([sample.images[:, 0] for sample in samples], 1)
        pixels = np.clip(pixels + 0.05 * rng.standard_normal(pixels.shape, np.float32), -1, 1)
        masks = np.stack([sample.masks for sample in samples], 1)
        return Study(name, tuple(pixels[:, None]), tuple(masks), (np.arange(float(PAIRS)),) * 2)


def noisy_slices(slices: int) -> PairedSlices:
    """About so many slices, two a pair, in the cache."""
    source = Noisy(max(1, round(slices / 2 / PAIRS)))
    preparation = Preparation(SIZE, SIZE)
    studies = read_studies(source, source.names(), preparation)
    return PairedSlices(phantom.MODALITIES, phantom.CLASSES, preparation, studies)


@dataclass
class Watch:
    """The most private memory in bytes, of this process and of all that it started, in the time of `watching`."""

    everything: int = 0
    main: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield
        finally:
            self.done.set()
            thread.join()

    def _look(self) -> None:
        while not self.done.wait(0.1):
            each = [private_bytes(pid) for pid in family(os.getpid())]
            self.everything, self.main = max(self.everything, sum(each)), max(self.main, each[0])


class Trained:
    """The compact FiLM model in training, every term on from the first step."""

    def __init__(self) -> None:
        self.device = pick_device("auto")
        self.config = TrainConfig.of(adversarial_from=-1, adversarial_ramp=0, batch_size=BATCH_SIZE)
        shape = ModelConfig.compact(phantom.MODALITIES, phantom.CLASSES)
        self.state = TrainState.create(shape, self.config, self.device)

    def steps(self, data: PairedSlices, augmentation: Augmentation, workers: int, count: int) -> Iterator[int]:
        """Take so many steps, and give the number of each one that is done."""
        pin = self.device.type == "cuda"
        with batches(steps_of(data, augmentation), 0, count, workers=workers, pin=pin) as coming:
            for number, batch in enumerate(coming):
                noise = noise_of_step(self.config, number, self.state.method).to(self.device)
                train_step(self.state, batch.to(self.device), noise, self.config)
                yield number

    def alone(self, data: PairedSlices, count: int) -> float:
        """Pairs a second on one batch that is on the device."""
        batch = steps_of(data, Augmentation())[0].to(self.device)
        times = []
        for number in range(count + 1):
            noise = noise_of_step(self.config, number, self.state.method).to(self.device)
            start = time.perf_counter()
            train_step(self.state, batch, noise, self.config)
            times.append(time.perf_counter() - start)
        return round(BATCH_SIZE / statistics.median(times[1:]), 2)


def steps_of(data: PairedSlices, augmentation: Augmentation) -> Steps:
    """The steps of a run on these data."""
    return Steps(data, BATCH_SIZE, 0, augmentation)


def memory(data: PairedSlices, workers: int, count: int) -> dict[str, Any]:
    """The most private memory while so many steps are taken."""
    watch, trained = Watch(), Trained()
    steps = trained.steps(data, AUGMENTATIONS["rotation 20, warp 4"], workers, count + 1)
    next(steps)  # starts the workers
    with watch.watching():
        taken = sum(1 for _ in steps)
    folder = cache_folder()
    assert folder is not None
    return {
        "slices": 2 * len(data),
        "prepared_gb": round(usage(folder)[1] / 1e9, 3),
        "workers": workers,
        "steps": taken,
        "augmentation": "rotation 20, warp 4",
        "private_mb": round(watch.everything / 1e6),
        "private_mb_without_workers": round(watch.main / 1e6),
    }


def loading(data: PairedSlices, augmentation: Augmentation, workers: int, count: int) -> float:
    """Pairs a second that come when nothing else is done; the start of the workers is not counted."""
    with batches(steps_of(data, augmentation), 0, count + 1, workers=workers) as coming:
        next(coming)
        start = time.perf_counter()
        taken = sum(1 for _ in coming)
        return round(taken * BATCH_SIZE / (time.perf_counter() - start), 1)


def together(data: PairedSlices, augmentation: Augmentation, workers: int, count: int) -> float:
    """Pairs a second of training with its loading."""
    steps = Trained().steps(data, augmentation, workers, count + 1)
    next(steps)
    start = time.perf_counter()
    taken = sum(1 for _ in steps)
    return round(taken * BATCH_SIZE / (time.perf_counter() - start), 2)


def speeds(data: PairedSlices, tried: list[int], count: int, steps: int) -> dict[str, Any]:
    """Pairs a second of loading, of steps, and of both."""
    return {
        "step": Trained().alone(data, steps),
        "loading": {
            name: {str(workers): loading(data, augmentation, workers, count) for workers in tried}
            for name, augmentation in AUGMENTATIONS.items()
        },
        "both": {
            name: {str(workers): together(data, augmentation, workers, steps) for workers in tried}
            for name, augmentation in AUGMENTATIONS.items()
        },
    }


def chaos(spec: str) -> dict[str, Any]:
    """Seconds to read all slices, twice."""
    folder, seconds, count = cache_folder(), [], 0
    assert folder is not None
    before = usage(folder)[1]
    for _ in range(2):
        start = time.perf_counter()
        _, data = evaluation_data(spec, "all", modalities=())
        count = sum(1 for n in range(len(data)) if data[n])
        seconds.append(round(time.perf_counter() - start, 3))
    prepared = round((usage(folder)[1] - before) / 1e9, 3)
    return {"slices": count, "first_s": seconds[0], "second_s": seconds[1], "prepared_gb": prepared}


@contextmanager
def own_cache(parent: Path | None) -> Iterator[None]:
    """An empty cache, removed afterwards."""
    kept = os.environ.get("DAFNET_CACHE")
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        os.environ["DAFNET_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("DAFNET_CACHE")
            if kept is not None:
                os.environ["DAFNET_CACHE"] = kept


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=100_000, help="that are trained on; 100,000 need 8.2 GB of disk")
    parser.add_argument("--steps", type=int, default=300, help="training steps whose memory is measured")
    parser.add_argument("--timed", type=int, default=30, help="steps, and a tenth of the batches, of each speed")
    parser.add_argument("--workers", type=int, default=2, help="while memory is measured")
    parser.add_argument("--chaos", type=Path, metavar="PATH", help="the MR data of CHAOS")
    parser.add_argument(
        "--folder", type=Path, help="where prepared slices are written, by default as for temporary files"
    )
    add_json_option(parser)
    options = parser.parse_args(arguments)
    torch.set_flush_denormal(True)
    tried = [workers for workers in (0, 1, 2, 4, 8) if workers <= max(2, usable_cores())]
    found: dict[str, Any] = {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
        "device": str(pick_device("auto")),
        "size": SIZE,
        "batch_size": BATCH_SIZE,
    }
    with own_cache(options.folder):
        start = time.perf_counter()
        data = noisy_slices(options.slices)
        seconds = time.perf_counter() - start
        found["memory"] = memory(data, options.workers, options.steps) | {"prepared_in_s": round(seconds)}
        found["pairs_per_s"] = speeds(data, tried, 10 * options.timed, options.timed)
    if options.chaos:
        with own_cache(options.folder):
            found["chaos"] = chaos(f"chaos:{options.chaos}")
    report(found, options.json)


if __name__ == "__main__":
    main()

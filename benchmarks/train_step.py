"""How fast training goes: python -m benchmarks.train_step [--rounds 8] [--compile] [--json FILE]

Pairs a second of whole steps: generator, discriminators, averaging, at 128 x 128 with the default loss terms. Every
way of computing (float32 or bfloat16, contiguous or channels_last, compiled or not) is timed in one process, its
rounds interleaved, so that the load of the machine falls on all of them alike. Data are made before the clock runs.
`gflop` counts what torch's counter sees of one step's convolutions and matrix products.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import add_json_option, report
from benchmarks.predict import ceiling
from dafnet_core.config import ModelConfig
from dafnet_core.data import phantom
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.step import TrainState, noise_of_step, pick_device, train_step

SIZE = 128
MODELS = {  # name -> networks, decoder, pairs a step, share of --rounds
    "compact FiLM": (ModelConfig.compact, "film", 4, 1.0),
    "compact SPADE": (ModelConfig.compact, "spade", 4, 1.0),
    "published FiLM": (ModelConfig.published, "film", 1, 0.25),
}


def ways(compiled: bool) -> dict[str, TrainConfig]:
    """The ways of computing; adversarial terms count from the first step."""
    base = TrainConfig.of(adversarial_from=-1, adversarial_ramp=0)
    memory = {"off": "contiguous", "on": "channels_last"}
    found = {
        f"{precision}, {memory[last]}": base.with_options(precision=precision, channels_last=last)
        for precision in ("fp32", "bf16")
        for last in memory
    }
    if compiled:
        found["bf16, channels_last, compiled"] = found["bf16, channels_last"].with_options(compile="on")
    return found


def measure(name: str, rounds: int, compiled: bool) -> dict[str, dict[str, float]]:
    """Median seconds, pairs a second and GFLOP of a step in every way."""
    make, decoder, batch_size, share = MODELS[name]
    device = pick_device("auto")
    shape = make(phantom.MODALITIES, phantom.CLASSES, decoder=decoder)
    data = phantom_slices(0, range(1), size=SIZE)
    batch = data.batch_at(0, batch_size, 0).to(device)
    runs = {way: config.with_options(batch_size=batch_size) for way, config in ways(compiled).items()}
    states = {way: TrainState.create(shape, config, device) for way, config in runs.items()}
    times: dict[str, list[float]] = {way: [] for way in runs}
    flops: dict[str, float] = {}
    for n in range(max(2, round(rounds * share)) + 1):
        for way, config in runs.items():
            noise = noise_of_step(config, n, states[way].method).to(device)
            start = time.perf_counter()
            train_step(states[way], batch, noise, config)  # ends with a fetch, so the device is done
            if n:  # the first round warms up, and compiles
                times[way].append(time.perf_counter() - start)
            elif config.machine.compile == "off":
                with FlopCounterMode(display=False) as counter:
                    train_step(states[way], batch, noise, config)
                flops[way] = counter.get_total_flops() / 1e9
    return {
        way: {
            "seconds": round(statistics.median(seconds), 3),
            "pairs_per_s": round(batch_size / statistics.median(seconds), 2),
            "gflop": round(flops.get(way, max(flops.values())), 1),
        }
        for way, seconds in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8, help="steps of each way that are timed (default: 8)")
    parser.add_argument(
        "--compile", action="store_true", help="also torch.compile, which needs a C++ compiler and many minutes"
    )
    add_json_option(parser)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    found = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": str(pick_device("auto")),
        "size": SIZE,
        "ceiling_gflop_per_s": ceiling(),
        "steps": {name: measure(name, options.rounds, options.compile) for name in MODELS},
    }
    report(found, options.json)


if __name__ == "__main__":
    main()

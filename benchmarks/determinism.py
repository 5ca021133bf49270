"""What is the same bit for bit, and what is only close: python -m benchmarks.determinism [--steps 30] [--json FILE]

Trains a small run (64 x 64 pixels, float32, one thread) again and again, each time with one thing changed, and
compares the final weights with those of the first run; also predicts and evaluates with a shipped
checkpoint.
tensorboard is compared where it is installed. Weights are those that are trained, not their average.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import add_json_option, machine, write_json
from dafnet_core.checkpoints.file import load
from dafnet_core.config import EVALUATION_SEED
from dafnet_core.data.dataset import collate
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.precision import supports_bf16

ROOT = Path(__file__).resolve().parent.parent
RUN = [
    "--subjects",
    "2",
    "--validation-subjects",
    "1",
    "--size",
    "64",
    "--batch-size",
    "4",
    "--adversarial-from",
    "2",
    "--precision",
    "fp32",
    "--device",
    "cpu",
]
QUIET = "import sys; sys.modules['torch.utils.tensorboard'] = None; import train; sys.exit(train.main())"


def command(*options: str, tensorboard: bool = False, processes: int = 1) -> list[str]:
    if processes > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "train.py"]
        return [sys.executable, *launcher, *options]
    return [sys.executable, *(["train.py"] if tensorboard else ["-c", QUIET]), *options]


def weights(run: Path) -> torch.Tensor:
    """All trained weights in a row, float64."""
    state = torch.load(run / "state.pt", weights_only=True)["train"]
    return torch.cat([state[k][n].flatten().double() for k in ("model", "critics") for n in sorted(state[k])])


def train(folder: Path, name: str, steps: int, *options: str, threads: int = 1, kill: bool = False, **how: Any) -> Path:
    """A run of that name; `kill` ends it by force after half of its steps and resumes it."""
    run = folder / name
    path = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": path}
    asked = command(*RUN, "--steps", str(steps), "--save-every", "3", "--out", str(run), *options, **how)
    if kill:
        process = subprocess.Popen(asked, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        log = run / "log.csv"
        while not log.exists() or log.read_text().count("\n") < steps // 2:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        asked = command("--out", str(run), "--resume")
    subprocess.run(asked, cwd=ROOT, env=environment, check=True, capture_output=True)
    return run


def trainings(folder: Path, steps: int) -> dict[str, dict[str, Any]]:
    """How far the weights of each changed run are from those of the first, and from themselves when run again."""
    ways: dict[str, dict[str, Any]] = {
        "again": {},
        "killed and resumed": {"kill": True},
        "2 threads": {"threads": 2},
        "2 processes of 1 thread": {"processes": 2},
        "contiguous memory": {"options": ("--channels-last", "off")},
        "another seed": {"options": ("--seed", "1")},
    }
    if importlib.util.find_spec("tensorboard"):
        ways["with TensorBoard"] = {"tensorboard": True}
    if supports_bf16(torch.device("cpu")):
        ways["bfloat16"] = {"options": ("--precision", "bf16")}
    first = weights(train(folder, "first", steps))
    found = {}
    for name, how in ways.items():
        how = dict(how)
        options = how.pop("options", ())
        runs = [weights(train(folder, f"{name} {n}", steps, *options, **how)) for n in range(2)]
        found[name] = {
            "bitwise": bool(torch.equal(first, runs[0])),
            "largest difference": float((first - runs[0]).abs().max()),
            "relative difference": float((first - runs[0]).norm() / first.norm()),
            "repeated: bitwise": bool(torch.equal(*runs)),
        }
        print(f"{name:26} {_row(found[name])}", flush=True)
    return found


def _row(row: dict[str, Any]) -> str:
    values = [f"{v!s:>10}" if isinstance(v, bool) else f"{v:10.2g}" for v in row.values()]
    return " ".join(values)


def predictions(subjects: int) -> dict[str, dict[str, float]]:
    """Share of mask pixels that change with threads, precision or batch, and the largest change of a probability."""
    checkpoint = load(ROOT / "checkpoints" / "cardiac-film.safetensors")
    data = phantom_slices(EVALUATION_SEED, range(subjects), size=checkpoint.preparation.height, difficulty="mixed")
    images = [collate([data[n]]).images for n in range(len(data))]

    def masks(threads: int, precision: str, batch: int = 1) -> torch.Tensor:
        torch.set_num_threads(threads)
        found = [
            checkpoint.model.predict(torch.cat(images[n : n + batch]), precision=precision)
            for n in range(0, len(images), batch)
        ]
        return torch.cat([torch.cat([f.single, f.deformed_masks, f.fused_masks]) for f in found], 1)

    first = masks(1, "fp32")
    found = {}
    for name, how in {
        "again": (1, "fp32"),
        "2 threads": (2, "fp32"),
        "batch of 8": (1, "fp32", 8),
        "bfloat16": (1, "bf16"),
        "bfloat16, 2 threads": (2, "bf16"),
    }.items():
        other = masks(*how)
        found[name] = {
            "mask pixels that differ, %": 100 * float((other.argmax(2) != first.argmax(2)).float().mean()),
            "largest difference of a probability": float((other - first).abs().max()),
        }
        print(f"{name:26} {_row(found[name])}", flush=True)
    return found


def evaluations(subjects: int) -> dict[str, float]:
    """The largest difference of any number that `evaluate` prints, by how it was run."""

    def numbers(threads: int) -> dict[str, Any]:
        asked = [
            sys.executable,
            "-m",
            "dafnet_core.evaluate",
            "checkpoints/cardiac-film.safetensors",
            "--data",
            f"phantom:subjects={subjects}",
        ]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        return json.loads(subprocess.run(asked, cwd=ROOT, env=environment, check=True, capture_output=True).stdout)

    def largest(a: Any, b: Any) -> float:
        if isinstance(a, dict):
            return max((largest(v, b[k]) for k, v in a.items()), default=0.0)
        if isinstance(a, list):
            return max((largest(*pair) for pair in zip(a, b, strict=True)), default=0.0)
        return abs(a - b) if isinstance(a, float) else float(a != b)

    first = numbers(1)
    found = {name: largest(first, numbers(threads)) for name, threads in (("again", 1), ("2 threads", 2))}
    for name, value in found.items():
        print(f"{name:26} {value:10.2g}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30, help="of every training (default: 30)")
    parser.add_argument("--subjects", type=int, default=4, help="to predict and evaluate (default: 4)")
    add_json_option(parser)
    options = parser.parse_args()
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "torch": torch.__version__,
        "steps": options.steps,
        "subjects": options.subjects,
    }
    print(f"{result['date']}, {result['machine']}, torch {result['torch']}\n")
    print(f"weights after {options.steps} steps: bitwise, largest difference, relative difference, repeated: bitwise")
    with tempfile.TemporaryDirectory() as folder:
        result["training"] = trainings(Path(folder), options.steps)
    print("\nmasks: pixels that differ (%), largest difference of a probability")
    result["prediction"] = predictions(options.subjects)
    print("\nevaluate: largest difference of any number")
    result["evaluate"] = evaluations(max(options.subjects, 3))
    write_json(result, options.json)


if __name__ == "__main__":
    main()

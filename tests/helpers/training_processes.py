"""Trainings as processes that can be killed, and checks of the folders that they leave."""

import csv
import json
import os
import shutil
import subprocess
import sys

import torch
from PIL import Image

from dafnet_core.checkpoints.file import load
from tests.helpers.paths import ROOT

APART = ["unshare", "-rm"]  # a mount namespace of its own, where the kernel lets anybody have one


class Server:
    """Trainings as processes; see training_server.py."""

    def __init__(self, folder):
        self.apart = shutil.which("unshare") and not subprocess.run([*APART, "true"], capture_output=True).returncode
        self.said, self.count = folder, 0
        self.process = subprocess.Popen(
            [*(APART if self.apart else []), sys.executable, "tests/helpers/training_server.py"],
            cwd=ROOT,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, **job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(self, *arguments, **how):
        """A training's process id, and the file that it talks to."""
        self.count += 1
        said = self.said / f"said{self.count}"
        return self.ask(train=[str(a) for a in arguments], said=str(said), **how), said

    def run(self, *arguments, **how):
        """Exit status and output of an undisturbed training run."""
        pid, said = self.start(*arguments, **how)
        return self.ask(wait=pid), said.read_text()


def check_every_file(run):
    """Each file of a run is whole, or has the name of one that was being written."""
    for path in run.rglob("*"):
        if path.is_dir() or path.suffix == ".part":
            continue
        kind = path.suffix
        if kind == ".safetensors":
            load(path)
        elif kind == ".pt":
            assert torch.load(path, weights_only=True)["train"]["step"] > 0
        elif kind == ".json":
            assert json.loads(path.read_text())
        elif kind == ".csv":
            with open(path, newline="") as file:
                assert all(None not in row.values() and None not in row for row in csv.DictReader(file))
        elif kind == ".png":
            Image.open(path).load()
        else:
            assert path.suffix == ".md"
            assert path.read_text().endswith("Not a medical device.\n")


def check_same_as(straight, run):
    """Weights, logs and split are those of the undisturbed run, to the last bit; nothing is left over."""
    for name in ("best.safetensors", "last.safetensors"):
        a, b = (load(p / name).model.state_dict() for p in (straight, run))
        assert all(torch.equal(v, b[k]) for k, v in a.items())
    for name in ("log.csv", "epochs.csv", "validation.csv", "split.json", "config.json"):
        assert (straight / name).read_bytes() == (run / name).read_bytes()
    assert sorted(p.relative_to(run) for p in run.rglob("*")) == sorted(
        p.relative_to(straight) for p in straight.rglob("*")
    )


def rows_in(path):
    return path.read_text().count("\n") if path.exists() else 0

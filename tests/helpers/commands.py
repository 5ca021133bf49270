"""Command lines as processes."""

import hashlib
import signal
import subprocess
import sys

from tests.helpers.paths import ROOT

TINY = ["--subjects", "1", "--validation-subjects", "1", "--size", "64", "--batch-size", "2"]


def call(*arguments, module="train.py"):
    command = [sys.executable, *(["-m", module] if module.startswith("dafnet") else [module]), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def shipped():
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (ROOT / "checkpoints").iterdir()}


def interruptible():
    """As Popen's preexec_fn: SIGINT reaches the process, also where the tests run in a background that ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

"""Runs cells that are missing: one after the other, or several at once, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path

from dafnet_core.files import describe_error
from dafnet_core.parallel import usable_cores
from experiments.cell import Cell, make
from experiments.protocol import Setting

ROOT = Path(__file__).resolve().parents[1]
QUIET_SECONDS = "20"  # between two lines of a progress bar that several processes share


def run_here(cells: Sequence[Cell], setting: Setting, in_time: Callable[[], bool]) -> dict[str, str]:
    """Make cells one after the other while there is time; returns why some could not be made, by name."""
    problems = {}
    for count, cell in enumerate(cells, 1):
        if not in_time():
            break
        say(f"{cell.name} ({count} of {len(cells)})")
        try:
            with redirect_stdout(sys.stderr):  # the table alone goes to standard output
                record = make(cell, setting)
        except (ValueError, OSError, RuntimeError) as error:  # torch raises a RuntimeError where memory ends
            problems[cell.name] = describe_error(error)
        else:
            if record.failure:
                say(f"{cell.name}: {record.failure}")
        if cell.name in problems:
            say(f"{cell.name}: {problems[cell.name]}")
    return problems


def run_processes(
    commands: Mapping[str, Sequence[str]], folder: Path, jobs: int, in_time: Callable[[], bool]
) -> dict[str, str]:
    """Run commands, several at once, while there is time; returns why some failed, by name.

    Args:
        commands: arguments of `python -m experiments` by the name of the cell that they make.
        folder: of the logs, NAME.log.
    """
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {
        "OMP_NUM_THREADS": str(max(usable_cores() // jobs, 1)),
        "TQDM_MININTERVAL": QUIET_SECONDS,
    }
    environment |= {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
    folder.mkdir(parents=True, exist_ok=True)
    problems: dict[str, str] = {}
    running: set[subprocess.Popen[str]] = set()
    stopped = threading.Event()

    def run(name: str) -> None:
        if stopped.is_set() or not in_time():
            return
        log = folder / f"{name}.log"
        command = [sys.executable, "-m", "experiments", *commands[name]]
        process = subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace"
        )
        running.add(process)
        with process, open(log, "a") as written:
            for line in process.stdout or ():
                written.write(line)
                written.flush()
                if line.strip():
                    say(f"{name}: {line.rstrip()}")
        running.discard(process)
        if process.returncode:
            problems[name] = f"ended with {process.returncode}, see {log}"

    with ThreadPoolExecutor(jobs) as pool:
        try:
            list(pool.map(run, commands))
        except BaseException:  # an interrupt ends the cells that run, too; all of them go on next time
            stopped.set()
            for process in running.copy():
                process.terminate()
            raise
    return problems


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def until(minutes: float | None) -> Callable[[], bool]:
    """Tells whether fewer than some minutes have passed since this call; always for None."""
    start = time.monotonic()
    return lambda: minutes is None or time.monotonic() - start < 60 * minutes

"""What benchmarks share: the machine they ran on, how they report, and the command line of those that repeat.

Run each from the top of the repository, as in `python -m benchmarks.train_step`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dafnet_core.parallel import usable_cores

STDOUT = Path("-")


def machine() -> str:
    """The processor, how many of its cores may be used, and the Python that runs on them."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = "1 core" if (count := usable_cores()) == 1 else f"{count} cores"
    return f"{names[0] if names else platform.machine()}, {cores}, Python {platform.python_version()}"


def family(pid: int) -> list[int]:
    """A process and all that it started, directly or not; Linux only."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # it has just ended
        lists = []
    return [pid, *(one for children in lists for child in children.split() for one in family(int(child)))]


def private_bytes(pid: int) -> int:
    """Memory that would be free without this process (USS), in bytes; 0 if it has ended; Linux only."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add --json FILE, for `write_json` or `report`; None where it is not given."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result to FILE; -: standard output")


def write_json(result: Mapping[str, object], target: Path | None) -> None:
    """Write a result as JSON to a file, to standard output for STDOUT, or nowhere for None."""
    text = json.dumps(result, indent=1) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
    elif target:
        target.write_text(text)


def report(result: Mapping[str, object], target: Path | None) -> None:
    """Print a result as JSON with date and machine before it, and write the same to `target`, if that is a file."""
    dated = {"date": datetime.date.today().isoformat(), "machine": machine(), **result}
    write_json(dated, STDOUT)
    if target != STDOUT:
        write_json(dated, target)


def by_rounds(
    description: str | None,
    measure: Callable[[int], Mapping[str, object]],
    rounds: int,
    arguments: Sequence[str] | None = None,
) -> None:
    """The command line of a benchmark that repeats what it times: --rounds, `rounds` by default, and --json FILE."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    add_json_option(parser)
    options = parser.parse_args(arguments)
    report(measure(options.rounds), options.json)

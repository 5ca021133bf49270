"""What benchmarks share: what they were measured on, how they report, and the command line of those that repeat."""

import argparse
import datetime
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path


def machine() -> str:
    """The processor, how many cores there are, and the Python that runs on them."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def report(found: dict[str, object], target: Path | None) -> None:
    """What was found, with day and machine before it, as JSON: printed, and written where `target` says so."""
    on = {"date": datetime.date.today().isoformat(), "machine": machine()}
    text = json.dumps(on | found, indent=1)
    print(text)
    if target:
        target.write_text(text + "\n")


def by_rounds(description: str | None, measure: Callable[[int], dict[str, object]], rounds: int) -> None:
    """The command line of a benchmark that repeats what it times: --rounds, `rounds` by default, and --json FILE."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers there")
    options = parser.parse_args()
    report(measure(options.rounds), options.json)

"""What numbers were measured on, and the command line of benchmarks that repeat what they time."""

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


def by_rounds(description: str | None, measure: Callable[[int], dict[str, object]], rounds: int) -> None:
    """Run `measure` for --rounds, `rounds` by default, and write what it finds as JSON, with day and machine."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", default="-", metavar="FILE", help="where to write; - is standard output")
    options = parser.parse_args()
    found = measure(options.rounds)
    on = {"date": datetime.date.today().isoformat(), "machine": machine()}
    text = json.dumps(on | found, indent=1)
    if options.json == "-":
        print(text)
    else:
        Path(options.json).write_text(text + "\n")

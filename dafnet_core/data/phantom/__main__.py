"""Write phantom subjects: python -m dafnet_core.data.phantom OUT --subjects N --seed S."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dafnet_core.data.phantom.constants import SLICES
from dafnet_core.data.phantom.difficulty import DIFFICULTIES
from dafnet_core.data.phantom.write import write_folder


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m dafnet_core.data.phantom",
        description="Write phantom subjects as an nnU-Net v2 folder with one mask per modality.",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write, new or empty")
    parser.add_argument("--subjects", type=int, required=True, help="how many")
    parser.add_argument("--seed", type=int, required=True, help="which population")
    parser.add_argument("--difficulty", choices=DIFFICULTIES, default="standard")
    parser.add_argument("--size", type=int, default=128, help="pixels along each side (default 128)")
    parser.add_argument("--slices", type=int, default=SLICES, help=f"base to apex (default {SLICES})")
    parser.add_argument("--phases", type=int, default=1, help="frames of the cine over one heartbeat (default 1)")
    options = parser.parse_args(arguments)
    try:
        write_folder(
            options.out,
            options.subjects,
            options.seed,
            difficulty=options.difficulty,
            size=options.size,
            slices=options.slices,
            phases=options.phases,
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

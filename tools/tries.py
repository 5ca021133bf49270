"""Put the table of the runs that a checkpoint was chosen from on its card: python -m tools.tries CHECKPOINT FILE.csv

The file's first row is the head. Weights and numbers stay as they are.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path

from dafnet_core.checkpoints.file import load
from dafnet_core.files import describe_error
from dafnet_core.training.export import write_checkpoint


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well, 2 with a sentence on standard error if not."""
    parser = argparse.ArgumentParser(prog="python -m tools.tries", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("table", type=Path, metavar="FILE.csv")
    given = parser.parse_args(arguments)
    try:
        with given.table.open(newline="", encoding="utf-8") as file:
            rows = tuple(tuple(row) for row in csv.reader(file) if row)
        write_checkpoint(replace(load(given.checkpoint), tries=rows), given.checkpoint, half=True)
    except (ValueError, OSError) as error:
        print(f"tries: {describe_error(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

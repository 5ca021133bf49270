"""python -m experiments TABLE [...]: `section-vh` is Sec. V-H; `disentangle` and `dice` compare loss terms."""

from __future__ import annotations

import sys

from experiments import dice, disentangle, section_vh

TABLES = {"dice": dice.main, "disentangle": disentangle.main, "section-vh": section_vh.main}


def main(arguments: list[str]) -> int:
    """Run one table; 2 with the names of all for an unknown one."""
    if not arguments or arguments[0] not in TABLES:
        print(f"experiments: expected one of {', '.join(TABLES)}", file=sys.stderr)
        return 2
    return TABLES[arguments[0]](arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

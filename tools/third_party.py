"""Every package of requirements.txt with its licence: python -m tools.third_party writes THIRD_PARTY.md

--check writes nothing, and fails where the file is out of date, or where requirements.txt lacks a package that another
one there needs. Versions are those of the lock, licences those that the installed packages state; dependencies are
those for the lock's Python, 3.11.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCK, LIST = ROOT / "requirements.txt", ROOT / "THIRD_PARTY.md"
OF_A_GPU = re.compile("nvidia-|cuda-|triton")  # what a CUDA build of torch brings is pinned by that build
HEAD = """# Third-party packages

What `pip install -r requirements.txt` installs, with the licence that each package states; none of it is part of this
repository. Written by `python -m tools.third_party`; a test runs it with `--check`. A CUDA build of torch brings
NVIDIA's libraries as well, under NVIDIA's own terms; the CPU build brings none. Streamlit's package holds the web page
that it serves, with the JavaScript libraries and fonts in it. Checkpoints have
[their own licences](checkpoints/LICENSE.md).
"""


@dataclass(frozen=True)
class Pin:
    """A line of the lock, and the comment above its group."""

    name: str
    version: str
    group: str

    @property
    def key(self) -> str:
        return canonicalize_name(self.name)


def pins() -> list[Pin]:
    """The packages of the lock, in its order."""
    found, group = [], ""
    for line in LOCK.read_text().splitlines():
        if line.startswith("# "):
            group = line.removeprefix("# ").rstrip(":")
        elif line and not line.startswith("#:"):
            wanted = Requirement(line.partition(" #")[0])
            found.append(Pin(wanted.name, str(wanted.specifier).removeprefix("=="), group))
    return found


def licence(package: Distribution) -> str:
    """What a package states: an SPDX expression, else its classifier, else the first line of the text."""
    stated = package.metadata
    classifiers = [c.rpartition(" :: ")[2] for c in stated.get_all("Classifier", []) if c.startswith("License")]
    text = (stated["License"] or "").partition("\n")[0]
    return stated["License-Expression"] or ", ".join(classifiers) or text or "not stated"


def needed(package: Distribution) -> set[str]:
    """Names of what a package needs here, extras left out."""
    wanted = map(Requirement, package.requires or [])
    return {canonicalize_name(w.name) for w in wanted if w.marker is None or w.marker.evaluate({"extra": ""})}


def installed(pin: Pin) -> Distribution:
    """The package of a pin.

    Raises:
        SystemExit: it is missing, or has another version.
    """
    try:
        found = distribution(pin.name)
    except PackageNotFoundError:
        sys.exit(f"{pin.name} is not installed; run pip install -r requirements.txt first")
    if found.version.partition("+")[0] != pin.version:
        sys.exit(f"{pin.name} {found.version} is installed, the lock has {pin.version}; install the lock first")
    return found


def table() -> tuple[str, list[str]]:
    """The list as Markdown, and what the lock lacks."""
    known = pins()
    packages = {pin.key: installed(pin) for pin in known}
    needs = {name: needed(package) for name, package in packages.items()}
    missing = {n for names in needs.values() for n in names} - packages.keys()
    lines, group = [HEAD], ""
    for pin in known:
        if pin.group != group:
            group = pin.group
            lines.append(f"\n## {group}\n\n| package | version | licence | needed by |\n|---|---|---|---|\n")
        by = ", ".join(sorted(other for other, wanted in needs.items() if pin.key in wanted))
        lines.append(f"| {pin.name} | {pin.version} | {licence(packages[pin.key])} | {by} |\n")
    wrong = [f"{name} is needed, but not in requirements.txt" for name in sorted(missing) if not OF_A_GPU.match(name)]
    return "".join(lines), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 where something is out of date")
    options = parser.parse_args()
    text, wrong = table()
    if options.check and text != LIST.read_text():
        wrong.append("THIRD_PARTY.md is out of date; run python -m tools.third_party")
    if not options.check:
        LIST.write_text(text)
    print(*wrong, sep="\n", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

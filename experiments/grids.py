"""Grids of text as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

Grid = Sequence[Sequence[str]]  # rows of equal length, the first one is the head


def markdown(grid: Grid) -> str:
    """A table in Markdown."""
    head, *rows = grid
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def latex(grid: Grid) -> str:
    """A tabular of LaTeX; the head is escaped, and so is every cell that holds no command."""
    lines = [" & ".join(cell if "\\" in cell else _escaped(cell) for cell in row) + r" \\" for row in grid]
    columns = "l" * len(grid[0])
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", lines[0], r"\hline", *lines[1:], r"\end{tabular}"])


def comma_separated(grid: Grid) -> str:
    """A table as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(grid)
    return text.getvalue().rstrip()


def _escaped(text: str) -> str:
    for letter in "&%$#_{}":
        text = text.replace(letter, f"\\{letter}")
    return text

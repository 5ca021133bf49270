"""Tables as Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from experiments.grids import Grid, comma_separated, latex, markdown
from experiments.table import Entry, Table

FORMATS = ("markdown", "csv", "latex", "json")
METRIC_WORDS = {
    "dice": "Dice in per cent as in the paper: the mean over each subject's slices and classes, then over subjects, "
    "and in brackets the deviation over subjects. The other pages of this project lead with the Dice of volumes "
    "(--metric dice_volume).",
    "dice_volume": "Dice in per cent of each subject's slices as one volume, its mean and in brackets its deviation "
    "over subjects. The paper's is that of slices (--metric dice).",
    "hd95_mm": "95th percentile of the distances between surfaces in mm, the smaller the better.",
    "assd_mm": "Mean distance between surfaces in mm, the smaller the better.",
}


def render(
    table: Table, columns: Sequence[Sequence[Entry]], second: Grid | None, notes: Sequence[str], metric: str, form: str
) -> str:
    """A table with its notes; CSV and JSON have a line or an object for every entry."""
    entries = [asdict(entry) for column in columns for entry in column]
    if form == "json":
        content = {"table": table.name, "metric": metric, "entries": entries, "notes": list(notes)}
        further = {"second": [dict(zip(second[0], row, strict=True)) for row in second[1:]]} if second else {}
        return json.dumps(content | further, indent=1, ensure_ascii=False)
    if form == "csv":
        rows = [["" if value is None else str(value) for value in entry.values()] for entry in entries]
        grids = [[list(entries[0]), *rows], *([second] if second else [])]
        return "\n\n".join(comma_separated(grid) for grid in grids)
    make, comment = (latex, "% ") if form == "latex" else (markdown, "")
    parts = [f"{comment}{table.title}", make(grid_of(table, columns, metric, form))]
    if second and table.second:
        parts += [f"{comment}{table.second[0]}", make(second)]
    return "\n\n".join([*parts, "\n".join(f"{comment or '- '}{note}" for note in notes)])


def grid_of(table: Table, columns: Sequence[Sequence[Entry]], metric: str, form: str) -> Grid:
    """Rows of methods, and columns of targets and shares with the paper's numbers beside them."""
    head, body = [""], [[row.title] for row in table.rows]
    for entries in columns:
        with_paper = any(entry.paper for entry in entries)
        head.append(f"{entries[0].target}, {100 * entries[0].annotations:g} %")
        head += [f"paper, {table.paper_data}" if table.paper_data else "paper"] * with_paper
        for line, entry in zip(body, entries, strict=True):
            line += [emphasised(entry, metric, form), *([entry.paper] * with_paper)]
    for line, *entries in zip(body, *columns, strict=True):
        line.append(" / ".join(map(str, dict.fromkeys(e.n for e in entries if e.n))))
    return [[*head, "n"], *body]


def emphasised(entry: Entry, metric: str, form: str) -> str:
    """An entry's number, the best in bold, with an asterisk where the second best is significantly worse."""
    text = shown(entry, metric)
    if not entry.best:
        return text
    star = "*" * entry.significant
    return rf"\textbf{{{text}}}{star}" if form == "latex" else f"**{text}**{star and chr(92) + star}"


def shown(entry: Entry, metric: str) -> str:
    """An entry's number as the paper prints it: per cent and deviation, or mm."""
    if entry.mean is None:
        return entry.said
    in_mm = metric.endswith("_mm")
    scale, number, deviation = (1, "{:.1f}", " ({:.1f})") if in_mm else (100, "{:.0f}", " ({:02.0f})")
    return number.format(scale * entry.mean) + (
        "" if entry.deviation is None else deviation.format(scale * entry.deviation)
    )

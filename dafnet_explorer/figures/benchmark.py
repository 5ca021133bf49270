"""The page Benchmark: tables as text, CSV and LaTeX, the subjects of a cell, and masks of several methods."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from dafnet_core.data.formats.scan import clean_name
from dafnet_core.drawing import DARK, LIGHT, Theme, Tile, grey, overlay, sheet
from dafnet_core.metrics.paired import Paired
from dafnet_core.metrics.segmentation import dice_per_class, nanmean
from dafnet_explorer.benchmark import Column, Table, best, compare, is_significant
from dafnet_explorer.benchmark_masks import Place, Scene
from dafnet_explorer.figures.charts import COLOURS, apply_style
from dafnet_explorer.figures.masks import ERRORS, error_map, names_beside
from dafnet_explorer.figures.texts import dice_text
from experiments.record import METRICS, Record
from experiments.table import FEWEST, LOWER_IS_BETTER, Row, summary

ROW = 30  # pixels of a line of the table
TITLES = {"dice": "Dice per slice", "dice_volume": "Dice per volume", "hd95_mm": "HD95", "assd_mm": "ASSD"}
UNITS = {"dice": "%", "dice_volume": "%", "hd95_mm": "mm", "assd_mm": "mm"}
SCALES = {"dice": 100, "dice_volume": 100, "hd95_mm": 1, "assd_mm": 1}  # of records to what is shown, with one digit
ABOUT = {
    "dice": "mean over the slices of a subject, then over classes",
    "dice_volume": "the slices of a subject as one volume, mean over classes",
    "hd95_mm": "95th percentile of the distances between surfaces, mean over classes; the smaller the better",
    "assd_mm": "mean distance between surfaces, mean over classes; the smaller the better",
}
NOT_RUN, FAILED = "", "n/a"


def metric_title(metric: str) -> str:
    """Name of a metric with its unit."""
    return f"{TITLES[metric]} ({UNITS[metric]})"


# --- the table --------------------------------------------------------------------------------------------------


def spread(numbers: Mapping[str, float], metric: str, plus_minus: str = "±") -> str:
    """Mean and deviation over subjects as text; the mean alone for one subject."""
    found = summary(numbers)
    text = f"{SCALES[metric] * found['mean']:.1f}"
    return text if found["deviation"] is None else f"{text} {plus_minus} {SCALES[metric] * found['deviation']:.1f}"


def paper_number(table: Table, row: Row, column: Column, metric: str) -> str:
    """The paper's Dice written as ours is, such as "85 ± 17"; "" where it has none, and for other metrics."""
    return re.sub(r" \(0?(\d+)\)", r" ± \1", table.paper(row, column)) if metric == "dice" else ""


def subject_counts(table: Table, metric: str) -> tuple[int, ...]:
    """How many subjects the cells have, each number once, the most frequent first."""
    counts = [len(n) for row in table.rows for c in table.columns if (n := table.numbers(row, c, metric))]
    return tuple(sorted(set(counts), key=lambda n: (-counts.count(n), -n)))


def table_rows(table: Table, metric: str) -> list[dict[str, str]]:
    """A table as Markdown: the best of each column bold, with a star if it is significantly so.

    A cell has its number of subjects where it is not that of most cells, and the paper's value where there is one.
    """
    winners = {column: best(table, column, metric) for column in table.columns}
    usual = subject_counts(table, metric)[:1]
    rows = []
    for row in table.rows:
        shown = {"method": row.title}
        for column in table.columns:
            numbers = table.numbers(row, column, metric)
            text = FAILED if (row, column) in table.cells else NOT_RUN
            if numbers:
                firsts, starred = winners[column]
                text = spread(numbers, metric)
                text = f"**{text}**" if row in firsts else text
                text += r"\*" if starred and row in firsts else ""
                text += "" if (len(numbers),) == usual else f" (n = {len(numbers)})"
            paper = paper_number(table, row, column, metric)
            shown[column.title] = f"{text} :gray[:small[({paper})]]" if paper else text
        rows.append(shown)
    return rows


def explanation(table: Table, metric: str) -> str:
    """The lines below a table: what its numbers are, and why some are missing."""
    definition, counts = table.definition, subject_counts(table, metric)
    over = f"over {counts[0]} subjects" if counts else "over subjects"
    places = [(row, column) for row in table.rows for column in table.columns]
    of = f" of {definition.paper_data}" if definition.paper_data else ""
    paper = f" In brackets: the paper's{of}." if any(paper_number(table, *place, metric) for place in places) else ""
    text = (
        f"{definition.title} ({definition.about}). Columns: the modality that is segmented, and the share of its "
        f"training subjects that are annotated. {metric_title(metric)}: {ABOUT[metric]}; mean ± standard deviation "
        rf"{over}.{paper} **Bold**: the best learned method; \*: it differs from the second best (p < 0.05, paired "
        f"permutation, {FEWEST} subjects or more)."
    )
    return " ".join([text, *(f"**n/a**: {reason}." for reason in failures(table))])


def failures(table: Table) -> list[str]:
    """One sentence for each reason for which trainings have no numbers, with what they were to fill."""
    places: dict[str, list[str]] = {}
    for (row, column), records in table.cells.items():
        reasons = table.failures(row, column)
        for reason in dict.fromkeys(reasons):
            some = reasons.count(reason) < len(records)
            part = f" ({reasons.count(reason)} of {len(records)} trainings)" if some else ""
            places.setdefault(reason, []).append(f"{row.title}, {column.title}{part}")
    return [f"{'; '.join(names)}: {reason}" for reason, names in places.items()]


def csv_rows(table: Table, metric: str) -> list[dict[str, Any]]:
    """A table in long form, numbers as numbers."""
    unit, scale = UNITS[metric], SCALES[metric]
    winners = {column: best(table, column, metric)[0] for column in table.columns}
    rows = []
    for (row, column), records in table.cells.items():
        found = summary(table.numbers(row, column, metric))
        scaled = {key: None if found[key] is None else scale * found[key] for key in ("mean", "deviation")}
        numbers = {
            f"mean ({unit})": scaled["mean"],
            f"standard deviation ({unit})": scaled["deviation"],
            "subjects": found["n"],
            "trainings": len(records),
            "best": row in winners[column],
            "paper (%)": table.paper(row, column) if metric == "dice" else "",
            "failure": "; ".join(dict.fromkeys(table.failures(row, column))),
        }
        rows.append(_names(row, column) | numbers)
    return rows


def _names(row: Row, column: Column) -> dict[str, Any]:
    return {
        "row": row.title,
        "method": row.method,
        "variant": row.variant,
        "mask": row.kind,
        "target": column.target,
        "annotated (%)": 100 * column.annotations,
    }


def subject_rows(table: Table) -> list[dict[str, Any]]:
    """Every metric of every subject of every record in a table, in rows; None where it cannot be known."""
    rows = []
    titles = [metric_title(metric) for metric in METRICS]
    for (row, column), records in table.cells.items():
        for record in records:
            values = [_scaled(record, column.target, row.kind, metric) for metric in METRICS]
            about = _names(row, column) | {"cell": record.cell, "fold": record.fold, "seed": record.seed}
            for subject, *numbers in zip(record.subjects, *values, strict=True):
                rows.append(about | {"subject": subject} | dict(zip(titles, numbers, strict=True)))
    return rows


def _scaled(record: Record, target: str, kind: str, metric: str) -> list[float | None]:
    values = record.values(target, kind, metric) or (None,) * len(record.subjects)
    return [None if value is None else SCALES[metric] * value for value in values]


def latex(table: Table, metric: str, about: Mapping[str, Any]) -> str:
    """A table as LaTeX for the package booktabs; comments at the top hold its provenance."""
    lines = [f"% {key}: {_one_line(value)}" for key, value in about.items()]
    lines += [f"% {metric_title(metric)}, mean and standard deviation over subjects", "", r"% \usepackage{booktabs}"]
    lines += [rf"\begin{{tabular}}{{l{'c' * len(table.columns)}}}", r"\toprule"]
    lines += [" & ".join(["Method", *(_escaped(column.title) for column in table.columns)]) + r" \\", r"\midrule"]
    for row in table.rows:
        words = [_escaped(row.title)]
        for column in table.columns:
            numbers = table.numbers(row, column, metric)
            text = spread(numbers, metric, r"$\pm$") if numbers else FAILED if (row, column) in table.cells else "--"
            firsts, starred = best(table, column, metric)
            text = rf"\textbf{{{text}}}" if row in firsts else text
            words.append(text + ("*" if starred and row in firsts else ""))
        lines.append(" & ".join(words) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _one_line(value: Any) -> str:
    return " ".join(str(value).split())


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)


# --- the subjects of a cell ----------------------------------------------------------------------------------


def sentence(table: Table, metric: str, column: Column, row: Row, other: Row | None) -> str:
    """A cell in plain English, and its difference from another one on the same subjects."""
    numbers = table.numbers(row, column, metric)
    if not numbers:
        reasons = "; ".join(dict.fromkeys(table.failures(row, column)))
        return f"There are no numbers of **{row.title}**: {reasons or 'none is known'}."
    several = "s" if len(numbers) > 1 else ""
    text = (
        f"**{row.title}**: {TITLES[metric]} of {spread(numbers, metric)} {UNITS[metric]}, mean ± standard deviation "
        f"over {len(numbers)} subject{several}."
    )
    if other is None:
        return text
    theirs = table.numbers(other, column, metric)
    found = compare(numbers, theirs)
    if found is None:
        return f"{text} Fewer than two of these subjects are known of **{other.title}**."
    return f"{text} {_difference(numbers, theirs, found, metric, other.title)}"


def _difference(
    numbers: Mapping[str, float], theirs: Mapping[str, float], found: Paired, metric: str, other: str
) -> str:
    scale, unit = SCALES[metric], "percentage points" if UNITS[metric] == "%" else UNITS[metric]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    better = sum(sign * (value - theirs[subject]) > 0 for subject, value in numbers.items() if subject in theirs)
    low, high = found.ci95
    text = (
        f"That is {abs(scale * found.difference):.1f} {unit} {'more' if found.difference > 0 else 'less'} than "
        f"**{other}** on the same {found.n} subjects (95 % interval of the difference {scale * low:+.1f} to "
        f"{scale * high:+.1f}, p = {found.p_value:.2g} by permutation), and better in {better} of them."
    )
    if found.n < FEWEST:
        return f"{text} With fewer than {FEWEST} subjects no difference can be significant."
    return f"{text} The difference is {'' if is_significant(found) else 'not '}significant."


LINES = (  # below the figure
    "Each point is a subject, the bar their mean. Lines join the same subject: blue where the method on the left is "
    "better, orange where the other is."
)


def strip_figure(table: Table, metric: str, column: Column, row: Row, other: Row | None, dark: bool) -> go.Figure:
    """A point for every subject of a cell, and lines to the same subjects of another row; bars are means."""
    shown = [row] + ([other] if other else [])
    found = [table.numbers(one, column, metric) for one in shown]
    known = [{subject: SCALES[metric] * value for subject, value in numbers.items()} for numbers in found]
    figure = go.Figure()
    for subject, value in known[0].items() if other else ():
        if subject in known[1]:
            better = (value > known[1][subject]) != (metric in LOWER_IS_BETTER)
            line = dict(color=COLOURS[0] if better else COLOURS[1], width=1.5)
            figure.add_scatter(x=[0, 1], y=[value, known[1][subject]], mode="lines", line=line, hoverinfo="skip")
    for x, numbers in enumerate(known):
        figure.add_scatter(
            x=[x] * len(numbers),
            y=list(numbers.values()),
            mode="markers",
            marker=dict(size=9, color=COLOURS[-1] if x else COLOURS[0], line=dict(width=1, color="white")),
            text=[clean_name(subject) for subject in numbers],
            hovertemplate="%{text}<br>%{y:.1f}<extra></extra>",
        )
        middle = summary(numbers)["mean"]
        figure.add_shape(type="line", x0=x - 0.18, x1=x + 0.18, y0=middle, y1=middle, line_width=3)
    figure.update_shapes(line_color=(DARK if dark else LIGHT).ink)
    axis = dict(
        title="method",
        tickvals=list(range(len(shown))),
        ticktext=[one.title for one in shown],
        range=[-0.5, len(shown) - 0.5],
    )
    return apply_style(figure, 340, dark, showlegend=False, xaxis=axis, yaxis_title=metric_title(metric))


# --- masks -------------------------------------------------------------------------------------------------------

IN_A_LINE = 6


def masks_sheet(
    masks: Mapping[Row, np.ndarray], scene: Scene | None, colours: Sequence[str], theme: Theme
) -> Image.Image:
    """Every method's mask over the image, and below it where it differs from the truth.

    Args:
        masks: labels (H, W), at least one.
        scene: image and truth; without, masks are shown alone.
        colours: of the classes.
    """
    shape = next(iter(masks.values())).shape
    image = grey(scene.image) if scene else np.zeros((*shape, 3), np.uint8)
    truth = scene.truth if scene else None
    columns: list[tuple[Tile, Tile | None]] = [(Tile(image, "image"), None)] if scene else []
    if truth is not None:
        columns.append((Tile(overlay(image, truth, colours), "truth"), None))
    for row, labels in masks.items():
        caption, errors = "", None
        if truth is not None:
            caption = dice_text(float(nanmean(dice_per_class(labels, truth, len(colours)))))
            errors = Tile(overlay(image, error_map(labels, truth), ("#000000", *ERRORS.values()), 0.7))
        columns.append((Tile(overlay(image, labels, colours), row.title, caption), errors))
    lines = [columns[n : n + IN_A_LINE] for n in range(0, len(columns), IN_A_LINE)]
    rows = [[column[part] for column in line] for line in lines for part in ((0, 1) if truth is not None else (0,))]
    return sheet(rows, side=shape[0] * max(1, round(144 / shape[0])), theme=theme)


def titled(ordered: Sequence[tuple[Place, float | None]]) -> dict[str, Place]:
    """Slices by names that tell the share by which two methods differ there, where it is known."""
    return {
        f"{clean_name(place.subject)}, slice {place.position + 1}"
        + ("" if share is None else f": {100 * share:.0f} % differ"): place
        for place, share in ordered
    }


def numbered(masks: Mapping[Row, np.ndarray]) -> tuple[str, ...]:
    """Names for the classes of masks whose data are not known."""
    return ("background", *(f"class {n}" for n in range(1, max(int(labels.max()) for labels in masks.values()) + 1)))


def legend(colours: Mapping[str, str], errors: bool) -> str:
    """Names of classes beside their colours, and what the colours of `error_map` mean, as HTML."""
    return names_beside(colours) + (f"<br>Below each mask: {names_beside(ERRORS)}" if errors else "")

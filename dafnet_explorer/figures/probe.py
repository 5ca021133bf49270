"""The page Probe: what classifiers predict from z and s (Sec. V-H.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.analysis.reading import Reading
from dafnet_core.drawing import Theme, Tile, grey, sheet
from dafnet_core.evaluation.measures.leakage import CnnLeakage, LeakageByReader
from dafnet_core.evaluation.measures.modality_probe import ProbeSummary
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.metrics.probe import principal_axes
from dafnet_explorer.figures.charts import COLOURS, MANY, apply_style
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.pixels import channel_colours, labels_map
from dafnet_explorer.figures.texts import cell, span
from dafnet_explorer.figures.thumbnails import short_names


def probe_figure(probe: ProbeSummary, dark: bool) -> go.Figure:
    """Accuracy of the modality classified from all of z and from each dimension alone, with intervals and chance.

    Args:
        probe: with an accuracy; older checkpoints have no intervals of single dimensions.
    """
    values = [probe.accuracy, *probe.per_dimension]
    intervals = [probe.ci95, *(probe.per_dimension_ci95 or ((v, v) for v in probe.per_dimension))]
    figure = go.Figure()
    figure.add_bar(
        x=["all of z", *(f"z{d + 1}" for d in range(len(values) - 1))],
        y=values,
        marker_color=[COLOURS[1], *[COLOURS[0]] * (len(values) - 1)],
        error_y=dict(
            symmetric=False,
            array=[high - v for v, (_, high) in zip(values, intervals, strict=True)],
            arrayminus=[v - low for v, (low, _) in zip(values, intervals, strict=True)],
            thickness=1.2,
        ),
        hovertemplate="%{x}: %{y:.3f}<extra></extra>",
    )
    figure.add_hline(y=probe.chance, line_dash="dash")
    axis = dict(title="held-out accuracy", range=[0, 1.05])
    return apply_style(figure, 340, dark, xaxis_title="modality classified from", yaxis=axis)


def z_axes(encodings: Encodings) -> list[str]:
    """Axes that the scatter plot of z offers."""
    return ["principal axes", *(f"z{d + 1}" for d in range(encodings.z.shape[1]))]


def colourings(encodings: Encodings) -> list[str]:
    """Properties that the scatter plot of z can be coloured by."""
    return ["modality", "subject", *encodings.ground_truth]


def positions_of(encodings: Encodings, across: str, up: str) -> tuple[np.ndarray, list[str]]:
    """Positions (n, 2) of all images in the scatter plot, and titles of its axes; arguments of `scatter`."""
    e, axes = encodings, z_axes(encodings)
    if across == axes[0]:
        points, shares = principal_axes(e.z)
        return points, [f"principal axis {k + 1} ({share:.0%} of the variance)" for k, share in enumerate(shares)]
    return np.stack([e.z[:, axes.index(name) - 1] for name in (across, up)], 1), [across, up]


def spread(points: np.ndarray, count: int) -> list[int]:
    """Rows of up to `count` of points (n, 2) that lie far from each other: each the farthest from those before it."""
    scale = np.ptp(points, 0)
    scaled = points / np.where(scale > 0, scale, 1)
    chosen = [int(np.square(scaled - scaled.mean(0)).sum(1).argmin())]
    nearest = np.square(scaled - scaled[chosen[0]]).sum(1)
    while len(chosen) < min(count, len(points)) and nearest.max() > 0:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.square(scaled - scaled[chosen[-1]]).sum(1))
    return chosen


def describe(encodings: Encodings, row: int) -> str:
    """Subject, slice and modality of a row."""
    e = encodings
    return f"subject {e.subjects[row]}, slice {e.positions[row] + 1}, {e.names[e.modality[row]]}"


def scatter(
    encodings: Encodings,
    across: str,
    up: str,
    colour: str,
    dark: bool,
    *,
    pictures: Sequence[int] = (),
    marked: int | None = None,
) -> go.Figure:
    """Scatter plot of z, one point per image; its customdata is the row.

    Args:
        across, up: two of `z_axes`; `up` is ignored for principal axes.
        colour: one of `colourings`.
        pictures: rows whose images lie under their points, as thumbnails.
        marked: row of the point with a ring.
    """
    e = encodings
    points, titles = positions_of(e, across, up)
    descriptions = np.array([describe(e, row) for row in range(len(points))])
    values = {"modality": np.array(e.names)[e.modality], "subject": e.subjects} | e.ground_truth
    groups = values[colour]
    symbols = np.array(["circle", "diamond", "square", "cross"])[e.modality % 4]
    figure = go.Figure()
    common = dict(mode="markers", hovertemplate="%{text}<br>%{x:.2f}, %{y:.2f}<extra></extra>")
    if groups.dtype.kind == "f":
        figure.add_scatter(
            x=points[:, 0],
            y=points[:, 1],
            text=descriptions,
            customdata=np.arange(len(descriptions)),
            **common,
            marker=dict(color=groups, colorscale=MANY, symbol=symbols, size=8, colorbar=dict(title=colour, len=0.8)),
        )
    else:
        for n, group in enumerate(dict.fromkeys(groups.tolist())):
            rows = np.flatnonzero(groups == group)
            name = group if isinstance(group, str) else f"{colour}: {'yes' if group else 'no'}"
            figure.add_scatter(
                x=points[rows, 0],
                y=points[rows, 1],
                text=descriptions[rows],
                customdata=rows,
                name=name,
                **common,
                marker=dict(color=COLOURS[n % len(COLOURS)], symbol=symbols[rows], size=8),
            )
    _add_pictures(figure, e, points, pictures)
    if marked is not None:
        ring = dict(symbol="circle-open", size=22, color=COLOURS[4], line_width=4)
        x, y = points[marked].tolist()
        figure.add_scatter(x=[x], y=[y], mode="markers", marker=ring, name="shown below", hoverinfo="skip")
    legend = dict(orientation="h", y=1.02, yanchor="bottom")
    return apply_style(figure, 460, dark, xaxis_title=titles[0], yaxis_title=titles[1], legend=legend)


THUMBNAIL = 0.075  # width of a thumbnail in the scatter plot, as a share of the range of its axis


def _add_pictures(figure: go.Figure, encodings: Encodings, points: np.ndarray, rows: Sequence[int]) -> None:
    """Thumbnails under the points of some rows."""
    width, height = np.ptp(points, 0) * (THUMBNAIL, 2 * THUMBNAIL)
    for row in rows:
        step = -(-max(encodings.images[row].shape) // 64)
        small = Image.fromarray(grey(encodings.images[row][::step, ::step]))
        figure.add_layout_image(
            source=small,
            xref="x",
            yref="y",
            x=float(points[row, 0]),
            y=float(points[row, 1]),
            sizex=float(width),
            sizey=float(height),
            xanchor="center",
            yanchor="middle",
            layer="below",
            opacity=0.9,
        )


def thumbnail_sheet(encodings: Encodings, rows: Sequence[int], theme: Theme) -> Image.Image:
    """The images of some rows, twelve in a line, each with its subject, slice and modality."""
    e = encodings
    short = dict(zip(dict.fromkeys(e.subjects), short_names(list(dict.fromkeys(e.subjects))), strict=True))
    tiles = [
        Tile(grey(e.images[n]), f"{short[e.subjects[n]]}, {e.positions[n] + 1}", e.names[e.modality[n]]) for n in rows
    ]
    return sheet([tiles[n : n + 12] for n in range(0, len(tiles), 12)], side=80, theme=theme)


def slice_sheet(encodings: Encodings, row: int, colours: Sequence[str], theme: Theme) -> Image.Image:
    """The slice of a row of encodings: its image and anatomy in every modality, one colour per class."""
    palette = channel_colours(encodings.channel_classes, colours)
    first = row - row % len(encodings.names)
    tiles: list[Tile | None] = []
    for n, name in enumerate(encodings.names, first):
        tiles.append(Tile(grey(encodings.images[n]), name))
        tiles.append(Tile(labels_map(encodings.anatomies[n], palette), f"s of {name}"))
    title = f"{encodings.subjects[row]}, slice {encodings.positions[row] + 1}"
    return sheet([tiles], [title], side=200, theme=theme)


def leakage_rows(leakage: LeakageByReader) -> list[dict[str, str]]:
    """Leakage by features of s, as text."""
    rows = []
    kinds = (leakage.occupancies, "share of each channel"), (leakage.pooled, "channels on an 8 x 8 grid")
    for leak, features in kinds:
        excess = leak.excess
        rows.append(
            {
                "features of s": features,
                "accuracy from s": f"{cell(leak.accuracy)} ({span(leak.ci95)})",
                "from true masks": cell(leak.truth_accuracy),
                "leakage (excess)": f"{excess.difference:+.3f} ({span(excess.ci95)})" if excess else "n/a",
            }
        )
    return rows


def cnn_text(cnn: CnnLeakage, modalities: int) -> str:
    """What the excess of a CNN means, with its interval and its largest possible value."""
    return (
        f"**{cell(cnn.excess_nats)} nats** (95 % interval {span(cnn.ci95)}) is what s tells about the modality beyond "
        "the true masks, to a small CNN that is tested on other subjects; knowing the modality is "
        f"{math.log(modalities):.2f} nats. A clean s tells no more than the masks: 0 or less."
    )


def stability_rows(result: EvaluationResult) -> list[dict[str, str]]:
    """Invariance under changes of intensity and sensitivity to flipped pixels, one row per modality; [] for neither."""
    kept, changes = result.invariance.intensity if result.invariance else {}, result.sensitivity or {}
    rows = []
    for name in dict.fromkeys((*kept, *changes)):
        change = changes.get(name)
        rows.append(
            {
                "modality": name,
                "pixels that keep their channel": cell(kept.get(name)),
                "change of the image, 1 % flipped": cell(change.p01 if change else None),
                "change of the image, 5 % flipped": cell(change.p05 if change else None),
            }
        )
    return rows


def confusion_rows(probe: ProbeSummary, names: Sequence[str]) -> list[dict[str, Any]]:
    """The probe's confusion matrix, one row per true modality."""
    return [
        {"true": name} | {f"predicted {other}": n for other, n in zip(names, row, strict=True)}
        for name, row in zip(names, probe.confusion, strict=True)
    ]


def reading_rows(readings: Sequence[Reading]) -> list[dict[str, str]]:
    """Scores of z and s, one row per known property and modality."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for r in readings:
        row = rows.setdefault((r.target, r.modality), {"known": r.target, "in": r.modality, "measure": r.measure})
        text = r.why if r.value is None else f"{r.value:.2f} ({r.ci95[0]:.2f} to {r.ci95[1]:.2f})"
        row |= {
            f"from {r.factor}": text,
            "chance": cell(r.chance, 2) if r.value is not None else row.get("chance", ""),
        }
    return list(rows.values())


def z_csv(encodings: Encodings, about: Mapping[str, Any]) -> bytes:
    """One row per image: subject, slice, modality, z, its standard deviation, and the subject's known properties."""
    e = encodings
    rows = [
        {"subject": s, "slice": p + 1, "modality": e.names[m]}
        | {f"z{d + 1}": v for d, v in enumerate(z.tolist())}
        | {f"z{d + 1}_std": float(v) for d, v in enumerate(std)}
        | {name: values[n].item() for name, values in e.ground_truth.items()}
        for n, (s, p, m, z, std) in enumerate(zip(e.subjects, e.positions, e.modality, e.z, e.z_std, strict=True))
    ]
    return table_csv(rows, {**about, "z": e.z_is})

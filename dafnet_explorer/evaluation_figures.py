"""What the pages show of a judged data set: probes, dependence, two checkpoints' numbers. No streamlit, no torch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.analysis.mixing import Mixed
from dafnet_core.analysis.truth import score
from dafnet_core.evaluate import Judged, difference
from dafnet_core.metrics.dependence import Curve, Dependence
from dafnet_core.metrics.probe import Reading, principal_axes

COLOURS = ("#0072B2", "#E69F00", "#CC79A7", "#009E73", "#D55E00", "#56B4E9", "#F0E442", "#8d99a6")
MANY = "Viridis"  # for numbers, and for more subjects than COLOURS


def plain(figure: go.Figure, height: int, dark: bool, **layout: Any) -> go.Figure:
    """A figure without paper of its own, its letters and lines fit for a light or a dark page."""
    ink, line = ("#f2f2f2", "#3a3f4a") if dark else ("#1a1a1a", "#dcdfe4")
    figure.update_layout(
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font_color=ink,
        **dict(margin=dict(l=0, r=0, t=30, b=0)) | layout,
    )
    figure.update_xaxes(gridcolor=line, zerolinecolor=line)
    figure.update_yaxes(gridcolor=line, zerolinecolor=line)
    return figure


def chart(name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Plotly's settings: the camera button gives an SVG named after what made it."""
    file = f"dafnet-{name}-{str(about['checkpoint_digest'])[:8]}"
    return {"displaylogo": False, "toImageButtonOptions": {"format": "svg", "filename": file}}


def probe_figure(probe: Mapping[str, Any], dark: bool) -> go.Figure:
    """Accuracy of the modality from all of z and from each dimension alone, with intervals and the chance line.

    Args:
        probe: the key "probe" of `evaluate`; cards of older checkpoints have no intervals of single dimensions.
    """
    values = [probe["accuracy"], *probe["per_dimension"]]
    intervals = [probe["ci95"], *(probe.get("per_dimension_ci95") or ([v, v] for v in probe["per_dimension"]))]
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
    figure.add_hline(y=probe["chance"], line_dash="dash")
    return plain(figure, 320, dark, yaxis=dict(title="held-out accuracy", range=[0, 1.05]))


def z_axes(encodings: Encodings) -> list[str]:
    """What the scatter of z can be drawn over."""
    return ["principal axes", *(f"z{d + 1}" for d in range(encodings.z.shape[1]))]


def colourings(encodings: Encodings) -> list[str]:
    """What the scatter of z can be coloured by."""
    return ["modality", "subject", *encodings.known]


def scatter(encodings: Encodings, across: str, up: str, colour: str, dark: bool) -> go.Figure:
    """z of every image, a point each; its customdata is the row.

    Args:
        across, up: two of `z_axes`; the principal axes, if `across` is them.
        colour: one of `colourings`.
    """
    e, axes = encodings, z_axes(encodings)
    if across == axes[0]:
        places, shares = principal_axes(e.z)
        titles = [f"principal axis {k + 1} ({share:.0%} of the variance)" for k, share in enumerate(shares)]
    else:
        places = np.stack([e.z[:, axes.index(name) - 1] for name in (across, up)], 1)
        titles = [across, up]
    told = np.array(
        [
            f"subject {s}, slice {p + 1}, {e.names[m]}"
            for s, p, m in zip(e.subjects, e.positions, e.modality, strict=True)
        ]
    )
    values = {"modality": np.array(e.names)[e.modality], "subject": e.subjects} | e.known
    groups = values[colour]
    symbols = np.array(["circle", "diamond", "square", "cross"])[e.modality % 4]
    figure = go.Figure()
    common = dict(mode="markers", hovertemplate="%{text}<br>%{x:.2f}, %{y:.2f}<extra></extra>")
    if groups.dtype.kind == "f":
        figure.add_scatter(
            x=places[:, 0],
            y=places[:, 1],
            text=told,
            customdata=np.arange(len(told)),
            **common,
            marker=dict(color=groups, colorscale=MANY, symbol=symbols, size=8, colorbar=dict(title=colour, len=0.8)),
        )
    else:
        for n, group in enumerate(dict.fromkeys(groups.tolist())):
            rows = np.flatnonzero(groups == group)
            name = group if isinstance(group, str) else f"{colour}: {'yes' if group else 'no'}"
            figure.add_scatter(
                x=places[rows, 0],
                y=places[rows, 1],
                text=told[rows],
                customdata=rows,
                name=name,
                **common,
                marker=dict(color=COLOURS[n % len(COLOURS)], symbol=symbols[rows], size=8),
            )
    legend = dict(orientation="h", y=1.02, yanchor="bottom")
    return plain(figure, 460, dark, xaxis_title=titles[0], yaxis_title=titles[1], legend=legend)


def dependence_figure(found: Sequence[tuple[str, Dependence]], dark: bool) -> go.Figure:
    """Both statistics of each checkpoint over their null distributions, same scales for all."""
    figure = make_subplots(
        2,
        len(found),
        shared_xaxes="rows",
        horizontal_spacing=0.06,
        vertical_spacing=0.25,
        subplot_titles=[
            f"{title}<br>{what}" for what in ("dCor, as in the paper", "dCor², bias-corrected") for title, _ in found
        ],
    )
    figure.update_annotations(font_size=13)  # two titles fit beside each other on a narrow screen
    for column, (_, d) in enumerate(found, 1):
        parts = (
            (d.null_dcor, d.dcor, d.dcor_ci95),
            (d.null_dcor_squared_unbiased, d.dcor_squared_unbiased, d.dcor_squared_unbiased_ci95),
        )
        for row, (null, value, (low, high)) in enumerate(parts, 1):
            figure.add_histogram(
                x=null,
                marker_color="#8d99a6",
                xbins=dict(size=0.005),
                showlegend=False,
                row=row,
                col=column,
                hovertemplate="subjects permuted: %{x}<br>%{y} permutations<extra></extra>",
            )
            if not np.isnan([low, high]).any():
                figure.add_vrect(low, high, fillcolor=COLOURS[1], opacity=0.25, line_width=0, row=row, col=column)
            figure.add_vline(
                value, line_color=COLOURS[1], line_width=3, annotation_text=f"{value:.2f}", row=row, col=column
            )
    for row, low in ((1, 0.0), (2, -0.2)):  # with 0, how far from it independent factors are can be seen
        figure.update_xaxes(range=[low, 1], row=row)
    figure.update_yaxes(showticklabels=False)
    return plain(figure, 460, dark, margin=dict(l=0, r=0, t=45, b=0))


def curve_figure(curves: Sequence[tuple[str, Curve]], dark: bool) -> go.Figure:
    """Both statistics and their nulls over the number of subjects."""
    figure = make_subplots(1, 2, subplot_titles=["dCor, as in the paper", "dCor², bias-corrected"])
    for (title, curve), colour in zip(curves, COLOURS, strict=False):
        rows = [f"{k} subjects, {n:.0f} rows" for k, n in zip(curve.n_subjects, curve.n, strict=True)]
        for column, (value, null) in enumerate(
            ((curve.dcor, curve.null_dcor), (curve.dcor_squared_unbiased, curve.null_dcor_squared_unbiased)), 1
        ):
            for y, dash, what in ((value, "solid", "s and z"), (null, "dot", "subjects permuted")):
                figure.add_scatter(
                    x=curve.n_subjects,
                    y=y,
                    mode="lines+markers",
                    line=dict(color=colour, dash=dash),
                    text=rows,
                    name=f"{title}: {what}",
                    showlegend=column == 1,
                    row=1,
                    col=column,
                    hovertemplate="%{text}: %{y:.3f}",
                )
    figure.update_xaxes(title="subjects")
    figure.update_yaxes(rangemode="tozero")
    legend = dict(orientation="h", y=1.12, yanchor="bottom")
    return plain(figure, 400, dark, legend=legend, margin=dict(l=0, r=0, t=60, b=0))


def log_figure(rows: Sequence[Mapping[str, str]], title: str, dark: bool) -> go.Figure:
    """Every column of a run's log over its steps; one shown at first, the others by a click on their names."""
    figure = go.Figure()
    names = [name for name in dict.fromkeys(n for row in rows for n in row) if name not in ("step", "epoch")]
    for n, name in enumerate(names):
        points = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
        figure.add_scatter(
            x=[step for step, _ in points],
            y=[value for _, value in points],
            name=name,
            mode="lines",
            line=dict(color=COLOURS[n % len(COLOURS)], width=1.5),
            visible=True if n < 2 else "legendonly",
        )
    return plain(figure, 380, dark, title=title, xaxis_title="step", margin=dict(l=0, r=0, t=50, b=0))


def truth_figure(readings: Sequence[Reading], dark: bool) -> go.Figure:
    """Scores (0 chance, 1 all) of what is known (rows) read from every representation (columns)."""
    known = list(dict.fromkeys(r.known for r in readings))
    factors = list(dict.fromkeys(r.factor for r in readings))
    by_place = {(r.known, r.factor): r for r in readings}
    table = [[by_place[k, f] for f in factors] for k in known]
    hover = [[_told(r) for r in row] for row in table]
    values = np.array([[score(r) for r in row] for row in table])
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=factors,
            y=known,
            zmin=0,
            zmax=1,
            colorscale=MANY,
            customdata=hover,
            texttemplate="%{z:.2f}",
            hovertemplate="%{y} from %{x}<br>%{customdata}<extra></extra>",
            colorbar=dict(title="told", len=0.8),
        )
    )
    figure.update_yaxes(autorange="reversed")
    return plain(figure, 90 + 36 * len(known), dark)


def _told(r: Reading) -> str:
    return r.why if r.value is None else f"{r.measure} {r.value:.2f} ({_span(r.ci95)}), chance {r.chance:.2f}"


def truth_rows(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """Every reading with its interval, as a table."""
    return [
        {
            "known": r.known,
            "in": r.modality,
            "from": r.factor,
            "measure": r.measure,
            "value": r.value,
            "low": r.ci95[0] if r.ci95 else None,
            "high": r.ci95[1] if r.ci95 else None,
            "chance": r.chance,
            "told": None if np.isnan(score(r)) else score(r),
            "why": r.why,
        }
        for r in readings
    ]


def _cell(value: float | None, digits: int = 3) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


def _span(span: Sequence[float] | None) -> str:
    return "n/a" if span is None else f"{span[0]:.3f} to {span[1]:.3f}"


def leakage_rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """The key "leakage" of `evaluate` as text."""
    rows = []
    for kind, told in (("occupancies", "share of each channel"), ("pooled", "channels on an 8 x 8 grid")):
        leak, excess = found["leakage"][kind], found["leakage"][kind]["excess"]
        rows.append(
            {
                "anatomy seen as": told,
                "accuracy from s": f"{_cell(leak['accuracy'])} ({_span(leak['ci95'])})",
                "from true masks": _cell(leak["truth_accuracy"]),
                "leakage (excess)": f"{excess['difference']:+.3f} ({_span(excess['ci95'])})" if excess else "n/a",
            }
        )
    return rows


def confusion_rows(probe: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """The probe's confusion matrix, a row a true modality."""
    return [
        {"true": name} | {f"taken for {other}": n for other, n in zip(names, row, strict=True)}
        for name, row in zip(names, probe["confusion"], strict=True)
    ]


def reading_rows(readings: Sequence[Reading]) -> list[dict[str, str]]:
    """What z and s tell of what is known, a row for each known thing and modality."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for r in readings:
        row = rows.setdefault((r.known, r.modality), {"known": r.known, "in": r.modality, "measure": r.measure})
        text = r.why if r.value is None else f"{r.value:.2f} ({r.ci95[0]:.2f} to {r.ci95[1]:.2f})"
        row |= {
            f"from {r.factor}": text,
            "chance": _cell(r.chance, 2) if r.value is not None else row.get("chance", ""),
        }
    return list(rows.values())


def dependence_rows(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """The key "dependence" of `evaluate` as text."""
    parts = [("s and z", found["dependence"])]
    parts += [(f"s and z, {name} alone", d) for name, d in found["dependence"]["within"].items()]
    parts += [("image and s", found["dependence"]["image_s"]), ("image and z", found["dependence"]["image_z"])]
    return [
        {
            "between": between,
            "dCor": f"{_cell(d['dcor'])} ({_span(d['dcor_ci95'])})",
            "subjects permuted": _cell(d["null_dcor_mean"]),
            "dCor², bias-corrected": f"{_cell(d['dcor_squared_unbiased'])} ({_span(d['dcor_squared_unbiased_ci95'])})",
            "subjects permuted²": _cell(d.get("null_dcor_squared_unbiased_mean")),
            "p": _cell(d["p_value"]),
            "images": str(d["n"] or "n/a"),
            "subjects": str(d["n_subjects"] or "n/a"),
        }
        for between, d in parts
    ]


def _numbers(value: Any, path: str = "") -> Iterable[tuple[str, float]]:
    """(dotted path, value) of every number in nested dicts and lists; intervals and counts of permutations too."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list | tuple):
        for n, inner in enumerate(value, 1):
            yield from _numbers(inner, f"{path}.{n}")
    elif isinstance(value, int | float):
        yield path, float(value)


HIDDEN = ("n_subjects", "n_slices", "warp.", "why", "version", "data", "split", "paired.")  # of the data, or said twice
COUNTS = (".n", ".n_subjects", ".slices")


def comparison(a: Judged, b: Judged) -> list[dict[str, Any]]:
    """Every number of two checkpoints on the same data; by-subject ones with their paired difference a - b.

    Returns:
        Rows of number, chosen (a), beside (b), difference, low and high of its 95 % interval, sign-flip p; None where
        unknown.
    """
    ours, theirs = dict(_numbers(a.found)), dict(_numbers(b.found))
    rows = []
    for name in [n for n in ours if n in theirs and not (n.startswith(HIDDEN) or n.endswith(COUNTS) or "ci95" in n)]:
        known = name in a.by_subject and name in b.by_subject
        paired = difference(a.by_subject[name], b.by_subject[name]) if known else None
        low, high = paired["ci95"] if paired else (None, None)
        rows.append(
            {
                "number": name,
                "chosen": ours[name],
                "beside": theirs[name],
                "difference": paired["difference"] if paired else None,
                "low": low,
                "high": high,
                "p": paired["p_value"] if paired else None,
            }
        )
    return rows


def mixture_rows(
    mixed: Mixed, rows: Sequence[str], columns: Sequence[str], modalities: Sequence[str]
) -> list[dict[str, Any]]:
    """A row a cell of a mixture: what it is made of and its verdicts."""
    return [
        {
            "anatomy of": row,
            "z of": column,
            "modality": modalities[k],
            "kept (Dice)": float(mixed.made.dice[r, k]),
            "channels that stay": float(mixed.made.agreement[r, k]),
            "reached": float(mixed.reached[r, k]),
        }
        for r, row in enumerate(rows)
        for k, column in enumerate(columns)
    ]


def table_csv(rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> bytes:
    """Rows as CSV; what made them stands above as comments."""
    text = io.StringIO()
    for key, value in about.items():
        text.write(f"# {key}: {json.dumps(value)}\n")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def z_csv(encodings: Encodings, about: Mapping[str, Any]) -> bytes:
    """A row an image: subject, slice, modality, z, its standard deviation, and what is known of the subject."""
    e = encodings
    rows = [
        {"subject": s, "slice": p + 1, "modality": e.names[m]}
        | {f"z{d + 1}": v for d, v in enumerate(z.tolist())}
        | {f"z{d + 1}_std": float(v) for d, v in enumerate(std)}
        | {name: values[n].item() for name, values in e.known.items()}
        for n, (s, p, m, z, std) in enumerate(zip(e.subjects, e.positions, e.modality, e.z, e.z_std, strict=True))
    ]
    return table_csv(rows, {**about, "z": e.z_is})


def with_nulls(judged: Judged) -> dict[str, Any]:
    """The numbers of `evaluate` and, under "nulls", both statistics of every permutation."""
    nulls = {
        between: {"dcor": d.null_dcor, "dcor_squared_unbiased": d.null_dcor_squared_unbiased}
        for between, d in judged.evidence.dependence.items()
    }
    return {**judged.found, "nulls": nulls}


def as_json(found: Mapping[str, Any], about: Mapping[str, Any]) -> bytes:
    """Numbers of `evaluate` with what made them, which names the data without a path of this machine."""
    return (json.dumps({**found, **about}, indent=1) + "\n").encode()

"""The page Independence: distance correlation of s and z over its null distribution (Sec. V-H.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dafnet_core.evaluation.measures.dependence import DependenceStatistics, DependenceSummary
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.evaluation.run import Evaluation
from dafnet_core.metrics.dependence import Curve, Dependence
from dafnet_explorer.figures.charts import COLOURS, apply_style
from dafnet_explorer.figures.texts import cell, span

WHY_NULL_IS_NOT_0 = (
    "Why is the bias-corrected value not 0 with subjects permuted? Bias correction takes away what few images add to "
    "the estimate, not dependence. A permuted image keeps its modality and its place between base and apex, and both "
    "factors depend on these: that dependence is left. Single permutations also scatter about their mean."
)
COLUMN_LABELS = {  # for display; CSV downloads keep the keys
    "subjects permuted": "dCor, subjects permuted",
    "subjects permuted²": "dCor², subjects permuted",
}


def dependence_figure(statistics: Sequence[tuple[str, Dependence]], dark: bool) -> go.Figure:
    """Both statistics of each checkpoint over their null distributions, same scales for all."""
    figure = make_subplots(
        2,
        len(statistics),
        shared_xaxes="rows",
        horizontal_spacing=0.06,
        vertical_spacing=0.25,
        subplot_titles=[
            f"{title}<br>{what}"
            for what in ("dCor, as in the paper", "dCor², bias-corrected")
            for title, _ in statistics
        ],
    )
    figure.update_annotations(font_size=13)  # two titles fit side by side on a narrow screen
    for column, (_, d) in enumerate(statistics, 1):
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
    for row, low in ((1, 0.0), (2, -0.2)):  # including 0 makes the bias of the null distribution visible
        figure.update_xaxes(range=[low, 1], title_text="dCor" if row == 1 else "dCor²", row=row)
    figure.update_yaxes(showticklabels=False)
    figure.update_yaxes(title_text="permutations", col=1)
    return apply_style(figure, 460, dark, margin=dict(l=0, r=10, t=45, b=0))  # the last tick has its number


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
    figure.update_yaxes(title_text="dCor", col=1)
    figure.update_yaxes(title_text="dCor²", col=2)
    legend = dict(orientation="h", y=1.12, yanchor="bottom")
    return apply_style(figure, 400, dark, legend=legend, margin=dict(l=0, r=0, t=60, b=0))


def _statistics(summary: DependenceSummary) -> list[tuple[str, DependenceStatistics]]:
    """(factors, statistics); older checkpoints have those of s and z only."""
    parts: list[tuple[str, DependenceStatistics]] = [("s and z", summary)]
    parts += [(f"s and z, {name} alone", d) for name, d in (summary.within or {}).items()]
    return parts + [(name, d) for name, d in (("image and s", summary.image_s), ("image and z", summary.image_z)) if d]


def dependence_rows(summary: DependenceSummary) -> list[dict[str, str]]:
    """Statistics of each pair of factors as text."""
    return [
        {
            "between": between,
            "dCor": f"{cell(d.dcor)} ({span(d.dcor_ci95)})",
            "subjects permuted": cell(d.null_dcor_mean),
            "dCor², bias-corrected": f"{cell(d.dcor_squared_unbiased)} ({span(d.dcor_squared_unbiased_ci95)})",
            "subjects permuted²": cell(d.null_dcor_squared_unbiased_mean),
            "p": cell(d.p_value),
            "images": str(d.n or "n/a"),
            "subjects": str(d.n_subjects or "n/a"),
        }
        for between, d in _statistics(summary)
    ]


def dependence_csv_rows(summary: DependenceSummary) -> list[dict[str, Any]]:
    """The same as numbers; None where unknown."""
    rows = []
    for between, d in _statistics(summary):
        low, high = d.dcor_ci95 or (None, None)
        low_squared, high_squared = d.dcor_squared_unbiased_ci95 or (None, None)
        rows.append(
            {
                "between": between,
                "dCor": d.dcor,
                "dCor, low": low,
                "dCor, high": high,
                "dCor, subjects permuted": d.null_dcor_mean,
                "dCor² bias-corrected": d.dcor_squared_unbiased,
                "dCor² bias-corrected, low": low_squared,
                "dCor² bias-corrected, high": high_squared,
                "dCor² bias-corrected, subjects permuted": d.null_dcor_squared_unbiased_mean,
                "p": d.p_value,
                "images": d.n,
                "subjects": d.n_subjects,
            }
        )
    return rows


def unseen_text(result: EvaluationResult) -> str:
    """What the permutation of subjects cannot show of a model, from its leakage; "" where that was not measured."""
    if result.leakage is None or result.leakage.pooled.accuracy is None:
        return ""
    found = result.leakage.pooled
    beside = "" if found.truth_accuracy is None else f", from true masks with {found.truth_accuracy:.3f}"
    return (
        "**Not seen here:** permuting subjects keeps the modality of every image, so p says nothing about what s tells "
        f"about the modality. From s it is classified with accuracy {found.accuracy:.3f}{beside} (page *Probe*)."
    )


def with_nulls(evaluation: Evaluation) -> dict[str, Any]:
    """The numbers of `evaluate` and, under "nulls", both statistics of every permutation."""
    nulls = {
        between: {"dcor": d.null_dcor, "dcor_squared_unbiased": d.null_dcor_squared_unbiased}
        for between, d in (evaluation.statistics.dependence if evaluation.statistics else {}).items()
    }
    return {**evaluation.result.to_json(), "nulls": nulls}

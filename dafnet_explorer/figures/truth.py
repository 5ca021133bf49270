"""The page Truth: known properties of the subjects predicted from every representation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dafnet_core.analysis.reading import Reading
from dafnet_core.analysis.truth import score
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.evaluation.measures.cleanness import SpeckleSummary
from dafnet_core.evaluation.measures.style import StyleSummary
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_explorer.figures.charts import COLOURS, NUMBER, NUMBERED, apply_style
from dafnet_explorer.figures.texts import cell, span


def truth_figure(readings: Sequence[Reading], dark: bool) -> go.Figure:
    """Scores (0 chance, 1 perfect) of known properties (rows) from every representation (columns)."""
    known = list(dict.fromkeys(r.target for r in readings))
    factors = list(dict.fromkeys(r.factor for r in readings))
    by_names = {(r.target, r.factor): r for r in readings}
    table = [[by_names[k, f] for f in factors] for k in known]
    hover = [[_hover_text(r) for r in row] for row in table]
    values = np.array([[score(r) for r in row] for row in table])
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=factors,
            y=known,
            zmin=0,
            zmax=1,
            colorscale=NUMBERED,
            customdata=hover,
            texttemplate="%{z:.2f}",
            textfont=dict(color=NUMBER),
            hovertemplate="%{y} from %{x}<br>%{customdata}<extra></extra>",
            colorbar=dict(title="score", len=0.8),
        )
    )
    figure.update_xaxes(title_text="read from")
    figure.update_yaxes(title_text="known property", autorange="reversed")
    return apply_style(figure, 110 + 36 * len(known), dark)


def _hover_text(r: Reading) -> str:
    return r.why if r.value is None else f"{r.measure} {r.value:.2f} ({span(r.ci95)}), chance {r.chance:.2f}"


def truth_rows(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """All readings with their intervals, as table rows."""
    return [
        {
            "known": r.target,
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


def speckle_rows(speckle: Mapping[str, SpeckleSummary]) -> list[dict[str, str]]:
    """Speckle and boundaries of s against the truth, one row per modality."""
    return [
        {
            "modality": name,
            "speckle of s": cell(s.share),
            "speckle of the truth": cell(s.truth_share),
            "boundaries, s / truth": cell(s.boundary_ratio, 2),
        }
        for name, s in speckle.items()
    ]


def stored_styles(checkpoint: Checkpoint) -> dict[str, EvaluationResult]:
    """Numbers of the card that `evaluate` computed with its slow measures, by title of the data set."""
    return {title: r for title, r in checkpoint.metrics.items() if r.style is not None or r.prior is not None}


def style_figure(style: StyleSummary, dark: bool) -> go.Figure | None:
    """Held-out R^2 of contrast parameters from z, s and the true intensities; None where nothing is known."""
    oracle, counted = style.oracle.best_r2, style.z.best_r2
    if not counted:
        return None
    parameters = [name for name in oracle if name in counted]
    figure = go.Figure()
    readings = (("z", style.z), ("s", style.s), ("true intensities (oracle)", style.oracle))
    for (title, reading), colour in zip(readings, (COLOURS[0], COLOURS[1], COLOURS[-1]), strict=True):
        figure.add_bar(
            x=["mean", *(name.partition(" (")[0].replace(" / ", "<br>/ ") for name in parameters)],
            y=[reading.best_mean_r2, *(reading.best_r2.get(name) for name in parameters)],
            name=title,
            marker_color=colour,
            hovertemplate=f"%{{x}} from {title}: %{{y:.2f}}<extra></extra>",
        )
    legend = dict(orientation="h", y=1.02, yanchor="bottom")
    axis = dict(title="held-out R²", range=[0, 1.05])
    return apply_style(figure, 380, dark, xaxis_title="contrast parameter", yaxis=axis, legend=legend)

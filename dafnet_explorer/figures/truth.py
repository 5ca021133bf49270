"""The page Truth: known properties of the subjects predicted from every representation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dafnet_core.analysis.reading import Reading
from dafnet_core.analysis.truth import score
from dafnet_explorer.figures.charts import MANY, apply_style
from dafnet_explorer.figures.texts import span


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
            colorscale=MANY,
            customdata=hover,
            texttemplate="%{z:.2f}",
            hovertemplate="%{y} from %{x}<br>%{customdata}<extra></extra>",
            colorbar=dict(title="score", len=0.8),
        )
    )
    figure.update_yaxes(autorange="reversed")
    return apply_style(figure, 90 + 36 * len(known), dark)


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

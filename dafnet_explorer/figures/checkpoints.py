"""The page Checkpoints: a run's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from dafnet_explorer.figures.charts import COLOURS, apply_style


def log_figure(rows: Sequence[Mapping[str, str]], title: str, dark: bool) -> go.Figure:
    """All columns of a run's log over its steps; the first two are visible, a click on a name shows others."""
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
    return apply_style(
        figure, 380, dark, title=title, xaxis_title="step", yaxis_title="value", margin=dict(l=0, r=0, t=50, b=0)
    )

"""Shared style of Plotly figures, and linked heatmaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dafnet_core.drawing import DARK, LIGHT

COLOURS = ("#0072B2", "#E69F00", "#CC79A7", "#009E73", "#D55E00", "#56B4E9", "#F0E442", "#8d99a6")
MANY = "Viridis"  # for numbers, and for more groups than COLOURS
NUMBERED = ("#f7fbff", "#6baed6")  # lowest and highest of a map with numbers in it, in both themes
NUMBER = LIGHT.ink  # of these numbers: dark on all colours between


PANEL = 0.425, 0.44  # width and height of one of two by two, as shares


def apply_style(figure: go.Figure, height: int, dark: bool, **layout: Any) -> go.Figure:
    """Transparent background, and text and grid colours for a light or a dark page."""
    ink, line = (DARK if dark else LIGHT).ink, "#3a3f4a" if dark else "#dcdfe4"
    figure.update_layout(**dict(margin=dict(l=0, r=0, t=30, b=0)) | layout)
    # each by itself: Streamlit's template has paler colours for them
    axis = dict(gridcolor=line, zerolinecolor=line, tickfont_color=ink, title_font_color=ink)
    axes = [name for name in figure.layout if name.startswith(("xaxis", "yaxis"))]
    figure.update_layout(
        dict.fromkeys(axes, axis),
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font_color=ink,
        legend_font_color=ink,
    )
    for annotation in figure.layout.annotations:
        annotation.font.color = ink
    # of scatter plots that have one: Plotly draws a bar wherever one is described
    for colorbar in [trace.colorbar for trace in figure.select_traces(dict(type="heatmap"))] + [
        trace.marker.colorbar for trace in figure.select_traces(dict(type="scatter")) if trace.marker.colorscale
    ]:
        colorbar.update(tickfont_color=ink, title_font_color=ink)
    return figure


def chart(name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Plotly's settings: the camera button saves an SVG whose name has the checkpoint's digest."""
    file = f"dafnet-{name}-{str(about['checkpoint_digest'])[:8]}"
    return {"displaylogo": False, "toImageButtonOptions": {"format": "svg", "filename": file}}


def linked_heatmaps(
    panels: Sequence[tuple[str, np.ndarray, str, float, float]], text: np.ndarray, dark: bool, tall: int = 720
) -> go.Figure:
    """Up to four float32 heatmaps (title, values (H, W), colour scale, lowest, highest) that zoom together.

    Args:
        text: (H, W) shown under the cursor.
        tall: height of the figure in pixels.
    """
    height, width = text.shape
    layout: dict[str, Any] = {"annotations": []}
    traces = []
    hidden = dict(showticklabels=False, ticks="", showgrid=False, zeroline=False, constrain="domain")
    for n, (title, values, scale, low, high) in enumerate(panels):
        number = str(n + 1) if n else ""
        left, bottom = n % 2 * (1 - PANEL[0]), (1 - n // 2) * (1 - PANEL[1])
        right, top = left + PANEL[0], bottom + PANEL[1]
        traces.append(
            go.Heatmap(
                z=values.astype(np.float32),
                zmin=low,
                zmax=high,
                colorscale=scale,
                colorbar=dict(
                    x=right, y=top, yanchor="top", len=0.3, thickness=9, tickvals=(low, (low + high) / 2, high)
                ),
                text=text,
                hovertemplate=f"{title} %{{z:.3f}}<br>%{{text}}<br>x %{{x}}, y %{{y}}<extra></extra>",
                xaxis=f"x{number}",
                yaxis=f"y{number}",
            )
        )
        across = dict(domain=(left, right), anchor=f"y{number}", matches="x" if n else None, range=(-0.5, width - 0.5))
        down = dict(domain=(bottom, top), anchor=f"x{number}", matches="y" if n else None, range=(height - 0.5, -0.5))
        layout[f"xaxis{number}"] = hidden | across | {"title": dict(text="x, pixels", standoff=4)}
        layout[f"yaxis{number}"] = hidden | down | dict(scaleanchor="x", scaleratio=1, constraintoward="top")
        layout[f"yaxis{number}"]["title"] = dict(text="" if n % 2 else "y, pixels", standoff=4)
        at = dict(x=(left + right) / 2, y=top, xanchor="center", yanchor="bottom", xref="paper", yref="paper")
        layout["annotations"].append(at | dict(text=title, showarrow=False, font_size=16))
    return apply_style(go.Figure(traces, layout), tall, dark, margin=dict(l=24, r=0, t=30, b=0))

"""Panels of one slice with one crosshair, one zoom and one window, which can be switched off."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dafnet_core.drawing import colour_table, rgb
from dafnet_explorer.components import component

VALUES = 10_000  # steps of one unit of a value in the browser, so that four digits are kept
POSITIONS = 16  # steps of one pixel of a position


@dataclass(frozen=True, eq=False)
class Panel:
    """One view of a slice.

    Attributes:
        title: above it.
        values: (H, W) numbers between -3 and 3, or labels with `names`.
        low, high: of the colours; scale: one of drawing.SCALES or "grey", for numbers.
        window: whether the darkest and brightest value can be chosen, instead of low and high.
        names, colours: of the labels, one each; () for numbers.
        positions: (H, W, 2) xy in pixels of this view: where it shows each pixel of the other views; None for the
            same pixel. Its values are then of its own frame.
    """

    title: str
    values: np.ndarray
    low: float = -1.0
    high: float = 1.0
    scale: str = "grey"
    window: bool = False
    names: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    positions: np.ndarray | None = None


def crosshair(panels: Sequence[Panel], mm: float | None, *, owner: str, key: str) -> None:
    """Show panels (H, W) of one size.

    Args:
        mm: size of a pixel, where it is known.
        owner: identifies the slice; the crosshair stays where it is when another one has the same panels.
    """
    height, width = panels[0].values.shape
    component("crosshair")(
        key=key,
        data={
            "owner": owner,
            "mm": mm,
            "height": height,
            "width": width,
            "panels": [_packed(panel) for panel in panels],
        },
    )


def _packed(panel: Panel) -> dict[str, object]:
    if panel.names:
        table = np.array([rgb(colour) for colour in panel.colours])
    else:
        table = np.repeat(np.arange(256)[:, None], 3, 1) if panel.scale == "grey" else colour_table(panel.scale)
    steps = 1 if panel.names else VALUES
    return {
        "title": panel.title,
        "values": _int16(panel.values, steps),
        "low": panel.low,
        "high": panel.high,
        "window": panel.window,
        "names": list(panel.names) or None,
        "table": base64.b64encode(table.astype(np.uint8).tobytes()).decode(),
        "positions": None if panel.positions is None else _int16(panel.positions, POSITIONS),
    }


def _int16(values: np.ndarray, steps: int) -> str:
    """Values in steps of 1 / `steps`, two bytes each, little-endian."""
    limits = np.iinfo(np.int16)
    found = np.nan_to_num(np.asarray(values, np.float64) * steps).round().clip(limits.min, limits.max)
    return base64.b64encode(found.astype("<i2").tobytes()).decode()

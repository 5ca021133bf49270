"""The page Edit: images and masks before and after an edit of the anatomy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from PIL import Image

from dafnet_core.analysis.editing import Edit
from dafnet_core.drawing import Theme, Tile, coloured, grey, overlay, sheet
from dafnet_explorer.figures.masks import names_beside
from dafnet_explorer.figures.pixels import CHANGE_BAR, CHANGE_LIMIT, labels_map
from dafnet_explorer.figures.texts import dice_text


@dataclass(frozen=True, eq=False)
class Edited:
    """An edit in one model.

    Attributes:
        name: of the model.
        edit: its effects.
        labels: (H, W) channels after it.
        palette: a colour for each of the model's channels; colours: for each of its classes.
    """

    name: str
    edit: Edit
    labels: np.ndarray
    palette: Sequence[str]
    colours: Sequence[str]


def edit_sheet(rows: Sequence[Edited], theme: Theme) -> Image.Image:
    """Images and masks before and after an edit, one row per model."""
    tiles: list[list[Tile | None]] = []
    for row in rows:
        before, after = row.edit.images
        change = coloured(after - before, -CHANGE_LIMIT, CHANGE_LIMIT, "RdBu_r")
        mask = overlay(grey(after), row.edit.masks[1], row.colours)
        tiles.append(
            [
                Tile(labels_map(row.labels, row.palette), "edited s"),
                Tile(grey(before), "g(s, z) before"),
                Tile(grey(after), "after"),
                Tile(change, "after - before", _change(row.edit), CHANGE_BAR),
                Tile(mask, "mask after", dice_text(row.edit.dice[1])),
            ]
        )
    return sheet(tiles, [row.name for row in rows], side=170, theme=theme)


def _change(edit: Edit) -> str:
    return "nothing edited" if np.isnan(edit.inside) else f"in {edit.inside:.3f}, out {edit.outside:.3f}"


def legend(titles: Sequence[str], row: Edited) -> str:
    """The channels of a model that hold pixels after an edit, each in its colour, as HTML.

    Args:
        titles: of all its channels.
    """
    shown = [c for c in range(len(titles)) if (row.labels == c).any()]
    return f"{escape(row.name)}: {names_beside({titles[c]: row.palette[c] for c in shown})}"


def edit_rows(edit: Edit, titles: Sequence[str]) -> list[dict[str, object]]:
    """Pixels of each channel before and after; channels that are empty in both are left out."""
    pixels = zip(titles, edit.pixels.tolist(), strict=True)
    return [
        {"channel": title, "before (pixels)": before, "after (pixels)": after, "change (pixels)": after - before}
        for title, (before, after) in pixels
        if before or after
    ]

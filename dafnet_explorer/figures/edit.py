"""The page Edit: images and masks before and after painting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from dafnet_core.analysis.editing import Edit
from dafnet_core.drawing import Theme, Tile, coloured, grey, overlay, sheet
from dafnet_explorer.figures.pixels import CHANGE_LIMIT
from dafnet_explorer.figures.texts import dice_text


def edit_sheet(rows: Sequence[tuple[str, Edit, np.ndarray]], colours: Sequence[str], theme: Theme) -> Image.Image:
    """Images and masks before and after painting, one row per model.

    Args:
        rows: name of the model, its edit, and its anatomy after it as a picture (H, W, 3).
    """
    tiles: list[list[Tile | None]] = []
    for _, edit, painted in rows:
        before, after = edit.images
        change = coloured(after - before, -CHANGE_LIMIT, CHANGE_LIMIT, "RdBu_r")
        tiles.append([Tile(painted, "painted s"), Tile(grey(before), "g(s, z) before"), Tile(grey(after), "after")])
        tiles.append(
            [
                None,
                Tile(change, "after - before", _change(edit)),
                Tile(overlay(grey(after), edit.masks[1], colours), "mask after", dice_text(edit.dice[1])),
            ]
        )
    return sheet(tiles, [name for model, *_ in rows for name in (model, "")], side=170, theme=theme)


def _change(edit: Edit) -> str:
    return "nothing painted" if np.isnan(edit.inside) else f"in {edit.inside:.3f}, out {edit.outside:.3f}"


def edit_rows(edit: Edit, titles: Sequence[str]) -> list[dict[str, object]]:
    """Pixels of each channel before and after; channels that are empty in both are left out."""
    return [
        {"channel": title, "pixels before": int(before), "pixels after": int(after), "change": int(after - before)}
        for title, (before, after) in zip(titles, edit.pixels, strict=True)
        if before or after
    ]

"""The page Start: factors, reconstruction and swap in one picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from dafnet_core.drawing import Theme, Tile, bars, grey, sheet
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.figures.pixels import anatomy_map


def start_sheet(decomposition: Decomposition, colours: Sequence[str], theme: Theme) -> Image.Image:
    """One row per modality: image, s, z, reconstruction g(s, z), and the same s with the other z."""
    rows = []
    for i, _ in enumerate(decomposition.names):
        row: list[Tile | None] = [
            Tile(grey(decomposition.images[i]), "image x"),
            Tile(anatomy_map(decomposition.s[i], colours), "anatomy s (content)"),
            Tile(bars(decomposition.z_mean[i], decomposition.z_std[i], theme), "modality factor z (style)"),
            Tile(grey(decomposition.own[i]), "reconstruction g(s, z)"),
        ]
        for p, (a, b) in enumerate(decomposition.pairs):
            if a == i:
                row.append(Tile(grey(decomposition.swapped[p]), f"same s, z of {decomposition.names[b]}"))
        rows.append(row)
    return sheet(rows, decomposition.names, side=200, theme=theme)

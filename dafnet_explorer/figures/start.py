"""The page Start: all factors in one picture, blocks of the model, labels of the slider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from dafnet_core.drawing import Theme, Tile, bars, grey, sheet
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.components import Block
from dafnet_explorer.figures.errors import error_tile
from dafnet_explorer.figures.pixels import anatomy_map


def start_sheet(
    decomposition: Decomposition, scars: Mapping[int, np.ndarray], colours: Sequence[str], theme: Theme
) -> Image.Image:
    """One row per modality: image, s, z, reconstruction g(s, z) and its error, and the same s with the other z.

    Args:
        scars: (H, W) bool of images with a scar, which is outlined.
    """
    rows = []
    for i, _ in enumerate(decomposition.names):
        row: list[Tile | None] = [
            Tile(grey(decomposition.images[i]), "image x"),
            Tile(anatomy_map(decomposition.s[i], colours), "anatomy s (content)"),
            Tile(bars(decomposition.z_mean[i], decomposition.z_std[i], theme), "modality factor z (style)"),
            Tile(grey(decomposition.own[i]), "reconstruction g(s, z)"),
            error_tile(decomposition.own[i], decomposition.images[i], scars.get(i), "|x - g(s, z)| over x"),
        ]
        for p, (a, b) in enumerate(decomposition.pairs):
            if a == i:
                row.append(Tile(grey(decomposition.swapped[p]), f"same s, z of {decomposition.names[b]}"))
        rows.append(row)
    return sheet(rows, decomposition.names, side=200, theme=theme)


def between_labels(a: str, b: str, count: int) -> list[str]:
    """What each image of the slider is decoded with.

    >>> between_labels("cine", "LGE", 3)
    ['z of cine', 'z: 50 % cine, 50 % LGE', 'z of LGE']
    """
    shares = [round(100 * n / (count - 1)) for n in range(count)]
    return [f"z of {a}", *(f"z: {100 - p} % {a}, {p} % {b}" for p in shares[1:-1]), f"z of {b}"]


def model_blocks(decomposition: Decomposition, classes: Sequence[str]) -> list[Block]:
    """Blocks of the model with the shapes of one image, each with its station of the tour."""
    channels, height, width = decomposition.s[0].shape
    side, right = f"{height} x {width}", 184
    blocks = [
        Block("image x", f"1 x {side}", 1, 94, 4),
        Block("anatomy s", f"{channels} x {side}, 0 or 1", 2, 4, 88),
        Block("modality factor z", f"{decomposition.z_mean.shape[1]} numbers", 3, right, 88),
    ]
    if decomposition.aligned:
        points = round(decomposition.offsets.shape[1] ** 0.5)
        blocks.append(Block("align", f"{points} x {points} offsets", 6, 4, 168))
        blocks.append(Block("fuse", f"{channels} x {side}", 7, 4, 248))
    blocks.append(Block("mask h(s)", f"{len(classes)} x {side}", 8, 4, 328))
    return [*blocks, Block("image g(s, z)", f"1 x {side}", 4, right, 328)]

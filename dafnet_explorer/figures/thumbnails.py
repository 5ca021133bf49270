"""Thumbnails of samples and of the user's files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from dafnet_core.data.prepare import scale_intensity
from dafnet_core.data.readers import Scan
from dafnet_core.drawing import Theme, Tile, grey, sheet

SMALL = 72  # pixels
UNREAD = np.full((8, 8), -0.6, np.float32)  # in place of a picture that is not there yet


def short_names(names: Sequence[str], most: int = 9) -> list[str]:
    """Names that fit above a thumbnail: without the words that all begin with, and cut.

    >>> short_names(["TCGA_CS_4941_1996", "TCGA_HT_7473_1997"])
    ['CS_4941_1', 'HT_7473_1']
    >>> short_names(["1", "10"])
    ['1', '10']
    """
    if max(map(len, names)) <= most:
        return list(names)
    first, last = min(names), max(names)
    alike = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    cut = max(first.rfind(mark, 0, alike) for mark in "_-. ") + 1
    return [name[cut:][:most] for name in names]


def gallery(images: Sequence[np.ndarray | None], names: Sequence[str], theme: Theme) -> Image.Image:
    """Thumbnails (H, W) with their names, four in a row; None for one that was not read yet."""
    tiles = [Tile(grey(UNREAD if image is None else image), name) for image, name in zip(images, names, strict=True)]
    return sheet([tiles[i : i + 4] for i in range(0, len(tiles), 4)], side=120, theme=theme)


def of_scan(scan: Scan, mask: bool) -> Image.Image:
    """The middle slice of a file in a square of SMALL pixels, in true proportions; labels from black to white."""
    pixels = scan.values[0, scan.slices // 2]
    step = max(1, min(pixels.shape) // SMALL)
    pixels = pixels[::step, ::step]
    shown = pixels / max(1, pixels.max()) * 2 - 1 if mask else scale_intensity(pixels)
    row, column = scan.spacing or (1.0, 1.0)
    height, width = pixels.shape[0] * row, pixels.shape[1] * column
    size = [max(1, round(SMALL * side / max(height, width))) for side in (width, height)]
    return Image.fromarray(grey(shown)).resize((size[0], size[1]))

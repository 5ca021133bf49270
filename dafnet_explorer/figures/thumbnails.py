"""Thumbnails of all samples for the sidebar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from dafnet_core.drawing import Theme, Tile, grey, sheet


def gallery(images: Sequence[np.ndarray], theme: Theme) -> Image.Image:
    """Numbered thumbnails (H, W), four in a row."""
    tiles = [Tile(grey(image), str(n)) for n, image in enumerate(images, 1)]
    return sheet([tiles[i : i + 4] for i in range(0, len(tiles), 4)], side=120, theme=theme)

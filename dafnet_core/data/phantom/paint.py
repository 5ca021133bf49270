"""Shapes laid over each other as signal and as tissue labels.

Shapes come back to front, as (name of the tissue, signed distance in mm at each pixel, negative inside).
"""

from __future__ import annotations

import numpy as np

from dafnet_core.data.phantom.tissue import TISSUE_INDEX, TISSUE_TABLE


def paint(
    shapes: list[tuple[str, np.ndarray]],
    signals: np.ndarray,
    edge: float,
    texture: np.ndarray,
    behind: np.ndarray | None = None,
) -> np.ndarray:
    """SIGNED signal (H, W) float32 of shapes laid over each other.

    Args:
        shapes: back to front.
        signals: of each pure tissue, (len(TISSUES),).
        edge: mm over which a boundary goes from none to all of a shape.
        texture: (H, W), unit variance.
        behind: signal that the shapes cover; left as it is. Default: none.
    """
    signal = np.zeros_like(texture) if behind is None else behind.copy()
    for name, distance in shapes:
        index = TISSUE_INDEX[name]
        coverage = np.clip(0.5 - distance / edge, 0, 1)
        own = signals[index] * (1 + TISSUE_TABLE[index].texture * texture)
        signal += coverage * (own - signal)  # signed on both sides: a boundary can cancel to black
    return signal


def tissue_map(shapes: list[tuple[str, np.ndarray]], behind: np.ndarray | None = None) -> np.ndarray:
    """Tissue at each pixel's centre, (H, W) uint8 indices into TISSUES; `behind` as in `paint`."""
    tissue = np.zeros(shapes[0][1].shape, dtype=np.uint8) if behind is None else behind.copy()
    for name, distance in shapes:
        tissue[distance < 0] = TISSUE_INDEX[name]
    return tissue

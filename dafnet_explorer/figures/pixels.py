"""Arrays as coloured pixels, and the ranges of values that pictures show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dafnet_core.drawing import Bar, rgb

# for channels without a class: muted, and distinct from the class colours
MIXED = ("#3b3f46", "#8d99a6", "#c9b79c", "#6b7f6b", "#b5a3c9", "#5f7c99", "#a68a7a", "#d9d9d9")
ERROR_LIMIT = 0.5  # absolute errors are shown up to this, in intensities of [-1, 1]
CHANGE_LIMIT = 1.0  # signed changes of intensity are shown from minus this to this
ERROR_BAR = Bar("Reds", "0", f"{ERROR_LIMIT:g}+", "error")
CHANGE_BAR = Bar("RdBu_r", f"{-CHANGE_LIMIT:g}", f"{CHANGE_LIMIT:g}", "intensity")


def channel_colours(kinds: Sequence[int | None], colours: Sequence[str]) -> tuple[str, ...]:
    """One colour per channel: that of its class, or one of MIXED."""
    return tuple(colours[k] if k else MIXED[c % len(MIXED)] for c, k in enumerate(kinds))


def anatomy_map(s: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """An anatomy (C, H, W) as one picture (H, W, 3): colours weighted by the channels."""
    palette = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], float)
    total = np.maximum(s.sum(0), 1e-6)  # a fused anatomy may add up to more than 1
    return (np.einsum("chw,cr->hwr", s, palette) / total[..., None]).round().clip(0, 255).astype(np.uint8)


def labels_map(labels: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """Channel indices (H, W) as one picture (H, W, 3), each in its colour."""
    return np.array([rgb(c) for c in colours], np.uint8)[labels]

"""Contact sheets of judged slices, in the order of one of their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from dafnet_core.drawing import Theme, Tile, grey, overlay, sheet
from dafnet_core.evaluation.slices import DICE, DISAGREEMENT, ERROR, LEAKAGE, JudgedSlice
from dafnet_explorer.figures.thumbnails import short_names

IN_ROW, ON_PAGE = 8, 24
WORST = {DICE: False, ERROR: True, LEAKAGE: True, DISAGREEMENT: True}  # whether a high number is worse


def order(values: np.ndarray, chosen: np.ndarray, *, worst_high: bool, worst_first: bool) -> np.ndarray:
    """Places of chosen slices (n,) bool by their values, equal ones in their order; unknown ones (NaN) are left out."""
    known = np.flatnonzero(chosen & ~np.isnan(values))
    sign = -1 if worst_high == worst_first else 1
    return known[np.argsort(sign * values[known], kind="stable")]


def browser_sheet(
    slices: Sequence[JudgedSlice], shown: Sequence[int], values: np.ndarray, names: Sequence[str], theme: Theme
) -> Image.Image:
    """Thumbnails of some slices, IN_ROW in a row, each with its subject, slice, modality and number.

    Args:
        shown: their places in `slices` and in `values`; at least one.
        names: of the modalities.
    """
    subjects = list(dict.fromkeys(slices[n].subject for n in shown))
    short = dict(zip(subjects, short_names(subjects), strict=True))
    tiles: list[Tile | None] = [
        Tile(
            np.repeat(slices[n].picture[..., None], 3, -1),
            f"{short[slices[n].subject]}, {slices[n].number + 1}",
            f"{names[slices[n].modality]} {values[n]:.3f}",
        )
        for n in shown
    ]
    rows = [tiles[n : n + IN_ROW] for n in range(0, len(tiles), IN_ROW)]
    return sheet(rows, side=96, theme=theme)


def slice_sheet(
    judged: Mapping[str, JudgedSlice], image: np.ndarray | None, truth: np.ndarray | None, colours: Sequence[str],
    theme: Theme,
) -> Image.Image:  # fmt: skip
    """One slice with the mask of every checkpoint, and the true one, over its image.

    Args:
        judged: by name of the checkpoint, all of one slice.
        image: (H, W) in [-1, 1]; None where no more than the thumbnail is there.
        truth: labels (H, W), where they are known.
    """
    first = next(iter(judged.values()))
    if image is None:
        return sheet([[Tile(np.repeat(first.picture[..., None], 3, -1), "image")]], side=200, theme=theme)
    base = grey(image)
    row: list[Tile | None] = [Tile(base, "image")]
    if truth is not None:
        row.append(Tile(overlay(base, truth, colours), "true mask"))
    for name, found in judged.items():
        if found.mask is not None:
            row.append(Tile(overlay(base, found.mask, colours), f"mask of {name}", f"Dice {found.dice:.3f}"))
    return sheet([row], side=200, theme=theme)

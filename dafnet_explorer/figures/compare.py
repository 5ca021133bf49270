"""The page Compare: two checkpoints on the same images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from dafnet_core.analysis.decompose import channel_classes, overlaps
from dafnet_core.drawing import Theme, Tile, coloured, grey, overlay, sheet
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean
from dafnet_explorer.figures.masks import ERRORS, error_map
from dafnet_explorer.figures.pixels import CHANGE_BAR, CHANGE_LIMIT, anatomy_map, channel_colours
from dafnet_explorer.figures.texts import dice_text


def compare_sheet(
    decompositions: tuple[Decomposition, Decomposition],
    truth: dict[int, np.ndarray],
    colours: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """Two models on one slice: one row per model and modality, and the difference of their images below.

    Args:
        truth: labels (H, W) by modality, where there are any; colours: of the classes.
    """
    rows, names = [], []
    classes = len(colours)
    palettes = [channel_colours(channel_classes(f, classes), colours) for f in decompositions]
    scores = [
        {(k, i): nanmean(dice_from_counts(c)) for k, i, j, c in overlaps(f, truth, classes) if j is None}
        for f in decompositions
    ]
    for i, name in enumerate(decompositions[0].names):
        swaps = [p for p, (a, _) in enumerate(decompositions[0].pairs) if a == i]
        base = grey(decompositions[0].images[i])
        for n, f in enumerate(decompositions):
            row: list[Tile | None] = [
                Tile(base, "" if n else "image x"),
                Tile(anatomy_map(f.s[i], palettes[n]), "" if n else "anatomy s"),
                Tile(
                    overlay(base, f.fused_masks[i], colours),
                    "" if n else "mask",
                    dice_text(scores[n].get(("fused" if f.aligned else "single", i))),
                ),
                *([_errors(f, i, base, truth, not n)] if truth else []),
                Tile(grey(f.own[i]), "" if n else "g(s, z)", f"L1 {np.abs(f.own[i] - f.images[i]).mean():.3f}"),
            ]
            row += [Tile(grey(f.swapped[p]), "" if n else f"z of {f.names[f.pairs[p][1]]}") for p in swaps]
            rows.append(row)
            names.append(f"{name}, {'AB'[n]}")
        a, b = decompositions
        changes = [(a.own[i], b.own[i]), *((a.swapped[p], b.swapped[p]) for p in swaps)]
        rows.append(
            [
                *([None] * (4 if truth else 3)),
                *(
                    Tile(
                        coloured(x - y, -CHANGE_LIMIT, CHANGE_LIMIT, "RdBu_r"),
                        "",
                        f"mean {np.abs(x - y).mean():.3f}",
                        CHANGE_BAR,
                    )
                    for x, y in changes
                ),
            ]
        )
        names.append("A - B")
    return sheet(rows, names, side=170, theme=theme)


def _errors(f: Decomposition, i: int, base: np.ndarray, truth: dict[int, np.ndarray], titled: bool) -> Tile | None:
    """Where the fused mask of modality i differs from the truth; None without one."""
    if i not in truth:
        return None
    wrong = error_map(f.fused_masks[i], truth[i])
    share = f"{(wrong > 1).mean():.2%} of pixels wrong"
    return Tile(overlay(base, wrong, ("#000000", *ERRORS.values()), 0.7), "against truth" if titled else "", share)


def pictures(
    decompositions: tuple[Decomposition, Decomposition],
    i: int,
    truth: dict[int, np.ndarray],
    colours: Sequence[str],
) -> dict[str, np.ndarray]:
    """Pictures (H, W, 3) uint8 of modality i to lay over each other, by name; arguments as in `compare_sheet`."""
    base, classes = grey(decompositions[0].images[i]), len(colours)
    found = {"image x": base}
    if i in truth:
        found["true mask"] = overlay(base, truth[i], colours)
    for letter, f in zip("AB", decompositions, strict=True):
        found[f"{letter}: mask"] = overlay(base, f.fused_masks[i], colours)
        if i in truth:
            wrong = error_map(f.fused_masks[i], truth[i])
            found[f"{letter}: mask against truth"] = overlay(base, wrong, ("#000000", *ERRORS.values()), 0.7)
        found[f"{letter}: anatomy s"] = anatomy_map(f.s[i], channel_colours(channel_classes(f, classes), colours))
        found[f"{letter}: reconstruction g(s, z)"] = grey(f.own[i])
        for p, (a, j) in enumerate(f.pairs):
            if a == i:
                found[f"{letter}: with z of {f.names[j]}"] = grey(f.swapped[p])
    return found

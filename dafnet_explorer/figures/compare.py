"""The page Compare: two checkpoints on the same images, and their numbers on the same data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from dafnet_core.analysis.decompose import channel_classes, overlaps
from dafnet_core.drawing import Theme, Tile, coloured, grey, overlay, sheet
from dafnet_core.evaluation.base import difference
from dafnet_core.evaluation.run import Evaluation
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean
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
                Tile(grey(f.own[i]), "" if n else "g(s, z)", f"L1 {np.abs(f.own[i] - f.images[i]).mean():.3f}"),
            ]
            row += [Tile(grey(f.swapped[p]), "" if n else f"z of {f.names[f.pairs[p][1]]}") for p in swaps]
            rows.append(row)
            names.append(f"{name}, {'AB'[n]}")
        a, b = decompositions
        changes = [(a.own[i], b.own[i]), *((a.swapped[p], b.swapped[p]) for p in swaps)]
        rows.append(
            [
                None,
                None,
                None,
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


HIDDEN = (
    "n_subjects",
    "n_slices",
    "warp.",
    "why",
    "version",
    "data",
    "split",
    "paired.",
)  # properties of the data, and duplicates
COUNTS = (".n", ".n_subjects", ".slices")


def _numbers(value: Any, path: str = "") -> Iterable[tuple[str, float]]:
    """(dotted path, value) of every number in nested dicts and lists; intervals and counts of permutations too."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list | tuple):
        for n, inner in enumerate(value, 1):
            yield from _numbers(inner, f"{path}.{n}")
    elif isinstance(value, int | float):
        yield path, float(value)


def comparison(a: Evaluation, b: Evaluation) -> list[dict[str, Any]]:
    """All numbers of two checkpoints A and B on the same data; by-subject ones with their paired difference a - b.

    Checkpoints that were judged on different subjects, because their splits differ, have no paired differences.

    Returns:
        Rows of number, chosen (A), beside (B), difference, low and high of its 95 % interval, sign-flip p; None where
        unknown.
    """
    ours, theirs = dict(_numbers(a.result.to_json())), dict(_numbers(b.result.to_json()))
    rows = []
    for name in [n for n in ours if n in theirs and not (n.startswith(HIDDEN) or n.endswith(COUNTS) or "ci95" in n)]:
        known = name in a.by_subject and name in b.by_subject and a.subjects == b.subjects
        paired = difference(a.by_subject[name], b.by_subject[name]) if known else None
        low, high = paired.ci95 if paired else (None, None)
        rows.append(
            {
                "number": name,
                "chosen": ours[name],
                "beside": theirs[name],
                "difference": paired.difference if paired else None,
                "low": low,
                "high": high,
                "p": paired.p_value if paired else None,
            }
        )
    return rows

"""Pages for methods with a continuous content code in place of anatomy channels, and with a style code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from dafnet_core.analysis.content import principal_maps
from dafnet_core.analysis.scores import mask_overlaps
from dafnet_core.analysis.style_codes import StyleMixture
from dafnet_core.drawing import Bar, Theme, Tile, coloured, grey, overlay, sheet
from dafnet_core.methods.base import Estimate
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean
from dafnet_explorer.figures.texts import dice_text

LIMIT = 2.5  # standard deviations of a component


def content_sheet(
    estimate: Estimate,
    images: np.ndarray,
    names: Sequence[str],
    truth: Mapping[int, np.ndarray],
    colours: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """Each image with the principal components of its content, its mask and its own reconstruction.

    Args:
        estimate: with content.
        images: (n, H, W) in [-1, 1]; names: of their modalities.
        truth: labels (H, W) by modality, where there are any; colours: of the classes.

    Raises:
        ValueError: an estimate without content.
    """
    if estimate.content is None:
        raise ValueError("the estimate has no content code")
    maps, shares = principal_maps(estimate.content)
    factor = images.shape[1] // maps.shape[2]
    scores = {i: nanmean(dice_from_counts(c)) for _, i, _, c in mask_overlaps(estimate.masks, truth, len(colours))}
    rows = []
    for i in range(len(names)):
        base = grey(images[i])
        row: list[Tile | None] = [Tile(base, "image x")]
        for n, share in enumerate(shares):
            large = maps[i, n].repeat(factor, 0).repeat(factor, 1)
            bar = Bar("RdBu_r", f"{-LIMIT:g}", f"{LIMIT:g}", "std. dev.")
            pixels = coloured(large, -LIMIT, LIMIT, "RdBu_r")
            row.append(Tile(pixels, f"component {n + 1}", f"{share:.0%} of variance", bar))
        masks = [m for m in estimate.masks if m.fixed == i]
        row += [Tile(overlay(base, m.labels, colours), f"{m.kind} mask", dice_text(scores.get(i))) for m in masks]
        if i in truth:
            row.append(Tile(overlay(base, truth[i], colours), "truth"))
        row += [Tile(grey(y.pixels), "reconstruction") for y in estimate.images if (y.kind, y.fixed) == ("own", i)]
        rows.append(row)
    return sheet(rows, names, side=180, theme=theme)


def style_mixture_sheet(
    mixture: StyleMixture, images: np.ndarray, rows: Sequence[str], columns: Sequence[str], theme: Theme
) -> Image.Image:
    """Every content (row) with every style (column), each with its scores.

    Args:
        images: (R, H, W) in [-1, 1] of the rows; the first R columns are their styles.
        rows, columns: their titles.
    """
    head: list[Tile | None] = [None, *(Tile(grey(x), f"style of {n}") for x, n in zip(images, rows, strict=True))]
    found: list[list[Tile | None]] = [head + [None] * (len(columns) - len(rows))]
    for r, image in enumerate(images):
        row: list[Tile | None] = [Tile(grey(image), "" if r else "image")]
        for k, name in enumerate(columns):
            dice = "n/a" if np.isnan(mixture.dice[r, k]) else f"{mixture.dice[r, k]:.2f}"
            title = name if not r and k >= len(rows) else ""
            row.append(
                Tile(grey(mixture.images[r, k]), title, f"kept {dice}, content {mixture.content_change[r, k]:.0%}")
            )
        found.append(row)
    return sheet(found, ["", *(f"content of {name}" for name in rows)], side=140, theme=theme)

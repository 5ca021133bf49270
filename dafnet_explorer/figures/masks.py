"""Masks over images, and their Dice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from PIL import Image

from dafnet_core.analysis.decompose import overlaps
from dafnet_core.drawing import Theme, Tile, grey, overlay, sheet
from dafnet_core.methods.dafnet import masks_of
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean
from dafnet_explorer.figures.texts import dice_text
from dafnet_explorer.subjects import Native

ERRORS = {  # where a mask and the truth agree or differ, and colours that differ for any colour vision
    "agreement": "#d9d9d9",
    "over-segmented": "#E69F00",
    "missed": "#0072B2",
    "another class": "#CC79A7",
}


def error_map(labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Where labels (H, W) and the truth differ: 0 background in both, and from 1 on the number of a name in ERRORS."""
    conditions = [
        (labels > 0) & (labels == truth),
        (labels > 0) & (truth == 0),
        (labels == 0) & (truth > 0),
        (labels > 0) & (truth > 0),
    ]
    return np.select(conditions, range(1, len(ERRORS) + 1), 0)


def names_beside(colours: Mapping[str, str]) -> str:
    """Names beside their colours, as HTML."""
    return " &ensp; ".join(
        f'<span style="white-space: nowrap"><span aria-hidden="true" style="color: {escape(colour[:7])}">■</span> '
        f"{escape(name)}</span>"
        for name, colour in colours.items()
    )


def mask_sheet(
    decomposition: Decomposition,
    truth: dict[int, np.ndarray],
    classes: Sequence[str],
    colours: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """Masks of every anatomy over the image, with ground truth and mean Dice where available."""
    scores = {
        (kind, i, j): nanmean(dice_from_counts(c)) for kind, i, j, c in overlaps(decomposition, truth, len(classes))
    }
    rows = []
    for i, _ in enumerate(decomposition.names):
        base = grey(decomposition.images[i])
        row: list[Tile | None] = [Tile(base, "image")]
        if truth:
            row.append(Tile(overlay(base, truth[i], colours), "truth") if i in truth else None)
        for kind, owner, j, labels in masks_of(decomposition):
            if owner == i:
                title = f"from {decomposition.names[j]}" if j is not None else f"{kind} mask"
                caption = dice_text(scores.get((kind, i, j)))
                row.append(Tile(overlay(base, labels, colours), title, caption))
        rows.append(row)
    return sheet(rows, decomposition.names, side=200, theme=theme)


def dice_rows(
    decomposition: Decomposition, truth: dict[int, np.ndarray], classes: Sequence[str]
) -> list[dict[str, str | float | None]]:
    """Dice of every mask and class, a row a mask; None where there is no truth, or it lacks the class."""
    counts = {(kind, i, j): c for kind, i, j, c in overlaps(decomposition, truth, len(classes))}
    wanted = [(kind, i, j) for kind, i, j, _ in masks_of(decomposition)] + [
        ("copy", i, j) for i, j in decomposition.pairs
    ]
    rows: list[dict[str, str | float | None]] = []
    for kind, i, j in sorted(wanted, key=lambda key: key[1]):
        source = {"deformed": "deformed from", "copy": "truth, undeformed, of"}.get(kind, kind)
        counted = counts.get((kind, i, j))
        dice = np.full(len(classes) - 1, np.nan) if counted is None else dice_from_counts(counted)
        numbers = zip([*classes[1:], "mean"], [*dice, nanmean(dice)], strict=True)
        rows.append(
            {
                "modality": decomposition.names[i],
                "mask": source if j is None else f"{source} {decomposition.names[j]}",
                **{f"{name} (Dice)": None if np.isnan(value) else float(value) for name, value in numbers},
                "without": "truth" if counted is None else "",
            }
        )
    return rows


def dice_table(
    decomposition: Decomposition, truth: dict[int, np.ndarray], classes: Sequence[str], why_no_truth: str
) -> list[dict[str, str]]:
    """`dice_rows` as text; n/a with the reason."""
    rows = []
    for row in dice_rows(decomposition, truth, classes):
        why = f"n/a: {why_no_truth}" if row.pop("without") else "n/a: not in this slice's truth"
        texts = {k.removesuffix(" (Dice)"): why if v is None else v for k, v in row.items()}
        rows.append({k: f"{v:.3f}" if isinstance(v, float) else v for k, v in texts.items()})
    return rows


def native_sheet(
    decomposition: Decomposition, native: Sequence[Native], colours: Sequence[str], theme: Theme
) -> Image.Image:
    """Fused masks, or without alignment single ones, resampled to the user's own pixels."""
    rows: list[list[Tile | None]] = []
    for i, own in enumerate(native):
        base = grey(own.pixels)
        row: list[Tile | None] = [Tile(base, f"{base.shape[0]} x {base.shape[1]} pixels")]
        if i in decomposition.served:
            labels = own.placement.back(decomposition.fused_masks[i], labels=True)
            row.append(Tile(overlay(base, labels, colours), "fused mask" if decomposition.aligned else "mask"))
        rows.append(row)
    return sheet(rows, decomposition.names, side=280, theme=theme)

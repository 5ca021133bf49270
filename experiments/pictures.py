"""The paper's Figures 4 to 9 as pictures, from factors, masks and logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from dafnet_core.analysis.decompose import channel_classes
from dafnet_core.analysis.traversal import steps_between, traverse
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.drawing import LIGHT, OKABE_ITO, Tile, channel, class_colours, grey, overlay, sheet
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.figures.compare import compare_sheet
from dafnet_explorer.figures.decompose import channel_sheet
from dafnet_explorer.figures.pixels import channel_colours
from dafnet_explorer.figures.texts import channel_title
from dafnet_explorer.figures.traverse import traverse_sheet

CHART = 640, 320  # pixels of Fig. 6


def factors(found: Decomposition, classes: Sequence[str]) -> Image.Image:
    """Fig. 4: the image and the anatomy channels of each modality."""
    kinds = channel_classes(found, len(classes))
    return channel_sheet(found, kinds, classes, channel_colours(kinds, class_colours(len(classes))), LIGHT)


def segmentations(
    slices: Sequence[tuple[np.ndarray, np.ndarray]],
    masks: Mapping[str, Mapping[float, Sequence[np.ndarray | None]]],
    classes: int,
) -> Image.Image:
    """Fig. 5: masks of each method for each share of annotations.

    Args:
        slices: images (H, W) in [-1, 1] and their true labels (H, W).
        masks: labels (H, W) of each slice by method and share; None where missing.
    """
    colours = class_colours(classes)
    rows: list[list[Tile | None]] = [[]]
    for image, truth in slices:
        shown = Tile(grey(image), "image"), Tile(overlay(grey(image), truth, colours), "truth")
        rows[0] += [*shown, *[None] * (len(next(iter(masks.values()))) - len(shown))]
    for by_share in masks.values():
        row: list[Tile | None] = []
        for n, (image, _) in enumerate(slices):
            for share, found in by_share.items():
                labels, title = found[n], "" if len(rows) > 1 else f"{100 * share:g} %"
                row.append(None if labels is None else Tile(overlay(grey(image), labels, colours), title))
        rows.append(row)
    return sheet(rows, ["", *masks], side=110)


def weights(epochs: Sequence[int], values: Mapping[str, Sequence[float]]) -> Image.Image:
    """Fig. 6: the mean weight of each candidate pair, in [0, 1], over the epochs."""
    width, height = CHART
    left, right, top, bottom = 50, width - 90, 20, height - 40
    picture = Image.new("RGB", CHART, LIGHT.paper)
    draw = ImageDraw.Draw(picture)
    last = max(epochs[-1], 1)

    def at(epoch: float, value: float) -> tuple[float, float]:
        return left + (right - left) * epoch / last, bottom - (bottom - top) * value

    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        draw.line([at(0, value), at(last, value)], fill="#dddddd")
        draw.text((left - 8, at(0, value)[1]), f"{value:g}", fill=LIGHT.ink, anchor="rm")
    for epoch in (0, last):
        draw.text((at(epoch, 0)[0], bottom + 12), str(epoch), fill=LIGHT.ink, anchor="mm")
    draw.text(((left + right) / 2, bottom + 26), "epoch", fill=LIGHT.ink, anchor="mm")
    for n, (name, line) in enumerate(values.items()):
        points = [at(epoch, value) for epoch, value in zip(epochs, line, strict=True)]
        if len(points) > 1:
            draw.line(points, fill=OKABE_ITO[n % len(OKABE_ITO)], width=3)
        for x, y in points:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=OKABE_ITO[n % len(OKABE_ITO)])
        draw.text((right + 12, top + 18 * n + 8), name, fill=OKABE_ITO[n % len(OKABE_ITO)], anchor="lm")
    return picture


def alignment(found: Decomposition, classes: Sequence[str], fixed: int) -> Image.Image:
    """Fig. 7: another modality's anatomy, that of modality `fixed`, and the first one deformed onto it."""
    kinds = channel_classes(found, len(classes))
    colours = channel_colours(kinds, class_colours(len(classes)))
    pair = next(p for p, (i, _) in enumerate(found.pairs) if i == fixed)
    moving = found.pairs[pair][1]
    parts = {
        found.names[moving]: found.s[moving],
        found.names[fixed]: found.s[fixed],
        f"{found.names[moving]}, deformed": found.deformed[pair],
    }
    titles = [channel_title(c, kind, classes) for c, kind in enumerate(kinds)]
    rows = [
        [
            Tile(channel(plane, colours[c] if kinds[c] else "#ffffff"), "" if n else titles[c])
            for c, plane in enumerate(s)
        ]
        for n, s in enumerate(parts.values())
    ]
    return sheet(rows, list(parts), side=130)


def reconstructions(found: tuple[Decomposition, Decomposition], truth: np.ndarray, classes: int) -> Image.Image:
    """Fig. 8: anatomies, masks and images of the same slice by FiLM (A) and by SPADE (B)."""
    return compare_sheet(found, dict(enumerate(truth)), class_colours(classes), LIGHT)


def traversal(checkpoint: Checkpoint, found: Decomposition, numbers: EvaluationResult, i: int) -> Image.Image:
    """Fig. 9: images of modality i over each dimension of z; `numbers` are the checkpoint's."""
    drawn = traverse(checkpoint.model, found.s[i], found.z_mean[i], steps_between())
    accuracies = numbers.probe.per_dimension if numbers.probe else None
    return traverse_sheet(drawn, np.array(numbers.kl_per_dimension), accuracies, "number", LIGHT)

"""Contact sheets of a few validation slices, to inspect a run visually."""

from __future__ import annotations

import numpy as np

from dafnet_core import drawing
from dafnet_core.data.dataset import PairedSlices, Sample
from dafnet_core.drawing import Tile
from dafnet_core.methods.base import Estimate, Method, PredictedImage, PredictedMask, SliceInput, predict_all


def contact_sheet(method: Method, data: PairedSlices, indices: list[int]) -> bytes:
    """A PNG of images, anatomies, masks and reconstructions of some slices; what a method lacks is left out."""
    rows, names = [], []
    for index in indices:
        sample = data[index]
        truth = {i: mask for i, mask in enumerate(sample.masks) if sample.annotated[i]}
        estimate = predict_all(method, SliceInput(sample.images, tuple(range(len(sample.images))), truth))
        for i, name in enumerate(data.modalities):
            rows.append(_tiles(estimate, sample, i, len(data.classes)))
            names.append(name)
    return drawing.png(drawing.sheet(rows, names))


def _tiles(estimate: Estimate, sample: Sample, i: int, classes: int) -> list[Tile]:
    colours, picture = drawing.class_colours(classes), drawing.grey(sample.images[i, 0])

    def first(kind: str, of: tuple[PredictedMask | PredictedImage, ...]) -> np.ndarray | None:
        return next((array for k, fixed, _, array in of if (k, fixed) == (kind, i)), None)

    tiles = [Tile(picture, "image")]
    if estimate.factors is not None:
        s = estimate.factors.s[i]
        tiles.append(Tile(drawing.coloured(s.argmax(0), 0, len(s)), "anatomy"))
    kinds = [kind for kind in dict.fromkeys(mask.kind for mask in estimate.masks) if kind != "deformed"]
    for kind in kinds:
        labels = first(kind, estimate.masks)
        if labels is not None:
            tiles.append(Tile(drawing.overlay(picture, labels, colours), kind))
    tiles.append(Tile(drawing.overlay(picture, sample.masks[i], colours), "truth"))
    for kind, title in (("own", "g(s, z)"), ("cross", "crosswise")):
        pixels = first(kind, estimate.images)
        if pixels is not None:
            tiles.append(Tile(drawing.grey(pixels), title))
    return tiles

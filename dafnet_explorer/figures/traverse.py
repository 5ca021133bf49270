"""The page Traverse: images over each dimension of z (Sec. V-H.2, Fig. 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from dafnet_core.analysis.traversal import Traversal
from dafnet_core.drawing import Theme, Tile, coloured, grey, sheet
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_explorer.figures.charts import linked_heatmaps
from dafnet_explorer.figures.downloads import npz
from dafnet_explorer.figures.pixels import CHANGE_LIMIT

SORTS = ("effect", "KL", "probe accuracy", "number")


def probe_accuracies(metrics: Mapping[str, EvaluationResult]) -> tuple[float, ...] | None:
    """Accuracy of the modality classified from each dimension of z, on the first data set; None if not probed."""
    first = next(iter(metrics.values()), None)
    return first.probe.per_dimension if first and first.probe else None


def traverse_order(traversal: Traversal, kl: np.ndarray, accuracies: Sequence[float] | None, sort: str) -> list[int]:
    """Dimensions of z in the order of `traverse_sheet`, from its arguments."""
    by = {"effect": traversal.effect, "KL": kl, "probe accuracy": accuracies}.get(sort)
    return list(range(len(kl))) if by is None else np.argsort(-np.asarray(by), kind="stable").tolist()


def traverse_sheet(
    traversal: Traversal, kl: np.ndarray, accuracies: Sequence[float] | None, sort: str, theme: Theme
) -> Image.Image:
    """The paper's Fig. 9: one row per dimension of z with its images over the steps, correlation and difference.

    Args:
        kl: (n_z,) nats.
        accuracies: (n_z,) of a probe on each dimension alone; None without a probe.
        sort: one of SORTS, the largest on top.
    """
    order = traverse_order(traversal, kl, accuracies, sort)
    probes = [f"probe {a:.2f}" for a in accuracies] if accuracies else ["not probed"] * len(kl)
    captions = [(f"KL {k:.2f}", p, f"effect {e:.2f}") for k, p, e in zip(kl, probes, traversal.effect, strict=True)]
    correlation, difference = traversal.correlation, traversal.difference
    rows = []
    for r, d in enumerate(order):
        texts = captions[d]
        row: list[Tile | None] = [
            Tile(grey(image), "" if r else f"{value:+.1f}", "" if n else texts[0])
            for n, (value, image) in enumerate(zip(traversal.values, traversal.images[d], strict=True))
        ]
        row.append(Tile(_correlation_pixels(correlation[d]), "" if r else "correlation", texts[1]))
        change = coloured(difference[d], -CHANGE_LIMIT, CHANGE_LIMIT, "RdBu_r")
        row.append(Tile(change, "" if r else "last - first", texts[2]))
        rows.append(row)
    return sheet(rows, [f"z{d + 1}" for d in order], side=110, theme=theme)


def _correlation_pixels(values: np.ndarray) -> np.ndarray:
    """Correlations (H, W) from -1 blue to 1 red; grey where there is none."""
    pixels = coloured(values, -1, 1, "RdBu_r")
    pixels[np.isnan(values)] = 128
    return pixels


def interpolation_sheet(images: np.ndarray, start: str, end: str, theme: Theme) -> Image.Image:
    """One anatomy with z interpolated from one image to another: (steps, H, W)."""
    last = len(images) - 1
    ends = {0: f"z of {start}", last: f"z of {end}"}
    tiles = [Tile(grey(image), ends.get(k, f"{k / last:.0%}")) for k, image in enumerate(images)]
    return sheet([tiles], side=120, theme=theme)


def plane_sheet(images: np.ndarray, values: np.ndarray, dimensions: tuple[int, int], theme: Theme) -> Image.Image:
    """Images (a, b, H, W) over two dimensions of z, the first downwards."""
    down, across = (f"z{d + 1}" for d in dimensions)
    rows = [
        [Tile(grey(image), f"{across} = {v:+.1f}" if not a else "") for v, image in zip(values, row, strict=True)]
        for a, row in enumerate(images)
    ]
    return sheet(rows, [f"{down} = {v:+.1f}" for v in values], side=110, theme=theme)


def traverse_numbers(traversal: Traversal, s: np.ndarray, z: np.ndarray, about: Mapping[str, object]) -> bytes:
    """Arrays of a traversal of one anatomy (C, H, W) and z (n_z,) as .npz; `about` is JSON text."""
    arrays = {
        "values": traversal.values,
        "images": traversal.images,
        "correlation": traversal.correlation,
        "difference": traversal.difference,
        "effect": traversal.effect,
        "s": s,
        "z": z,
    }
    return npz(arrays, about)


def traverse_inspection(traversal: Traversal, d: int, step: int, mask: np.ndarray, dark: bool) -> go.Figure:
    """Linked views of one tile: image, correlation, difference, and the mask of the re-encoded image.

    Args:
        mask: (H, W) names of classes.
    """
    return linked_heatmaps(
        [
            (f"z{d + 1} = {traversal.values[step]:+.1f}", traversal.images[d, step], "Greys_r", -1, 1),
            ("correlation", traversal.correlation[d], "RdBu_r", -1, 1),
            ("last - first", traversal.difference[d], "RdBu_r", -CHANGE_LIMIT, CHANGE_LIMIT),
            (
                "change from the middle step",
                traversal.images[d, step] - traversal.images[d, len(traversal.values) // 2],
                "RdBu_r",
                -CHANGE_LIMIT,
                CHANGE_LIMIT,
            ),
        ],
        np.char.add("mask ", mask),
        dark,
    )

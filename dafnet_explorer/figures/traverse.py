"""The page Traverse: images over each dimension of z, and over other directions (Sec. V-H.2, Fig. 9)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from dafnet_core.analysis.directions import Direction
from dafnet_core.analysis.effects import effect_name, region_changes, region_shares
from dafnet_core.analysis.traversal import LIMIT, Traversal
from dafnet_core.drawing import Bar, Theme, Tile, coloured, gif, grey, sheet
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.figures.charts import COLOURS, apply_style, linked_heatmaps
from dafnet_explorer.figures.downloads import npz
from dafnet_explorer.figures.pixels import CHANGE_BAR, CHANGE_LIMIT
from dafnet_explorer.subjects import Subject

SORTS = ("effect", "KL", "probe accuracy", "number")
NAME_WIDTH = 16  # letters of a row's name in one line
Regions = tuple[np.ndarray, tuple[str, ...]]  # labels (H, W), and their names


def probe_accuracies(metrics: Mapping[str, EvaluationResult]) -> tuple[float, ...] | None:
    """Accuracy of the modality classified from each dimension of z, on the first data set; None if not probed."""
    first = next(iter(metrics.values()), None)
    return first.probe.per_dimension if first and first.probe else None


def regions_of(subject: Subject, decomposition: Decomposition, i: int, classes: Sequence[str]) -> Regions:
    """Where image i's intensities are averaged: its true tissues where they are known.

    Elsewhere the organs of its true mask, or else of the mask of its anatomy, and beside them the anatomy's channels.
    """
    if i in subject.tissues and subject.tissue_names:
        return subject.tissues[i], subject.tissue_names
    channels = decomposition.s[i].argmax(0)
    predicted = decomposition.single[i] if i in decomposition.served else np.zeros_like(channels)
    mask = subject.truth.get(i, predicted)
    names = *classes, *(f"channel {c + 1}" for c in range(len(decomposition.s[i])))
    return np.where(mask > 0, mask, len(classes) + channels), names


def effect_names(traversal: Traversal, regions: Regions) -> list[str]:
    """What each direction of a traversal does, in words."""
    labels, names = regions
    changes = region_changes(traversal.difference, labels, len(names))
    return [effect_name(change, region_shares(labels, len(names)), names) for change in changes]


def traverse_order(traversal: Traversal, kl: np.ndarray, accuracies: Sequence[float] | None, sort: str) -> list[int]:
    """Dimensions of z in the order of `traverse_sheet`, from its arguments."""
    by = {"effect": traversal.effect, "KL": kl, "probe accuracy": accuracies}.get(sort)
    return list(range(len(kl))) if by is None else np.argsort(-np.asarray(by), kind="stable").tolist()


def traverse_sheet(
    traversal: Traversal,
    kl: np.ndarray,
    accuracies: Sequence[float] | None,
    sort: str,
    theme: Theme,
    effects: Sequence[str] = (),
) -> Image.Image:
    """The paper's Fig. 9: one row per dimension of z with its images over the steps, correlation and difference.

    Args:
        kl: (n_z,) nats.
        accuracies: (n_z,) of a probe on each dimension alone; None without a probe.
        sort: one of SORTS, the largest on top.
        effects: what each dimension does, in words; () for none.
    """
    probes = [f"probe {a:.2f}" for a in accuracies] if accuracies else ["not probed"] * len(kl)
    captions = [(f"KL {k:.2f}", probe) for k, probe in zip(kl, probes, strict=True)]
    names = [f"z{d + 1}" for d in range(len(kl))]
    order = traverse_order(traversal, kl, accuracies, sort)
    return _sheet(traversal, order, _named(names, effects), captions, theme)


def directions_sheet(
    traversal: Traversal, directions: Sequence[Direction], effects: Sequence[str], theme: Theme
) -> Image.Image:
    """`traverse_sheet` along other directions, with how each was found.

    Args:
        effects: what each does, in words.
    """
    names = _named([d.name for d in directions], effects)
    return _sheet(traversal, range(len(directions)), names, [("", d.about) for d in directions], theme)


def _named(names: Sequence[str], effects: Sequence[str]) -> list[str]:
    """Names of rows, with what each does on further lines."""
    texts = [f"{name}: {effect}" for name, effect in zip(names, effects, strict=True)] if effects else names
    return ["\n".join(textwrap.wrap(text, NAME_WIDTH)) for text in texts]


def _sheet(
    traversal: Traversal,
    order: Sequence[int],
    names: Sequence[str],
    captions: Sequence[tuple[str, str]],
    theme: Theme,
) -> Image.Image:
    """Rows of a traversal in an order, with captions below the first image and the correlation of each."""
    correlation, difference = traversal.correlation, traversal.difference
    rows = []
    for r, d in enumerate(order):
        is_last = r == len(order) - 1
        row: list[Tile | None] = [
            Tile(grey(image), "" if r else f"{value:+.1f}", "" if n else captions[d][0])
            for n, (value, image) in enumerate(zip(traversal.values, traversal.images[d], strict=True))
        ]
        bar = Bar("RdBu_r", "-1", "1", "correlation") if is_last else None
        row.append(Tile(_correlation_pixels(correlation[d]), "" if r else "correlation", captions[d][1], bar))
        change = coloured(difference[d], -CHANGE_LIMIT, CHANGE_LIMIT, "RdBu_r")
        effect = f"effect {traversal.effect[d]:.2f}"
        row.append(Tile(change, "" if r else "last - first", effect, CHANGE_BAR if is_last else None))
        rows.append(row)
    return sheet(rows, [names[d] for d in order], side=110, theme=theme)


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


def effect_rows(
    traversal: Traversal, directions: Sequence[Direction], regions: Regions, kept: np.ndarray | None
) -> list[dict[str, object]]:
    """A row per direction: its effect in words and numbers, and the mean change of intensity in each region.

    Args:
        kept: (n, 2) shares of pixels that keep their channel at both ends; None where they were not computed.
    """
    labels, names = regions
    changes = region_changes(traversal.difference, labels, len(names))
    rows: list[dict[str, object]] = []
    for d, (direction, effect) in enumerate(zip(directions, effect_names(traversal, regions), strict=True)):
        row: dict[str, object] = {
            "direction": direction.name,
            "effect": effect,
            "mean absolute change (intensity)": float(traversal.effect[d]),
        }
        if kept is not None:
            row |= {f"channel kept at {end} (share)": float(k) for end, k in zip(("-3", "3"), kept[d], strict=True)}
        there = {f"{name} (intensity)": float(c) for name, c in zip(names, changes[d], strict=True) if not np.isnan(c)}
        rows.append(row | there)
    return rows


def effect_figure(traversal: Traversal, d: int, name: str, regions: Regions, dark: bool) -> go.Figure:
    """Bars of the mean change of intensity in each region, along direction d of a traversal."""
    labels, names = regions
    changes = region_changes(traversal.difference[d][None], labels, len(names))[0]
    shown = [r for r in np.argsort(changes) if not np.isnan(changes[r])]
    shares = region_shares(labels, len(names))
    figure = go.Figure(
        go.Bar(
            x=changes[shown],
            y=[names[r] for r in shown],
            orientation="h",
            marker_color=[COLOURS[4] if changes[r] > 0 else COLOURS[0] for r in shown],
            customdata=shares[shown],
            hovertemplate="%{y}: %{x:+.3f}<br>%{customdata:.1%} of the image<extra></extra>",
        )
    )
    figure.update_xaxes(title_text=f"mean change of intensity, {name} from {-LIMIT:g} to {LIMIT:g}", zeroline=True)
    figure.update_yaxes(title_text="tissue, organ or channel", automargin=True)
    return apply_style(figure, 90 + 18 * len(shown), dark, margin=dict(l=0, r=0, t=0, b=0))


def traverse_animation(frames: np.ndarray, labels: Sequence[str], theme: Theme, about: Mapping[str, object]) -> bytes:
    """A GIF of images (N, H, W) along one direction, each with its change from the middle one."""
    middle = frames[len(frames) // 2]
    pictures = []
    for image, label in zip(frames, labels, strict=True):
        change = coloured(image - middle, -CHANGE_LIMIT, CHANGE_LIMIT, "RdBu_r")
        tiles = [Tile(grey(image), label), Tile(change, "change from the middle", bar=CHANGE_BAR)]
        pictures.append(sheet([tiles], side=256, theme=theme))
    return gif(pictures, about)


def traverse_inspection(
    traversal: Traversal, d: int, image: np.ndarray, middle: np.ndarray, label: str, mask: np.ndarray, dark: bool
) -> go.Figure:
    """Linked views along direction d: an image, correlation, difference, and the mask of the re-encoded image.

    Args:
        image: (H, W), `label` says where; middle: the image at 0.
        mask: (H, W) names of classes.
    """
    return linked_heatmaps(
        [
            (label, image, "Greys_r", -1, 1),
            ("correlation", traversal.correlation[d], "RdBu_r", -1, 1),
            ("last - first", traversal.difference[d], "RdBu_r", -CHANGE_LIMIT, CHANGE_LIMIT),
            ("change from 0", image - middle, "RdBu_r", -CHANGE_LIMIT, CHANGE_LIMIT),
        ],
        np.char.add("mask ", mask),
        dark,
        tall=540,
    )


def kept_sentence(own: float, kept: np.ndarray) -> str:
    """How far positions stay along the dimensions, as `results.kept_channels` measures it.

    Args:
        own: share of the image's own reconstruction.
        kept: (n_z, 2) at both ends.
    """
    least = int(kept.min(1).argmin())
    return (
        f"Do positions stay? Encoded again, the images at {-LIMIT:g} and {LIMIT:g} keep **{kept.mean():.1%}** of their "
        f"pixels in the channel that **s** has there; fewest, {kept[least].min():.1%}, along z{least + 1}. The image's "
        f"own reconstruction, for which z was not moved, keeps {own:.1%}."
    )

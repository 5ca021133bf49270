"""What the pages show of a decomposition: contact sheets, tables and linked figures. No streamlit, no torch."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from dafnet_core.analysis.decompose import Decomposition, channel_classes, masks_of, overlaps, reconstruction_errors
from dafnet_core.analysis.encodings import Encodings
from dafnet_core.analysis.mixing import Mixture
from dafnet_core.analysis.quiz import Question
from dafnet_core.analysis.traversal import Traversal
from dafnet_core.drawing import Theme, Tile, bars, channel, coloured, grey, overlay, rgb, sheet, stack, warp_lines
from dafnet_core.metrics.registration import identity_pixels
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean
from dafnet_explorer.subjects import Native

# for channels that are no class: distinct from the class colours, quiet beside them
MIXED = ("#3b3f46", "#8d99a6", "#c9b79c", "#6b7f6b", "#b5a3c9", "#5f7c99", "#a68a7a", "#d9d9d9")
DECODERS = {"film": "FiLM", "spade": "SPADE"}  # as the papers write them
ERROR_LIMIT = 0.5  # absolute errors are shown up to this, in intensities of [-1, 1]
CHANGE_LIMIT = 1.0  # signed changes of intensity are shown from minus this to this


def channel_colours(kinds: Sequence[int | None], colours: Sequence[str]) -> tuple[str, ...]:
    """One colour a channel: its class's, or a quiet one of its own."""
    return tuple(colours[k] if k else MIXED[c % len(MIXED)] for c, k in enumerate(kinds))


def anatomy_map(s: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """An anatomy (C, H, W) in one picture (H, W, 3): each channel's share in its colour."""
    palette = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], float)
    total = np.maximum(s.sum(0), 1e-6)  # a fused anatomy may add up to more than 1
    return (np.einsum("chw,cr->hwr", s, palette) / total[..., None]).round().clip(0, 255).astype(np.uint8)


def labels_map(labels: np.ndarray, colours: Sequence[str]) -> np.ndarray:
    """Channel indices (H, W) in one picture (H, W, 3), each in its colour."""
    return np.array([rgb(c) for c in colours], np.uint8)[labels]


def channel_title(c: int, kind: int | None, classes: Sequence[str]) -> str:
    return classes[kind] if kind else f"channel {c + 1}"


def _occupancy(plane: np.ndarray) -> str:
    share = 100 * float(plane.mean())
    return "empty" if share == 0 else f"{share:.1f} %" if share >= 0.1 else "< 0.1 %"


def gallery(images: Sequence[np.ndarray], theme: Theme) -> Image.Image:
    """Numbered thumbnails (H, W), four in a row."""
    tiles = [Tile(grey(image), str(n)) for n, image in enumerate(images, 1)]
    return sheet([tiles[i : i + 4] for i in range(0, len(tiles), 4)], side=120, theme=theme)


def start_sheet(found: Decomposition, colours: Sequence[str], theme: Theme) -> Image.Image:
    """The idea in one picture: image = g(anatomy s, style z), and the same anatomy with the other's style."""
    rows = []
    for i, _ in enumerate(found.names):
        row: list[Tile | None] = [
            Tile(grey(found.images[i]), "image x"),
            Tile(anatomy_map(found.s[i], colours), "anatomy s (content)"),
            Tile(bars(found.z_mean[i], found.z_std[i], theme), "modality factor z (style)"),
            Tile(grey(found.own[i]), "put together: g(s, z)"),
        ]
        for p, (a, b) in enumerate(found.pairs):
            if a == i:
                row.append(Tile(grey(found.swapped[p]), f"same s, z of {found.names[b]}"))
        rows.append(row)
    return sheet(rows, found.names, side=200, theme=theme)


def channel_sheet(
    found: Decomposition, kinds: Sequence[int | None], classes: Sequence[str], colours: Sequence[str], theme: Theme
) -> Image.Image:
    """Images and their anatomy channels, the same channel under the same channel."""
    rows = []
    for i, _ in enumerate(found.names):
        row: list[Tile | None] = [Tile(grey(found.images[i]), "" if i else "image")]
        for c, plane in enumerate(found.s[i]):
            title = "" if i else channel_title(c, kinds[c], classes)
            row.append(Tile(channel(plane, colours[c] if kinds[c] else "#ffffff"), title, _occupancy(plane)))
        rows.append(row)
    return sheet(rows, found.names, side=150, theme=theme)


def fusion_sheet(
    found: Decomposition,
    i: int,
    kinds: Sequence[int | None],
    classes: Sequence[str],
    colours: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """Channels in the frame of modality i: its own, each other's deformed onto it, and their maximum."""
    parts = [("own", found.s[i])]
    parts += [(f"from {found.names[b]}", found.deformed[p]) for p, (a, b) in enumerate(found.pairs) if a == i]
    parts += [("fused", found.fused[i])]
    rows = []
    for r, (_, s) in enumerate(parts):
        row: list[Tile | None] = [Tile(anatomy_map(s, colours), "" if r else "all channels")]
        for c, plane in enumerate(s):
            title = "" if r else channel_title(c, kinds[c], classes)
            row.append(Tile(channel(plane, colours[c] if kinds[c] else "#ffffff"), title, _occupancy(plane)))
        rows.append(row)
    return sheet(rows, [name for name, _ in parts], side=150, theme=theme)


def warp_sheet(found: Decomposition, colours: Sequence[str], theme: Theme) -> Image.Image:
    """Each ordered pair: where the fixed image's pixels are found in the moving one, and what that does."""
    rows, names = [], []
    for p, (i, j) in enumerate(found.pairs):
        fixed, moving = found.names[i], found.names[j]
        rows.append(
            [
                Tile(anatomy_map(found.s[i], colours), f"{fixed} (fixed)"),
                Tile(anatomy_map(found.s[j], colours), f"{moving} (moving)"),
                Tile(warp_lines(grey(found.images[j]), found.positions[p]), "sampling grid"),
                Tile(anatomy_map(found.deformed[p], colours), f"{moving}, deformed"),
                Tile(anatomy_map(found.fused[i], colours), f"fused for {fixed}"),
            ]
        )
        names.append(f"{moving} onto {fixed}")
    return sheet(rows, names, side=200, theme=theme)


def mask_sheet(
    found: Decomposition, truth: dict[int, np.ndarray], classes: Sequence[str], colours: Sequence[str], theme: Theme
) -> Image.Image:
    """Masks of every anatomy over the image, beside the truth, with the mean Dice where there is one."""
    scores = {(kind, i, j): nanmean(dice_from_counts(c)) for kind, i, j, c in overlaps(found, truth, len(classes))}
    rows = []
    for i, _ in enumerate(found.names):
        base = grey(found.images[i])
        row: list[Tile | None] = [Tile(base, "image")]
        if truth:
            row.append(Tile(overlay(base, truth[i], colours), "truth") if i in truth else None)
        for kind, owner, j, labels in masks_of(found):
            if owner == i:
                title = f"from {found.names[j]}" if j is not None else f"{kind} mask"
                caption = _dice_text(scores.get((kind, i, j)))
                row.append(Tile(overlay(base, labels, colours), title, caption))
        rows.append(row)
    return sheet(rows, found.names, side=200, theme=theme)


def _dice_text(value: float | None) -> str:
    return "Dice n/a" if value is None or np.isnan(value) else f"Dice {value:.3f}"


def dice_table(
    found: Decomposition, truth: dict[int, np.ndarray], classes: Sequence[str], why_no_truth: str
) -> list[dict[str, str]]:
    """Dice of every mask and class as rows of text; n/a says why."""
    counts = {(kind, i, j): c for kind, i, j, c in overlaps(found, truth, len(classes))}
    wanted = [(kind, i, j) for kind, i, j, _ in masks_of(found)] + [("copy", i, j) for i, j in found.pairs]
    rows = []
    for kind, i, j in sorted(wanted, key=lambda key: key[1]):
        source = {"deformed": "deformed from", "copy": "truth, unmoved, of"}.get(kind, kind)
        row = {"modality": found.names[i], "mask": source if j is None else f"{source} {found.names[j]}"}
        counted = counts.get((kind, i, j))
        if counted is None:
            reason = f"n/a: {why_no_truth}"
            rows.append(row | {name: reason for name in (*classes[1:], "mean")})
            continue
        dice = dice_from_counts(counted)
        absent = "n/a: not in this slice's truth"
        cells = [absent if np.isnan(v) else f"{v:.3f}" for v in dice]
        mean = nanmean(dice)
        rows.append(
            row | dict(zip(classes[1:], cells, strict=True)) | {"mean": absent if np.isnan(mean) else f"{mean:.3f}"}
        )
    return rows


def reconstruction_sheet(found: Decomposition, truth: dict[int, np.ndarray], theme: Theme) -> Image.Image:
    """Own and crosswise reconstructions with their absolute errors."""
    rows = []
    errors = {(kind, i, j): (e, inside) for kind, i, j, e, inside in reconstruction_errors(found, truth)}
    for i, _ in enumerate(found.names):
        row: list[Tile | None] = [Tile(grey(found.images[i]), "image x")]
        made = [("own", None, found.own[i], "g(s, z)")]
        for p, (a, b) in enumerate(found.pairs):
            if a == i:
                made.append(("cross", b, found.cross[p], f"g(s of {found.names[b]}, z)"))
        for kind, j, image, title in made:
            everywhere, inside = errors[kind, i, j]
            text = "n/a" if np.isnan(inside) else f"{inside:.3f}"
            row.append(Tile(grey(image), title, f"L1 {everywhere:.3f}, organs {text}"))
            row.append(
                Tile(coloured(np.abs(image - found.images[i]), 0, ERROR_LIMIT), "absolute error", f"0 to {ERROR_LIMIT}")
            )
        rows.append(row)
    return sheet(rows, found.names, side=200, theme=theme)


def _correlation_pixels(values: np.ndarray) -> np.ndarray:
    """Correlations (H, W) from -1 blue to 1 red; grey where there is none."""
    pixels = coloured(values, -1, 1, "RdBu_r")
    pixels[np.isnan(values)] = 128
    return pixels


SORTS = ("effect", "KL", "probe accuracy", "number")


def traverse_order(found: Traversal, kl: np.ndarray, accuracies: Sequence[float] | None, sort: str) -> list[int]:
    """Dimensions of z in the order of `traverse_sheet`, from its arguments."""
    by = {"effect": found.effect, "KL": kl, "probe accuracy": accuracies}.get(sort)
    return list(range(len(kl))) if by is None else np.argsort(-np.asarray(by), kind="stable").tolist()


def traverse_sheet(
    found: Traversal, kl: np.ndarray, accuracies: Sequence[float] | None, sort: str, theme: Theme
) -> Image.Image:
    """The paper's Fig. 9: a row a dimension of z, its images over the steps, correlation and difference at the end.

    Args:
        kl: (n_z,) nats.
        accuracies: (n_z,) of a probe on each dimension alone; None where there was none.
        sort: one of SORTS, the largest on top.
    """
    order = traverse_order(found, kl, accuracies, sort)
    probes = [f"probe {a:.2f}" for a in accuracies] if accuracies else ["not probed"] * len(kl)
    captions = [(f"KL {k:.2f}", p, f"effect {e:.2f}") for k, p, e in zip(kl, probes, found.effect, strict=True)]
    correlation, difference = found.correlation, found.difference
    rows = []
    for r, d in enumerate(order):
        said = captions[d]
        row: list[Tile | None] = [
            Tile(grey(image), "" if r else f"{value:+.1f}", "" if n else said[0])
            for n, (value, image) in enumerate(zip(found.values, found.images[d], strict=True))
        ]
        row.append(Tile(_correlation_pixels(correlation[d]), "" if r else "correlation", said[1]))
        change = coloured(difference[d], -CHANGE_LIMIT, CHANGE_LIMIT, "RdBu_r")
        row.append(Tile(change, "" if r else "last - first", said[2]))
        rows.append(row)
    return sheet(rows, [f"z{d + 1}" for d in order], side=110, theme=theme)


def interpolation_sheet(images: np.ndarray, start: str, end: str, theme: Theme) -> Image.Image:
    """One anatomy while z goes from one image's to another's: (steps, H, W)."""
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


def traverse_numbers(found: Traversal, s: np.ndarray, z: np.ndarray, about: Mapping[str, object]) -> bytes:
    """Arrays of a traversal of one anatomy (C, H, W) and z (n_z,) as .npz; `about` is JSON text."""
    arrays = {
        "values": found.values,
        "images": found.images,
        "correlation": found.correlation,
        "difference": found.difference,
        "effect": found.effect,
        "s": s,
        "z": z,
    }
    return npz(arrays, about)


def traverse_inspection(found: Traversal, d: int, step: int, mask: np.ndarray, dark: bool) -> go.Figure:
    """Linked views of one tile: image, correlation, difference, and the mask of the image encoded again.

    Args:
        mask: (H, W) names of classes.
    """
    return _linked(
        [
            (f"z{d + 1} = {found.values[step]:+.1f}", found.images[d, step], "Greys_r", -1, 1),
            ("correlation", found.correlation[d], "RdBu_r", -1, 1),
            ("last - first", found.difference[d], "RdBu_r", -CHANGE_LIMIT, CHANGE_LIMIT),
            (
                "change from the middle step",
                found.images[d, step] - found.images[d, len(found.values) // 2],
                "RdBu_r",
                -CHANGE_LIMIT,
                CHANGE_LIMIT,
            ),
        ],
        np.char.add("mask ", mask),
        dark,
    )


def slice_sheet(found: Encodings, row: int, colours: Sequence[str], theme: Theme) -> Image.Image:
    """The slice that a row of encodings belongs to: its image and anatomy in every modality; a colour a class."""
    drawn = channel_colours(found.channel_classes, colours)
    first = row - row % len(found.names)
    tiles: list[Tile | None] = []
    for n, name in enumerate(found.names, first):
        tiles.append(Tile(grey(found.images[n]), name))
        tiles.append(Tile(labels_map(found.anatomies[n], drawn), f"s of {name}"))
    title = f"{found.subjects[row]}, slice {found.positions[row] + 1}"
    return sheet([tiles], [title], side=200, theme=theme)


def compare_sheet(
    found: tuple[Decomposition, Decomposition], truth: dict[int, np.ndarray], colours: Sequence[str], theme: Theme
) -> Image.Image:
    """Two models on one slice, a row each for every modality, and what differs between their images under them.

    Args:
        truth: labels (H, W) of those modalities that have any; colours: of the classes.
    """
    rows, names = [], []
    classes = len(colours)
    drawn = [channel_colours(channel_classes(f, classes), colours) for f in found]
    scores = [
        {(k, i): nanmean(dice_from_counts(c)) for k, i, j, c in overlaps(f, truth, classes) if j is None} for f in found
    ]
    for i, name in enumerate(found[0].names):
        swaps = [p for p, (a, _) in enumerate(found[0].pairs) if a == i]
        base = grey(found[0].images[i])
        for n, f in enumerate(found):
            row: list[Tile | None] = [
                Tile(base, "" if n else "image x"),
                Tile(anatomy_map(f.s[i], drawn[n]), "" if n else "anatomy s"),
                Tile(
                    overlay(base, f.fused_masks[i], colours),
                    "" if n else "fused mask",
                    _dice_text(scores[n].get(("fused", i))),
                ),
                Tile(grey(f.own[i]), "" if n else "g(s, z)", f"L1 {np.abs(f.own[i] - f.images[i]).mean():.3f}"),
            ]
            row += [Tile(grey(f.swapped[p]), "" if n else f"z of {f.names[f.pairs[p][1]]}") for p in swaps]
            rows.append(row)
            names.append(f"{name}, {('chosen', 'beside')[n]}")
        a, b = found
        changes = [(a.own[i], b.own[i]), *((a.swapped[p], b.swapped[p]) for p in swaps)]
        rows.append(
            [
                None,
                None,
                None,
                *(
                    Tile(coloured(x - y, -CHANGE_LIMIT, CHANGE_LIMIT, "RdBu_r"), "", f"mean {np.abs(x - y).mean():.3f}")
                    for x, y in changes
                ),
            ]
        )
        names.append("chosen - beside")
    return sheet(rows, names, side=170, theme=theme)


def row_names(found: Encodings) -> list[str]:
    """What each row of encodings is, for people; subjects by number."""
    numbers = {name: n for n, name in enumerate(dict.fromkeys(found.subjects.tolist()), 1)}
    return [
        f"subject {numbers[s]}, slice {p + 1}, {found.names[m]}"
        for s, p, m in zip(found.subjects.tolist(), found.positions, found.modality, strict=True)
    ]


def mixture_sheet(
    made: Mixture,
    anatomies: Sequence[np.ndarray],
    titles: tuple[Sequence[str], Sequence[str]],
    styles: Sequence[np.ndarray | None],
    reached: np.ndarray,
    modalities: Sequence[str],
    drawn: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """g(s, z) of every anatomy (row) and modality factor (column), each with its two verdicts.

    Args:
        anatomies: (H, W) channel indices of each row.
        titles: of the rows and of the columns.
        styles: (H, W) image that each column's z is of; None for a random z.
        reached: (R, K) the probe's probability of the column's modality.
        modalities: name of each column's modality.
        drawn: a colour for each channel.
    """
    head: list[Tile | None] = [None]
    head += [None if x is None else Tile(grey(x), title) for x, title in zip(styles, titles[1], strict=True)]
    rows = [head]
    for r, labels in enumerate(anatomies):
        row: list[Tile | None] = [Tile(labels_map(labels, drawn), "" if r else "anatomy s")]
        for k, name in enumerate(modalities):
            kept = "n/a" if np.isnan(made.dice[r, k]) else f"{made.dice[r, k]:.2f}"
            title = titles[1][k] if not r and styles[k] is None else ""
            row.append(Tile(grey(made.images[r, k]), title, f"kept {kept}, {name} {reached[r, k]:.0%}"))
        rows.append(row)
    return sheet(rows, ["z of", *titles[0]], side=140, theme=theme)


def kept_text(labels: np.ndarray, again: Decomposition, classes: Sequence[str]) -> np.ndarray:
    """What is said of each pixel (H, W) of a mixed image: its channel, that of the image encoded again, the mask.

    Args:
        labels: (H, W) channel of each pixel in the anatomy that the image was made with.
        again: of that image alone.
    """
    channels = np.array([f"channel {c + 1}" for c in range(again.s.shape[1])])
    before, after = channels[labels], channels[again.s[0].argmax(0)]
    masks = np.array(classes)[again.single[0]]
    return np.char.add(np.char.add(np.char.add(before, " encoded again "), after), np.char.add("<br>mask ", masks))


def mixture_inspection(
    image: np.ndarray, own: np.ndarray, content: np.ndarray, style: np.ndarray | None, text: np.ndarray, dark: bool
) -> go.Figure:
    """Linked views of one mixed image g(s, z), (H, W): whose s, whose z, and what the z of another did to it.

    Args:
        own: g(s, z) with the z of the anatomy's own image.
        content: the image that s is of; style: the image that z is of, None for a random z.
        text: (H, W) what is said under the cursor.
    """
    panels = [("g(s, z)", image, "Greys_r", -1, 1), ("image that s is of", content, "Greys_r", -1, 1)]
    if style is not None:
        panels.append(("image that z is of", style, "Greys_r", -1, 1))
    panels.append(("change from its own z", image - own, "RdBu_r", -CHANGE_LIMIT, CHANGE_LIMIT))
    return _linked(panels, text, dark)


def native_sheet(found: Decomposition, native: Sequence[Native], colours: Sequence[str], theme: Theme) -> Image.Image:
    """Fused masks brought back onto the user's own pixels."""
    rows = []
    for i, own in enumerate(native):
        base = grey(own.pixels)
        labels = own.placement.back(found.fused_masks[i], labels=True)
        rows.append(
            [
                Tile(base, f"{base.shape[0]} x {base.shape[1]} pixels"),
                Tile(overlay(base, labels, colours), "fused mask"),
            ]
        )
    return sheet(rows, found.names, side=280, theme=theme)


def inspection(
    found: Decomposition, i: int, classes: Sequence[str], kinds: Sequence[int | None], dark: bool
) -> go.Figure:
    """Linked float32 heatmaps of modality i: image, reconstruction, error, fused mask; values under the cursor."""
    cross = next((p for p, (a, _) in enumerate(found.pairs) if a == i), None)
    panels = [("image x", found.images[i], "Greys_r", -1, 1), ("own reconstruction", found.own[i], "Greys_r", -1, 1)]
    if cross is not None:
        panels.append((f"from {found.names[found.pairs[cross][1]]}", found.cross[cross], "Greys_r", -1, 1))
    panels.append(("absolute error", np.abs(found.own[i] - found.images[i]), "Viridis", 0, ERROR_LIMIT))
    names = [channel_title(c, kind, classes) for c, kind in enumerate(kinds)]
    channels = np.array(names)[found.s[i].argmax(0)]
    masks = np.array(classes)[found.fused_masks[i]]
    return _linked(panels, np.char.add(np.char.add(np.char.add("anatomy ", channels), "<br>mask "), masks), dark)


def _linked(panels: Sequence[tuple[str, np.ndarray, str, float, float]], text: np.ndarray, dark: bool) -> go.Figure:
    """Up to four float32 heatmaps (title, values (H, W), colour scale, lowest, highest) that zoom together."""
    height, width = text.shape
    figure = make_subplots(
        2,
        2,
        shared_xaxes="all",
        shared_yaxes="all",
        horizontal_spacing=0.03,
        vertical_spacing=0.07,
        subplot_titles=[title for title, *_ in panels],
    )
    for n, (title, values, scale, low, high) in enumerate(panels):
        figure.add_trace(
            go.Heatmap(
                z=values.astype(np.float32),
                zmin=low,
                zmax=high,
                colorscale=scale,
                showscale=False,
                text=text,
                hovertemplate=f"{title} %{{z:.3f}}<br>%{{text}}<br>x %{{x}}, y %{{y}}<extra></extra>",
            ),
            n // 2 + 1,
            n % 2 + 1,
        )
    plain = dict(showticklabels=False, ticks="", showgrid=False, zeroline=False, constrain="domain")
    figure.update_xaxes(range=[-0.5, width - 0.5], **plain)
    figure.update_yaxes(range=[height - 0.5, -0.5], scaleanchor="x", scaleratio=1, constraintoward="top", **plain)
    figure.update_layout(
        margin=dict(l=0, r=0, t=30, b=0),
        height=680,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font_color="#f2f2f2" if dark else "#1a1a1a",
    )
    return figure


def z_figure(found: Decomposition, dark: bool) -> go.Figure:
    """The modality factors side by side: mean of every dimension, whiskers of one posterior standard deviation."""
    figure, ink = go.Figure(), "#f2f2f2" if dark else "#1a1a1a"
    for i, (name, colour) in enumerate(zip(found.names, ("#0072B2", "#E69F00", "#CC79A7", "#009E73"), strict=False)):
        figure.add_bar(
            name=name,
            x=[f"z{d + 1}" for d in range(found.z_mean.shape[1])],
            y=found.z_mean[i].astype(float),
            error_y=dict(array=found.z_std[i].astype(float), thickness=1.2, color=ink),
            marker_color=colour,
            hovertemplate="%{x} = %{y:.2f} ± %{error_y.array:.2f}",
        )
    figure.update_layout(
        height=280,
        margin=dict(l=0, r=0, t=10, b=0),
        legend=dict(orientation="h", y=1.12),
        barmode="group",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font_color=ink,
        yaxis_title="posterior mean",
    )
    return figure


def download_sheet(
    found: Decomposition,
    truth: dict[int, np.ndarray],
    kinds: Sequence[int | None],
    classes: Sequence[str],
    mask_colours: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """Everything that the Decompose page shows, in one picture."""
    colours = channel_colours(kinds, mask_colours)
    parts = [("Anatomy channels", channel_sheet(found, kinds, classes, colours, theme))]
    if found.pairs:
        parts.append(("Alignment and fusion", warp_sheet(found, colours, theme)))
        parts += [
            (f"Channels in the frame of {name}", fusion_sheet(found, i, kinds, classes, colours, theme))
            for i, name in enumerate(found.names)
        ]
    parts.append(("Masks", mask_sheet(found, truth, classes, mask_colours, theme)))
    parts.append(("Reconstructions", reconstruction_sheet(found, truth, theme)))
    return stack([picture for _, picture in parts], [title for title, _ in parts], theme)


def numbers(
    found: Decomposition, truth: dict[int, np.ndarray], native: Sequence[Native], facts: dict[str, object]
) -> bytes:
    """Every array of a decomposition as an .npz that opens without pickles; `about` is JSON text."""
    arrays = {
        name: getattr(found, name) for name in Decomposition.__dataclass_fields__ if name not in ("names", "pairs")
    }
    arrays |= {f"truth_{found.names[i]}": labels for i, labels in truth.items()}
    arrays |= {
        f"native_fused_mask_{found.names[i]}": own.placement.back(found.fused_masks[i], labels=True)
        for i, own in enumerate(native)
    }
    return npz(arrays, {"modalities": found.names, "pairs_fixed_moving": found.pairs, **facts})


def npz(arrays: Mapping[str, np.ndarray], about: Mapping[str, object]) -> bytes:
    """Arrays as an .npz that opens without pickles; `about` is JSON text in it."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, about=np.array(json.dumps(about)), **arrays)
    return buffer.getvalue()


def pair_sheet(
    found: Decomposition, truth: dict[int, np.ndarray], classes: int, colours: Sequence[str], theme: Theme
) -> Image.Image:
    """Two images of one slice, tiles of both in turn, the true mask of the first, unmoved, on the second (Sec. IV-C).

    Args:
        found: of at least two modalities.
        truth: labels (H, W) of those modalities that have any.
        classes: their number with the background.
        colours: of the classes.
    """
    a, b = found.names[:2]
    height, width = found.images.shape[1:]
    y, x = np.mgrid[:height, :width]
    turns = (y * 6 // height + x * 6 // width) % 2 == 0
    row: list[Tile | None] = [Tile(grey(found.images[0]), a), Tile(grey(found.images[1]), b)]
    row.append(Tile(grey(np.where(turns, found.images[0], found.images[1])), f"{a} and {b} in turn"))
    if {0, 1} <= truth.keys():
        counts = next(c for kind, i, j, c in overlaps(found, truth, classes) if (kind, i, j) == ("copy", 1, 0))
        painted = overlay(grey(found.images[1]), truth[0], colours)
        row.append(Tile(painted, f"mask of {a} on {b}", _dice_text(nanmean(dice_from_counts(counts)))))
    return sheet([row], side=220, theme=theme)


def z_sheet(found: Decomposition, kl: np.ndarray, theme: Theme) -> Image.Image:
    """Each image beside its q(z | x, s) as bars with whiskers, and the prior N(0, I) at the end (Sec. III-A).

    Args:
        kl: (n, n_z) nats.
    """
    row: list[Tile | None] = []
    for i, name in enumerate(found.names):
        row.append(Tile(grey(found.images[i]), f"x of {name}"))
        row.append(Tile(bars(found.z_mean[i], found.z_std[i], theme), f"z of {name}", f"KL {kl[i].sum():.2f} nats"))
    n_z = found.z_mean.shape[1]
    row.append(Tile(bars(np.zeros(n_z), np.ones(n_z), theme), "prior N(0, I)", "KL 0"))
    return sheet([row], side=200, theme=theme)


def parts_sheet(found: Decomposition, colours: Sequence[str], theme: Theme) -> Image.Image:
    """s and z, the image that the decoder makes of them, the true one and the absolute error (Sec. III-D)."""
    rows = []
    for i, _ in enumerate(found.names):
        error = np.abs(found.own[i] - found.images[i])
        rows.append(
            [
                Tile(anatomy_map(found.s[i], colours), "anatomy s"),
                Tile(bars(found.z_mean[i], found.z_std[i], theme), "modality factor z"),
                Tile(grey(found.own[i]), "y = g(s, z)"),
                Tile(grey(found.images[i]), "image x"),
                Tile(coloured(error, 0, ERROR_LIMIT), f"|x - y|, 0 to {ERROR_LIMIT}", f"mean {error.mean():.3f}"),
            ]
        )
    return sheet(rows, found.names, side=170, theme=theme)


def swap_sheet(found: Decomposition, theme: Theme) -> Image.Image:
    """Each ordered pair: an anatomy with its own z and with the other's, between both images (Sec. III-D)."""
    rows = []
    for p, (i, j) in enumerate(found.pairs):
        a, b = found.names[i], found.names[j]
        rows.append(
            [
                Tile(grey(found.images[i]), f"x of {a}"),
                Tile(grey(found.own[i]), f"s of {a}, z of {a}"),
                Tile(grey(found.swapped[p]), f"s of {a}, z of {b}"),
                Tile(grey(found.images[j]), f"x of {b}"),
            ]
        )
    return sheet(rows, [f"to {found.names[j]}" for _, j in found.pairs], side=190, theme=theme)


def distance_sheet(s: np.ndarray, z: np.ndarray, dcor: float, permuted: float, theme: Theme) -> Image.Image:
    """How far apart the same images are in s and in z, row by column, dark 0 (Sec. V-H.3).

    Args:
        s, z: (n, n) distances.
        dcor: distance correlation of both, in [0, 1].
        permuted: its mean with subjects permuted.
    """
    row = [
        Tile(coloured(d, 0, max(float(d.max()), 1e-12)), f"distances of {name}", text)
        for name, d, text in (("s", s, f"dCor {dcor:.3f}"), ("z", z, f"with subjects permuted {permuted:.3f}"))
    ]
    return sheet([row], side=300, theme=theme)


def quiz_sheet(question: Question, theme: Theme) -> Image.Image:
    """A question: the image before and after, and nothing that tells what was changed."""
    before, after = question.images
    return sheet([[Tile(grey(before), "before"), Tile(grey(after), "after")]], side=380, theme=theme)


def quiz_answer_sheet(question: Question, drawn: tuple[Sequence[str], Sequence[str]], theme: Theme) -> Image.Image:
    """Its answer: images and their difference; anatomies and z before and after; the sampling grid of a warp.

    Args:
        drawn: a colour for each channel of the model that made the image before, and of the one that made it after.
    """
    before, after = question.images
    change = coloured(question.change, -CHANGE_LIMIT, CHANGE_LIMIT, "RdBu_r")
    top: list[Tile | None] = [
        Tile(grey(before), "before"),
        Tile(grey(after), "after"),
        Tile(change, "after - before", f"{-CHANGE_LIMIT:+g} (blue) to {CHANGE_LIMIT:+g} (red)"),
    ]
    if question.displacement is not None:
        positions = identity_pixels(*before.shape) + question.displacement
        top.append(Tile(warp_lines(grey(before), positions), "sampling grid", f"{question.rms:.1f} pixels RMS"))
    when = ("before", "after")
    below: list[Tile | None] = [
        Tile(labels_map(s, colours), f"anatomy s {name}")
        for s, colours, name in zip(question.anatomies, drawn, when, strict=True)
    ]
    below += [
        Tile(bars(z, np.zeros_like(z), theme), f"z {name}", "-3 to 3") for z, name in zip(question.z, when, strict=True)
    ]
    return sheet([top, below], side=200, theme=theme)


def quiz_rows(question: Question) -> list[dict[str, str]]:
    """What a question's change did, as rows of text; n/a says why."""
    q, apart = question, "n/a: two models' own"
    d, distance = q.moved
    numbers = [
        ("mean absolute change inside the organs", "n/a: none found" if np.isnan(q.inside) else f"{q.inside:.3f}"),
        ("mean absolute change outside them", "n/a: nothing there" if np.isnan(q.outside) else f"{q.outside:.3f}"),
        ("pixels whose channel changed", apart if np.isnan(q.other_channel) else f"{q.other_channel:.1%}"),
        ("farthest move in z", apart if np.isnan(distance) else f"{distance:.2f}" + f" (z{d + 1})" * (distance > 0)),
        ("displacement, RMS", f"{q.rms:.1f} pixels"),
        ("Dice of the masks of both images, encoded again", "n/a: none found" if np.isnan(q.dice) else f"{q.dice:.3f}"),
    ]
    return [{"evidence": name, "value": value} for name, value in numbers]

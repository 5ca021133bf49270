"""The page Decompose: channels, warps, reconstructions, and every array of a decomposition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from dafnet_core.analysis.decompose import reconstruction_errors
from dafnet_core.analysis.uncertainty import entropy
from dafnet_core.drawing import DARK, LIGHT, Theme, Tile, channel, grey, sheet, stack, warp_lines
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.components.crosshair import Panel
from dafnet_explorer.figures.charts import COLOURS, apply_style
from dafnet_explorer.figures.downloads import npz
from dafnet_explorer.figures.errors import error_tile
from dafnet_explorer.figures.masks import mask_sheet
from dafnet_explorer.figures.pixels import ERROR_LIMIT, anatomy_map, channel_colours
from dafnet_explorer.figures.texts import channel_title, channel_titles
from dafnet_explorer.subjects import Native


def _occupancy(plane: np.ndarray) -> str:
    share = 100 * float(plane.mean())
    return "empty" if share == 0 else f"{share:.1f} %" if share >= 0.1 else "< 0.1 %"


def channel_sheet(
    decomposition: Decomposition,
    kinds: Sequence[int | None],
    classes: Sequence[str],
    colours: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """Images and their anatomy channels, one column per channel."""
    rows = []
    for i, _ in enumerate(decomposition.names):
        row: list[Tile | None] = [Tile(grey(decomposition.images[i]), "" if i else "image")]
        for c, plane in enumerate(decomposition.s[i]):
            title = "" if i else channel_title(c, kinds[c], classes)
            row.append(Tile(channel(plane, colours[c] if kinds[c] else "#ffffff"), title, _occupancy(plane)))
        rows.append(row)
    return sheet(rows, decomposition.names, side=150, theme=theme)


def fusion_sheet(
    decomposition: Decomposition,
    i: int,
    kinds: Sequence[int | None],
    classes: Sequence[str],
    colours: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """Channels in the frame of modality i: its own, those deformed onto it, and their maximum."""
    parts = [("own", decomposition.s[i])]
    parts += [
        (f"from {decomposition.names[b]}", decomposition.deformed[p])
        for p, (a, b) in enumerate(decomposition.pairs)
        if a == i
    ]
    parts += [("fused", decomposition.fused[i])]
    rows = []
    for r, (_, s) in enumerate(parts):
        row: list[Tile | None] = [Tile(anatomy_map(s, colours), "" if r else "all channels")]
        for c, plane in enumerate(s):
            title = "" if r else channel_title(c, kinds[c], classes)
            row.append(Tile(channel(plane, colours[c] if kinds[c] else "#ffffff"), title, _occupancy(plane)))
        rows.append(row)
    return sheet(rows, [name for name, _ in parts], side=150, theme=theme)


def warp_sheet(decomposition: Decomposition, colours: Sequence[str], theme: Theme) -> Image.Image:
    """Each ordered pair: both anatomies, the sampling grid, the deformed and the fused anatomy."""
    rows, names = [], []
    for p, (i, j) in enumerate(decomposition.pairs):
        fixed, moving = decomposition.names[i], decomposition.names[j]
        rows.append(
            [
                Tile(anatomy_map(decomposition.s[i], colours), f"{fixed} (fixed)"),
                Tile(anatomy_map(decomposition.s[j], colours), f"{moving} (moving)"),
                Tile(warp_lines(grey(decomposition.images[j]), decomposition.positions[p]), "sampling grid"),
                Tile(anatomy_map(decomposition.deformed[p], colours), f"{moving}, deformed"),
                Tile(anatomy_map(decomposition.fused[i], colours), f"fused for {fixed}"),
            ]
        )
        names.append(f"{moving} onto {fixed}")
    return sheet(rows, names, side=200, theme=theme)


def reconstruction_sheet(
    decomposition: Decomposition, truth: dict[int, np.ndarray], scars: Mapping[int, np.ndarray], theme: Theme
) -> Image.Image:
    """Own and crosswise reconstructions with their errors over the image.

    Args:
        scars: (H, W) bool of images with a scar, which is outlined.
    """
    rows = []
    errors = {(kind, i, j): (e, inside) for kind, i, j, e, inside in reconstruction_errors(decomposition, truth)}
    for i, _ in enumerate(decomposition.names):
        row: list[Tile | None] = [Tile(grey(decomposition.images[i]), "image x")]
        made = [("own", None, decomposition.own[i], "g(s, z)")] if i in decomposition.served else []
        for p, (a, b) in enumerate(decomposition.pairs):
            if a == i and decomposition.aligned:
                made.append(("cross", b, decomposition.cross[p], f"g(s of {decomposition.names[b]}, z)"))
        for kind, j, image, title in made:
            everywhere, inside = errors[kind, i, j]
            text = "n/a" if np.isnan(inside) else f"{inside:.3f}"
            row.append(Tile(grey(image), title, f"L1 {everywhere:.3f}, organs {text}"))
            row.append(error_tile(image, decomposition.images[i], scars.get(i), "error over x"))
        rows.append(row)
    return sheet(rows, decomposition.names, side=200, theme=theme)


def z_figure(decomposition: Decomposition, dark: bool) -> go.Figure:
    """Modality factors: mean of every dimension, whiskers of one posterior standard deviation."""
    figure, ink = go.Figure(), (DARK if dark else LIGHT).ink
    for i, (name, colour) in enumerate(zip(decomposition.names, COLOURS, strict=False)):
        figure.add_bar(
            name=name,
            x=[f"z{d + 1}" for d in range(decomposition.z_mean.shape[1])],
            y=decomposition.z_mean[i].astype(float),
            error_y=dict(array=decomposition.z_std[i].astype(float), thickness=1.2, color=ink),
            marker_color=colour,
            hovertemplate="%{x} = %{y:.2f} ± %{error_y.array:.2f}",
        )
    layout = dict(margin=dict(l=0, r=0, t=10, b=0), legend=dict(orientation="h", y=1.12), barmode="group")
    titles = dict(xaxis_title="dimension of z", yaxis_title="posterior mean")
    return apply_style(figure, 300, dark, **layout, **titles)


def panels(
    decomposition: Decomposition,
    i: int,
    truth: dict[int, np.ndarray],
    classes: Sequence[str],
    kinds: Sequence[int | None],
    mask_colours: Sequence[str],
) -> list[Panel]:
    """Views of modality i under one crosshair: image, channels, masks, reconstructions, errors, and other images.

    Args:
        truth: labels (H, W) by modality; kinds: class of each channel; mask_colours: of the classes.
    """
    d, image = decomposition, decomposition.images[i]
    of_classes = {"names": tuple(classes), "colours": tuple(mask_colours)}
    found = [
        Panel("intensity of x", image, window=True),
        Panel(
            "channel",
            d.s[i].argmax(0),
            names=tuple(channel_titles(kinds, classes)),
            colours=channel_colours(kinds, mask_colours),
        ),
    ]
    if i in d.served:
        found.append(Panel("class", d.fused_masks[i], **of_classes))
    if i in truth:
        found.append(Panel("true class", truth[i], **of_classes))
    if i in d.served:
        found.append(Panel("entropy (nats)", entropy(d.probabilities[i]), 0, float(np.log(len(classes))), "Viridis"))
        found += _reconstruction_panels("by its own s", image, d.own[i])
    for p, (a, j) in enumerate(d.pairs):
        if a == i and d.aligned:
            found += _reconstruction_panels(f"by s of {d.names[j]}", image, d.cross[p])
            found.append(
                Panel(f"{d.names[j]}, where its warp leads", d.images[j], window=True, positions=d.positions[p])
            )
    return found


def _reconstruction_panels(of: str, image: np.ndarray, made: np.ndarray) -> list[Panel]:
    return [
        Panel(f"reconstruction {of}", made, window=True),
        Panel(f"error {of}", np.abs(made - image), 0, ERROR_LIMIT, "Viridis"),
    ]


def download_sheet(
    decomposition: Decomposition,
    truth: dict[int, np.ndarray],
    kinds: Sequence[int | None],
    classes: Sequence[str],
    mask_colours: Sequence[str],
    scars: Mapping[int, np.ndarray],
    theme: Theme,
) -> Image.Image:
    """All sheets of the page Decompose in one picture."""
    colours = channel_colours(kinds, mask_colours)
    parts = [("Anatomy channels", channel_sheet(decomposition, kinds, classes, colours, theme))]
    if decomposition.pairs and decomposition.aligned:
        parts.append(("Alignment and fusion", warp_sheet(decomposition, colours, theme)))
        parts += [
            (f"Channels in the frame of {name}", fusion_sheet(decomposition, i, kinds, classes, colours, theme))
            for i, name in enumerate(decomposition.names)
        ]
    parts.append(("Masks", mask_sheet(decomposition, truth, classes, mask_colours, theme)))
    parts.append(("Reconstructions", reconstruction_sheet(decomposition, truth, scars, theme)))
    return stack([picture for _, picture in parts], [title for title, _ in parts], theme)


def numbers(
    decomposition: Decomposition, truth: dict[int, np.ndarray], native: Sequence[Native], facts: dict[str, object]
) -> bytes:
    """Every array of the modalities that are served, as an .npz that opens without pickles; `about` is JSON text."""
    served = decomposition.only_served()
    arrays = {name: value for name, value in vars(served).items() if isinstance(value, np.ndarray)}
    arrays |= {f"truth_{decomposition.names[i]}": truth[i] for i in decomposition.served if i in truth}
    arrays |= {
        f"native_fused_mask_{decomposition.names[i]}": own.placement.back(decomposition.fused_masks[i], labels=True)
        for i, own in enumerate(native)
        if i in decomposition.served
    }
    return npz(arrays, {"modalities": served.names, "pairs_fixed_moving": served.pairs, **facts})

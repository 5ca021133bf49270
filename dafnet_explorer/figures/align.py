"""The page Align: a warp, known misregistration, and neighbouring slices as candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from dafnet_core.analysis.candidates import Weighed
from dafnet_core.analysis.editing import Realigned
from dafnet_core.analysis.misregistration import BREAKS, Misregistered, Range
from dafnet_core.drawing import Theme, Tile, coloured, grey, overlay, rgb, sheet, warp_lines
from dafnet_core.geometry import identity_pixels, jacobian
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.metrics.registration import position_error
from dafnet_core.metrics.segmentation import dice_per_class, nanmean
from dafnet_explorer.figures.charts import COLOURS, plain
from dafnet_explorer.figures.pixels import anatomy_map
from dafnet_explorer.figures.texts import dice_text

JACOBIAN_LIMIT = 1.0  # log2 of the determinant is shown up to this: half the area to twice the area
FOLD = "#ff00a0"  # not one of the palette's, so that it is never taken for a class


def _lengths(displacement: np.ndarray) -> np.ndarray:
    return np.linalg.norm(displacement, axis=-1)


def _dice(mask: np.ndarray, truth: np.ndarray | None, classes: int) -> float:
    return float("nan") if truth is None else float(nanmean(dice_per_class(mask, truth, classes)))


def dice_of(made: Realigned, truth: np.ndarray | None, classes: int) -> tuple[float, float]:
    """Mean Dice of the deformed and of the fused mask; NaN without a truth (H, W)."""
    return _dice(made.deformed_mask, truth, classes), _dice(made.fused_mask, truth, classes)


def jacobian_pixels(positions: np.ndarray) -> np.ndarray:
    """A warp's Jacobian (H, W, 3) uint8: blue where areas shrink, red where they grow, FOLD where it folds."""
    det = jacobian(positions)
    pixels = coloured(np.log2(np.maximum(det, 1e-6)), -JACOBIAN_LIMIT, JACOBIAN_LIMIT, "RdBu_r")
    pixels[det <= 0] = rgb(FOLD)
    return pixels


def realigned_sheet(
    found: Decomposition,
    pair: int,
    made: Realigned,
    truth: Mapping[int, np.ndarray],
    drawn: Sequence[str],
    colours: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """What a warp gives: anatomies, masks over the fixed image, the crosswise image, the field and its Jacobian.

    Args:
        truth: labels (H, W) of those modalities that have any.
        drawn: a colour for each channel; colours: for each class.
    """
    i, j = found.pairs[pair]
    base, length = grey(found.images[i]), _lengths(made.positions - identity_pixels(*found.images.shape[1:]))
    error = float(np.abs(made.cross - found.images[i]).mean())
    masks = [(f"mask from {found.names[j]}", made.deformed_mask), ("fused mask", made.fused_mask)]
    first = [
        Tile(anatomy_map(made.deformed, drawn), "deformed anatomy"),
        Tile(anatomy_map(made.fused, drawn), "fused anatomy"),
        *(Tile(overlay(base, m, colours), t, dice_text(_dice(m, truth.get(i), len(colours)))) for t, m in masks),
    ]
    second = [
        Tile(base, f"{found.names[i]} (fixed)"),
        Tile(grey(made.cross), "crosswise g(s, z)", f"L1 {error:.3f}"),
        Tile(coloured(length, 0, max(float(length.max()), 1.0)), "displacement", f"0 to {length.max():.1f} pixels"),
        Tile(jacobian_pixels(made.positions), "Jacobian", "area x 1/2 blue, x 2 red"),
    ]
    return sheet([first, second], side=200, theme=theme)


def warp_rows(
    found: Decomposition,
    pair: int,
    warps: Mapping[str, Realigned],
    truth: Mapping[int, np.ndarray],
    classes: int,
    true: np.ndarray | None,
) -> list[dict[str, str]]:
    """Warps in rows as text: Dice, crosswise error, error of the position over the organs, folds; n/a says why.

    Args:
        true: the true sampling positions (H, W, 2) xy in pixels, where they are known.
    """
    i, _ = found.pairs[pair]
    mask, rows = truth.get(i), []
    for name, made in warps.items():
        where = "n/a: the true warp is unknown"
        if true is not None and mask is not None:
            error = position_error(made.positions, true, mask > 0)
            where = "n/a: no organ here" if np.isnan(error) else f"{error:.2f} px"
        said = ["n/a: no truth" if np.isnan(d) else f"{d:.3f}" for d in dice_of(made, mask, classes)]
        rows.append(
            {
                "warp": name,
                "Dice of the deformed": said[0],
                "Dice of the fused": said[1],
                "crosswise L1": f"{np.abs(made.cross - found.images[i]).mean():.3f}",
                "error of position": where,
                "pixels folded": str(made.folded),
            }
        )
    return rows


def misregistered_sheet(made: Misregistered, pair: tuple[int, int], theme: Theme) -> Image.Image:
    """A known warp and what the aligner made of it: sampling grids, displacements and what is left of the error."""
    i, j = pair
    found = made.decomposition
    still = identity_pixels(*found.images.shape[1:])
    recovered = found.positions[found.pairs.index(pair)]
    moved = grey(found.images[j])
    most = max(float(_lengths(made.true - still).max()), 1.0)
    left = _lengths(recovered - made.true)
    tiles = [
        Tile(grey(found.images[i]), f"{found.names[i]} (fixed)"),
        Tile(warp_lines(moved, made.true), f"{found.names[j]}, deformed", "true grid"),
        Tile(warp_lines(moved, recovered), "the aligner's grid", "recovered"),
        Tile(coloured(_lengths(made.true - still), 0, most), "true", f"0 to {most:.1f} pixels"),
        Tile(coloured(_lengths(recovered - still), 0, most), "recovered", f"0 to {most:.1f} pixels"),
        Tile(coloured(left, 0, most), "what is left", f"mean {left.mean():.1f} pixels"),
    ]
    return sheet([tiles], side=180, theme=theme)


def range_figure(found: Range, dark: bool) -> go.Figure:
    """Dice and error over the amount, with the aligner and without it, and where each of them breaks."""
    figure = make_subplots(1, 2, subplot_titles=("Dice in the fixed frame", "error of the position, pixels"))
    series = [
        ("aligned", found.aligned, found.error_after, found.breaks_at, COLOURS[0]),
        ("not aligned", found.unaligned, found.error_before, found.breaks_unaligned_at, COLOURS[1]),
    ]
    for name, dice, error, breaks, colour in series:
        for column, values in ((1, dice), (2, error)):
            figure.add_scatter(
                x=np.repeat(found.amounts, values.shape[1]),
                y=values.ravel(),
                mode="markers",
                name=name,
                showlegend=False,
                marker=dict(color=colour, size=5, opacity=0.5),
                hoverinfo="skip",
                row=1,
                col=column,
            )
            figure.add_scatter(
                x=found.amounts,
                y=nanmean(values, axis=1),
                mode="lines",
                name=name,
                showlegend=column == 1,
                line=dict(color=colour),
                hovertemplate=f"{name}: %{{y:.3f}} at %{{x}} pixels<extra></extra>",
                row=1,
                col=column,
            )
        if breaks is not None:
            figure.add_vline(breaks, line=dict(color=colour, dash="dot"), row=1, col=1)
    figure.update_xaxes(title_text="applied warp, pixels RMS")
    return plain(figure, 340, dark, legend=dict(orientation="h", y=-0.25))


def breaking_points(found: Range) -> str:
    """Where Dice has fallen by BREAKS, in words."""
    said = [
        f"{name} masks " + (f"break at {at:.1f} pixels" if at is not None else f"hold up to {found.amounts[-1]:g}")
        for name, at in (("aligned", found.breaks_at), ("unaligned", found.breaks_unaligned_at))
    ]
    return f"{said[0].capitalize()}, {said[1]} (a mean Dice that is {BREAKS:g} under that of no warp)."


def candidates_sheet(
    images: np.ndarray,
    pair: tuple[int, int],
    made: Weighed,
    truth: np.ndarray | None,
    drawn: Sequence[str],
    colours: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """Candidates with their weights, deformed anatomies and masks, and the weighted mask (Sec. III-F).

    Args:
        images: (n, K, H, W) in [-1, 1].
        truth: labels (H, W) of the fixed slice.
        drawn: a colour for each channel; colours: for each class.
    """
    i, j = pair
    base = grey(images[i, 0])

    def masked(labels: np.ndarray, title: str) -> Tile:
        return Tile(overlay(base, labels, colours), title, dice_text(_dice(labels, truth, len(colours))))

    rows: list[list[Tile | None]] = []
    for k, overlap in enumerate(made.overlap):
        said = f"overlap {overlap:.3f}" + ("" if made.weights is None else f", weight {made.weights[k]:.2f}")
        row: list[Tile | None] = [
            Tile(grey(images[j, k]), "" if k else "candidate"),
            Tile(anatomy_map(made.deformed[k], drawn), "" if k else "deformed anatomy", said),
            masked(made.masks[k], "" if k else "its mask"),
        ]
        if made.weighted is not None:
            row.append(None if k else masked(made.weighted, "weighted mask"))
        rows.append(row)
    names = ["same slice", *["neighbour"] * (len(rows) - 1)]
    return sheet(rows, names, side=180, theme=theme)

"""The page Align: edited warps, known misregistration, and neighbouring slices as candidates."""

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
from dafnet_explorer.figures.charts import COLOURS, apply_style
from dafnet_explorer.figures.pixels import anatomy_map
from dafnet_explorer.figures.texts import dice_text

JACOBIAN_LIMIT = 1.0  # range of log2 of the determinant: half to twice the area
FOLD = "#ff00a0"  # not in the palette, so it cannot be mistaken for a class


def _lengths(displacement: np.ndarray) -> np.ndarray:
    return np.linalg.norm(displacement, axis=-1)


def _dice(mask: np.ndarray, truth: np.ndarray | None, classes: int) -> float:
    return float("nan") if truth is None else float(nanmean(dice_per_class(mask, truth, classes)))


def dice_of(realigned: Realigned, truth: np.ndarray | None, classes: int) -> tuple[float, float]:
    """Mean Dice of the deformed and of the fused mask; NaN without ground truth (H, W)."""
    return _dice(realigned.deformed_mask, truth, classes), _dice(realigned.fused_mask, truth, classes)


def jacobian_pixels(positions: np.ndarray) -> np.ndarray:
    """A warp's Jacobian (H, W, 3) uint8: blue where areas shrink, red where they grow, FOLD where it folds."""
    det = jacobian(positions)
    pixels = coloured(np.log2(np.maximum(det, 1e-6)), -JACOBIAN_LIMIT, JACOBIAN_LIMIT, "RdBu_r")
    pixels[det <= 0] = rgb(FOLD)
    return pixels


def realigned_sheet(
    decomposition: Decomposition,
    pair: int,
    realigned: Realigned,
    truth: Mapping[int, np.ndarray],
    palette: Sequence[str],
    colours: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """Results of a warp: anatomies, masks over the fixed image, the crosswise image, displacement and Jacobian.

    Args:
        truth: labels (H, W) by modality, where there are any.
        palette: a colour for each channel; colours: for each class.
    """
    i, j = decomposition.pairs[pair]
    base, length = (
        grey(decomposition.images[i]),
        _lengths(realigned.positions - identity_pixels(*decomposition.images.shape[1:])),
    )
    error = float(np.abs(realigned.cross - decomposition.images[i]).mean())
    masks = [(f"mask from {decomposition.names[j]}", realigned.deformed_mask), ("fused mask", realigned.fused_mask)]
    first = [
        Tile(anatomy_map(realigned.deformed, palette), "deformed anatomy"),
        Tile(anatomy_map(realigned.fused, palette), "fused anatomy"),
        *(Tile(overlay(base, m, colours), t, dice_text(_dice(m, truth.get(i), len(colours)))) for t, m in masks),
    ]
    second = [
        Tile(base, f"{decomposition.names[i]} (fixed)"),
        Tile(grey(realigned.cross), "crosswise g(s, z)", f"L1 {error:.3f}"),
        Tile(coloured(length, 0, max(float(length.max()), 1.0)), "displacement", f"0 to {length.max():.1f} pixels"),
        Tile(jacobian_pixels(realigned.positions), "Jacobian", "area x 1/2 blue, x 2 red"),
    ]
    return sheet([first, second], side=200, theme=theme)


def warp_rows(
    decomposition: Decomposition,
    pair: int,
    warps: Mapping[str, Realigned],
    truth: Mapping[int, np.ndarray],
    classes: int,
    true: np.ndarray | None,
) -> list[dict[str, str]]:
    """One row of text per warp: Dice, crosswise error, position error over the organs, folds; n/a with the reason.

    Args:
        true: the true sampling positions (H, W, 2) xy in pixels, if known.
    """
    i, _ = decomposition.pairs[pair]
    mask, rows = truth.get(i), []
    for name, realigned in warps.items():
        error_text = "n/a: the true warp is unknown"
        if true is not None and mask is not None:
            error = position_error(realigned.positions, true, mask > 0)
            error_text = "n/a: no organ here" if np.isnan(error) else f"{error:.2f} px"
        dice = ["n/a: no ground truth" if np.isnan(d) else f"{d:.3f}" for d in dice_of(realigned, mask, classes)]
        rows.append(
            {
                "warp": name,
                "Dice of the deformed": dice[0],
                "Dice of the fused": dice[1],
                "crosswise L1": f"{np.abs(realigned.cross - decomposition.images[i]).mean():.3f}",
                "error of position": error_text,
                "pixels folded": str(realigned.folded),
            }
        )
    return rows


def misregistered_sheet(misregistered: Misregistered, pair: tuple[int, int], theme: Theme) -> Image.Image:
    """A known and the recovered warp: sampling grids, displacements and residual error."""
    i, j = pair
    decomposition = misregistered.decomposition
    identity = identity_pixels(*decomposition.images.shape[1:])
    recovered = decomposition.positions[decomposition.pairs.index(pair)]
    moved = grey(decomposition.images[j])
    largest = max(float(_lengths(misregistered.true - identity).max()), 1.0)
    residual = _lengths(recovered - misregistered.true)
    tiles = [
        Tile(grey(decomposition.images[i]), f"{decomposition.names[i]} (fixed)"),
        Tile(warp_lines(moved, misregistered.true), f"{decomposition.names[j]}, deformed", "true grid"),
        Tile(warp_lines(moved, recovered), "the aligner's grid", "recovered"),
        Tile(coloured(_lengths(misregistered.true - identity), 0, largest), "true", f"0 to {largest:.1f} pixels"),
        Tile(coloured(_lengths(recovered - identity), 0, largest), "recovered", f"0 to {largest:.1f} pixels"),
        Tile(coloured(residual, 0, largest), "residual", f"mean {residual.mean():.1f} pixels"),
    ]
    return sheet([tiles], side=180, theme=theme)


def range_figure(results: Range, dark: bool) -> go.Figure:
    """Dice and error over the amount, with and without alignment, and the breaking point of each."""
    figure = make_subplots(1, 2, subplot_titles=("Dice in the fixed frame", "error of the position, pixels"))
    series = [
        ("aligned", results.aligned, results.error_after, results.breaks_at, COLOURS[0]),
        ("not aligned", results.unaligned, results.error_before, results.breaks_unaligned_at, COLOURS[1]),
    ]
    for name, dice, error, breaks, colour in series:
        for column, values in ((1, dice), (2, error)):
            figure.add_scatter(
                x=np.repeat(results.amounts, values.shape[1]),
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
                x=results.amounts,
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
    return apply_style(figure, 340, dark, legend=dict(orientation="h", y=-0.25))


def breaking_points(results: Range) -> str:
    """Sentence on the amounts at which Dice has fallen by BREAKS."""
    clauses = [
        f"{name} masks " + (f"break at {at:.1f} pixels" if at is not None else f"hold up to {results.amounts[-1]:g}")
        for name, at in (("aligned", results.breaks_at), ("unaligned", results.breaks_unaligned_at))
    ]
    return f"{clauses[0].capitalize()}, {clauses[1]} (mean Dice {BREAKS:g} below that without a warp)."


def candidates_sheet(
    images: np.ndarray,
    pair: tuple[int, int],
    weighed: Weighed,
    truth: np.ndarray | None,
    palette: Sequence[str],
    colours: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """Candidates with their weights, deformed anatomies and masks, and the weighted mask (Sec. III-F).

    Args:
        images: (n, K, H, W) in [-1, 1].
        truth: labels (H, W) of the fixed slice.
        palette: a colour for each channel; colours: for each class.
    """
    i, j = pair
    base = grey(images[i, 0])

    def masked(labels: np.ndarray, title: str) -> Tile:
        return Tile(overlay(base, labels, colours), title, dice_text(_dice(labels, truth, len(colours))))

    rows: list[list[Tile | None]] = []
    for k, overlap in enumerate(weighed.overlap):
        caption = f"overlap {overlap:.3f}" + ("" if weighed.weights is None else f", weight {weighed.weights[k]:.2f}")
        row: list[Tile | None] = [
            Tile(grey(images[j, k]), "" if k else "candidate"),
            Tile(anatomy_map(weighed.deformed[k], palette), "" if k else "deformed anatomy", caption),
            masked(weighed.masks[k], "" if k else "its mask"),
        ]
        if weighed.weighted is not None:
            row.append(None if k else masked(weighed.weighted, "weighted mask"))
        rows.append(row)
    names = ["same slice", *["neighbour"] * (len(rows) - 1)]
    return sheet(rows, names, side=180, theme=theme)

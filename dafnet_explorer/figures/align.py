"""The page Align: edited warps, known misregistration, and neighbouring slices as candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.subplots import make_subplots

from dafnet_core.analysis.candidates import Weighed
from dafnet_core.analysis.editing import Realigned, partly_warped
from dafnet_core.analysis.misregistration import BREAKS, Misregistered, Range
from dafnet_core.drawing import Bar, Theme, Tile, coloured, gif, grey, overlay, rgb, sheet, warp_lines
from dafnet_core.geometry import identity_pixels, jacobian
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.metrics.registration import position_error
from dafnet_core.metrics.segmentation import dice_per_class, nanmean
from dafnet_explorer.figures.charts import COLOURS, apply_style
from dafnet_explorer.figures.findings import SAME_DICE
from dafnet_explorer.figures.pixels import anatomy_map
from dafnet_explorer.figures.texts import dice_text

JACOBIAN_LIMIT = 1.0  # range of log2 of the determinant: half to twice the area
JACOBIAN_BAR = Bar("RdBu_r", "half", "twice", "the area")
FOLD = "#ff00a0"  # not in the palette, so it cannot be mistaken for a class


def _lengths(displacement: np.ndarray) -> np.ndarray:
    return np.linalg.norm(displacement, axis=-1)


def _length_tile(lengths: np.ndarray, largest: float, title: str) -> Tile:
    """Lengths (H, W) in pixels as a map from 0 to `largest`, with their mean."""
    pixels = coloured(lengths, 0, largest)
    return Tile(pixels, title, f"mean {lengths.mean():.1f} pixels", Bar("Viridis", "0", f"{largest:.1f}", "pixels"))


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
        _length_tile(length, max(float(length.max()), 1.0), "displacement"),
        Tile(jacobian_pixels(realigned.positions), "Jacobian", bar=JACOBIAN_BAR),
    ]
    return sheet([first, second], side=200, theme=theme)


DEFORMED, FUSED, POSITION = "Dice of the deformed", "Dice of the fused", "error of position (pixels)"


def warp_rows(
    decomposition: Decomposition,
    pair: int,
    warps: Mapping[str, Realigned],
    truth: Mapping[int, np.ndarray],
    classes: int,
    true: np.ndarray | None,
) -> list[dict[str, object]]:
    """A row per warp: Dice, crosswise error, position error over the organs, folds; None for what is not known.

    Args:
        true: the true sampling positions (H, W, 2) xy in pixels, if known.
    """
    i, _ = decomposition.pairs[pair]
    mask, rows = truth.get(i), []
    for name, realigned in warps.items():
        known = true is not None and mask is not None
        error = position_error(realigned.positions, true, mask > 0) if known else float("nan")
        deformed, fused = dice_of(realigned, mask, classes)
        numbers = {
            DEFORMED: deformed,
            FUSED: fused,
            "crosswise L1 (intensity)": float(np.abs(realigned.cross - decomposition.images[i]).mean()),
            POSITION: error,
        }
        row: dict[str, object] = {"warp": name}
        row |= {title: None if np.isnan(value) else float(value) for title, value in numbers.items()}
        rows.append(row | {"folded (pixels)": realigned.folded})
    return rows


def true_warp_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Where the spline nearest to the true warp scores below the predicted one, and why; "" where it does not.

    Args:
        rows: of `warp_rows`.
    """
    by_name = {row["warp"]: row for row in rows}
    if "true" not in by_name:
        return ""
    true, predicted = by_name["true"], by_name["predicted"]
    worse = []
    for title in (DEFORMED, FUSED):
        a, b = true[title], predicted[title]
        if isinstance(a, float) and isinstance(b, float) and a < b - SAME_DICE:
            worse.append(f"{title} {a:.3f} against {b:.3f}")
    if not worse or not isinstance(true[POSITION], float):
        return ""
    return (
        f"*True* scores below *predicted* here ({'; '.join(worse)}). It is at the right place up to "
        f"{true[POSITION]:.2f} pixels, which its control points cannot follow, but it moves an anatomy with errors of "
        "its own. The predicted warp was trained to make anatomies and masks match, so it may hide such errors."
    )


def warp_table(rows: Sequence[Mapping[str, object]], *, has_truth: bool, knows_warp: bool) -> list[dict[str, str]]:
    """`warp_rows` as text, with the reason where a number is missing."""
    dice = "no organ here" if has_truth else "no ground truth"
    position = "the true warp is unknown" if has_truth and not knows_warp else dice
    why = {DEFORMED: dice, FUSED: dice, POSITION: position}

    def text(title: str, value: object) -> str:
        return f"n/a: {why[title]}" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)

    return [{title: text(title, value) for title, value in row.items()} for row in rows]


def warp_animation(
    decomposition: Decomposition,
    pair: int,
    offsets: np.ndarray,
    palette: Sequence[str | None],
    theme: Theme,
    about: Mapping[str, object],
) -> bytes:
    """A GIF of a moving image while it deforms onto the fixed one, and its anatomy over the fixed image.

    Args:
        offsets: (control points, 2) of the whole warp, xy in [-1, 1] units.
        palette: a colour for each channel; None for those that are not drawn.
    """
    i, j = decomposition.pairs[pair]
    shares = np.linspace(0, 1, 17)
    images, labels = partly_warped(decomposition.images[j], decomposition.s[j].argmax(0), offsets, shares)
    drawn = np.array([c + 1 if colour else 0 for c, colour in enumerate(palette)])  # 0 stays clear
    colours = ["#000000", *(colour or "#000000" for colour in palette)]
    fixed = grey(decomposition.images[i])
    pictures = []
    for share, image, channels in zip(shares, images, labels, strict=True):
        outlines = overlay(fixed, drawn[channels], colours)
        tiles = [
            Tile(grey(image), f"{decomposition.names[j]}, warp at {share:.0%}"),
            Tile(outlines, f"its anatomy on {decomposition.names[i]} (fixed)"),
        ]
        pictures.append(sheet([tiles], side=256, theme=theme))
    return gif(pictures, about)


def misregistered_sheet(misregistered: Misregistered, pair: tuple[int, int], theme: Theme) -> Image.Image:
    """A known and the recovered warp: sampling grids, displacements and residual error."""
    i, j = pair
    decomposition = misregistered.decomposition
    identity = identity_pixels(*decomposition.images.shape[1:])
    recovered = decomposition.positions[decomposition.pairs.index(pair)]
    moved = grey(decomposition.images[j])
    largest = max(float(_lengths(misregistered.true - identity).max()), 1.0)
    tiles = [
        Tile(grey(decomposition.images[i]), f"{decomposition.names[i]} (fixed)"),
        Tile(warp_lines(moved, misregistered.true), f"{decomposition.names[j]}, deformed", "true grid"),
        Tile(warp_lines(moved, recovered), "the aligner's grid", "recovered"),
        _length_tile(_lengths(misregistered.true - identity), largest, "true"),
        _length_tile(_lengths(recovered - identity), largest, "recovered"),
        _length_tile(_lengths(recovered - misregistered.true), largest, "residual"),
    ]
    return sheet([tiles], side=180, theme=theme)


def range_figure(results: Range, dark: bool) -> go.Figure:
    """Dice and error over the amount, with and without alignment, and the breaking point of each."""
    figure = make_subplots(1, 2, horizontal_spacing=0.12)
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
    figure.update_yaxes(title_text="Dice in the fixed frame", col=1)
    figure.update_yaxes(title_text="error of the position, pixels", col=2)
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

"""The page Mix: anatomies with modality factors of other images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.analysis.mixing import Mixed, Mixture
from dafnet_core.drawing import Theme, Tile, grey, sheet
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.figures.charts import linked_heatmaps
from dafnet_explorer.figures.findings import joined
from dafnet_explorer.figures.pixels import CHANGE_LIMIT, labels_map


def row_names(encodings: Encodings) -> list[str]:
    """Display name of each row of encodings; subjects by number."""
    numbers = {name: n for n, name in enumerate(dict.fromkeys(encodings.subjects.tolist()), 1)}
    return [
        f"subject {numbers[s]}, slice {p + 1}, {encodings.names[m]}"
        for s, p, m in zip(encodings.subjects.tolist(), encodings.positions, encodings.modality, strict=True)
    ]


def mixture_sheet(
    mixture: Mixture,
    anatomies: Sequence[np.ndarray],
    titles: tuple[Sequence[str], Sequence[str]],
    styles: Sequence[np.ndarray | None],
    reached: np.ndarray,
    modalities: Sequence[str],
    palette: Sequence[str],
    theme: Theme,
) -> Image.Image:
    """g(s, z) of every anatomy (row) and modality factor (column), each with its two scores.

    Args:
        anatomies: (H, W) channel indices of each row.
        titles: of the rows and of the columns.
        styles: (H, W) image that each column's z is of; None for a random z.
        reached: (R, K) the probe's probability of the column's modality; NaN without a probe.
        modalities: name of each column's modality.
        palette: a colour for each channel.
    """
    head: list[Tile | None] = [None]
    head += [None if x is None else Tile(grey(x), title) for x, title in zip(styles, titles[1], strict=True)]
    rows = [head]
    for r, labels in enumerate(anatomies):
        row: list[Tile | None] = [Tile(labels_map(labels, palette), "" if r else "anatomy s")]
        for k, name in enumerate(modalities):
            dice = "n/a" if np.isnan(mixture.dice[r, k]) else f"{mixture.dice[r, k]:.2f}"
            title = titles[1][k] if not r and styles[k] is None else ""
            score = "" if np.isnan(reached[r, k]) else f" {reached[r, k]:.0%}"
            row.append(Tile(grey(mixture.images[r, k]), title, f"kept {dice}, {name}{score}"))
        rows.append(row)
    return sheet(rows, ["z of", *titles[0]], side=140, theme=theme)


def mixture_text(
    mixed: Mixed, titles: tuple[Sequence[str], Sequence[str]], numbers: tuple[Sequence[int], Sequence[int]]
) -> str:
    """Mean scores of a mixture in Markdown, by whose z it is, and the cell that keeps least.

    Args:
        titles: of the rows and of the columns.
        numbers: of their images in the encodings; below 0 a random z.
    """
    rows, columns = np.array(numbers[0])[:, None], np.array(numbers[1])[None]
    made, random = mixed.made, np.broadcast_to(columns < 0, mixed.made.dice.shape)
    own, lines = rows == columns, []
    for name, cells in (("z of the same image", own), ("z of other images", ~own & ~random), ("random z", random)):
        if cells.any():
            dice, reached, agreement = mixed.means(cells)
            scores = [f"kept {'n/a' if np.isnan(dice) else f'{dice:.3f}'}"]
            scores += [] if np.isnan(reached) else [f"modality reached {reached:.3f}"]
            lines.append(
                f"Mean over {cells.sum()} with {name}: {', '.join(scores)}, channels unchanged {agreement:.3f}."
            )
    if not np.isnan(made.dice).all():
        r, k = np.unravel_index(int(np.nanargmin(made.dice)), made.dice.shape)
        lines.append(f"Least kept: {made.dice[r, k]:.3f}, the anatomy of {titles[0][r]} with {titles[1][k]}.")
    return joined(lines)


def hover_text(labels: np.ndarray, reencoded: Decomposition, classes: Sequence[str]) -> np.ndarray:
    """Hover text of each pixel (H, W) of a mixed image: its channel, that of the re-encoded image, the mask.

    Args:
        labels: (H, W) channel of each pixel in the decoded anatomy.
        reencoded: decomposition of that image alone.
    """
    channels = np.array([f"channel {c + 1}" for c in range(reencoded.s.shape[1])])
    before, after = channels[labels], channels[reencoded.s[0].argmax(0)]
    masks = np.array(classes)[reencoded.single[0]]
    return np.char.add(np.char.add(np.char.add(before, " re-encoded "), after), np.char.add("<br>mask ", masks))


def mixture_inspection(
    image: np.ndarray, own: np.ndarray, content: np.ndarray, style: np.ndarray | None, text: np.ndarray, dark: bool
) -> go.Figure:
    """Linked views of one mixed image g(s, z), (H, W): the images of s and of z, and the effect of the foreign z.

    Args:
        own: g(s, z) with the z of the anatomy's own image.
        content: the image of s; style: the image of z, None for a random z.
        text: (H, W) hover text.
    """
    panels = [("g(s, z)", image, "Greys_r", -1, 1), ("image of s", content, "Greys_r", -1, 1)]
    if style is not None:
        panels.append(("image of z", style, "Greys_r", -1, 1))
    panels.append(("change from its own z", image - own, "RdBu_r", -CHANGE_LIMIT, CHANGE_LIMIT))
    return linked_heatmaps(panels, text, dark)


def mixture_rows(
    mixed: Mixed, rows: Sequence[str], columns: Sequence[str], modalities: Sequence[str]
) -> list[dict[str, Any]]:
    """One row per cell of a mixture: its anatomy, its z and its scores."""
    return [
        {
            "anatomy of": row,
            "z of": column,
            "modality": modalities[k],
            "kept (Dice)": None if np.isnan(mixed.made.dice[r, k]) else float(mixed.made.dice[r, k]),
            "channels that stay (share)": float(mixed.made.agreement[r, k]),
            "reached (probability)": None if np.isnan(mixed.reached[r, k]) else float(mixed.reached[r, k]),
        }
        for r, row in enumerate(rows)
        for k, column in enumerate(columns)
    ]

"""The page Tour: a picture for each equation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from dafnet_core.analysis.decompose import overlaps
from dafnet_core.drawing import Theme, Tile, bars, coloured, grey, overlay, sheet
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean
from dafnet_explorer.figures.pixels import ERROR_LIMIT, anatomy_map
from dafnet_explorer.figures.texts import dice_text


def pair_sheet(
    found: Decomposition, truth: dict[int, np.ndarray], classes: int, colours: Sequence[str], theme: Theme
) -> Image.Image:
    """Two images of one slice, their checkerboard, and the true mask of the first, unmoved, on the second (Sec. IV-C).

    Args:
        found: of at least two modalities.
        truth: labels (H, W) by modality, where there are any.
        classes: number of classes, background included.
        colours: of the classes.
    """
    a, b = found.names[:2]
    height, width = found.images.shape[1:]
    y, x = np.mgrid[:height, :width]
    turns = (y * 6 // height + x * 6 // width) % 2 == 0
    row: list[Tile | None] = [Tile(grey(found.images[0]), a), Tile(grey(found.images[1]), b)]
    row.append(Tile(grey(np.where(turns, found.images[0], found.images[1])), f"{a} and {b} checkerboard"))
    if {0, 1} <= truth.keys():
        counts = next(c for kind, i, j, c in overlaps(found, truth, classes) if (kind, i, j) == ("copy", 1, 0))
        painted = overlay(grey(found.images[1]), truth[0], colours)
        row.append(Tile(painted, f"mask of {a} on {b}", dice_text(nanmean(dice_from_counts(counts)))))
    return sheet([row], side=220, theme=theme)


def z_sheet(found: Decomposition, kl: np.ndarray, theme: Theme) -> Image.Image:
    """Each image and its q(z | x, s) as bars with whiskers, and the prior N(0, I) (Sec. III-A).

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
    """s and z, their reconstruction, the image and the absolute error (Sec. III-D)."""
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
    """Each ordered pair: an anatomy decoded with its own z and with the other's, between both images (Sec. III-D)."""
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
    """Distance matrices of the same images in s and in z; dark is 0 (Sec. V-H.3).

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

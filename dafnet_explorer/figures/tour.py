"""The page Tour: a picture for each equation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from dafnet_core.analysis.decompose import overlaps
from dafnet_core.analysis.lost import Lost
from dafnet_core.drawing import Bar, Theme, Tile, bars, coloured, grey, overlay, sheet
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean
from dafnet_explorer.figures.errors import error_tile
from dafnet_explorer.figures.pixels import anatomy_map
from dafnet_explorer.figures.texts import dice_text


def pair_sheet(
    decomposition: Decomposition, truth: dict[int, np.ndarray], classes: int, colours: Sequence[str], theme: Theme
) -> Image.Image:
    """Two images of one slice, their checkerboard, and the undeformed mask of the first on the second (Sec. IV-C).

    Args:
        decomposition: of at least two modalities.
        truth: labels (H, W) by modality, where there are any.
        classes: number of classes, background included.
        colours: of the classes.
    """
    a, b = decomposition.names[:2]
    height, width = decomposition.images.shape[1:]
    y, x = np.mgrid[:height, :width]
    turns = (y * 6 // height + x * 6 // width) % 2 == 0
    row: list[Tile | None] = [Tile(grey(decomposition.images[0]), a), Tile(grey(decomposition.images[1]), b)]
    row.append(
        Tile(grey(np.where(turns, decomposition.images[0], decomposition.images[1])), f"{a} and {b} checkerboard")
    )
    if {0, 1} <= truth.keys():
        counts = next(c for kind, i, j, c in overlaps(decomposition, truth, classes) if (kind, i, j) == ("copy", 1, 0))
        painted = overlay(grey(decomposition.images[1]), truth[0], colours)
        row.append(Tile(painted, f"mask of {a} on {b}", dice_text(nanmean(dice_from_counts(counts)))))
    return sheet([row], side=220, theme=theme)


def z_sheet(decomposition: Decomposition, kl: np.ndarray, theme: Theme) -> Image.Image:
    """Each image and its q(z | x, s) as bars with whiskers, and the prior N(0, I) (Sec. III-A).

    Args:
        kl: (n, n_z) nats.
    """
    row: list[Tile | None] = []
    for i, name in enumerate(decomposition.names):
        row.append(Tile(grey(decomposition.images[i]), f"x of {name}"))
        row.append(
            Tile(
                bars(decomposition.z_mean[i], decomposition.z_std[i], theme),
                f"z of {name}",
                f"KL {kl[i].sum():.2f} nats",
            )
        )
    n_z = decomposition.z_mean.shape[1]
    row.append(Tile(bars(np.zeros(n_z), np.ones(n_z), theme), "prior N(0, I)", "KL 0"))
    return sheet([row], side=200, theme=theme)


def parts_sheet(
    decomposition: Decomposition, scars: Mapping[int, np.ndarray], colours: Sequence[str], theme: Theme
) -> Image.Image:
    """s and z, their reconstruction, the image and the error over it (Sec. III-D).

    Args:
        scars: (H, W) bool of images with a scar, which is outlined.
    """
    rows = []
    for i, _ in enumerate(decomposition.names):
        rows.append(
            [
                Tile(anatomy_map(decomposition.s[i], colours), "anatomy s"),
                Tile(bars(decomposition.z_mean[i], decomposition.z_std[i], theme), "modality factor z"),
                Tile(grey(decomposition.own[i]), "y = g(s, z)"),
                Tile(grey(decomposition.images[i]), "image x"),
                error_tile(decomposition.own[i], decomposition.images[i], scars.get(i), "|x - y| over x"),
            ]
        )
    return sheet(rows, decomposition.names, side=170, theme=theme)


def swap_sheet(
    decomposition: Decomposition, losses: Sequence[tuple[np.ndarray, Lost] | None], theme: Theme
) -> Image.Image:
    """Each ordered pair: an anatomy decoded with its own z and with the other's, between both images (Sec. III-D).

    Args:
        losses: of each pair, `errors.swap_loss`; where it is known, the error over the other image is the last tile.
    """
    rows: list[list[Tile | None]] = []
    for p, (i, j) in enumerate(decomposition.pairs):
        a, b = decomposition.names[i], decomposition.names[j]
        rows.append(
            [
                Tile(grey(decomposition.images[i]), f"x of {a}"),
                Tile(grey(decomposition.own[i]), f"s of {a}, z of {a}"),
                Tile(grey(decomposition.swapped[p]), f"s of {a}, z of {b}"),
                Tile(grey(decomposition.images[j]), f"x of {b}"),
            ]
        )
        if found := losses[p]:
            real, loss = found
            rows[-1].append(error_tile(decomposition.swapped[p], real, loss.scar, f"error over x of {b}"))
    return sheet(rows, [f"to {decomposition.names[j]}" for _, j in decomposition.pairs], side=190, theme=theme)


def distance_sheet(s: np.ndarray, z: np.ndarray, dcor: float, permuted: float, theme: Theme) -> Image.Image:
    """Distance matrices of the same images in s and in z; dark is 0 (Sec. V-H.3).

    Args:
        s, z: (n, n) distances.
        dcor: distance correlation of both, in [0, 1].
        permuted: its mean with subjects permuted.
    """
    row = []
    for name, d, text in (("s", s, f"dCor {dcor:.3f}"), ("z", z, f"with subjects permuted {permuted:.3f}")):
        most = max(float(d.max()), 1e-12)
        bar = Bar("Viridis", "0", f"{most:.3g}", "distance")
        row.append(Tile(coloured(d, 0, most), f"distances of {name}", text, bar))
    return sheet([row], side=300, theme=theme)

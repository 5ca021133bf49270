"""What decoded images lose: errors painted over the image with the scar outlined, and their numbers in words."""

from __future__ import annotations

import numpy as np

from dafnet_core.analysis.lost import Lost, lost, seen_from
from dafnet_core.drawing import Tile, grey, outlined, rgb
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.figures.pixels import ERROR_BAR, ERROR_LIMIT
from dafnet_explorer.subjects import Subject

SCAR_COLOUR = "#00e5ff"  # of no class, and far from the red of errors
VISIBLE = 0.2  # least contrast of a scar, in intensities of [-1, 1], that is worth keeping
GONE, KEPT = 0.25, 0.75  # shares of a scar's contrast below which it is lost, and from which it is kept
WHY_NOT_ZERO = (
    "**Noise alone** is the error that is left if all but the noise is known: neither s nor z is meant to encode it. "
    "**Flat tissues** is the error if s were the true tissues and each had its best single grey value. A model "
    "with a smaller error encodes more than that, such as shading, or the grey levels of single pixels in a pattern of "
    "dots; one with a larger error loses something. Both are known for phantoms only."
)


def own_loss(decomposition: Decomposition, subject: Subject, i: int, without_noise: np.ndarray | None) -> Lost:
    """What the reconstruction of image i loses.

    Args:
        without_noise: (n, H, W) images without noise; None where they are not known.
    """
    clean = None if without_noise is None else without_noise[i]
    return lost(decomposition.own[i], decomposition.images[i], subject.tissues.get(i), subject.tissue_names, clean)


def swap_loss(
    decomposition: Decomposition, subject: Subject, pair: int, without_noise: np.ndarray | None
) -> tuple[np.ndarray, Lost] | None:
    """The other image in the frame of a pair's anatomy, and what the swapped image loses of it; None if not known."""
    i, j = decomposition.pairs[pair]
    positions = subject.sampling.get((i, j))
    if positions is None:
        return None
    real = seen_from(decomposition.images[j], positions)
    clean = None if without_noise is None else seen_from(without_noise[j], positions)
    return real, lost(decomposition.swapped[pair], real, subject.tissues.get(i), subject.tissue_names, clean)


def error_tile(made: np.ndarray, real: np.ndarray, scar: np.ndarray | None, title: str = "error") -> Tile:
    """Absolute error of a decoded image painted red over the real one, (H, W) each, the scar outlined."""
    error = np.abs(made - real)
    strength = np.clip(error / ERROR_LIMIT, 0, 1)[..., None]
    pixels = ((1 - strength) * grey(real) + strength * rgb(RED)).round().astype(np.uint8)
    pixels = pixels if scar is None else outlined(pixels, scar, SCAR_COLOUR)
    return Tile(pixels, title, f"mean {error.mean():.3f}", ERROR_BAR)


RED = "#ff2a1f"  # where ERROR_BAR ends


def loss_text(name: str, found: Lost) -> str:
    """What an image loses, in Markdown; it follows from the numbers alone.

    Args:
        name: of the image.
    """
    floors = [
        f"{value:.3f} {what}"
        for value, what in ((found.noise, "of its noise alone"), (found.flat, "of flat tissues"))
        if value is not None
    ]
    text = f"**{name}**: error {found.error:.3f}" + (f", beside {' and '.join(floors)}" if floors else "") + "."
    if found.contrast:
        text += f" {_scar_text(*found.contrast)}"
    return text


def _scar_text(real: float, made: float) -> str:
    difference = f"The scar (outlined) is {_brighter(real)} than healthy myocardium"
    if abs(real) < VISIBLE:
        return f"{difference}, so it is hardly visible here anyway."
    kept = made / real
    verdict = "it is lost" if kept < GONE else "it is kept" if kept >= KEPT else "it is paler"
    return f"{difference}, decoded {_brighter(made)}: {verdict}."


def _brighter(contrast: float) -> str:
    return f"{abs(contrast):.2f} {'brighter' if contrast >= 0 else 'darker'}"

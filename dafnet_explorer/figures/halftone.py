"""The tour's last station: anatomies of several models with their pixels shuffled or flipped, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dafnet_core.analysis.halftone import Halftone
from dafnet_core.drawing import Theme, Tile, grey, rgb, sheet
from dafnet_core.metrics.anatomy import speckle
from dafnet_explorer.figures.pixels import MIXED, labels_map

KINDS = ("as it is", "shuffled within a tissue", "5 % flipped")
CARRIES = 0.1  # relative rise of the error from which the place of pixels is said to carry intensities
SPECKLED = 0.05  # share of specks, above that of the true tissues, from which an anatomy is said to have dots
SHADE = 0.6  # brightness of an organ's other tissues, such as scar, relative to its main one
MARGIN, LEAST = 4, 40  # pixels around the heart, and least side of the region that is shown


@dataclass(frozen=True, eq=False)
class Model:
    """One model's results on the image.

    Attributes:
        name: of its checkpoint.
        channels: (H, W) uint8 anatomy as it is.
        halftone: the same shuffled and flipped, and what is decoded from each.
        colours: of its channels.
    """

    name: str
    channels: np.ndarray
    halftone: Halftone
    colours: Sequence[str]

    def anatomies(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Anatomies (H, W) in the order of KINDS."""
        return self.channels, self.halftone.shuffled, self.halftone.flipped

    def images(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Decoded images (H, W) in the order of KINDS."""
        return self.halftone.own, self.halftone.of_shuffled, self.halftone.of_flipped

    def rise(self, kind: int) -> float:
        """Error of a kind relative to that of the anatomy as it is, minus 1."""
        own = self.halftone.errors[0]
        return self.halftone.errors[kind] / max(own, 1e-9) - 1


@dataclass(frozen=True, eq=False)
class Truth:
    """What the models are compared with.

    Attributes:
        image: (H, W) in [-1, 1].
        tissues: (H, W) labels of the true tissues.
        picture: (H, W, 3) uint8, the tissues as `tissue_map` draws them.
    """

    image: np.ndarray
    tissues: np.ndarray
    picture: np.ndarray


def region_around(labels: np.ndarray) -> tuple[slice, slice]:
    """Square part of an image (H, W) that holds all pixels above 0, with a margin; the centre where there are none.

    >>> labels = np.zeros((128, 128), int)
    >>> labels[60:70, 20:80] = 1
    >>> region_around(labels)
    (slice(31, 99, None), slice(16, 84, None))
    """
    found = np.argwhere(labels > 0)
    low, high = (found.min(0), found.max(0) + 1) if len(found) else (np.zeros(2, int), np.array(labels.shape))
    side = int((high - low).max()) + 2 * MARGIN if len(found) else LEAST
    side = min(max(side, LEAST), *labels.shape)
    middle = (low + high).astype(int)
    y, x = (min(max((int(m) - side) // 2, 0), n - side) for m, n in zip(middle, labels.shape, strict=True))
    return slice(y, y + side), slice(x, x + side)


def tissue_map(tissues: np.ndarray, mask: np.ndarray | None, colours: Sequence[str]) -> np.ndarray:
    """True tissues (H, W) as one picture (H, W, 3): each class's main one in its colour, its others darker.

    Tissues outside all classes are muted.

    Args:
        mask: (H, W) classes; None where unknown.
        colours: one a class.
    """
    picture = labels_map(tissues % len(MIXED), MIXED)
    for label, colour in enumerate(colours if mask is not None else ()):
        inside = mask == label
        if label and inside.any():
            main = tissues == np.bincount(tissues[inside]).argmax()
            picture[inside & main], picture[inside & ~main] = rgb(colour), SHADE * rgb(colour)
    return picture


def halftone_sheet(
    models: Sequence[Model], kind: int, truth: Truth, where: tuple[slice, slice], theme: Theme
) -> Image.Image:
    """A part of the anatomies of all models and what they decode to, beside the true tissues and the image.

    Args:
        kind: index in KINDS.
        where: rows and columns that are shown; errors are of the whole image.
    """
    above: list[Tile | None] = []
    below: list[Tile | None] = []
    for model in models:
        labels, decoded = model.anatomies()[kind], model.images()[kind]
        title = f"s of {model.name}"
        above.append(Tile(labels_map(labels, model.colours)[where], title, _specks(speckle(labels))))
        error = f"error {model.halftone.errors[kind]:.3f}" + (f" ({model.rise(kind):+.0%})" if kind else "")
        below.append(Tile(grey(decoded)[where], f"decoded by {model.name}", error))
    above.append(Tile(truth.picture[where], "true tissues", _specks(speckle(truth.tissues))))
    below.append(Tile(grey(truth.image)[where], "image x"))
    return sheet([above, below], side=290, theme=theme)


def _specks(share: float) -> str:
    return f"{share:.0%} of all pixels are specks"


def verdict(models: Sequence[Model], truth_speckle: float) -> str:
    """What the errors say about where each model keeps intensities, in Markdown; it follows from the numbers alone.

    Args:
        truth_speckle: share of specks in the true tissues.
    """
    sentences = [_place(model, truth_speckle) for model in models]
    flips = " and ".join(f"{model.rise(2):+.0%} for {model.name}" for model in models)
    carriers = [model.name for model in models if carries(model)]
    if len(models) > 1 and len(carriers) == 1:
        sentences.append(f"So on this image only **{carriers[0]}** depends on the place of its dots.")
    elif len(models) > 1 and carriers:
        sentences.append("So on this image each model here depends on the place of its dots.")
    elif len(models) > 1:
        sentences.append("So on this image no model here depends on the place of dots: try another image or slice.")
    return " ".join(sentences) + f" Flipped pixels change the error by {flips}."


def carries(model: Model) -> bool:
    """Whether the place of single pixels carries intensities: the error rises by CARRIES when they are shuffled."""
    return model.rise(1) >= CARRIES


def _place(model: Model, truth_speckle: float) -> str:
    own, shuffled, _ = model.halftone.errors
    numbers = f"from {own:.3f} to {shuffled:.3f} ({model.rise(1):+.0%})"
    if carries(model):
        return f"Shuffling raises the error of **{model.name}** {numbers}: the *place* of its dots carries intensities."
    dots = speckle(model.channels) >= truth_speckle + SPECKLED
    why = "their *density* may still carry intensities" if dots else "and there are hardly any dots"
    return f"Shuffling changes the error of **{model.name}** {numbers}: the place of its pixels carries little, {why}."

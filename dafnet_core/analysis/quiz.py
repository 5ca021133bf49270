"""Questions for teaching: one factor of an image is changed, and the user identifies which (Sec. III, Fig. 2).

A question depends on its seed and number alone, so that the same link always gives the same question.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from scipy import ndimage

from dafnet_core.analysis.editing import one_hot
from dafnet_core.analysis.traversal import LIMIT, render
from dafnet_core.data.deform import deform, smooth_displacement
from dafnet_core.methods.base import FactorModel
from dafnet_core.methods.decomposition import Decomposition, decompose
from dafnet_core.metrics.segmentation import dice_per_class, nanmean

QUESTION_KINDS = ("z", "anatomy", "warp", "decoder")
SEEN = 0.2  # intensities in [-1, 1]: a change by a tenth of the range counts as visible
PLACE = 3  # side in pixels of the window that a change is averaged over, so that texture does not count as visible
LEAST = 0.04  # least share of pixels with a visible change: 26 x 26 of 128 x 128, the size of a ventricle
DRAWS = 32  # attempts with one kind before the next kind is tried
PIECE = 0.005, 0.5  # least and largest share of the image of a region that may be erased
WARP = 0.04  # RMS displacement as a share of the side: 5 pixels of 128, without folds
TURNS = 2  # occurrences of each kind in a block: with one, the last kind of a block would be predictable


@dataclass(frozen=True, eq=False)
class Question:
    """An image before and after one factor of it was changed; pairs are (before, after).

    Attributes:
        kind: which factor, one of `kinds`.
        kinds: all that could have been asked.
        modality: name of the image's modality.
        images: (2, H, W) float32 in [-1, 1]; the first is g(s, z) of the image.
        organs: (H, W) bool, where the fused mask is not background.
        anatomies: (2, H, W) uint8 channel indices; of a decoder question each model's own, not comparable.
        z: two of (n_z,), likewise.
        displacement: (H, W, 2) xy in pixels: the anatomy after shows at p what it showed before at p + displacement;
            None where it was not warped.
        dice: of the masks of both images encoded again, mean over the classes found before; NaN for none.
    """

    kind: str
    kinds: tuple[str, ...]
    modality: str
    images: np.ndarray
    organs: np.ndarray
    anatomies: np.ndarray
    z: tuple[np.ndarray, np.ndarray]
    displacement: np.ndarray | None
    dice: float

    @property
    def change(self) -> np.ndarray:
        """(H, W) image after minus image before, in [-2, 2]."""
        return self.images[1] - self.images[0]

    @property
    def seen(self) -> float:
        """Share of pixels that change by SEEN or more, in [LEAST, 1]."""
        return _seen(*self.images)

    @property
    def inside(self) -> float:
        """Mean absolute change inside the organs; NaN without any."""
        return _mean(np.abs(self.change), self.organs)

    @property
    def outside(self) -> float:
        """Mean absolute change outside the organs."""
        return _mean(np.abs(self.change), ~self.organs)

    @property
    def other_channel(self) -> float:
        """Share of pixels whose anatomy channel changed; NaN between two models."""
        return float("nan") if self.kind == "decoder" else float((self.anatomies[0] != self.anatomies[1]).mean())

    @property
    def moved(self) -> tuple[int, float]:
        """Index of the dimension of z that changed most, and its |dz|; (0, NaN) between two models."""
        if self.kind == "decoder":
            return 0, float("nan")
        distances = np.abs(self.z[1] - self.z[0])
        return int(distances.argmax()), float(distances.max())

    @property
    def rms(self) -> float:
        """Root mean square of the displacement's length in pixels; 0 where nothing was warped."""
        return 0.0 if self.displacement is None else float(np.sqrt(np.square(self.displacement).sum(-1).mean()))


def _seen(before: np.ndarray, after: np.ndarray) -> float:
    return float((np.abs(ndimage.uniform_filter(after - before, PLACE)) >= SEEN).mean())


def _mean(values: np.ndarray, where: np.ndarray) -> float:
    return float(values[where].mean()) if where.any() else float("nan")


def planned(seed: int, n: int, kinds: tuple[str, ...]) -> str:
    """The kind of question n of a seed: in each block of TURNS x len(kinds) questions every kind comes TURNS times."""
    block, place = divmod(n, TURNS * len(kinds))
    # the 1 keeps a block's stream apart from that of the question with its number
    return kinds[np.random.default_rng([seed, block, 1]).permutation(TURNS * len(kinds))[place] % len(kinds)]


def ask(
    model: FactorModel,
    decomposition: Decomposition,
    seed: int,
    n: int,
    other: tuple[FactorModel, Decomposition] | None = None,
) -> Question:
    """Question n of a seed about one slice.

    A change that is hardly visible is drawn again; if none of the planned kind is visible, the next kind is tried.

    Args:
        model: in eval mode, the one that made `decomposition`.
        seed, n: 0 or more.
        other: a model with another decoder and its decomposition of the same images; None excludes kind "decoder".

    Raises:
        ValueError: a seed or number below 0, another model of other images, or no visible change of any kind.
    """
    if seed < 0 or n < 0:
        raise ValueError(f"seed is {seed}, number {n}; expected 0 or more")
    if other and (other[1].names != decomposition.names or not np.array_equal(other[1].images, decomposition.images)):
        raise ValueError("the other model's decomposition is of other images; decompose the same images with it")
    kinds = QUESTION_KINDS if other else QUESTION_KINDS[:-1]
    first = kinds.index(planned(seed, n, kinds))
    for kind in (*kinds[first:], *kinds[:first]):
        rng = np.random.default_rng([seed, n])
        i = int(rng.integers(len(decomposition.names)))
        for after, s, z, displacement in _ways(kind, rng, model, decomposition, i, other):
            if _seen(decomposition.own[i], after) >= LEAST:
                before = _labels(decomposition, i), decomposition.z_mean[i]
                makers = model, other[0] if other and kind == "decoder" else model
                return Question(
                    kind,
                    kinds,
                    decomposition.names[i],
                    np.stack([decomposition.own[i], after]),
                    decomposition.fused_masks[i] > 0,
                    np.stack([before[0], s]),
                    (before[1], z),
                    displacement,
                    _dice(makers, (decomposition.own[i], after), decomposition.names[i]),
                )
    raise ValueError("no change of any factor is visible in this image; choose another one")


def _labels(decomposition: Decomposition, i: int) -> np.ndarray:
    return decomposition.s[i].argmax(0).astype(np.uint8)


def _ways(
    kind: str,
    rng: np.random.Generator,
    model: FactorModel,
    decomposition: Decomposition,
    i: int,
    other: tuple[FactorModel, Decomposition] | None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]]:
    """Image after, its anatomy and z, and the displacement, of one change of a kind after the other."""
    if other and kind == "decoder":
        yield other[1].own[i], _labels(other[1], i), other[1].z_mean[i], None
        return
    changes = {"z": _moves, "anatomy": _erasures, "warp": _warps}[kind](
        rng, _labels(decomposition, i), decomposition.z_mean[i]
    )
    for s, z, displacement in islice(changes, DRAWS):
        yield render(model, one_hot(s, decomposition.s.shape[1]), z[None])[0], s, z, displacement


_Changes = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]


def _moves(rng: np.random.Generator, s: np.ndarray, z: np.ndarray) -> _Changes:
    """One dimension at one end of its range, in random order."""
    for place in rng.permutation(2 * len(z)):
        moved = z.copy()
        moved[place // 2] = (-LIMIT, LIMIT)[place % 2]
        yield s, moved, None


def _erasures(rng: np.random.Generator, s: np.ndarray, z: np.ndarray) -> _Changes:
    """One connected piece of one channel given to what is nearest to it, in random order."""
    pieces = []
    for c in np.unique(s):
        regions, count = ndimage.label(s == c)
        pieces += [regions == r for r in range(1, count + 1)]
    pieces = [piece for piece in pieces if PIECE[0] <= piece.mean() <= PIECE[1]]
    for k in rng.permutation(len(pieces)):
        rows, columns = ndimage.distance_transform_edt(pieces[k], return_distances=False, return_indices=True)
        yield s[rows, columns], z, None


def _warps(rng: np.random.Generator, s: np.ndarray, z: np.ndarray) -> _Changes:
    """Smooth random displacements, without an end."""
    height, width = s.shape
    while True:
        displacement = smooth_displacement(rng, height, width, WARP * min(s.shape))
        yield deform(torch.from_numpy(s)[None, None], displacement[None], labels=True)[0, 0].numpy(), z, displacement


def _dice(models: tuple[FactorModel, FactorModel], images: tuple[np.ndarray, np.ndarray], name: str) -> float:
    before, after = (
        decompose(model, image[None], (model.config.modalities.index(name),)).single[0]
        for model, image in zip(models, images, strict=True)
    )
    return float(nanmean(dice_per_class(after, before, len(models[0].config.classes))))

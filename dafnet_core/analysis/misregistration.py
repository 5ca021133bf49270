"""Range of misregistration that an aligner corrects, under known warps of growing amplitude (Sec. III-B).

Reported are the error of the sampling position in pixels, and, since the paper uses the aligner to bring masks to the
other modality's frame, the Dice of masks with and without alignment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dafnet_core.data.deform import deform, sampling, smooth_displacement
from dafnet_core.geometry import identity_pixels
from dafnet_core.methods.base import FactorModel
from dafnet_core.methods.decomposition import Decomposition, decompose
from dafnet_core.metrics.registration import position_error
from dafnet_core.metrics.segmentation import dice_per_class, nanmean

BREAKS = 0.1  # loss of Dice against no warp, above which the aligner is considered to fail


@dataclass(frozen=True, eq=False)
class Misregistered:
    """One slice whose modality j was deformed by a known warp.

    Attributes:
        amount: RMS length of the warp's displacement, pixels.
        applied: (H, W, 2) xy in pixels: the deformed image shows at p what the image showed at p + applied(p).
        true: (H, W, 2) xy in pixels: where in the deformed image each pixel of frame i is to be sampled.
        decomposition: of the slice with the deformed image.
        error_before, error_after: mean Euclidean error of the sampling position in pixels, without and with alignment,
            over the organs in frame i.
        aligned, unaligned: mean Dice, in frame i, of the mask of j's anatomy deformed by the aligner, and as it is.
    """

    amount: float
    applied: np.ndarray
    true: np.ndarray
    decomposition: Decomposition
    error_before: float
    error_after: float
    aligned: float
    unaligned: float


def misregister(
    model: FactorModel,
    images: np.ndarray,
    modalities: tuple[int, ...],
    pair: tuple[int, int],
    reference: np.ndarray,
    amount: float,
    *,
    seed: int = 0,
    base: np.ndarray | None = None,
) -> Misregistered:
    """Deform one modality by a smooth random warp and align it again.

    Args:
        model: in eval mode.
        images: (n, H, W) in [-1, 1]; modalities: index of each in the model.
        pair: (fixed i, moving j), positions in `images`; j is deformed.
        reference: (H, W) labels in frame i that masks are compared with: the truth, or the mask of i's own anatomy.
        amount: RMS length of the displacement, pixels; 0 deforms nothing.
        seed: of the warp's shape.
        base: (H, W, 2) xy in pixels, where in j each pixel of frame i is before the warp; registered by default.

    Raises:
        ValueError: a negative amount.
    """
    if amount < 0:
        raise ValueError(f"amount is {amount}; expected 0 or more pixels")
    height, width = images.shape[1:]
    j = pair[1]
    still = identity_pixels(height, width)
    applied = smooth_displacement(np.random.default_rng(seed), height, width, amount)
    moved = np.array(images, np.float32)
    moved[j] = deform(torch.from_numpy(moved[j][None, None]), applied[None])[0, 0].numpy()
    base = still if base is None else base
    true = sampling((base - still).astype(np.float32), applied)
    decomposition = decompose(model, moved, modalities)
    p, organs = decomposition.pairs.index(pair), reference > 0
    organs = organs if organs.any() else np.ones_like(organs)
    classes = len(model.config.classes)

    def dice(labels: np.ndarray) -> float:
        return float(nanmean(dice_per_class(labels, reference, classes)))

    return Misregistered(
        amount,
        applied,
        true,
        decomposition,
        position_error(still, true, organs),
        position_error(decomposition.positions[p], true, organs),
        dice(decomposition.deformed_masks[p]),
        dice(decomposition.single[j]),
    )


@dataclass(frozen=True, eq=False)
class Range:
    """Errors and Dice over amounts (rows) and shapes (columns) of the warp.

    Attributes:
        amounts: (A,) RMS displacement, pixels, rising from 0.
        error_before, error_after: (A, S) pixels; aligned, unaligned: (A, S) Dice.
    """

    amounts: np.ndarray
    error_before: np.ndarray
    error_after: np.ndarray
    aligned: np.ndarray
    unaligned: np.ndarray

    @property
    def breaks_at(self) -> float | None:
        """Pixels at which the mean Dice of aligned masks has fallen by BREAKS, linearly interpolated between amounts.

        None if it never falls by that much, or there is no Dice.
        """
        return _falls_below(self.amounts, nanmean(self.aligned, axis=1))

    @property
    def breaks_unaligned_at(self) -> float | None:
        """Same as `breaks_at`, for masks without alignment."""
        return _falls_below(self.amounts, nanmean(self.unaligned, axis=1))


def _falls_below(amounts: np.ndarray, dice: np.ndarray) -> float | None:
    lost = dice[0] - dice
    past = np.flatnonzero(lost > BREAKS)
    if not len(past):
        return None
    k = int(past[0])
    share = (BREAKS - lost[k - 1]) / (lost[k] - lost[k - 1])
    return float(amounts[k - 1] + share * (amounts[k] - amounts[k - 1]))


def misregistration_range(
    one: Callable[[float, int], Misregistered], amounts: Sequence[float], seeds: Sequence[int]
) -> Range:
    """Evaluate errors and Dice over amounts, with several shapes of the warp each.

    Args:
        one: `misregister` with all arguments bound except the amount and the seed.
        amounts: RMS displacement in pixels, rising, the first one 0.
        seeds: of the shapes.

    Raises:
        ValueError: amounts that do not rise from 0, or no seed.
    """
    values = np.asarray(amounts, np.float64)
    if len(values) < 2 or values[0] != 0 or (np.diff(values) <= 0).any() or not len(seeds):
        raise ValueError(f"amounts are {list(amounts)} for {len(seeds)} seeds; expected amounts that rise from 0")
    rows = []
    for amount in values:
        made = [one(float(amount), seed) for seed in (seeds if amount else seeds[:1])]
        made *= len(seeds) // len(made)  # at 0 there is only one shape
        rows.append([(m.error_before, m.error_after, m.aligned, m.unaligned) for m in made])
    return Range(values, *np.moveaxis(np.array(rows), -1, 0))

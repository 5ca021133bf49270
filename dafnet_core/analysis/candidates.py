"""Several slices of the other modality at once, weighted by how well each fits (Sec. III-F)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dafnet_core.methods.base import FactorModel
from dafnet_core.methods.pieces import masks_from
from dafnet_core.networks.pairing import anatomy_dice
from dafnet_core.precision import inference_autocast


@dataclass(frozen=True, eq=False)
class Weighed:
    """Candidates j of one slice i.

    Attributes:
        overlap: (K,) Dice of each deformed anatomy with that of i, the input of the pairing network, in [0, 1].
        deformed: (K, C, H, W) anatomy of each candidate in frame i.
        masks: (K, H, W) uint8 labels from each of them alone.
        weights: (K,) of the pairing network, summing to 1; None if the model takes another number of candidates.
        weighted: (H, W) uint8 labels of the weighted sum of class probabilities; None if `weights` is None.
    """

    overlap: np.ndarray
    deformed: np.ndarray
    masks: np.ndarray
    weights: np.ndarray | None
    weighted: np.ndarray | None


@torch.inference_mode()
def weigh(model: FactorModel, images: np.ndarray, modalities: tuple[int, ...], pair: tuple[int, int]) -> Weighed:
    """Deform every candidate of modality j into the frame of slice i, and weight its mask (Sec. III-F).

    Args:
        model: in eval mode.
        images: (n, K, H, W) in [-1, 1]; candidate 0 is the slice itself.
        modalities: index of each in the model.
        pair: (fixed i, moving j), positions in `images`.

    Raises:
        ValueError: no such pair, or images that do not fit the model.
    """
    i, j = pair
    if i == j or not {i, j} <= set(range(len(images))):
        raise ValueError(f"pair is {pair}; expected two different positions from 0 to {len(images) - 1}")
    k = images.shape[1]
    both = np.stack([np.repeat(images[i, :1], k, 0), images[j]], 1)  # (K, 2, H, W)
    x = torch.from_numpy(np.ascontiguousarray(both, np.float32)).to(next(iter(model.parameters())).device)
    prediction = model.predict(x, (modalities[i], modalities[j]))
    p = prediction.pairs.index((0, 1))
    fixed, deformed, probs = prediction.s[0, :1, 0], prediction.deformed[p, :, 0], prediction.deformed_masks[p]
    weights: np.ndarray | None = None
    weighted: np.ndarray | None = None
    if k == model.config.candidates:
        with inference_autocast(x.device):  # as in `predict`, so that the weights are the same
            shares = model.pairing(fixed, deformed[None])[0]
        weighted = masks_from((probs * shares[:, None, None, None]).sum(0), model.config)
        weights = shares.cpu().numpy()
    return Weighed(
        anatomy_dice(fixed, deformed).cpu().numpy(),
        deformed.cpu().numpy(),
        masks_from(probs, model.config),
        weights,
        weighted,
    )

"""Inference that networks with factors share: reconstruction, and prediction without an alignment."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Protocol

import torch
from torch import Tensor

from dafnet_core.config import ModelConfig
from dafnet_core.geometry import pixel_centres
from dafnet_core.types import Alignment, Prediction, Reconstruction


class EncodesAndDecodes(Protocol):
    """Networks that encode a modality factor and decode images; shapes as in `dafnet.py`."""

    def encode_modality(self, s: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of z."""
        ...

    def decode(self, s: Tensor, z: Tensor) -> Tensor:
        """Images g(s, z)."""
        ...


def check_size(config: ModelConfig, height: int, width: int) -> None:
    """Check that an image size in pixels fits the poolings; raises ValueError if not."""
    if not config.accepts(height, width):
        raise ValueError(
            f"image is {height}x{width}; {config.depth} poolings need multiples of "
            f"{config.multiple}, at least {2 * config.multiple}: pad or crop it first"
        )


def known_modalities(config: ModelConfig, modalities: Sequence[int] | None, given: int) -> tuple[int, ...]:
    """Index of each of the given images' modalities, the first ones by default; raises ValueError for unknown ones."""
    found = tuple(range(given)) if modalities is None else tuple(modalities)
    if len(found) != given:
        raise ValueError(f"images hold {given} modalities; expected {len(found)}")
    if max(found) >= len(config.modalities) or min(found) < 0:
        raise ValueError(f"modalities are {found}; this model knows 0 to {len(config.modalities) - 1}")
    return found


def reconstruct(model: EncodesAndDecodes, prediction: Prediction, images: Tensor) -> Reconstruction:
    """Modality factors, and images decoded from a prediction's anatomies (Sec. III-D).

    Args:
        prediction: of these images.
        images: (B, n, H, W) or (B, n, K, H, W) as given to `predict`; candidate 0 is reconstructed.
    """
    n, b, k = prediction.s.shape[:3]
    x = (images if images.ndim == 4 else images[:, :, 0]).transpose(0, 1).reshape(n * b, 1, *images.shape[-2:])
    own = prediction.s[:, :, 0]
    mean, logvar = (t.unflatten(0, (n, b)) for t in model.encode_modality(own.flatten(0, 1), x))
    fixed, other = ([pair[side] for pair in prediction.pairs] for side in (0, 1))
    crossed = mean[fixed][:, :, None].expand(-1, -1, k, -1)
    anatomies = [own, prediction.deformed.flatten(1, 2), own[fixed]]
    styles = [mean, crossed.flatten(1, 2), mean[other]]
    y = model.decode(torch.cat([a.flatten(0, 1) for a in anatomies]), torch.cat([z.flatten(0, 1) for z in styles]))
    made = y[:, 0].split([a.shape[0] * a.shape[1] for a in anatomies])
    return Reconstruction(
        mean,
        logvar,
        own=made[0].unflatten(0, (n, b)),
        cross=made[1].unflatten(0, (len(fixed), b, k)),
        swapped=made[2].unflatten(0, (len(fixed), b)),
    )


def identity_alignment(moving: Tensor, control_points: int) -> Alignment:
    """The anatomy `moving` (B, C, H, W) where it lies, with offsets 0 of control_points^2 points."""
    b, _, height, width = moving.shape
    grid = pixel_centres(height, width, torch.float32).to(moving.device).view(1, height, width, 2).expand(b, -1, -1, -1)
    return Alignment(moving, grid, moving.new_zeros(b, control_points**2, 2))


def predict_without_alignment(s: Tensor, probs: Tensor, modalities: Sequence[int], control_points: int) -> Prediction:
    """Prediction of a model that aligns nothing: all masks are those of the modality's own anatomy.

    Args:
        s: (n, B, C, H, W) anatomies; probs: (n, B, L, H, W) class probabilities of their masks.
        modalities: index in the model of each of the n.
    """
    n, b = s.shape[:2]
    pairs = tuple(permutations(range(n), 2))
    others = [j for _, j in pairs]
    a = identity_alignment(s[others].flatten(0, 1), control_points)
    lead = (len(pairs), b, 1)
    return Prediction(
        tuple(modalities),
        pairs,
        s[:, :, None],
        deformed=a.deformed.unflatten(0, lead),
        grid=a.grid.unflatten(0, lead),
        offsets=a.offsets.unflatten(0, lead),
        weights=s.new_ones(lead),
        fused=s[:, :, None],
        single=probs,
        deformed_masks=probs[others],
        fused_masks=probs,
    )

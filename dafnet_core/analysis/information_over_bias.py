"""Information over bias of a factor: how much better a small decoder makes images from it than from a constant.

Liu et al., "Measuring the Biases and Effectiveness of Content-Style Disentanglement" (BMVC 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dafnet_core.analysis.small_networks import fit, seeded
from dafnet_core.metrics.paired import jackknife

SIDE, STEPS, RATE = 64, 250, 3e-3
SHARES = np.linspace(0, 1, 11)  # of the factor's image in the mean of it and the constant's


@dataclass(frozen=True)
class InformationOverBias:
    """Ratio of test errors.

    Attributes:
        value: mean squared error from the constant over that from the factor; 1: the factor tells nothing.
        ci95: leave-one-subject-out jackknife interval.
    """

    value: float
    ci95: tuple[float, float]


def information_over_bias(
    factor: Tensor, images: Tensor, subjects: np.ndarray, *, seed: int = 0
) -> InformationOverBias:
    """Train a decoder on half of the subjects and test it on the others, both ways round.

    One decoder serves all rows, so that what a factor tells about the modality counts too. Images from the factor are
    averaged with the constant's, by the share that suits the other half best: a decoder that learned its training
    images by heart would be worse than the constant, which says nothing about the factor.

    Args:
        factor: (n, C, SIDE, SIDE) anatomies, or (n, n_z) modality factors; float32.
        images: (n, 1, SIDE, SIDE) float32 in [-1, 1].
        subjects: (n,) ids; all rows of a subject are in one half.

    Raises:
        ValueError: fewer than 4 subjects.
    """
    ids = np.unique(subjects)
    if len(ids) < 4:
        raise ValueError(f"{len(ids)} subjects; at least 4 are needed, half of them to train a decoder")
    if factor.dim() == 2:
        factor = (factor - factor.mean(0)) / (factor.std(0) + 1e-6)
    first = np.isin(subjects, ids[::2])
    errors = np.empty((len(SHARES), len(images)))
    for train in (first, ~first):
        kept = torch.from_numpy(train)
        constant, informed = (_decoded(x, images, kept, seed) for x in (torch.ones_like(factor[:1]), factor))
        blends = (constant + share * (informed - constant) for share in SHARES.tolist())
        errors[:, ~train] = np.stack([_error(blend, images[~kept]) for blend in blends])
    chosen = np.empty(len(images))
    for half in (first, ~first):
        chosen[half] = errors[errors[:, ~half].mean(1).argmin(), half]
    sums = np.array([[errors[0, subjects == s].sum(), chosen[subjects == s].sum()] for s in ids])
    left = sums.sum(0) - sums
    value = float(sums[:, 0].sum() / sums[:, 1].sum())
    return InformationOverBias(value, jackknife(value, left[:, 0] / left[:, 1]))


def _error(made: Tensor, images: Tensor) -> np.ndarray:
    """Mean squared error of each image, (n,) float64."""
    return (made - images).square().mean((1, 2, 3)).double().numpy()


def _decoded(factor: Tensor, images: Tensor, train: Tensor, seed: int) -> Tensor:
    """Images outside `train`, (b, 1, SIDE, SIDE) or (1, 1, SIDE, SIDE) from a factor of one row, that of all images."""
    decoder = seeded(_from_maps(factor.shape[1]) if factor.dim() == 4 else _from_vector(factor.shape[1]), seed)
    x, others = (factor, factor) if len(factor) == 1 else (factor[train], factor[~train])
    target = images[train]

    def loss(rows: Tensor) -> Tensor:
        made = decoder(x if len(x) == 1 else x[rows])
        return F.mse_loss(made.expand_as(target[rows]), target[rows])

    fit(decoder, loss, len(target), steps=STEPS, rate=RATE, seed=seed)
    with torch.inference_mode():
        return torch.cat([decoder(part) for part in others.split(64)])


def _from_maps(channels: int) -> nn.Module:
    """(b, C, SIDE, SIDE) -> images, by three convolutions."""
    return nn.Sequential(
        nn.Conv2d(channels, 12, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(12, 12, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(12, 1, 3, padding=1),
    )


def _from_vector(dimensions: int) -> nn.Module:
    """(b, n_z) -> images, by a dense layer to a grid of 1/8 of the sides and convolutions between doublings."""
    grid = SIDE // 8
    layers: list[nn.Module] = [nn.Linear(dimensions, 16 * grid**2), nn.Unflatten(1, (16, grid, grid))]
    for before, after in ((16, 16), (16, 8), (8, 1)):
        layers += [nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1)]
    return nn.Sequential(*layers)

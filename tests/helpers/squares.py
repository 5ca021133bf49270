"""Tiny batches that a method can learn, and short trainings on one of them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from dafnet_core.losses.weights import LossWeights
from dafnet_core.methods import METHODS
from dafnet_core.types import Batch, Noise

MODALITIES, CLASSES = ("a", "b"), ("background", "one", "two")
TINY = dict(width=4, segmentor_width=4, modality_grid=2, critic_width=4, critic_grid=2)


def squares(b: int = 2, side: int = 64, annotated: tuple[bool, ...] = (True, True)) -> Batch:
    """Two squares in each image, bright ones in one modality and dark ones in the other."""
    masks = torch.zeros(b, 2, side, side, dtype=torch.int64)
    for n in range(b):
        for m in range(2):
            y, x = 8 + 4 * n + 2 * m, 10 + 6 * n
            masks[n, m, y : y + 24, x : x + 16] = 1
            masks[n, m, y + 8 : y + 20, x + 20 : x + 36] = 2
    grey = torch.tensor([[-0.8, 0.8, 0.2], [0.3, -0.5, 0.7]])
    images = torch.stack([grey[m][masks[:, m]] for m in range(2)], 1)[:, :, None]
    return Batch(images, masks, torch.tensor(annotated).expand(b, 2).clone())


def method_of(name: str, **changes: Any) -> Any:
    """A method for training with tiny networks."""
    config = METHODS[name].configure("compact", MODALITIES, CLASSES, **(TINY | changes))
    torch.manual_seed(0)
    return METHODS[name].for_training(config)


def noise_for(method: Any, batch: Batch, weights: LossWeights, seed: int = 0) -> Noise:
    """The noise of a step."""
    streams = [np.random.default_rng([seed, n]) for n in range(len(batch.images))]
    return method.noise(streams, tuple(batch.masks.shape[2:]), weights, 1.0)


def overfitted(method: Any, batch: Batch, weights: LossWeights, steps: int, rate: float = 3e-3) -> dict[str, float]:
    """Terms after so many steps of the networks alone, the discriminators staying as they are."""
    optimizer = torch.optim.Adam(method.networks.parameters(), rate)
    terms: dict[str, torch.Tensor] = {}
    for step in range(steps):
        terms, _ = method.terms(method.networks, batch, noise_for(method, batch, weights, step), weights)
        optimizer.zero_grad()
        weights.total(terms).backward()
        optimizer.step()
    return {name: float(value.detach()) for name, value in terms.items()}


def all_numbers(method: Any, batch: Batch, weights: LossWeights) -> list[torch.Tensor]:
    """Every term of a step, and the gradients of all networks and discriminators."""
    method = copy.deepcopy(method)  # spectral normalisation changes with each forward
    parts = [*method.networks.parameters(), *method.discriminators.parameters()]
    terms, made = method.terms(method.networks, batch, noise_for(method, batch, weights), weights)
    losses = method.discriminator_terms(made, batch, weights)
    (weights.total(terms) + sum(losses.values())).backward()
    gradients = [weight.grad for weight in parts if weight.grad is not None]
    return [value.detach() for value in (*terms.values(), *losses.values(), *gradients)]


def garbage(batch: Batch, modality: int) -> Batch:
    """The batch with random labels for masks of one modality."""
    masks = batch.masks.clone()
    generator = torch.Generator().manual_seed(5)
    masks[:, modality] = torch.randint(0, len(CLASSES), masks[:, modality].shape, generator=generator)
    return Batch(batch.images, masks, batch.annotated)

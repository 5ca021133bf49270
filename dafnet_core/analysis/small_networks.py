"""Small networks trained on a data set's factors while it is evaluated: what all of them share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH = 16


def seeded(network: nn.Module, seed: int) -> nn.Module:
    """The network with random weights that depend on the seed alone, and biases of 0."""
    generator = torch.Generator().manual_seed(seed)
    for values in network.parameters():
        if values.dim() > 1:
            nn.init.kaiming_uniform_(values, nonlinearity="relu", generator=generator)
        else:
            nn.init.zeros_(values)
    return network


def fit(
    network: nn.Module, loss: Callable[[Tensor], Tensor], count: int, *, steps: int, rate: float, seed: int
) -> None:
    """Train with AdamW, its rate falling to 0 along a cosine, and leave the network in eval mode.

    Args:
        loss: mean loss of the rows with the given indices, (b,) int64.
        count: number of rows; each step takes BATCH of them, or all where there are fewer.
    """
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    with torch.inference_mode(False), torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            loss(torch.from_numpy(rng.permutation(count)[:BATCH])).backward()
            optimizer.step()
            schedule.step()
    network.eval()


def channel_shares(labels: np.ndarray, channels: int, side: int) -> Tensor:
    """Share of each channel in each of side x side cells: (n, H, W) labels -> (n, channels, side, side) float32."""
    shares = []
    for part in np.array_split(labels, max(1, len(labels) // 32)):
        whole = F.one_hot(torch.from_numpy(part.astype(np.int64)), channels).movedim(-1, 1).float()
        shares.append(F.adaptive_avg_pool2d(whole, side))
    return torch.cat(shares)

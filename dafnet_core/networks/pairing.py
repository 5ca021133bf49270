"""Weights of k candidate pairs from the overlap of their anatomies (Sec. III-F)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.precision import autocast


def anatomy_dice(a: Tensor, b: Tensor) -> Tensor:
    """Dice of two anatomies (..., C, H, W), all channels together -> (...); 1 where they are equal."""
    overlap = 2 * (a * b).sum((-3, -2, -1))
    return overlap / (a.sum((-3, -2, -1)) + b.sum((-3, -2, -1)))


def fused_weights(weights: Tensor, pairs: Sequence[tuple[int, int]]) -> Tensor:
    """Weights (n, B, K) of fused candidates from pair weights (P, B, K): the mean over sources where M > 2."""
    fixed = sorted({i for i, _ in pairs})
    return torch.stack([torch.stack([weights[p] for p, (f, _) in enumerate(pairs) if f == i]).mean(0) for i in fixed])


class PairWeighting(nn.Module):
    """Dice of each deformed candidate with the fixed anatomy -> weights that sum to 1."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.candidates = config.candidates
        self.layers = nn.Sequential(nn.Linear(self.candidates, 5), nn.ReLU(), nn.Linear(5, self.candidates))

    def forward(self, fixed: Tensor, deformed: Tensor) -> Tensor:
        """Fixed (B, C, H, W) and deformed candidates (B, K, C, H, W) -> weights (B, K)."""
        dice = anatomy_dice(fixed[:, None], deformed)
        if dice.shape[1] == 1:
            return dice.new_ones(dice.shape)  # expert pairing: nothing to weigh
        if dice.shape[1] != self.candidates:
            raise ValueError(f"{dice.shape[1]} candidates; this model weighs {self.candidates}, or takes 1")
        # in bfloat16 candidates whose overlaps differ by less than 0.4 % would weigh the same
        with autocast(dice.device, None):
            return self.layers(dice.float()).softmax(1)

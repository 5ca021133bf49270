"""Reductions over training processes; the identity in a single process."""

from __future__ import annotations

from torch import Tensor
from torch import distributed as dist


def rank_and_size() -> tuple[int, int]:
    """Rank of this process and number of processes; (0, 1) without torch.distributed."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def summed(values: Tensor) -> Tensor:
    """The sum of `values` over all processes; no gradient flows through it."""
    values = values.detach()
    if dist.is_initialized():
        values = values.clone()
        dist.all_reduce(values)
    return values


def averaged(values: Tensor) -> Tensor:
    """The mean of `values` over all processes."""
    return summed(values) / rank_and_size()[1]

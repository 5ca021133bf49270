"""Processes: the cores that this one may use; reductions over those of a training, the identity for a single one."""

from __future__ import annotations

import os

from torch import Tensor
from torch import distributed as dist


def usable_cores() -> int:
    """Cores that this process may run on, which can be fewer than the machine has; at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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

"""How far the weights of two checkpoints lie apart, module by module."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dafnet_core.checkpoints.file import Checkpoint


@dataclass(frozen=True)
class ModuleDifference:
    """The parameters of one module, such as the decoder, in A and B.

    Attributes:
        module: name of the module.
        parameters: their number in A and in B; 0 where a network has no such module.
        shared: number of parameters whose tensors have one name and shape in both; only those are compared.
        relative: ||a - b|| over the root mean square of ||a|| and ||b||: 0 for equal weights, about 1.41 for
            unrelated ones; None without shared parameters.
        cosine: of the angle between a and b, 1 for one direction; None as above, or where one is 0.
    """

    module: str
    parameters: tuple[int, int]
    shared: int
    relative: float | None
    cosine: float | None


def weight_differences(a: Checkpoint, b: Checkpoint) -> list[ModuleDifference]:
    """Differences of all modules of two checkpoints, in the order of A's networks."""
    ours, theirs = _by_module(a), _by_module(b)
    return [_compared(name, ours.get(name, {}), theirs.get(name, {})) for name in dict.fromkeys([*ours, *theirs])]


def _by_module(checkpoint: Checkpoint) -> dict[str, dict[str, Tensor]]:
    modules: dict[str, dict[str, Tensor]] = {}
    for name, values in checkpoint.model.named_parameters():
        modules.setdefault(name.partition(".")[0], {})[name] = values.detach().double()
    return modules


def _compared(module: str, ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> ModuleDifference:
    names = [name for name, values in ours.items() if name in theirs and values.shape == theirs[name].shape]
    counts = sum(v.numel() for v in ours.values()), sum(v.numel() for v in theirs.values())
    if not names:
        return ModuleDifference(module, counts, 0, None, None)
    a, b = (torch.cat([of[name].flatten() for name in names]) for of in (ours, theirs))
    lengths = float(a.norm()), float(b.norm())
    scale = ((lengths[0] ** 2 + lengths[1] ** 2) / 2) ** 0.5
    relative = float((a - b).norm()) / scale if scale else 0.0
    cosine = float(a @ b) / (lengths[0] * lengths[1]) if all(lengths) else None
    return ModuleDifference(module, counts, len(a), relative, cosine)

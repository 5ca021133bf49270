"""How informative are s and z about the image (CSD metrics of Liu et al. 2021; not in the paper)?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from dafnet_core.analysis.information_over_bias import SIDE, information_over_bias
from dafnet_core.analysis.small_networks import channel_shares
from dafnet_core.evaluation.base import Context, ScoredSlice


@dataclass(frozen=True)
class RatioSummary:
    """Test error of a decoder trained on a constant over that of one trained on a factor, jackknife interval."""

    value: float | None = None
    ci95: tuple[float, float] | None = None


@dataclass(frozen=True)
class BiasSummary:
    """Information over bias of the two factors: 1 for one that tells nothing about the image."""

    s: RatioSummary = field(default_factory=RatioSummary)
    z: RatioSummary = field(default_factory=RatioSummary)


class InformationAndBias:
    """Small decoders from s, z and constants, at 64 x 64 pixels."""

    needs: ClassVar[frozenset[str]] = frozenset({"factors"})
    costly: ClassVar[bool] = True
    slow: ClassVar[bool] = True
    why: ClassVar[Mapping[str, str]] = {}

    def observe(self, seen: ScoredSlice) -> None:
        return None

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        e = context.encodings
        images = F.adaptive_avg_pool2d(torch.from_numpy(e.images)[:, None], SIDE)
        factors = {"s": channel_shares(e.anatomies, e.channels, SIDE), "z": torch.from_numpy(e.z).float()}
        found = {}
        for name, factor in factors.items():
            try:
                ratio = information_over_bias(factor, images, e.subjects)
            except ValueError as error:
                context.reasons["iob"] = str(error)
            else:
                found[name] = RatioSummary(ratio.value, ratio.ci95)
        return {"iob": BiasSummary(**found)}

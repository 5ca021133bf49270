"""Cycle consistency: factors compared with those encoded again from reconstructions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dafnet_core.analysis.informativeness import Cycle, cycle
from dafnet_core.evaluation.base import Context, ScoredSlice


@dataclass(frozen=True)
class CycleSummary:
    """Mean absolute change of z, and share of pixels of s that keep their channel."""

    z_l1: float
    s_agreement: float


class CycleConsistency:
    """Own reconstructions encoded again by their own modality's encoder."""

    needs: ClassVar[frozenset[str]] = frozenset({"factors"})
    costly: ClassVar[bool] = True
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {}

    def observe(self, seen: ScoredSlice) -> Cycle:
        return cycle(seen.model, seen.factors)

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        return {
            "cycle": {
                name: CycleSummary(
                    float(np.mean([c.z_l1[i] for c in rows])), float(np.mean([c.s_agreement[i] for c in rows]))
                )
                for i, name in enumerate(context.method.modalities)
            }
        }

"""How active z and the anatomy channels are: an inactive z is trivially independent of s (Sec. V-F)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from dafnet_core.analysis.informativeness import informativeness
from dafnet_core.evaluation.base import Context, ScoredSlice


class Activity:
    """KL and variance of each dimension of z, and the share of pixels in each channel of s."""

    needs: ClassVar[frozenset[str]] = frozenset({"factors"})
    costly: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {}

    def observe(self, seen: ScoredSlice) -> np.ndarray:
        return seen.factors.s.mean((2, 3))  # (n, C)

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        activity = informativeness(context.encodings)
        occupancy = np.mean(rows, 0).tolist()
        return {
            "kl_per_dimension": tuple(activity.kl.tolist()),
            "variance_per_dimension": tuple(activity.variance.tolist()),
            "posterior_variance_per_dimension": tuple(activity.posterior_variance.tolist()),
            "active_dimensions": activity.active,
            "channel_occupancy": dict(zip(context.method.modalities, map(tuple, occupancy), strict=True)),
        }

"""How far a few flipped pixels of s change the image: who reads single pixels reads a code (not in the paper)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from dafnet_core.evaluation.base import Context, ScoredSlice

SHARES = {"p01": 0.01, "p05": 0.05}  # of the pixels of s that are flipped to a random channel


@dataclass(frozen=True)
class SensitivitySummary:
    """Mean absolute change of g(s, z), intensities in [-1, 1], when 1 % or 5 % of the pixels of s are flipped."""

    p01: float | None = None
    p05: float | None = None


class Sensitivity:
    """Images of anatomies with flipped pixels."""

    needs: ClassVar[frozenset[str]] = frozenset({"factors"})
    costly: ClassVar[bool] = True
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {"sensitivity": "no slice was evaluated"}

    @torch.inference_mode()
    def observe(self, seen: ScoredSlice) -> list[tuple[int, str, list[float]]]:
        found, rows = seen.factors, []
        channels = found.s.shape[1]
        for i in sorted(seen.own):
            rng = np.random.default_rng([zlib.crc32(seen.subject.encode()), seen.position, i])
            drawn, other = rng.random(found.s.shape[2:]), rng.integers(0, channels, found.s.shape[2:])
            labels = found.s[i].argmax(0)
            each = [labels, *(np.where(drawn < share, other, labels) for share in SHARES.values())]
            s = torch.from_numpy(np.eye(channels, dtype=np.float32)[np.stack(each)].transpose(0, 3, 1, 2).copy())
            z = torch.from_numpy(found.z_mean[i]).float().expand(len(s), -1)
            images = seen.model.decode(s, z)[:, 0]
            rows.append((i, seen.subject, (images[1:] - images[0]).abs().mean((1, 2)).tolist()))
        return rows

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        every = [row for of_slice in rows for row in of_slice]
        summaries = {}
        for i, name in enumerate(context.method.modalities):
            ours = [(subject, changes) for n, subject, changes in every if n == i]
            means = {
                key: context.mean(f"sensitivity.{name}.{key}", [(s, changes[n]) for s, changes in ours])
                for n, key in enumerate(SHARES)
            }
            summaries[name] = SensitivitySummary(**means)
        return {"sensitivity": summaries}

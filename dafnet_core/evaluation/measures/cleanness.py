"""Is the anatomy as clean as the truth, or speckled? A halftone carries intensities (not in the paper)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dafnet_core.evaluation.base import Context, ScoredSlice
from dafnet_core.metrics.anatomy import boundary_length, speckle


@dataclass(frozen=True)
class SpeckleSummary:
    """Of the anatomies of one modality; None where no truth is known.

    Attributes:
        share: of pixels whose channel differs from the 3 x 3 majority.
        truth_share: the same of the true tissues (phantom) or masks.
        boundary_ratio: length of the boundaries of s over that of the truth.
    """

    share: float | None = None
    truth_share: float | None = None
    boundary_ratio: float | None = None


class Speckle:
    """Speckle and boundary length of each modality's own slices."""

    needs: ClassVar[frozenset[str]] = frozenset({"factors"})
    costly: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {"speckle": "no slice of these data has a true tissue map or mask"}

    def observe(self, seen: ScoredSlice) -> list[tuple[int, str, float, float | None, int, int]]:
        rows = []
        for i in sorted(seen.own):
            labels, truth = seen.factors.s[i].argmax(0), seen.tissue_or_mask(i)
            known = (None, 0, 0) if truth is None else (speckle(truth), boundary_length(labels), boundary_length(truth))
            rows.append((i, seen.subject, speckle(labels), *known))
        return rows

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        every = [row for of_slice in rows for row in of_slice]
        summaries = {}
        for i, name in enumerate(context.method.modalities):
            ours = [row for row in every if row[0] == i]
            path = f"speckle.{name}"
            length = sum(row[5] for row in ours)
            summaries[name] = SpeckleSummary(
                context.mean(f"{path}.share", [(row[1], row[2]) for row in ours]),
                context.mean(f"{path}.truth_share", [(row[1], row[3]) for row in ours if row[3] is not None]),
                sum(row[4] for row in ours) / length if length else None,
            )
        return {"speckle": summaries}

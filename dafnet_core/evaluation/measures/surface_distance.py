"""Distances of the surfaces of masks from the true ones in mm: HD95 and ASSD (not in the paper)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dafnet_core.evaluation.base import Context, ScoredSlice
from dafnet_core.evaluation.measures.segmentation import scored_masks
from dafnet_core.metrics.segmentation import mean_by_class, nanmean, number
from dafnet_core.metrics.surface import distances_per_class
from dafnet_core.typed_json import all_or_nothing


@dataclass(frozen=True)
class SurfaceSummary:
    """Distances within slices, each in its modality's own frame, averaged as `DiceSummary.dice_mean`.

    Attributes:
        hd95_mm, assd_mm: as `surface_distances` has them, in mm; None where they cannot be known.
        n_subjects: with a truth and a known size of the pixels.
    """

    hd95_mm: float | None = None
    assd_mm: float | None = None
    n_subjects: int = 0

    def __post_init__(self) -> None:
        all_or_nothing(self, "hd95_mm", "assd_mm")


class SurfaceDistance:
    """Distances of a method's masks, and of Copy's, in slices whose pixels have a known size."""

    needs: ClassVar[frozenset[str]] = frozenset()
    costly: ClassVar[bool] = True
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {"surface": "no slice of these data has both such a mask and a true one"}

    def observe(self, seen: ScoredSlice) -> list[tuple[str, int, str, np.ndarray | None]]:
        classes, rows = len(seen.method.classes), []
        for kind, i, mask, truth in scored_masks(seen):
            mm = seen.spacing.get(i)
            rows.append((kind, i, seen.subject, distances_per_class(mask, truth, classes, mm) if mm else None))
        return rows

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        method, values = context.method, defaultdict(list)
        for kind, i, subject, distances in (row for of_slice in rows for row in of_slice):
            path = f"surface.{method.modalities[i]}.{kind}"
            if distances is None:
                context.reasons[path] = "the size of the pixels in mm is not known"
            else:
                values[path].append((subject, distances))

        def of(path: str) -> SurfaceSummary:
            if not values[path]:
                return SurfaceSummary()
            by_subject = nanmean(mean_by_class(values[path], context.subjects), axis=1)  # (subjects, 2)
            context.by_subject |= {f"{path}.hd95_mm": by_subject[:, 0], f"{path}.assd_mm": by_subject[:, 1]}
            hd95, assd = nanmean(by_subject, axis=0)
            return SurfaceSummary(number(hd95), number(assd), int((~np.isnan(by_subject[:, 0])).sum()))

        kinds = dict.fromkeys((*method.kinds, "copy"))
        return {"surface": {n: {kind: of(f"surface.{n}.{kind}") for kind in kinds} for n in method.modalities}}

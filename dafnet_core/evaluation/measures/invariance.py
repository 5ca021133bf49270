"""Do anatomies stay when only intensities or the modality change (not in the paper)?"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from dafnet_core.data.intensity import MILD, change_intensity
from dafnet_core.evaluation.base import Context, ScoredSlice
from dafnet_core.methods.decomposition import decompose
from dafnet_core.metrics.anatomy import agreement


@dataclass(frozen=True)
class ModalityAgreement:
    """Share of pixels with one channel in both modalities under the true warp, and of true tissues: its bound."""

    agreement: float | None = None
    bound: float | None = None


@dataclass(frozen=True)
class InvarianceSummary:
    """Of anatomies, shares of pixels in [0, 1].

    Attributes:
        intensity: by modality, that keep their channel under other contrast curves, bias fields and noise, seeded.
        modality: that have one channel in both modalities.
    """

    intensity: dict[str, float | None] = field(default_factory=dict)
    modality: ModalityAgreement = field(default_factory=ModalityAgreement)


class Invariance:
    """Anatomies of images with other intensities, and of the other modality."""

    needs: ClassVar[frozenset[str]] = frozenset({"factors"})
    costly: ClassVar[bool] = True
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {
        "invariance.modality.agreement": "the true misregistration of these data is not known",
        "invariance.modality.bound": "the true tissues of these data are not known",
        "invariance.intensity": "no slice was evaluated",
    }

    def observe(self, seen: ScoredSlice) -> dict[str, list[tuple[Any, float]]]:
        found = seen.factors
        labels, names = found.s.argmax(1), seen.model.config.modalities
        kept = []
        for i in sorted(seen.own):
            rng = np.random.default_rng([zlib.crc32(seen.subject.encode()), seen.position, i])
            changed = change_intensity(seen.images[i, 0], MILD, rng)
            again = decompose(seen.model, changed[None], (names.index(found.names[i]),))
            kept.append(((i, seen.subject), float((again.s[0].argmax(0) == labels[i]).mean())))
        shared, bound = [], []
        for (i, j), positions in seen.positions.items():
            shared.append((seen.subject, agreement(labels[i], labels[j], positions)))
            if i in seen.tissues and j in seen.tissues:
                bound.append((seen.subject, agreement(seen.tissues[i], seen.tissues[j], positions)))
        return {"kept": kept, "shared": shared, "bound": bound}

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        def all_of(key: str) -> list[tuple[Any, float]]:
            return [pair for row in rows for pair in row[key]]

        intensity = {}
        for i, name in enumerate(context.method.modalities):
            ours = [(subject, share) for (n, subject), share in all_of("kept") if n == i]
            intensity[name] = context.mean(f"invariance.intensity.{name}", ours)
        across = ModalityAgreement(
            context.mean("invariance.modality.agreement", all_of("shared")),
            context.mean("invariance.modality.bound", all_of("bound")),
        )
        return {"invariance": InvarianceSummary(intensity, across)}

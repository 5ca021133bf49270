"""Copy: the other modality's true mask, undeformed, the paper's lower bound (Table I)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dafnet_core.methods.base import Estimate, PredictedMask, SliceInput


@dataclass(frozen=True)
class Copy:
    """A mask of each source modality, undeformed, for each modality without one of its own."""

    modalities: tuple[str, ...]
    classes: tuple[str, ...]

    name: ClassVar[str] = "copy"
    title: ClassVar[str] = "Copy"
    kinds: ClassVar[tuple[str, ...]] = ("copy",)
    needs_source_masks: ClassVar[bool] = True

    def predict(self, given: SliceInput) -> Estimate:
        """Every source's mask for every modality that is no source."""
        targets = [i for i in range(len(given.modalities)) if i not in given.source_masks]
        return Estimate(
            tuple(PredictedMask("copy", i, j, mask) for i in targets for j, mask in given.source_masks.items())
        )

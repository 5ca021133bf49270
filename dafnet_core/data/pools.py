"""Batches of single images, for methods that need no pairs.

Such a batch has as many images as one of pairs, M x batch size, so that every method sees as many in a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from dafnet_core.data.dataset import UNCHANGED, Augmentation, PairedSlices, Sample, augment, collate
from dafnet_core.data.studies import DataError
from dafnet_core.types import Batch

Place = tuple[int, int]  # sample and modality


@dataclass(frozen=True)
class Pools:
    """What a method that needs no pairs learns from.

    Attributes:
        modalities: those of each pool: one pool, from which all images of a batch are drawn, or one for each modality.
        unannotated: whether images without masks are drawn, too.
    """

    modalities: tuple[tuple[int, ...], ...]
    unannotated: bool = False


@dataclass
class PooledImages:
    """Images of paired slices, drawn one by one from pools.

    A pool without any image to draw, of modalities whose masks are all hidden, draws from those of all modalities.

    Attributes:
        data: the slices.
        pools: which of their images.

    Raises:
        ValueError: the number of pools is not 1 or that of the modalities.
        DataError: the only pool has no annotated image.
    """

    data: PairedSlices
    pools: Pools
    _places: list[list[Place]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        every, wanted = range(len(self.data.modalities)), self.pools.modalities
        if len(wanted) not in (1, len(every)):
            raise ValueError(f"there are {len(wanted)} pools; expected 1, or one for each of {len(every)} modalities")
        if len(wanted) == 1 and not any(self._of(m, annotated=True) for m in wanted[0]):
            names = ", ".join(self.data.modalities[m] for m in wanted[0])
            raise DataError(
                f"no image of {names} is annotated in these training subjects, and this method learns masks from no "
                "others"
            )
        found = {m: self._of(m, annotated=not self.pools.unannotated) for m in every}
        mixed = [place for m in every for place in found[m]]
        self._places = [[place for m in pool for place in found[m]] or mixed for pool in wanted]

    def _of(self, modality: int, *, annotated: bool) -> list[Place]:
        return [(n, modality) for n in self.data.slices_of(modality, annotated=annotated)]

    def batch_at(
        self,
        step: int,
        batch_size: int,
        seed: int,
        *,
        augmentation: Augmentation = UNCHANGED,
        shard: tuple[int, int] = (0, 1),
    ) -> Batch:
        """The batch of a training step, a deterministic function of its arguments, which are `PairedSlices.batch_at`'s.

        Returns:
            Images (B, M, K, H, W); with one pool the second axis counts images, not modalities.
        """
        columns = len(self.data.modalities)
        each = columns // len(self._places)  # columns of a pool
        rows = []
        for row in range(shard[0], batch_size, shard[1]):
            parts = []
            for column in range(columns):
                pool = column // each
                at = (step * batch_size + row) * each + column % each
                parts.append(self._image(pool, at, seed, augmentation))
            rows.append(_joined(parts))
        return collate(rows)

    def _image(self, pool: int, at: int, seed: int, augmentation: Augmentation) -> Sample:
        """Image number `at` of a pool, which is shuffled anew each time that all of it were drawn."""
        places = self._places[pool]
        epoch, n = divmod(at, len(places))
        chosen = int(np.random.default_rng([seed, pool, epoch]).permutation(len(places))[n])
        rng = np.random.default_rng([seed, pool, epoch, chosen])
        index, m = places[chosen]
        sample = _only(self.data.sample(index, rng), m)
        return augment(sample, augmentation, rng) if augmentation != UNCHANGED else sample


def _only(sample: Sample, m: int) -> Sample:
    """A sample's modality m alone."""
    part = slice(m, m + 1)
    return Sample(sample.images[part], sample.masks[part], sample.annotated[part], sample.subject, sample.position)


def _joined(parts: Sequence[Sample]) -> Sample:
    """Samples of one modality as a sample of several."""
    images, masks, annotated = (
        np.concatenate([getattr(p, k) for p in parts]) for k in ("images", "masks", "annotated")
    )
    return Sample(images, masks, annotated, parts[0].subject, parts[0].position)

"""Samples for training and evaluation, and how they become batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch

from dafnet_core.data import phantom
from dafnet_core.data.prepare import Preparation, scale_intensity
from dafnet_core.factors import Batch


@dataclass(frozen=True)
class Sample:
    """One slice position of one subject in all M modalities.

    Attributes:
        images: (M, K, H, W) float32 in [-1, 1]; candidate 0 is the slice itself.
        masks: (M, H, W) uint8 labels, each in its modality's own frame.
        annotated: (M,) bool.
        subject, position: whose slice and which one.
    """

    images: np.ndarray
    masks: np.ndarray
    annotated: np.ndarray
    subject: int
    position: int


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples of one size as a Batch."""
    return Batch(
        images=torch.from_numpy(np.stack([s.images for s in samples])),
        masks=torch.from_numpy(np.stack([s.masks for s in samples])).long(),
        annotated=torch.from_numpy(np.stack([s.annotated for s in samples])),
    )


class PhantomSet:
    """Phantom subjects as samples, generated when first asked for and kept in memory.

    Args:
        seed: of the generator.
        subjects: numbers of the subjects.
        size: image side in pixels.
        difficulty: of every subject, or "mixed": odd subjects are hard.
    """

    modalities, classes = phantom.MODALITIES, phantom.CLASSES

    def __init__(
        self, seed: int, subjects: range, *, size: int = 128, difficulty: str = "standard", slices: int = phantom.SLICES
    ) -> None:
        self.seed, self.subjects, self.size, self.slices, self.difficulty = seed, subjects, size, slices, difficulty
        self._samples: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self.subjects) * self.slices

    @property
    def preparation(self) -> Preparation:
        return Preparation(self.size, self.size, phantom.FIELD_OF_VIEW_MM / self.size)

    def _pair(self, index: int) -> phantom.PhantomPair:
        subject, position = self.subjects[index // self.slices], index % self.slices
        hard = self.difficulty == "hard" or (self.difficulty == "mixed" and subject % 2 == 1)
        return phantom.generate(
            self.seed, subject, position, size=self.size, slices=self.slices, difficulty="hard" if hard else "standard"
        )

    def sampling(self, index: int) -> dict[tuple[int, int], np.ndarray]:
        """The true warp of each ordered pair (fixed, moving): position (H, W, 2) xy in pixels of the moving image."""
        pair = self._pair(index)  # generated again: training keeps thousands of samples and needs no warps
        return {p: pair.sampling(*p) for p in permutations(range(len(self.modalities)), 2)}

    def __getitem__(self, index: int) -> Sample:
        if index not in self._samples:
            pair = self._pair(index)
            images = np.stack([scale_intensity(image, self.preparation.percentiles) for image in pair.images])
            self._samples[index] = Sample(
                images[:, None], pair.masks, np.ones(len(images), bool),
                self.subjects[index // self.slices], index % self.slices,
            )  # fmt: skip
        return self._samples[index]

    def batch_at(self, step: int, batch_size: int, seed: int) -> Batch:
        """The batch of a training step: shuffled anew each epoch, a function of its arguments alone."""
        per_epoch = max(len(self) // batch_size, 1)
        epoch, at = divmod(step, per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(self))
        chosen = np.resize(order[at * batch_size : (at + 1) * batch_size], batch_size)
        return collate([self[int(i)] for i in chosen])

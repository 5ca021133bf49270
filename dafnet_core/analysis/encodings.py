"""The factors of all slices of a data set in rows, as probes and dependence need them (Sec. V-H)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from dafnet_core.analysis.decompose import classes_of
from dafnet_core.methods.decomposition import Decomposition


@dataclass(frozen=True, eq=False)
class Encoded:
    """What is kept of one decomposed slice in M modalities.

    Attributes:
        subject, position: id of the subject and index of the slice.
        images: (M, H, W) float32 in [-1, 1].
        anatomies: (M, H, W) uint8, the channel that is 1 at each pixel.
        z_mean, z_std: (M, n_z) of q(z | x, s).
        masks: (M, H, W) uint8 labels; None unless those of all modalities are known.
        ground_truth: other true properties of the slice or its subject, by name.
        offsets: (M, d) control-point offsets of all other modalities onto each modality, xy in [-1, 1] units.
    """

    subject: str
    position: int
    images: np.ndarray
    anatomies: np.ndarray
    z_mean: np.ndarray
    z_std: np.ndarray
    masks: np.ndarray | None = None
    ground_truth: Mapping[str, bool | float] = field(default_factory=dict)
    offsets: np.ndarray | None = None

    @classmethod
    def of(cls, decomposition: Decomposition, subject: str, position: int, **truth: Any) -> Encoded:
        """Keep what `Encoded` needs of a decomposition; `truth` are its `masks` and `ground_truth`."""
        anatomies = decomposition.s.argmax(1).astype(np.uint8)
        fixed = np.array([i for i, _ in decomposition.pairs])
        offsets = (
            np.stack([decomposition.offsets[fixed == m].ravel() for m in range(len(decomposition.s))])
            if decomposition.pairs
            else None
        )
        return cls(
            subject,
            position,
            decomposition.images,
            anatomies,
            decomposition.z_mean,
            decomposition.z_std,
            offsets=offsets,
            **truth,
        )


@dataclass(frozen=True, eq=False)
class Encodings:
    """Slices in rows, n = slices x M: modalities of a slice adjoin in their order, and so do slices of a subject.

    Attributes:
        names: of the M modalities.
        classes: their names, the background first; channels: C.
        slices: at least one, those of a subject one after the other.
        sample_z: None for the posterior's mean as z, or the seed of a sample of it.
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    channels: int
    slices: Sequence[Encoded]
    sample_z: int | None = None

    @cached_property
    def subjects(self) -> np.ndarray:
        """(n,) ids."""
        return np.repeat([s.subject for s in self.slices], len(self.names))

    @cached_property
    def positions(self) -> np.ndarray:
        """(n,) slice of its subject."""
        return np.repeat([s.position for s in self.slices], len(self.names))

    @cached_property
    def modality(self) -> np.ndarray:
        """(n,) index in `names`."""
        return np.tile(np.arange(len(self.names)), len(self.slices))

    @cached_property
    def z(self) -> np.ndarray:
        """(n, n_z) float64: means of q(z | x, s), or samples of it."""
        mean = np.concatenate([s.z_mean for s in self.slices]).astype(np.float64)
        if self.sample_z is None:
            return mean
        return mean + self.z_std * np.random.default_rng(self.sample_z).standard_normal(mean.shape)

    @cached_property
    def z_std(self) -> np.ndarray:
        """(n, n_z) standard deviations of q(z | x, s)."""
        return np.concatenate([s.z_std for s in self.slices])

    @cached_property
    def anatomies(self) -> np.ndarray:
        """(n, H, W) uint8, the channel that is 1 at each pixel."""
        return np.concatenate([s.anatomies for s in self.slices])

    @cached_property
    def images(self) -> np.ndarray:
        """(n, H, W) float32 in [-1, 1]."""
        return np.concatenate([s.images for s in self.slices])

    @cached_property
    def masks(self) -> np.ndarray | None:
        """(n, H, W) uint8 labels; None where some are unknown."""
        known = [s.masks for s in self.slices if s.masks is not None]
        return np.concatenate(known) if len(known) == len(self.slices) else None

    @cached_property
    def channel_classes(self) -> tuple[int | None, ...]:
        """Which class of the true masks each channel is, where it is one; None everywhere without masks."""
        if self.masks is None:
            return (None,) * self.channels
        return classes_of(self.anatomies, self.masks, self.channels, len(self.classes))

    @cached_property
    def ground_truth(self) -> dict[str, np.ndarray]:
        """(n,) values of other true properties of each row, by name: bool or float64."""
        names = self.slices[0].ground_truth
        return {name: np.repeat([s.ground_truth[name] for s in self.slices], len(self.names)) for name in names}

    @cached_property
    def offsets(self) -> np.ndarray:
        """(n, d) control-point offsets onto each row's image."""
        return np.concatenate([s.offsets for s in self.slices])

    @property
    def n_subjects(self) -> int:
        """Number of different subjects."""
        return len(set(s.subject for s in self.slices))

    @property
    def z_is(self) -> str:
        """Description of z for exports: posterior mean, or sample."""
        return "posterior mean" if self.sample_z is None else f"sample of the posterior, seed {self.sample_z}"

"""What the explorer looks at: one slice of one subject in the modalities of a checkpoint. No streamlit here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.config import JUDGING_SEED
from dafnet_core.data import phantom
from dafnet_core.data.prepare import Placement, position_note, prepare, prepare_mask, scale_intensity
from dafnet_core.data.readers import Slice

SAMPLES = 8
CANDIDATES = 3  # slices of a modality that are looked at where the model itself weighs one only


@dataclass(frozen=True)
class Native:
    """The user's own pixels of one modality, (rows, columns) in [-1, 1], and where the model's grid lies on them."""

    pixels: np.ndarray
    placement: Placement


@dataclass(frozen=True, eq=False)
class Subject:
    """One slice, ready for a model.

    Attributes:
        title: for people; never a patient's name.
        modalities: index in the model of each of the n images.
        images: (n, H, W) float32 in [-1, 1].
        truth: labels (H, W) of those of the n that have any.
        why_no_truth: said where numbers need a truth that is not there.
        sampling: the true warp of each pair (fixed, moving), (H, W, 2) xy in pixels; {} where unknown.
        native: the user's own pixels of each image; () for samples.
        notes: what was converted, chosen or doubtful.
        uploaded: whether these are the user's own files.
        around: makes (n, K, H, W) images of the slice and its neighbours, nearest first; None for a single slice.
    """

    title: str
    modalities: tuple[int, ...]
    images: np.ndarray
    truth: dict[int, np.ndarray]
    why_no_truth: str = ""
    sampling: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    native: tuple[Native, ...] = ()
    notes: tuple[str, ...] = ()
    uploaded: bool = False
    around: Callable[[], np.ndarray] | None = None

    @property
    def digest(self) -> str:
        """Identifies the images and modalities, for caches."""
        seen = hashlib.blake2b(repr((self.modalities, self.images.shape)).encode(), digest_size=16)
        seen.update(np.ascontiguousarray(self.images))
        return seen.hexdigest()


def has_samples(checkpoint: Checkpoint) -> bool:
    """Whether the phantom shows what this checkpoint was trained for."""
    return set(checkpoint.config.modalities) == set(phantom.MODALITIES)


def candidates(checkpoint: Checkpoint) -> int:
    """How many slices of a modality are looked at together: as many as the model weighs."""
    return checkpoint.config.candidates if checkpoint.config.candidates > 1 else CANDIDATES


def nearest(position: int, count: int, wanted: int) -> list[int]:
    """A slice of `count` and its neighbours, nearest first, at most so many as wanted."""
    return sorted(range(count), key=lambda k: abs(k - position))[:wanted]


def sample(checkpoint: Checkpoint, number: int, position: int, difficulty: str) -> Subject:
    """A phantom subject that no shipped checkpoint was trained on, at the checkpoint's own grid."""
    size = checkpoint.preparation.height
    order = [phantom.MODALITIES.index(name) for name in checkpoint.config.modalities]

    def generate(at: int) -> phantom.PhantomPair:
        return phantom.generate(JUDGING_SEED, number, at, size=size, difficulty=difficulty)

    def scaled(pair: phantom.PhantomPair) -> np.ndarray:
        return np.stack([scale_intensity(pair.images[i], checkpoint.preparation.percentiles) for i in order])

    def around() -> np.ndarray:
        return np.stack([scaled(generate(at)) for at in nearest(position, phantom.SLICES, candidates(checkpoint))], 1)

    pair = generate(position)
    pairs = permutations(range(len(order)), 2)
    return Subject(
        title=f"Phantom subject {number + 1}, slice {position + 1} of {phantom.SLICES} (1 is the base), {difficulty}",
        modalities=tuple(range(len(order))),
        images=scaled(pair),
        truth={n: pair.masks[i] for n, i in enumerate(order)},
        sampling={(a, b): pair.sampling(order[a], order[b]) for a, b in pairs},
        around=around,
    )


def uploaded(
    checkpoint: Checkpoint,
    slices: Mapping[int, Slice],
    masks: Mapping[int, tuple[Slice, dict[int, int]]],
    neighbours: Mapping[int, Callable[[], list[Slice]]] | None = None,
) -> Subject:
    """The user's own slices on the checkpoint's grid.

    Args:
        checkpoint: whose input preparation is used.
        slices: by index of the modality in the model; at least one.
        masks: labels and their table of classes, for some of the same modalities.
        neighbours: gives the slices that are nearest to each of them, itself first; where every modality has as many.

    Raises:
        ReadError: a mask that does not fit its image.
    """
    modalities = tuple(sorted(slices))
    prepared = {m: prepare(slices[m], checkpoint.preparation) for m in modalities}
    truth, notes = {}, []
    for n, m in enumerate(modalities):
        name = checkpoint.config.modalities[m]
        notes += [f"{name}: {note}" for note in (*slices[m].notes, *prepared[m].notes)]
        others = [slices[modalities[0]]] if n else []
        if m in masks:
            labels, table = masks[m]
            truth[n] = prepare_mask(labels, prepared[m].placement, table)
            notes += [f"mask of {name}: {note}" for note in labels.notes]
            others.append(labels)
        notes += [note for other in others if (note := position_note(slices[m], other))]
    percentiles = checkpoint.preparation.percentiles

    def around() -> np.ndarray:
        stacks = [[prepare(s, checkpoint.preparation).image for s in neighbours[m]()] for m in modalities]
        return np.stack([np.stack(stack) for stack in stacks])

    return Subject(
        title=" and ".join(slices[m].origin for m in modalities),
        modalities=modalities,
        images=np.stack([prepared[m].image for m in modalities]),
        truth=truth,
        why_no_truth="no mask was uploaded for it",
        native=tuple(Native(scale_intensity(slices[m].pixels, percentiles), prepared[m].placement) for m in modalities),
        notes=tuple(dict.fromkeys(notes)),
        uploaded=True,
        around=around if neighbours else None,
    )

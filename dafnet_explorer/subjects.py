"""Input of the explorer: one slice of one subject in the modalities of a checkpoint. No streamlit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.prepare import Placement, position_note, prepare, prepare_mask, scale_intensity
from dafnet_core.data.readers import Slice
from dafnet_core.data.source import DataSource
from dafnet_core.data.sources import SOURCES, open_source

CANDIDATES = 3  # candidate slices per modality if the model uses one only


@dataclass(frozen=True)
class Native:
    """The user's pixels of one modality, (rows, columns) in [-1, 1], and the placement of the model's grid on them."""

    pixels: np.ndarray
    placement: Placement


@dataclass(frozen=True, eq=False)
class Subject:
    """One slice, ready for a model.

    Attributes:
        title: for display; never a patient's name.
        modalities: index in the model of each of the n images.
        images: (n, H, W) float32 in [-1, 1].
        truth: labels (H, W) by image, where there are any.
        why_no_truth: reason that is shown for numbers without ground truth.
        sampling: the true warp of each pair (fixed, moving), (H, W, 2) xy in pixels; {} where unknown.
        native: the user's pixels of each image; () for samples.
        notes: conversions, choices and doubts.
        uploaded: whether these are the user's files.
        neighbour_images: returns (n, K, H, W) images of the slice and its neighbours, nearest first; None without any.
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
    neighbour_images: Callable[[], np.ndarray] | None = None

    @property
    def digest(self) -> str:
        """Identifies the images and modalities, for caches."""
        seen = hashlib.blake2b(repr((self.modalities, self.images.shape)).encode(), digest_size=16)
        seen.update(np.ascontiguousarray(self.images))
        return seen.hexdigest()


def sample_source(checkpoint: Checkpoint) -> DataSource | None:
    """Built-in source with samples of a checkpoint's modalities; None if there is none."""
    wanted = set(checkpoint.config.modalities)
    for kind, source in SOURCES.items():
        if source.built_in and source.samples and set(source.modalities) == wanted:
            return open_source(kind)
    return None


def candidate_count(checkpoint: Checkpoint) -> int:
    """Number of candidate slices per modality: as many as the model weighs."""
    return checkpoint.config.candidates if checkpoint.config.candidates > 1 else CANDIDATES


def sample(checkpoint: Checkpoint, number: int, position: int, variant: str) -> Subject:
    """A slice of the checkpoint's `sample_source`, which must exist, on the checkpoint's grid."""
    source = sample_source(checkpoint)
    source_sample = source.sample(number, position, variant, checkpoint.preparation, checkpoint.config.modalities)
    return Subject(
        title=source_sample.title,
        modalities=tuple(range(len(source_sample.images))),
        images=source_sample.images,
        truth=source_sample.masks,
        sampling=source_sample.sampling,
        neighbour_images=source_sample.around and partial(source_sample.around, candidate_count(checkpoint)),
    )


def uploaded(
    checkpoint: Checkpoint,
    slices: Mapping[int, Slice],
    masks: Mapping[int, tuple[Slice, dict[int, int]]],
    neighbours: Mapping[int, Callable[[], list[Slice]]] | None = None,
) -> Subject:
    """The user's slices on the checkpoint's grid.

    Args:
        checkpoint: its input preparation is used.
        slices: by index of the modality in the model; at least one.
        masks: labels and their table of classes, for some of the same modalities.
        neighbours: returns the slices nearest to each, itself first, if every modality has as many.

    Raises:
        ReadError: a mask does not match its image.
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
        neighbour_images=around if neighbours else None,
    )

"""Input of the explorer: one slice of one subject in the modalities of a checkpoint. No streamlit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from dafnet_core.analysis.lost import SCAR, tissue
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.frame import Frame
from dafnet_core.data.placement import Placement
from dafnet_core.data.prepare import Preparation, place, prepare, prepare_mask, scale_intensity
from dafnet_core.data.readers import Scan, Slice
from dafnet_core.data.samples import Sample
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
        title: for display; never a patient's name, but the name of a case in a data set of the server.
        modalities: index in the model of each of the n images.
        images: (n, H, W) float32 in [-1, 1].
        truth: labels (H, W) by image, where there are any.
        why_no_truth: reason that is shown for numbers without ground truth.
        sampling: the true warp of each pair (fixed, moving), (H, W, 2) xy in pixels; {} where unknown.
        tissues: (H, W) labels of the true tissues of each image; {} where unknown; tissue_names: their names.
        without_noise: returns (n, H, W) images without their noise; None where unknown.
        native: the user's pixels of each image; () for samples.
        notes: conversions, choices and doubts.
        uploaded: whether these are the user's files.
        data_set: name of the data set of the server that it is from; "" for built-in samples and the user's files.
        licence: of its images; "" for the user's files.
        mm: size of a pixel of the images, where it is known.
        neighbour_images: returns (n, K, H, W) images of the slice and its neighbours, nearest first; None without any.
        scans: the user's whole stacks by modality, of one volume each, in one plane; {} for samples.
    """

    title: str
    modalities: tuple[int, ...]
    images: np.ndarray
    truth: dict[int, np.ndarray]
    why_no_truth: str = ""
    sampling: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    tissues: dict[int, np.ndarray] = field(default_factory=dict)
    tissue_names: tuple[str, ...] = ()
    without_noise: Callable[[], np.ndarray] | None = None
    native: tuple[Native, ...] = ()
    notes: tuple[str, ...] = ()
    uploaded: bool = False
    data_set: str = ""
    licence: str = ""
    mm: float | None = None
    neighbour_images: Callable[[], np.ndarray] | None = None
    scans: Mapping[int, Scan] = field(default_factory=dict)

    @property
    def scars(self) -> dict[int, np.ndarray]:
        """(H, W) bool of each image with a scar, where the true tissues are known."""
        found = {i: tissue(labels, self.tissue_names, SCAR) for i, labels in self.tissues.items()}
        return {i: inside for i, inside in found.items() if inside.any()}

    @property
    def digest(self) -> str:
        """Identifies the images and modalities, for caches."""
        seen = hashlib.blake2b(repr((self.modalities, self.images.shape)).encode(), digest_size=16)
        seen.update(np.ascontiguousarray(self.images))
        return seen.hexdigest()


def sample_source(checkpoint: Checkpoint) -> DataSource | None:
    """Built-in source with samples of a checkpoint's modalities; None if there is none."""
    return built_in(checkpoint.config.modalities)


def built_in(modalities: Sequence[str]) -> DataSource | None:
    """Built-in source with samples of modalities; None if there is none."""
    wanted = set(modalities)
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
    slices = source.sample_slices(number, variant, checkpoint.preparation, checkpoint.config.modalities)
    return of_sample(checkpoint, source, slices[position])


def of_sample(checkpoint: Checkpoint, source: DataSource, made: Sample) -> Subject:
    """A source's sample in the modalities of a checkpoint; its masks are left out if their classes are others."""
    same = source.classes == checkpoint.config.classes
    why = "the data set has no mask of it" if same else f"the masks are of {', '.join(source.classes[1:])}"
    return Subject(
        title=made.title,
        modalities=tuple(range(len(made.images))),
        images=made.images,
        truth=made.masks if same else {},
        why_no_truth=why,
        sampling=made.sampling,
        tissues=made.tissues,
        tissue_names=made.tissue_names,
        without_noise=made.without_noise,
        notes=made.notes,
        data_set="" if source.built_in else source.name,
        licence=source.licence,
        mm=made.mm,
        neighbour_images=made.around and partial(made.around, candidate_count(checkpoint)),
    )


def _frame_of(slices: Sequence[Slice], preparation: Preparation) -> tuple[Frame | None, list[str]]:
    """The frame of the first of several slices, None where a header gives no position; what was assumed."""
    silent = [item.origin for item in slices if item.affine is None]
    if not silent:
        return Frame.of(slices[0], place(slices[0], preparation)[0]), []
    if len(slices) == 1:
        return None, []
    return None, [
        f"The header of {silent[0]} does not say where it lies in the patient: the pictures were laid over each "
        "other as they are stored."
    ]


def _pixel_mm(item: Slice, placement: Placement) -> float | None:
    """mm from one row of the grid to the next, where the slice's own pixels have a known size."""
    if item.spacing is None:
        return None
    return float(np.linalg.norm(np.array(placement.matrix)[:, 0] * item.spacing))


def uploaded(
    checkpoint: Checkpoint,
    slices: Mapping[int, Slice],
    masks: Mapping[int, tuple[Slice, dict[int, int]]],
    neighbours: Mapping[int, Callable[[], list[Slice]]] | None = None,
    scans: Mapping[int, Scan] | None = None,
    places: Mapping[int, str] | None = None,
) -> Subject:
    """The user's slices on the checkpoint's grid.

    Args:
        checkpoint: its input preparation is used.
        slices: by index of the modality in the model; at least one.
        masks: labels and their table of classes, for some of the same modalities.
        neighbours: returns the slices nearest to each, itself first, if every modality has as many.
        scans: the stacks that the slices are of.
        places: where the slices lie, in words that follow their numbers.

    Raises:
        ReadError: a mask does not match its image, or slices whose headers put them in planes that cross.
    """
    modalities = tuple(sorted(slices))
    frame, notes = _frame_of([slices[m] for m in modalities], checkpoint.preparation)
    prepared = {m: prepare(slices[m], checkpoint.preparation, frame) for m in modalities}
    truth = {}
    for n, m in enumerate(modalities):
        name = checkpoint.config.modalities[m]
        own = place(slices[m], checkpoint.preparation)[1] if frame and not n else ()  # the first is placed as if alone
        notes += [f"{name}: {note}" for note in (*slices[m].notes, *own, *prepared[m].notes)]
        if m in masks:
            labels, table = masks[m]
            truth[n] = prepare_mask(labels, prepared[m].placement, table)
            notes += [f"mask of {name}: {note}" for note in labels.notes]
    percentiles = checkpoint.preparation.percentiles

    def around() -> np.ndarray:
        stacks = [[prepare(s, checkpoint.preparation, frame).image for s in neighbours[m]()] for m in modalities]
        return np.stack([np.stack(stack) for stack in stacks])

    titles = [", ".join(filter(None, [slices[m].origin, (places or {}).get(m, "")])) for m in modalities]
    return Subject(
        title="; ".join(titles),
        modalities=modalities,
        images=np.stack([prepared[m].image for m in modalities]),
        truth=truth,
        why_no_truth="no mask was uploaded for it",
        native=tuple(Native(scale_intensity(slices[m].pixels, percentiles), prepared[m].placement) for m in modalities),
        notes=tuple(dict.fromkeys(notes)),
        uploaded=True,
        mm=_pixel_mm(slices[modalities[0]], prepared[modalities[0]].placement),
        neighbour_images=around if neighbours else None,
        scans=scans or {},
    )

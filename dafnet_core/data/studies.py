"""Subjects prepared to a model's grid, whatever their source.

A stack is one modality of one subject; its slices may differ in position and number from those of another modality.
Slices of two stacks correspond by their positions along a common axis.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dafnet_core.data import readers
from dafnet_core.data.formats.nifti import DISAGREE
from dafnet_core.data.formats.numbers import NOT_FINITE
from dafnet_core.data.formats.scan import quoted
from dafnet_core.data.frame import Frame, FrameError, check_overlap, cut_like, in_one_plane, labels_on
from dafnet_core.data.placement import Placement
from dafnet_core.data.prepare import Preparation, place, prepare, prepare_mask
from dafnet_core.data.readers import ReadError, Scan, Slice


class DataError(ValueError):
    """A data set cannot be used. The message names the file, the value, what was expected and the remedy."""


class ModalityError(DataError):
    """A data set does not hold a modality that was asked for."""


class StackLike(Protocol):
    """An array of images (frames, slices, H, W) or masks (slices, H, W), or a lazy equivalent."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, at: int | tuple[int, int], /) -> np.ndarray: ...


class StudyLike(Protocol):
    """One subject, read or synthetic: attributes and methods as `Study` describes them."""

    @property
    def name(self) -> str: ...
    @property
    def images(self) -> Sequence[StackLike]: ...
    @property
    def masks(self) -> Sequence[StackLike | None]: ...
    @property
    def positions(self) -> tuple[np.ndarray, ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def frame_masks(self) -> Sequence[StackLike | None]: ...
    @property
    def spacing(self) -> Sequence[Sequence[float] | None]: ...

    def truth(self, position: int) -> tuple[dict[tuple[int, int], np.ndarray], dict[int, np.ndarray]]: ...
    def displacements(self, position: int) -> np.ndarray | None: ...
    def tissues(self, position: int) -> dict[int, np.ndarray]: ...
    def ground_truth(self, position: int) -> dict[str, bool | float]: ...


@dataclass(frozen=True, eq=False)
class Study:
    """One subject, prepared to the model's grid.

    Attributes:
        name: of the case.
        images: of each modality, (frames, slices, H, W) float32 in [-1, 1]; the mask belongs to frame 0.
        masks: of each modality, (slices, H, W) uint8 classes; None where it is not annotated.
        positions: of each modality, (slices,) float64: mm along the normal of the first modality's slices, or equally
            spaced from 0 to 1 if no header says where the images lie.
        notes: what was assumed, each a plain sentence.
        spacing: of each modality, mm between rows and between columns of the grid; None where it is not known, () where
            none is.
    """

    name: str
    images: tuple[StackLike, ...]
    masks: tuple[StackLike | None, ...]
    positions: tuple[np.ndarray, ...]
    notes: tuple[str, ...] = ()
    spacing: tuple[Sequence[float] | None, ...] = ()

    @property
    def frame_masks(self) -> Sequence[StackLike | None]:
        """Masks (frames, slices, H, W) of all frames of each modality; () where only those of frame 0 are known."""
        return ()

    def truth(self, position: int) -> tuple[dict[tuple[int, int], np.ndarray], dict[int, np.ndarray]]:
        """The known misregistration of a slice. Unknown for files; known for synthetic studies.

        Args:
            position: index of the slice in the first modality's stack.

        Returns:
            For each ordered pair of modalities (fixed, moving) the sampling position (H, W, 2), xy in pixels of the
            moving image, of what each pixel of the fixed image shows; for each modality the region (H, W) bool over
            which errors are computed. ({}, {}) where it is unknown.
        """
        return {}, {}

    def displacements(self, position: int) -> np.ndarray | None:
        """Displacements of a slice from a common frame, (M, H, W, 2) xy in pixels; None where they are not known."""
        return None

    def tissues(self, position: int) -> dict[int, np.ndarray]:
        """True tissues (H, W) of a slice by modality, each in its frame; {} where they are not known."""
        return {}

    def ground_truth(self, position: int) -> dict[str, bool | float]:
        """Ground truth factors of a slice by readable name with units; {} where nothing is known.

        Args:
            position: index of the slice in the first modality's stack.
        """
        return {}


@dataclass(frozen=True, eq=False)
class Stack:
    """One modality of one subject, prepared.

    Attributes:
        images: (frames, slices, H, W) float32 in [-1, 1].
        mask: (slices, H, W) uint8 classes, or None.
        heights: (slices,) mm along the normal of the subject's frame, None where unknown.
        placements: of the grid on each slice.
        scan: as read, cut into these slices.
        notes: what was assumed, each a plain sentence.
    """

    images: np.ndarray
    mask: np.ndarray | None
    heights: np.ndarray | None
    placements: tuple[Placement, ...]
    scan: Scan
    notes: tuple[str, ...] = ()

    @property
    def spacing(self) -> tuple[float, float] | None:
        """mm between rows and between columns of the grid, along these slices; None where unknown."""
        if self.scan.spacing is None:
            return None
        steps = np.array(self.scan.spacing)[:, None] * np.array(self.placements[0].matrix)[:, :2]
        rows, columns = np.linalg.norm(steps, axis=0)
        return float(rows), float(columns)


@contextmanager
def reading(folder: Path, remedy: str = "") -> Iterator[None]:
    """Convert a ReadError to a DataError that also names the folder."""
    try:
        yield
    except ReadError as error:
        raise DataError(f"{folder}: {error} {remedy}".rstrip()) from None


def read_finite(path: Path, *, mask: bool = False) -> Scan:
    """Read a file of a data set; unlike for display, values that are not finite are an error.

    Raises:
        DataError: it cannot be read, or holds NaN or infinite values.
    """
    with reading(path.parent):
        scan = readers.read(path, mask=mask)
    if not_finite := [note for note in scan.notes if NOT_FINITE in note]:
        count = not_finite[0].partition(" ")[0]
        raise DataError(f"{path}: {count} {NOT_FINITE}; put numbers there, such as that of the background.")
    return scan


def read_labels(path: Path, table: Mapping[int, int], remedy: str) -> Scan:
    """Read a mask of a data set whose labels all have a class; errors as in `read_finite`."""
    scan = read_finite(path, mask=True)
    unknown = sorted({int(label) for label in np.unique(scan.values)} - set(table))
    if unknown:
        raise DataError(
            f"{path}: the mask holds labels {unknown[:8]} that have no class; known are {sorted(table)}. {remedy}"
        )
    return scan


def prepare_stacks(
    scans: Sequence[Scan], labels: Sequence[Scan | None], preparation: Preparation, table: Mapping[int, int]
) -> list[Stack]:
    """Bring the modalities of a subject and their masks into one frame, exactly as for inference.

    The first modality's slices lie on the grid as they would alone; the others follow by their affines.

    Args:
        scans: one a modality.
        labels: the mask of each, or None; of frame 0.
        preparation: of the model.
        table: class of each label.

    Raises:
        ReadError: images or labels that cannot be brought together, or labels without a class.
    """
    masks = [None if mask is None else labels_on(scan, mask) for scan, mask in zip(scans, labels, strict=True)]
    added = [mask.notes[len(own.notes) :] if mask and own else () for mask, own in zip(masks, labels, strict=True)]
    cut = in_one_plane(scans)
    slices = [[scan.slice(k) for k in range(scan.slices)] for scan in cut]
    frame, assumed = _frame(cut, slices, preparation)
    stacks = []
    for n, (before, scan, mask) in enumerate(zip(scans, cut, masks, strict=True)):
        prepared = [
            [prepare(scan.slice(k, volume), preparation, frame) for k in range(scan.slices)]
            for volume in range(scan.volumes)
        ]
        placements = tuple(item.placement for item in prepared[0])
        mask = mask and cut_like(mask, before, scan)
        classes = mask and [prepare_mask(mask.slice(k), p, dict(table)) for k, p in enumerate(placements)]
        stacks.append(
            Stack(
                np.stack([np.stack([item.image for item in volume]) for volume in prepared]),
                np.stack(classes) if classes else None,
                None if frame is None else np.array([frame.height(item) for item in slices[n]]),
                placements,
                scan,
                (*(note for note in scan.notes if DISAGREE in note), *added[n], *assumed),
            )
        )
    return stacks


def _frame(
    scans: Sequence[Scan], slices: Sequence[Sequence[Slice]], preparation: Preparation
) -> tuple[Frame | None, tuple[str, ...]]:
    """The frame of a subject, None where no header gives a position; what was assumed then."""
    silent = [scan.name for scan in scans if scan.affine is None]
    if not silent:
        middle = slices[0][len(slices[0]) // 2]
        frame = Frame.of(middle, place(middle, preparation)[0])
        check_overlap(frame, [(quoted(scan.name), items) for scan, items in zip(scans, slices, strict=True)])
        return frame, ()
    if len(silent) < len(scans):
        raise FrameError(
            f"the header of {quoted(silent[0])} does not say where it lies in the patient, those of others do; save it "
            "with its position."
        )
    if len(scans) == 1:
        return None, ()
    return None, (
        "no header says where the images lie in the patient: pictures were laid over each other as stored, and slices "
        "paired by rank",
    )


def join(name: str, stacks: Sequence[Stack]) -> Study:
    """Put the modalities of a subject together."""
    return Study(
        name,
        images=tuple(stack.images for stack in stacks),
        masks=tuple(stack.mask for stack in stacks),
        positions=_positions(stacks),
        notes=tuple(dict.fromkeys(note for stack in stacks for note in stack.notes)),
        spacing=tuple(stack.spacing for stack in stacks),
    )


def _positions(stacks: Sequence[Stack]) -> tuple[np.ndarray, ...]:
    """Positions of the slices of each stack, (slices,) float64: in mm, or equally spaced from 0 to 1."""
    heights = tuple(stack.heights for stack in stacks if stack.heights is not None)
    if len(heights) == len(stacks):
        return heights
    # A lone slice lies in the middle, where it is closest to what the other stacks have of it.
    counts = (stack.images.shape[1] for stack in stacks)
    return tuple(np.linspace(0, 1, count) if count > 1 else np.array([0.5]) for count in counts)

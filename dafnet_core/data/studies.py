"""Subjects prepared to a model's grid, whatever their source.

A stack is one modality of one subject; its slices may differ in position and number from those of another modality.
Slices of two stacks correspond by their positions along a common axis.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dafnet_core.data import readers
from dafnet_core.data.formats.numbers import NOT_FINITE
from dafnet_core.data.prepare import Preparation, prepare, prepare_mask
from dafnet_core.data.readers import ReadError, Scan, Slice

_PARALLEL = 0.95  # cosine: stacks tilted more than 18 degrees against each other have no common order


class DataError(ValueError):
    """A data set cannot be used. The message names the file, the value, what was expected and the remedy."""


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

    def truth(self, position: int) -> tuple[dict[tuple[int, int], np.ndarray], dict[int, np.ndarray]]: ...
    def ground_truth(self, position: int) -> dict[str, bool | float]: ...


@dataclass(frozen=True, eq=False)
class Study:
    """One subject, prepared to the model's grid.

    Attributes:
        name: of the case.
        images: of each modality, (frames, slices, H, W) float32 in [-1, 1]; the mask belongs to frame 0.
        masks: of each modality, (slices, H, W) uint8 classes; None where it is not annotated.
        positions: of each modality, (slices,) float64: mm along the normal of the first modality's slices if the
            headers place all modalities in one frame of reference, else equally spaced from 0 to 1.
    """

    name: str
    images: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray | None, ...]
    positions: tuple[np.ndarray, ...]

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
        centres: (slices, 3), patient mm (Right, Anterior, Superior) of the slices' centres, None where unknown.
        affine: (4, 4), from (column, row, slice, 1) to the same mm, None where unknown.
    """

    images: np.ndarray
    mask: np.ndarray | None
    centres: np.ndarray | None
    affine: np.ndarray | None


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


def prepare_stack(
    frames: Iterable[Iterable[Slice]],
    labels: Iterable[Slice] | None,
    affine: np.ndarray | None,
    preparation: Preparation,
    table: Mapping[int, int],
) -> Stack:
    """Bring a modality to the grid, exactly as one of its slices would be for inference.

    Args:
        frames: slices of each time point; taken one at a time, so they may be generated.
        labels: of the slices of frame 0, in the same order.
        affine: of the slices, None where the header does not say.
        preparation: of the model.
        table: class of each label.

    Raises:
        ReadError: labels of another shape than their image, or without a class.
    """
    images, placements, centres = [], [], []
    for number, frame in enumerate(frames):
        prepared = []
        for item in frame:
            result = prepare(item, preparation)
            prepared.append(result.image)
            if number == 0:
                placements.append(result.placement)
                centres.append(item.centre)
        images.append(np.stack(prepared))
    mask = None
    if labels is not None:
        pairs = zip(labels, placements, strict=True)
        mask = np.stack([prepare_mask(item, placement, dict(table)) for item, placement in pairs])
    known = affine is not None and None not in centres
    return Stack(np.stack(images), mask, np.array(centres) if known else None, affine if known else None)


def join(name: str, stacks: Sequence[Stack], *, registered: bool) -> Study:
    """Put the modalities of a subject together.

    Args:
        name: of the subject.
        stacks: one a modality.
        registered: they lie on one grid, whatever their headers say.
    """
    return Study(
        name,
        images=tuple(stack.images for stack in stacks),
        masks=tuple(stack.mask for stack in stacks),
        positions=_positions([stacks[0]] * len(stacks) if registered else stacks),
    )


def slice_normal(affine: np.ndarray) -> np.ndarray:
    """Unit normal (3,) of the slices, towards the next one."""
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    normal = normal / np.linalg.norm(normal)
    return normal if normal @ affine[:3, 2] >= 0 else -normal


def _positions(stacks: Sequence[Stack]) -> tuple[np.ndarray, ...]:
    """Positions of the slices of each stack, (slices,) float64: in mm, or equally spaced from 0 to 1."""
    along = _along_first(stacks)
    if along is not None:
        return along
    # A lone slice lies in the middle, where it is closest to what the other stacks have of it.
    counts = (stack.images.shape[1] for stack in stacks)
    return tuple(np.linspace(0, 1, count) if count > 1 else np.array([0.5]) for count in counts)


def _along_first(stacks: Sequence[Stack]) -> tuple[np.ndarray, ...] | None:
    """Positions in mm along the first stack's normal; None unless all are known, parallel and overlap.

    No header that all formats have names the frame of reference; that two stacks are not in the same one is only
    noticed where they miss each other.
    """
    affines = [stack.affine for stack in stacks if stack.affine is not None]
    if len(affines) < len(stacks):
        return None
    normals = [slice_normal(affine) for affine in affines]
    if not all(abs(normal @ normals[0]) >= _PARALLEL for normal in normals):  # nor if one is not a number
        return None
    along = tuple(stack.centres @ normals[0] for stack in stacks)
    thickest = max(np.linalg.norm(affine[:3, 2]) for affine in affines)
    if max(a.min() for a in along) > min(a.max() for a in along) + thickest:
        return None
    return along

"""Where the frames of DICOM files lie, and the regular grid that they make.

Slices are sorted by their position along the normal of the image plane, towards Superior, Posterior or Left (whichever
the normal is closest to). Positions and directions are in DICOM's patient axes (x to Left, y to Posterior, z to
Superior), in mm.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dafnet_core.data.formats.dicom_tags import number_of, numbers_of, volume_tags
from dafnet_core.data.formats.orientation import StoredGrid
from dafnet_core.data.formats.scan import ReadError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SAME_HEIGHT = 0.05  # mm along the normal
_UNEVEN = 0.1  # of the distance between slices, by which a slice may lie off its place in the grid
_DECLARED = 0.02  # relative difference of the distance in the header from that of the positions
_FAR = 1000.0  # pixels between slices whose distance is unknown
_DRIFT = 0.2  # of a pixel, in plane
_NUMBERED = "they are in the order of their numbers, not of their positions."


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame: its file, index and geometry; None where the header does not say.

    Attributes:
        file, index: number of the file, and of the frame in it, from 0.
        number: InstanceNumber.
        size: rows and columns.
        spacing: (row, column) in mm.
        axes: (2, 3), unit vectors of increasing column and of increasing row.
        position: (3,), centre of the first pixel.
        between: SpacingBetweenSlices in mm.
        thickness: SliceThickness in mm.
        series: SeriesInstanceUID.
        image_type: values of ImageType, or of the frame's FrameType.
        tags: what may distinguish volumes, by name; see `dicom_tags`.
    """

    file: int
    index: int
    number: int | None
    size: tuple[int, int]
    spacing: tuple[float, float] | None
    axes: np.ndarray | None
    position: np.ndarray | None
    between: float | None
    thickness: float | None
    series: str
    image_type: tuple[str, ...]
    tags: dict[str, Any]

    @property
    def is_scout(self) -> bool:
        """Whether ImageType calls it a localizer."""
        return bool({"LOCALIZER", "SCOUT"} & set(self.image_type))


def frame_count(header: "Dataset") -> int:
    """NumberOfFrames, 1 where it is not given."""
    return int(header.get("NumberOfFrames") or 1)


def functional_group(header: "Dataset", index: int, name: str) -> "Dataset":
    """The functional group of a frame, per frame or shared; the data set itself where there is none."""
    for sequence, at in (("PerFrameFunctionalGroupsSequence", index), ("SharedFunctionalGroupsSequence", 0)):
        groups = header.get(sequence)
        if groups and at < len(groups) and groups[at].get(name):
            return groups[at][name].value[0]
    return header


def list_frames(file: int, header: "Dataset") -> Iterator[Frame]:
    """Geometry and distinguishing tags of each frame of one file."""
    for index in range(frame_count(header)):
        measures, orientation, place = (
            functional_group(header, index, name)
            for name in ("PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence")
        )
        spacing = numbers_of(measures, "PixelSpacing", 2)
        if spacing is not None and not all(1e-3 < s < 1e3 for s in spacing):
            spacing = None
        axes = numbers_of(orientation, "ImageOrientationPatient", 6)
        image_type, tags = volume_tags(header, partial(functional_group, header, index))
        number = number_of(header, "InstanceNumber")
        yield Frame(
            file,
            index,
            number=None if number is None else int(number),
            size=(int(header.Rows), int(header.Columns)),
            spacing=None if spacing is None else (float(spacing[0]), float(spacing[1])),
            axes=None if axes is None or not _is_plane(axes) else axes.reshape(2, 3),
            position=numbers_of(place, "ImagePositionPatient", 3),
            between=_length(measures, "SpacingBetweenSlices"),
            thickness=_length(measures, "SliceThickness"),
            series=str(header.get("SeriesInstanceUID") or ""),
            image_type=image_type,
            tags=tags,
        )


def _is_plane(axes: np.ndarray) -> bool:
    return bool(np.allclose(axes.reshape(2, 3) @ axes.reshape(2, 3).T, np.eye(2), atol=0.01))


def _length(dataset: "Dataset", tag: str) -> float | None:
    value = abs(number_of(dataset, tag) or 0)
    return value if 1e-3 < value < 1e3 else None


@dataclass(frozen=True, eq=False)
class Placed:
    """The slices that frames belong to, and the grid of the slices.

    Attributes:
        slices: how many the grid has; those without a frame are empty.
        at: each frame's slice, in the order of the frames.
        between: distance between slices in mm, None where unknown.
        affine: (4, 4), from (column, row, slice, 1) to mm (Right, Anterior, Superior), None where unknown.
        direction: such a matrix of which the directions are right, for turning the picture upright; None where
            they are unknown.
    """

    slices: int
    at: tuple[int, ...]
    between: float | None
    affine: np.ndarray | None
    direction: np.ndarray | None

    def grid(self, size: tuple[int, int]) -> StoredGrid:
        """The stored grid, turned upright where the directions are known."""
        rows, columns = size
        upright = StoredGrid.upright((columns, rows, self.slices), self.direction)
        return upright if self.affine is not None else replace(upright, affine=None)


def place(frames: Sequence[Frame], notes: list[str], gaps_are_empty: bool = False) -> Placed:
    """Give each frame of one geometry its slice.

    Args:
        gaps_are_empty: slices without a frame are expected, as in a segmentation.

    Raises:
        ReadError: frames that do not say where they lie, or lie where no regular grid has slices.
    """
    first = frames[0]
    unknown = sum(frame.position is None or frame.axes is None for frame in frames)
    if unknown:
        return _in_order_of_numbers(frames, unknown, notes)
    assert first.axes is not None
    normal = normal_of(first.axes)
    points = np.array([frame.position for frame in frames])
    heights, level = _levels(points @ normal, first)
    if len(heights) == 1:
        _check_drift(points - points[0], first)
        between = first.between or first.thickness
        return _placed(frames, points[0], normal * (between or 1.0), 1, [0] * len(frames), between)
    steps = _steps(heights, first, gaps_are_empty)
    if steps is None:
        gaps = np.diff(heights)
        notes.append(
            f"The distance between slices varies ({gaps.min():.4g} to {gaps.max():.4g} mm), which no regular grid has: "
            "slices may be missing. They are in the order of their positions, which are not used otherwise."
        )
        return _placed(frames, None, normal, len(heights), level.tolist(), None)
    at = steps[level]
    last, bottom = points[at.argmax()], points[at.argmin()]
    step = (last - bottom) / steps[-1]
    _check_drift(points - bottom - at[:, None] * step, first, normal)
    _note_uneven(heights, steps, gaps_are_empty, notes)
    return _placed(frames, bottom, step, int(steps[-1]) + 1, at.tolist(), float(np.linalg.norm(step)))


def normal_of(axes: np.ndarray) -> np.ndarray:
    """The image plane's unit normal, towards Left, Posterior or Superior (whichever is closest)."""
    normal = np.cross(axes[0], axes[1])
    normal = normal / np.linalg.norm(normal)
    return normal if normal[np.abs(normal).argmax()] > 0 else -normal


def _in_order_of_numbers(frames: Sequence[Frame], unknown: int, notes: list[str]) -> Placed:
    first = frames[0]
    between = first.between or first.thickness
    direction = None
    if len(frames) == 1:
        order = [0]
        if first.axes is not None:
            direction = _matrix(first, np.zeros(3), normal_of(first.axes) * (between or 1.0))
    elif unknown < len(frames):
        raise ReadError(
            f"{unknown} of {len(frames)} slices do not say where they lie (ImagePositionPatient and "
            "ImageOrientationPatient), the others do; export the series again, or leave those out."
        )
    elif any(frame.file != first.file for frame in frames):
        numbers = Counter(frame.number for frame in frames)
        if None in numbers or max(numbers.values()) > 1:
            raise ReadError(
                f"its {len(frames)} slices do not say where they lie (ImagePositionPatient), and InstanceNumber is "
                "missing or repeated: their order is unknown. Export the series again."
            )
        notes.append(f"The {len(frames)} slices do not say where they lie: {_NUMBERED}")
        by_number = sorted(range(len(frames)), key=lambda n: frames[n].number or 0)
        order = [by_number.index(n) for n in range(len(frames))]
    else:
        notes.append(f"The {len(frames)} slices do not say where they lie: {_NUMBERED}")
        order = list(range(len(frames)))
    return Placed(len(frames), tuple(order), between, None, direction)


def _levels(heights: np.ndarray, first: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Distinct heights in mm, ascending, and the number of each frame's."""
    order = np.argsort(heights, kind="stable")
    same = min(_SAME_HEIGHT, 0.25 * (first.between or first.thickness or 1.0))
    starts = np.concatenate([[True], np.diff(heights[order]) > same])
    level = np.empty(len(heights), int)
    level[order] = np.cumsum(starts) - 1
    return np.array([heights[level == n].mean() for n in range(level.max() + 1)]), level


def _steps(heights: np.ndarray, first: Frame, gaps_are_empty: bool) -> np.ndarray | None:
    """The slice of each height, from 0; None where they lie on no regular grid."""
    gaps = np.diff(heights)
    guesses = [first.between, first.thickness, gaps.min()] if gaps_are_empty else [float(np.median(gaps)), gaps.min()]
    for guess in guesses:
        if not guess:
            continue
        counts = np.rint(gaps / guess)
        if counts.min() < 1:
            continue
        steps = np.concatenate([[0], np.cumsum(counts)]).astype(int)
        step = (heights[-1] - heights[0]) / steps[-1]
        if abs(step - guess) > (_DECLARED if gaps_are_empty else _UNEVEN) * guess:
            continue
        if np.abs(heights[0] + steps * step - heights).max() > max(_UNEVEN * guess, 0.02):
            continue
        missing = steps[-1] + 1 - len(steps)
        if gaps_are_empty or missing <= max(1, len(steps) // 4):
            return steps
    if gaps_are_empty:
        raise ReadError(
            f"its frames lie {gaps.min():.4g} to {gaps.max():.4g} mm apart, which are no multiples of one distance "
            "between slices; export it again on the grid of its image."
        )
    return None


def _note_uneven(heights: np.ndarray, steps: np.ndarray, gaps_are_empty: bool, notes: list[str]) -> None:
    missing = sorted(set(range(steps[-1] + 1)) - set(steps.tolist()))
    if missing:
        are = "slices are" if len(missing) > 1 else "slice is"
        shown = ", ".join(str(n + 1) for n in missing[:8]) + (", ..." if len(missing) > 8 else "")
        if gaps_are_empty:
            notes.append(f"{len(missing)} {are} empty: no frame lies there, between others.")
        else:
            gaps = np.diff(heights)
            notes.append(
                f"The distance between slices varies ({gaps.min():.4g} to {gaps.max():.4g} mm): {len(missing)} {are} "
                f"missing and left empty (number {shown} of {steps[-1] + 1})."
            )
        return
    off = np.abs(heights[0] + steps * (heights[-1] - heights[0]) / steps[-1] - heights).max()
    if off > 0.05:
        notes.append(f"The distance between slices varies: slices lie up to {off:.2g} mm from a regular grid.")


def _check_drift(off: np.ndarray, first: Frame, normal: np.ndarray | None = None) -> None:
    """Raise ReadError unless frames lie on one line: off is (frames, 3), mm from it."""
    if normal is not None:
        off = off - np.outer(off @ normal, normal)
    pixel = min(first.spacing) if first.spacing else 1.0
    worst = float(np.linalg.norm(off, axis=1).max())
    if worst > max(_DRIFT * pixel, 0.02):
        raise ReadError(
            f"its slices are shifted against each other in plane, by up to {worst:.3g} mm from one straight stack "
            "(ImagePositionPatient); give the files of one acquisition."
        )


def _placed(
    frames: Sequence[Frame],
    origin: np.ndarray | None,
    step: np.ndarray,
    slices: int,
    at: list[int],
    between: float | None,
) -> Placed:
    first = frames[0]
    if origin is not None and first.spacing is not None:
        affine = _matrix(first, origin, step)
        return Placed(slices, tuple(at), between, affine, affine)
    # without a regular grid, slices can only be cut as they are: they are given the coarse axis
    direction = _matrix(first, np.zeros(3), step / np.linalg.norm(step) * _FAR * max(first.spacing or (1.0,)))
    return Placed(slices, tuple(at), between, None, direction)


def _matrix(frame: Frame, origin: np.ndarray, step: np.ndarray) -> np.ndarray:
    assert frame.axes is not None
    row, column = frame.spacing or (1.0, 1.0)
    affine = np.eye(4)
    affine[:3] = np.column_stack([frame.axes[0] * column, frame.axes[1] * row, step, origin])
    affine[:2] *= -1  # DICOM counts towards Left and Posterior, NIfTI towards Right and Anterior
    return affine

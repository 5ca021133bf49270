"""Positions of the frames of DICOM files, and their order in a stack.

Slices are sorted by their position along the normal of the image plane, ascending towards Superior,
Posterior or Left (whichever the normal is closest to), as for NIfTI. Positions and directions are in DICOM's
patient axes (x to Left, y to Posterior, z to Superior), in mm.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dafnet_core.data.formats.scan import ReadError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame: its file, index and geometry; None where the header does not say.

    Attributes:
        file, index: number of the file, and of the frame in it, from 0.
        number: InstanceNumber, which orders frames at the same position.
        spacing: (row, column) in mm.
        axes: (2, 3), unit vectors of increasing column and of increasing row.
        position: (3,), centre of the first pixel.
    """

    file: int
    index: int
    number: int
    spacing: tuple[float, float] | None
    axes: np.ndarray | None
    position: np.ndarray | None


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
    """Geometry of each frame of one file."""
    for index in range(frame_count(header)):
        measures, orientation, place = (
            functional_group(header, index, name)
            for name in ("PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence")
        )
        spacing = _numbers(measures, "PixelSpacing", 2)
        if spacing is not None and not all(1e-3 < s < 1e3 for s in spacing):
            spacing = None
        axes = _numbers(orientation, "ImageOrientationPatient", 6)
        yield Frame(
            file,
            index,
            number=int(header.get("InstanceNumber") or 0),
            spacing=None if spacing is None else (float(spacing[0]), float(spacing[1])),
            axes=None if axes is None or not _is_plane(axes) else axes.reshape(2, 3),
            position=_numbers(place, "ImagePositionPatient", 3),
        )


def _is_plane(axes: np.ndarray) -> bool:
    return bool(np.allclose(axes.reshape(2, 3) @ axes.reshape(2, 3).T, np.eye(2), atol=0.01))


def _numbers(dataset: "Dataset", tag: str, count: int) -> np.ndarray | None:
    value = dataset.get(tag)
    if value is None or isinstance(value, str) or len(value) != count:
        return None
    numbers = np.array([float(v) for v in value])
    return numbers if np.isfinite(numbers).all() else None


def arrange(frames: list[Frame], notes: list[str]) -> tuple[list[Frame], int]:
    """Sort frames into volumes of slices (volume by volume); give them and the number of volumes.

    Raises:
        ReadError: files of one series that do not make complete volumes.
    """
    if len(frames) == 1:
        return frames, 1
    as_numbered = sorted(frames, key=lambda f: (f.number, f.file, f.index))
    axes = [f.axes for f in frames if f.axes is not None and f.position is not None]
    if len(axes) < len(frames) or any(np.abs(a - axes[0]).max() > 1e-3 for a in axes):
        notes.append(
            f"The {len(frames)} slices do not say where they lie, or lie at different angles: "
            "they are in the order of their numbers, not of their positions."
        )
        return as_numbered, 1
    normal = _normal(axes[0])
    stacks: dict[float, list[Frame]] = {}  # by height along the normal in mm, to 0.01 mm
    for frame in as_numbered:
        stacks.setdefault(round(float(frame.position @ normal), 2), []).append(frame)
    volumes = len(frames) // len(stacks)
    if any(len(stack) != volumes for stack in stacks.values()):
        problem = f"{len(frames)} slices lie at {len(stacks)} positions, some more often than others"
        if frames[-1].file > 0:
            raise ReadError(f"its {problem}: files are missing, or of several acquisitions mixed.")
        notes.append(f"Its {problem}: they are in the order of the file.")
        return as_numbered, 1
    heights = sorted(stacks)
    gaps = np.diff(heights)
    if len(gaps) and gaps.max() - gaps.min() > max(0.1 * gaps.min(), 0.02):
        notes.append(f"The distance between slices varies ({gaps.min():g} to {gaps.max():g} mm): one may be missing.")
    notes.append(f"{len(frames)} slices sorted by position into {volumes} volumes of {len(heights)}.")
    return [stacks[height][volume] for volume in range(volumes) for height in heights], volumes


def _normal(axes: np.ndarray) -> np.ndarray:
    """The image plane's unit normal, towards Left, Posterior or Superior (whichever is closest)."""
    normal = np.cross(axes[0], axes[1])
    normal = normal / np.linalg.norm(normal)
    return normal if normal[np.abs(normal).argmax()] > 0 else -normal


def stack_geometry(header: "Dataset", frames: list[Frame]) -> tuple[float | None, np.ndarray | None]:
    """Distance between slices in mm, and the affine from (column, row, slice, 1) to mm; None if unknown."""
    first, last = frames[0], frames[-1]
    measures = functional_group(header, 0, "PixelMeasuresSequence")
    between = float(measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or 0) or None
    if first.axes is None or first.position is None:
        return between, None
    step = _normal(first.axes) * (between or 1.0)
    if len(frames) > 1 and last.position is not None:
        step = (last.position - first.position) / (len(frames) - 1)
        between = float(np.linalg.norm(step)) or between
    if first.spacing is None:
        return between, None
    affine = np.eye(4)
    affine[:3] = np.column_stack(
        [first.axes[0] * first.spacing[1], first.axes[1] * first.spacing[0], step, first.position]
    )
    affine[:2] *= -1  # DICOM counts towards Left and Posterior, NIfTI towards Right and Anterior
    return between, affine

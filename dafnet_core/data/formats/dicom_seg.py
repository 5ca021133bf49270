"""DICOM segmentations: frames of one segment each, placed by their position on the segmentation's own grid."""

from typing import TYPE_CHECKING

import numpy as np

from dafnet_core.data.formats.dicom_groups import main_stack
from dafnet_core.data.formats.dicom_pixels import decode
from dafnet_core.data.formats.dicom_stack import frame_count, functional_group, list_frames, place
from dafnet_core.data.formats.dicom_tags import number_of
from dafnet_core.data.formats.scan import ReadError, Scan, check_shape

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"


def is_segmentation(header: "Dataset") -> bool:
    """Whether a data set is a DICOM segmentation, of segments or a label map."""
    return header.get("SOPClassUID") in (_SEGMENTATION, _LABEL_MAP) or header.get("Modality") == "SEG"


def read_segmentation(dataset: "Dataset", name: str, notes: list[str]) -> Scan:
    """Read a segmentation: 0 is background, a segment has its number, or 1 if it is the only one.

    Its slices are those of its own grid, perhaps fewer than its image has; where no frame lies they are empty.

    Raises:
        ReadError: frames without a position or off a regular grid, segments that overlap.
    """
    apart: list[str] = []
    frames = main_stack(list(list_frames(0, dataset)), apart)
    if apart:
        raise ReadError("its frames have different orientations or sizes; export it on the grid of its image.")
    if len(frames) > 1 and any(frame.position is None or frame.axes is None for frame in frames):
        raise ReadError(
            "its frames do not say where they lie (ImagePositionPatient and ImageOrientationPatient); export it again, "
            "or as NIfTI."
        )
    placed = place(frames, notes, gaps_are_empty=True)
    grid = placed.grid(frames[0].size)
    check_shape(1, *grid.turned_shape)
    numbers = _segment_numbers(dataset)
    values, stored = grid.allocate(1, np.int32)
    values[:] = 0
    taken: set[tuple[int, int]] = set()
    for index, (picture, _) in enumerate(decode(dataset)):
        if picture.shape != frames[0].size:
            raise ReadError("a frame has another size than its header says; export it again.")
        at, target = placed.at[index], stored[0, placed.at[index]]
        if (at, numbers[index]) in taken:
            raise ReadError("two of its frames show the same segment at the same place; export it again.")
        taken.add((at, numbers[index]))
        inside = picture if numbers[index] == 0 else _inside(picture, dataset, notes) * np.int32(numbers[index])
        if ((target > 0) & (inside > 0)).any():
            raise ReadError(
                f"its {len(set(numbers))} segments overlap, and a pixel has one label here; "
                "export one label map (NIfTI or PNG) or one segment."
            )
        np.copyto(target, inside, where=inside > 0)
    if len(set(numbers)) > 1:
        notes.append(f"{len(set(numbers))} segments, which do not overlap: labels are the segments' numbers.")
    if grid.axes != (2, 1, 0) or any(grid.flips):
        notes.append(grid.in_words() if grid.affine is not None else "Turned upright.")
    affine, spacing, between = grid.turned_affine, frames[0].spacing, placed.between
    if affine is not None:
        column, row, distance = (round(float(length), 9) for length in np.linalg.norm(affine[:3, :3], axis=0))
        spacing, between = (row, column), distance if between else None
    return Scan(values, spacing, between, name, "DICOM", tuple(dict.fromkeys(notes)), affine, grid)


def _segment_numbers(dataset: "Dataset") -> list[int]:
    """Label of each frame's segment; 0 where the pixels are labels themselves."""
    if dataset.get("SOPClassUID") == _LABEL_MAP or dataset.get("SegmentationType") == "LABELMAP":
        return [0] * frame_count(dataset)
    numbers = []
    for index in range(frame_count(dataset)):
        group = functional_group(dataset, index, "SegmentIdentificationSequence")
        number = number_of(group, "ReferencedSegmentNumber")
        if number is None and len(dataset.get("SegmentSequence") or ()) > 1:
            raise ReadError("its frames do not say which segment they show; export it again, or as NIfTI.")
        numbers.append(int(number or 1))
    if min(numbers) < 1:
        raise ReadError("it has a segment of number 0 or less; export it again.")
    return numbers if len(set(numbers)) > 1 else [1] * len(numbers)


def _inside(picture: np.ndarray, dataset: "Dataset", notes: list[str]) -> np.ndarray:
    """Which pixels belong to the frame's segment."""
    if dataset.get("SegmentationType") != "FRACTIONAL":
        return picture > 0
    most = number_of(dataset, "MaximumFractionalValue") or 255
    notes.append(f"Fractions of a pixel (up to {most:g}) were cut at one half.")
    return 2 * picture.astype(np.int64) >= most

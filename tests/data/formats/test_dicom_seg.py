"""DICOM segmentations: their frames by position, on their own grid."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import pack_bits

from dafnet_core.data.readers import read
from tests.helpers.dicom_series import AXIAL, PRONE, dicom_slice
from tests.helpers.reading import refusal
from tests.helpers.valid_files import dicom_bytes, group

SIZE = 11, 13  # not a multiple of 8 pixels: frames of single bits do not start at whole bytes


def shapes(count):
    """Frames of 0 and 1, each another shape that no turn maps onto itself."""
    frames = np.zeros((count, *SIZE), np.uint8)
    for n in range(count):
        frames[n, 2 : 4 + n, 1:5] = 1
        frames[n, 2, 1 : 7 + n] = 1
    return frames


def segmentation(frames, heights, segments=None, bits=1, axes=AXIAL, measures=None, **tags):
    """A SEG file with a frame at each height in mm."""
    numbers = segments or [1] * len(frames)
    listed = []
    for number in sorted(set(numbers)):
        item = Dataset()
        item.SegmentNumber, item.SegmentLabel = number, f"part {number}"
        listed.append(item)
    shared = group(
        PixelMeasuresSequence={"PixelSpacing": [2, 3]} | ({"SliceThickness": 6} if measures is None else measures),
        PlaneOrientationSequence={"ImageOrientationPatient": list(axes)},
    )
    own = [
        group(
            PlanePositionSequence={"ImagePositionPatient": [10, 20, height]},
            SegmentIdentificationSequence={"ReferencedSegmentNumber": number},
        )
        for height, number in zip(heights, numbers, strict=True)
    ]
    data = dicom_bytes(
        frames,
        Modality="SEG",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4",
        SegmentationType="BINARY",
        SegmentSequence=listed,
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=own,
    )
    dataset = pydicom.dcmread(io.BytesIO(data))
    if bits == 1:
        dataset.BitsAllocated = dataset.BitsStored = 1
        dataset.HighBit = 0
        packed = pack_bits(frames)
        dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return "seg.dcm", buffer.getvalue()


@pytest.mark.parametrize("bits", [1, 8])
def test_frames_are_placed_by_position_and_slices_without_one_are_empty(bits):
    frames = shapes(4)
    scan = read(segmentation(frames, [12, -6, 0, 30], bits=bits), mask=True)  # 6 mm apart; 6, 18 and 24 are empty
    assert scan.values.shape == (1, 7, *SIZE)
    for n, at in enumerate((3, 0, 1, 6)):
        assert np.array_equal(scan.values[0, at], frames[n])
    assert not scan.values[0, [2, 4, 5]].any()
    assert np.allclose(scan.affine, [[-3, 0, 0, -10], [0, -2, 0, -20], [0, 0, 6, -6], [0, 0, 0, 1]])
    assert (scan.spacing, scan.slice_spacing) == ((2, 3), 6)
    assert any("3 slices are empty: no frame lies there" in note for note in scan.notes)


def test_the_distance_between_slices_comes_from_the_header_or_from_the_frames():
    heights = [0, 12, 24]
    for measures, slices in (
        ({"SpacingBetweenSlices": 4}, 7),
        ({"SpacingBetweenSlices": 12, "SliceThickness": 6}, 3),
        ({"SliceThickness": 6}, 5),
        ({"SliceThickness": 5}, 3),
        ({}, 3),
    ):
        scan = read(segmentation(shapes(3), heights, measures=measures), mask=True)
        assert scan.slices == slices
        assert scan.slice_spacing == pytest.approx(24 / (slices - 1))
        step = (slices - 1) // 2
        assert np.array_equal(scan.values[0, ::step], shapes(3))


def test_frames_off_a_regular_grid_are_refused():
    assert "no multiples of one distance" in refusal(segmentation(shapes(3), [0, 6, 15]), mask=True)


def test_a_segmentation_is_turned_as_its_image_is():
    scan = read(segmentation(shapes(3), [0, 6, 12], axes=PRONE), mask=True)
    assert np.array_equal(scan.values[0], shapes(3)[:, ::-1, ::-1])
    assert scan.slice(1).centre == pytest.approx((-10 + 6 * 3, -20 + 5 * 2, 6))


def test_a_segmentation_of_one_frame():
    frames = shapes(1)
    scan = read(segmentation(frames, [5]), mask=True)
    assert np.array_equal(scan.values[0], frames)
    assert np.allclose(scan.affine[:3, 3], [-10, -20, 5])
    assert scan.slice_spacing == 6


def test_segments_that_do_not_overlap_are_labels_by_number():
    frames = shapes(4)
    frames[2:] = np.roll(frames[2:], 5, axis=1)
    scan = read(segmentation(frames, [0, 6, 0, 6], [1, 1, 3, 3]), mask=True)
    assert np.array_equal(scan.values[0], frames[:2] + 3 * frames[2:])
    assert any("2 segments, which do not overlap" in note for note in scan.notes)
    assert "2 segments overlap" in refusal(segmentation(shapes(4), [0, 6, 0, 6], [1, 1, 3, 3]), mask=True)
    assert "the same segment at the same place" in refusal(segmentation(shapes(2), [0, 0]), mask=True)


def test_the_only_segment_is_1_whatever_its_number():
    assert read(segmentation(shapes(2), [0, 6], [4, 4]), mask=True).values.max() == 1


def test_a_fractional_segmentation_is_cut_at_one_half():
    frames = shapes(2) * 100
    frames[:, 8, 3], frames[:, 8, 4] = 49, 50
    file = segmentation(frames, [0, 6], bits=8, SegmentationType="FRACTIONAL", MaximumFractionalValue=100)
    scan = read(file, mask=True)
    assert np.array_equal(scan.values[0], frames >= 50)
    assert any("cut at one half" in note for note in scan.notes)


def test_what_a_segmentation_cannot_be_read_with_is_said():
    file = segmentation(shapes(2), [0, 6])
    assert "as a mask" in refusal(file)
    assert "give a segmentation alone" in refusal(file, dicom_slice(0), mask=True)
    dataset = pydicom.dcmread(io.BytesIO(file[1]))
    del dataset.PerFrameFunctionalGroupsSequence
    dataset.save_as(buffer := io.BytesIO(), enforce_file_format=True)
    assert "do not say where they lie" in refusal(("s.dcm", buffer.getvalue()), mask=True)

"""DICOM series and multi-frame files: the order of slices."""

import numpy as np
import pytest
from pydicom.uid import (
    generate_uid,
)

from dafnet_core.data.readers import read
from tests.helpers.reading import refusal
from tests.helpers.valid_files import (
    dicom_bytes,
    group,
)


def test_a_shuffled_series_is_sorted_by_position_and_not_by_number(pixels):
    series = generate_uid()
    files = [
        (
            f"{k}.dcm",
            dicom_bytes(
                pixels + 1000 * k,
                SeriesInstanceUID=series,
                InstanceNumber=9 - k,
                PixelSpacing=[1, 2],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                ImagePositionPatient=[-5, -7, -30 + 8 * k],
            ),
        )
        for k in (2, 0, 3, 1)
    ]
    scan = read(*files)
    assert [scan.slice(k).pixels[0, 0] for k in range(4)] == [0, 1000, 2000, 3000]
    assert scan.slice_spacing == pytest.approx(8)
    assert scan.slice(0).centre == pytest.approx((5 - 19, 7 - 11.5, -30))
    assert scan.name == "2.dcm and 3 more"


def test_a_series_at_repeated_positions_becomes_volumes(pixels):
    series = generate_uid()
    files = [
        (
            f"{t}{k}",
            dicom_bytes(
                pixels + 1000 * t + 5000 * k,
                SeriesInstanceUID=series,
                InstanceNumber=1,
                TemporalPositionIdentifier=t + 1,
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                ImagePositionPatient=[0, 0, k],
            ),
        )
        for k in range(3)
        for t in range(2)
    ]
    scan = read(*files)
    assert (scan.volumes, scan.slices) == (2, 3)
    assert scan.slice(2, volume=1).pixels[0, 0] == 11000
    assert "files are missing" in refusal(*files[:-1])


def test_files_of_two_series_are_not_stacked(pixels):
    files = [(str(k), dicom_bytes(pixels, SeriesInstanceUID=generate_uid())) for k in range(2)]
    assert "2 different series" in refusal(*files)


def test_frames_are_slices_and_their_functional_groups_are_respected(pixels):
    frames = np.stack([pixels, pixels + 1000, pixels + 2000])
    data = dicom_bytes(
        frames,
        SharedFunctionalGroupsSequence=[
            group(
                PixelMeasuresSequence={"PixelSpacing": [1.5, 1.25], "SliceThickness": 6},
                PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
            )
        ],
        PerFrameFunctionalGroupsSequence=[
            group(
                PlanePositionSequence={"ImagePositionPatient": [0, 0, -k]},
                PixelValueTransformationSequence={"RescaleSlope": k + 1, "RescaleIntercept": 0},
            )
            for k in range(3)
        ],
    )
    scan = read(("e.dcm", data))
    assert scan.spacing == (1.5, 1.25)
    assert [scan.slice(k).pixels[0, 0] for k in range(3)] == [6000, 2000, 0]  # ascending towards the head

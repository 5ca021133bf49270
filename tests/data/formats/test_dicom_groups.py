"""Several DICOM files that are no one stack: scouts are set apart by name, all else is refused by name."""

import numpy as np
import pytest
from pydicom.uid import generate_uid

from dafnet_core.data.readers import read
from tests.helpers.dicom_series import CORONAL, SAGITTAL, dicom_slice, first_pixels, picture
from tests.helpers.reading import refusal
from tests.helpers.valid_files import PATIENT, dicom_bytes

STACK = [dicom_slice(k, step=(0, 0, 3)) for k in range(9)]
SCOUT = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


@pytest.mark.parametrize(
    ("scout", "words"),
    [
        (
            dicom_slice(0, 50, axes=CORONAL, ImageType=SCOUT),
            "1 file is set apart: another orientation (coronal), a scout by its ImageType (LOCALIZER).",
        ),
        (dicom_slice(0, 50, axes=SAGITTAL), "1 file is set apart: another orientation (sagittal)."),
        (dicom_slice(0, 50, PixelSpacing=[3, 3]), "1 file is set apart: another pixel spacing (3 x 3 mm)."),
        (dicom_slice(0, 50, SeriesInstanceUID=generate_uid()), "1 file is set apart: another series."),
        (dicom_slice(4, 50, ImageType=SCOUT), "the same geometry, a scout by its ImageType (LOCALIZER)."),
        (dicom_slice(0, 50, axes=(0.99619, 0, 0.08716, 0, 1, 0)), "another orientation (axial, at another angle)."),
        (
            ("big", dicom_bytes(np.zeros((64, 64), np.int16), SeriesInstanceUID="1.2.826.0.1.3680043.8.498.2")),
            "1 file is set apart:",
        ),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_scout_is_set_apart_and_shifts_nothing(scout, words, first):
    scan = read(*([scout, *STACK] if first else [*STACK, scout]))
    assert first_pixels(scan) == [list(range(9))]
    assert scan.slice_spacing == pytest.approx(3)
    assert scan.slice(0).centre == pytest.approx((5 - 19, 7 - 11.5, -30))
    assert any(words in note for note in scan.notes)


def test_a_slice_at_another_angle_leaves_a_gap_that_is_named():
    odd = dicom_slice(4, step=(0, 0, 3), axes=(0.9397, 0.342, 0, -0.342, 0.9397, 0))
    scan = read(*STACK[:4], odd, *STACK[5:])
    for k in (0, 3, 5, 8):
        assert np.array_equal(scan.slice(k).pixels, picture(k))
    assert any("set apart" in note for note in scan.notes)
    assert any("is missing" in note for note in scan.notes)


def test_stacks_of_comparable_size_are_refused_with_what_each_is():
    coronal = [dicom_slice(k, axes=CORONAL, step=(0, 8, 0), EchoTime=4.6) for k in range(5)]
    message = refusal(*STACK, *coronal)
    assert "9 axial of 24 x 20 pixels; 5 coronal of 24 x 20 pixels, echo time 4.6 ms" in message
    scouts = [dicom_slice(0, axes=axes, ImageType=SCOUT) for axes in (CORONAL, SAGITTAL)]
    assert "1 coronal scout" in refusal(*scouts)
    assert "3 stacks of different geometry" in refusal(dicom_slice(0), *scouts[:1], dicom_slice(0, axes=SAGITTAL))


def test_two_series_that_are_both_stacks_are_refused():
    other = [dicom_slice(k, SeriesInstanceUID="1.2.3") for k in range(2)]
    assert "2 different series" in refusal(*STACK, *other)


def test_files_of_two_patients_or_studies_are_refused_without_their_names():
    message = refusal(*STACK[:3], dicom_slice(3, PatientID="8150-1174"))
    assert "2 different patients" in message
    assert PATIENT not in message
    assert "1174" not in message
    assert "2 different studies" in refusal(*(dicom_slice(k, StudyInstanceUID=f"1.{k}") for k in range(2)))
    assert "frames of reference" in refusal(*(dicom_slice(k, FrameOfReferenceUID=f"1.{k}") for k in range(2)))


def test_a_file_that_is_no_picture_is_named():
    report = ("report.dcm", dicom_slice(0, Modality="SR")[1])
    assert "in `report.dcm`: it is a structured report" in refusal(*STACK, report)


def test_a_siemens_mosaic_is_refused():
    message = refusal(dicom_slice(0, ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]))
    assert "mosaic" in message
    assert "dcm2niix" in message


def test_very_many_planes_are_refused_before_they_are_all_compared():
    angles = np.deg2rad(np.arange(70) * 2)
    files = [dicom_slice(0, 1, axes=(np.cos(a), np.sin(a), 0, 0, 0, -1)) for a in angles]
    assert "more than 64 different planes" in refusal(*files)


def test_scouts_that_far_outnumber_the_rest_are_not_set_apart():
    scouts = [dicom_slice(k, axes=CORONAL, step=(0, 8, 0), ImageType=SCOUT) for k in range(9)]
    assert "9 coronal scout" in refusal(dicom_slice(0), *scouts)
    assert read(*STACK, *scouts, *scouts[:1]).slices == 9


def test_files_of_very_many_frames_are_refused_before_their_frames_are_listed():
    file = ("a", dicom_bytes(np.zeros((3000, 8, 8), np.uint8)))
    assert "the files declare 6000 frames" in refusal(file, file)

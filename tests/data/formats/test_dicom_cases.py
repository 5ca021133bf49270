"""DICOM files rebuilt from public reports of errors, in the folder of test data."""

import os
from pathlib import Path

import numpy as np
import pytest

from dafnet_core.data.readers import read
from tests.helpers.awkward_files import needs_data
from tests.helpers.reading import refusal

CASES = Path(os.environ.get("DAFNET_TEST_DATA") or ".", "cases")
pytestmark = needs_data


def folder(name):
    return sorted((CASES / name).glob("*.dcm"))


@pytest.mark.parametrize("name", ["T1", "T2"])
def test_a_prone_series_agrees_with_its_nifti_file(name):
    case = CASES / "03-prone-dicom-nifti-mask"
    scan, other = read(*sorted((case / name).glob("*.dcm"))), read(case / f"{name}_as_dcm2niix.nii.gz")
    assert np.allclose(scan.affine, other.affine, atol=1e-3)
    assert np.array_equal(scan.values, other.values)


def test_the_mask_of_a_prone_series_lies_on_the_organ():
    case = CASES / "03-prone-dicom-nifti-mask"
    scan, mask = read(*sorted((case / "T1").glob("*.dcm"))), read(case / "T1_mask.nii.gz", mask=True)
    assert np.allclose(scan.affine, mask.affine, atol=1e-3)
    for label in (1, 2):
        inside = mask.values[0] == label
        turned = inside[:, ::-1, ::-1]
        spread = [scan.values[0][region].std() for region in (inside, turned)]
        assert spread[0] < 0.95 * spread[1]  # an organ is more even than what lies opposite


def test_padding_does_not_compress_the_contrast():
    padded, plain = (read(CASES / "05-pixel-padding" / name) for name in ("padded.dcm", "unpadded.dcm"))
    assert np.ptp(padded.values) == np.ptp(plain.values)
    assert padded.values.min() == plain.values.min()


def test_a_scout_is_set_apart():
    files = folder("06-scout-in-series")
    scan = read(*files)
    assert scan.slices == len(files) - 1
    assert scan.slice_spacing == pytest.approx(8)
    assert any("set apart" in note and "LOCALIZER" in note for note in scan.notes)


def test_a_segmentation_of_fewer_frames_lies_where_its_frames_lie():
    case = CASES / "08-seg-fewer-frames"
    image, mask = read(*sorted((case / "T1").glob("*.dcm"))), read(case / "left_seg.dcm", mask=True)
    offset = np.linalg.solve(image.affine, mask.affine)  # from the mask's to the image's (column, row, slice, 1)
    assert np.allclose(offset, [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 5], [0, 0, 0, 1]])
    assert mask.slices == 8
    assert mask.values.any(axis=(0, 2, 3)).all()


def test_echoes_of_the_same_number_become_two_volumes():
    scan = read(*folder("10-echoes-same-instance-number"))
    assert (scan.volumes, scan.slices) == (2, 6)
    assert scan.volume_names == ("echo time 2.3 ms", "echo time 4.6 ms")
    means = scan.values.mean(axis=(2, 3))
    jumps = np.abs(np.diff(means, axis=1)).max()
    assert np.abs(means[0] - means[1]).min() > jumps  # contrasts differ, slices of one do not


def test_mixed_echoes_are_refused():
    assert "EchoTime: 2.3 (6), 4.6 (3)" in refusal(*folder("11-mixed-echoes"))

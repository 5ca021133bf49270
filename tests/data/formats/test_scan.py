"""What every reader gives: pixels, names, notes, and labels of masks."""

import gzip

import numpy as np
import pytest

from dafnet_core.data.readers import ReadError, read
from tests.helpers.reading import refusal
from tests.helpers.valid_files import (
    dicom_bytes,
    nifti_bytes,
    npy_bytes,
    png_bytes,
)


def test_a_slice_is_float32_contiguous_and_finite(pixels):
    array = pixels.astype(">f8")
    array[0, 0], array[0, 1], array[0, 2] = np.nan, np.inf, -np.inf
    scan = read(("x.npy", npy_bytes(array)))
    item = scan.slice()
    assert item.pixels.dtype == np.float32
    assert item.pixels.flags.c_contiguous
    assert item.pixels[0, :4].tolist() == [3, 479, 3, 3]
    assert any("3 values that were not finite" in note for note in item.notes)


def test_the_middle_slice_comes_without_an_index_and_a_wrong_index_names_the_range(pixels):
    scan = read(("v.npy", npy_bytes(np.stack([pixels + 1000 * k for k in range(5)]))))
    assert (scan.volumes, scan.slices) == (1, 5)
    assert scan.slice().pixels[0, 0] == 2000
    assert scan.slice(4).origin == "`v.npy`, slice 5 of 5"
    with pytest.raises(ReadError, match="slices 0 to 4"):
        scan.slice(5)
    with pytest.raises(ReadError, match="volumes 0 to 0"):
        scan.slice(0, volume=1)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/home/someone/brain.npy", "brain.npy"),
        ("C:\\scans\\brain.npy", "brain.npy"),
        ("<img src=x onerror=alert(1)>.npy", "_img src=x onerror=alert(1)_.npy"),
        ("Gehirn_Ä_脑.npy", "Gehirn_Ä_脑.npy"),
        ("abc\u202egnp.npy", "abc_gnp.npy"),
        ("", "unnamed"),
    ],
)
def test_names_are_shown_without_folders_markup_and_control_characters(name, shown, pixels):
    assert read((name, npy_bytes(pixels))).name == shown


def test_long_names_are_shortened(pixels):
    assert len(read(("x" * 5000 + ".npy", npy_bytes(pixels))).name) <= 80


def test_content_decides_and_not_the_name(pixels):
    for name, data, kind in [
        ("a.png", npy_bytes(pixels), "NPY"),
        ("a.npy", png_bytes(pixels.astype(np.uint8)), "PNG"),
        ("a.dcm", nifti_bytes(pixels[:, :, None]), "NIfTI"),
        ("a.nii", gzip.compress(nifti_bytes(pixels[:, :, None])), "NIfTI"),
        ("a.jpg", dicom_bytes(pixels), "DICOM"),
        ("a.nii.gz", gzip.compress(png_bytes(pixels.astype(np.uint8))), "PNG"),
    ]:
        assert read((name, data)).kind == kind


def test_masks_keep_their_labels_as_int32(pixels):
    labels = (pixels % 5 * 63).astype(np.float32)
    scan = read(("m.npy", npy_bytes(labels)), mask=True)
    assert scan.values.dtype == np.int32
    assert np.array_equal(scan.values[0, 0], labels)
    assert "Labels in the file: 0, 63, 126, 189, 252." in scan.notes
    boolean = read(("m.npy", npy_bytes(pixels > 100)), mask=True)
    assert np.array_equal(boolean.values[0, 0], pixels > 100)


def test_what_is_no_mask_is_refused_with_the_reason(pixels):
    colours = np.dstack([(pixels % 2 * 255).astype(np.uint8), *[np.zeros(pixels.shape, np.uint8)] * 2])
    assert "such as 0.2" in refusal(("p.npy", npy_bytes(np.full((9, 9), 0.2))), mask=True)
    assert "negative" in refusal(("n.npy", npy_bytes(-(pixels % 2))), mask=True)
    assert "more than 32" in refusal(("i.npy", npy_bytes(pixels)), mask=True)
    assert "colour" in refusal(("c.png", png_bytes(colours)), mask=True)
    assert "NaN" in refusal(("x.npy", npy_bytes(np.full((9, 9), np.nan))), mask=True).replace("nan", "NaN")

"""PixelPaddingValue: stored values that are no intensity."""

import numpy as np
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from dafnet_core.data.readers import read
from tests.helpers.reading import refusal
from tests.helpers.valid_files import dicom_bytes


def padded(pixels, value, dtype=np.int16):
    """Pixels from 10 up, with the first three rows of a padding value."""
    stored = (pixels + 10).astype(dtype)
    stored[:3] = value
    return stored


def check(scan, pixels, slope=1.0, intercept=0.0):
    wanted = (pixels + 10.0) * slope + intercept
    wanted[:3] = wanted[3:].min()
    assert np.array_equal(scan.values[0, 0], wanted)
    assert any(note.startswith("60 padding pixels (PixelPaddingValue)") for note in scan.notes)


def with_padding(stored, value, limit=None, vr=None, **tags):
    """A file whose padding tags are written as they are given, in a VR that need not be right."""
    import io

    import pydicom

    dataset = pydicom.dcmread(io.BytesIO(dicom_bytes(stored, **tags)))
    vr = vr or ("SS" if stored.dtype.kind == "i" else "US")
    dataset.add_new("PixelPaddingValue", vr, value)
    if limit is not None:
        dataset.add_new("PixelPaddingRangeLimit", vr, limit)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return "x.dcm", buffer.getvalue()


@pytest.mark.parametrize(
    ("value", "written", "dtype", "vr"),
    [
        (-32768, -32768, np.int16, "SS"),
        (-32768, 32768, np.int16, "US"),  # the same bits with the wrong sign
        (-2000, 63536, np.int16, "US"),
        (65535, 65535, np.uint16, "US"),
        (65535, -1, np.uint16, "SS"),
        (0, 0, np.uint16, "US"),
        (255, 255, np.uint8, "US"),
    ],
)
def test_padding_becomes_the_smallest_real_value(pixels, value, written, dtype, vr):
    pixels = pixels % 200
    check(read(with_padding(padded(pixels, value, dtype), written, vr=vr)), pixels)


@pytest.mark.parametrize("value", [-2000, 65535])
def test_padding_where_the_file_states_no_types(pixels, value):
    stored = padded(pixels, value, np.int16 if value < 0 else np.uint16)
    file = dicom_bytes(stored, ImplicitVRLittleEndian, PixelPaddingValue=value)
    check(read(("x.dcm", file)), pixels)


def test_padding_is_known_by_its_stored_value_and_not_by_the_rescaled_one(pixels):
    file = with_padding(padded(pixels, -2000), -2000, RescaleSlope=2, RescaleIntercept=-1024)
    check(read(file), pixels, 2, -1024)
    file = with_padding(padded(pixels, -2000), -2000, RescaleSlope=-1, RescaleIntercept=0)
    check(read(file), pixels, -1)


@pytest.mark.parametrize("limits", [(-2000, -1000), (-1000, -2000)])
def test_a_range_of_padding_values(pixels, limits):
    stored = padded(pixels, -2000)
    stored[1], stored[2] = -1500, -1000
    check(read(with_padding(stored, *limits)), pixels)


def test_a_padding_value_that_cannot_be_stored_is_ignored(pixels):
    plain = (pixels + 10).astype(np.uint16)
    for value, vr in ((-2000, "SS"), (63536, "US")):
        scan = read(with_padding(plain, value, vr=vr, BitsStored=12, HighBit=11))
        assert np.array_equal(scan.values[0, 0], plain)
        assert not any("padding" in note for note in scan.notes)
    absent = read(with_padding(plain, 4000))
    assert np.array_equal(absent.values[0, 0], plain)
    assert not any("padding" in note for note in absent.notes)


def test_padding_of_an_inverted_picture_is_dark(pixels):
    scan = read(with_padding(padded(pixels, 0), 0, PhotometricInterpretation="MONOCHROME1"))
    wanted = (70.0 + 489) - (pixels + 10)  # real values are 70 to 489
    wanted[:3] = 70
    assert np.array_equal(scan.values[0, 0], wanted)


def test_padding_of_a_mask_is_background():
    labels = np.tile(np.repeat(np.array([0, 1, 2, 2], np.int16), 5), (24, 1))
    labels[:3] = -1
    scan = read(with_padding(labels, -1), mask=True)
    assert (scan.values[0, 0, :3] == 0).all()
    assert np.array_equal(scan.values[0, 0, 3:], labels[3:])
    assert "negative labels" in refusal(("x.dcm", dicom_bytes(labels)), mask=True)


def test_a_picture_of_nothing_but_padding_is_constant(pixels):
    scan = read(with_padding(np.full_like(pixels, -5), -5))
    assert (scan.values == 0).all()
    assert any("nothing to see" in note for note in scan.notes)

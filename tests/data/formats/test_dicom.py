"""DICOM: values, geometry, patients' names, and files that cannot be decoded."""

import struct

import nibabel
import numpy as np
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dafnet_core.data.formats.scan import PRIVACY_NOTE
from dafnet_core.data.readers import read
from tests.helpers.reading import refusal
from tests.helpers.valid_files import (
    dicom_bytes,
    pair_bytes,
)


def test_a_dicom_file_gives_its_pixels_and_spacing_as_row_and_column(pixels):
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        scan = read(("x", dicom_bytes(pixels, syntax, PixelSpacing=[0.5, 0.75])))
        assert np.array_equal(scan.values[0, 0], pixels)
        assert scan.spacing == (0.5, 0.75)


def test_a_dicom_data_set_without_preamble_is_read(pixels):
    assert np.array_equal(read(("x", dicom_bytes(pixels, preamble=False))).values[0, 0], pixels)


def test_rescale_is_applied_and_monochrome1_inverted(pixels):
    scaled = read(("x", dicom_bytes(pixels, RescaleSlope=2, RescaleIntercept=-1024))).slice()
    assert np.array_equal(scaled.pixels, 2.0 * pixels - 1024)
    inverted = read(("x", dicom_bytes(pixels, PhotometricInterpretation="MONOCHROME1"))).slice()
    assert np.array_equal(inverted.pixels, 479.0 - pixels)
    assert any("inverted" in note for note in inverted.notes)


def test_identifying_tags_are_noted_and_never_shown(pixels):
    scan = read(("x.dcm", dicom_bytes(pixels)))
    assert PRIVACY_NOTE in scan.notes
    shown = repr((scan.name, scan.notes, scan.slice().origin))
    assert "Secret" not in shown
    assert "4711" not in shown
    anonymous = read(("x.dcm", dicom_bytes(pixels, PatientName="", PatientID="")))
    assert PRIVACY_NOTE not in anonymous.notes
    for broken in (
        dicom_bytes(pixels)[:-100],
        dicom_bytes(pixels, Modality="SR"),
        dicom_bytes(pixels, Rows=4711),
    ):
        message = refusal(("x.dcm", broken))
        assert "Secret" not in message
        assert "4711-0815" not in message


def test_a_patient_in_an_analyze_or_nifti_header_is_noted_and_never_shown(pixels):
    header, data = pair_bytes(nibabel.AnalyzeImage(pixels.T[:, :, None], None))
    assert PRIVACY_NOTE not in read(("a.hdr", header), ("a.img", data)).notes
    named = read(("a.hdr", header[:283] + b"4711-0815" + header[292:]), ("a.img", data))
    assert PRIVACY_NOTE in named.notes
    assert "4711" not in repr(named.notes)
    image = nibabel.Nifti1Image(pixels.T[:, :, None], np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x"))
    assert PRIVACY_NOTE not in read(("n.nii", image.to_bytes())).notes
    image.header.extensions[:] = [nibabel.nifti1.Nifti1Extension("dicom", dicom_bytes(pixels))]
    assert PRIVACY_NOTE in read(("n.nii", image.to_bytes())).notes


def test_a_dicom_file_of_a_million_tiny_elements_is_given_up(pixels):
    data = dicom_bytes(pixels)
    at = data.index(b"\xe0\x7f\x10\0")  # the pixel data element
    tiny = b"".join(struct.pack("<HH2sH", 0x2001 + 2 * (k >> 15), k & 0x7FFF, b"LO", 0) for k in range(300_000))
    assert "far more DICOM elements" in refusal(("x.dcm", data[:at] + tiny + data[at:]))

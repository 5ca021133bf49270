"""Readers: what they load is what was stored, and what they refuse they refuse in words."""

import csv
import gzip
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    generate_uid,
)
from valid_files import (
    FILES,
    NAME,
    PIXELS,
    deep_png_bytes,
    dicom_bytes,
    group,
    mutation,
    nifti_bytes,
    npy_bytes,
    packed_dicom,
    pair_bytes,
    picture_bytes,
    png_bytes,
    png_chunk,
)

from dafnet_core.data.formats.scan import PRIVACY_NOTE
from dafnet_core.data.readers import ReadError, read

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def pixels():
    return PIXELS.copy()


def refusal(*files, mask=False):
    with pytest.raises(ReadError) as caught:
        read(*files, mask=mask)
    message = str(caught.value)
    assert "Traceback" not in message
    assert "\n" not in message
    assert len(message) < 400
    return message


# ---- the result ------------------------------------------------------------------------------------------


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


# ---- NIfTI -----------------------------------------------------------------------------------------------

AXES = {"L": (0, -1), "R": (0, 1), "P": (1, -1), "A": (1, 1), "S": (2, 1), "I": (2, -1)}
PLANES = {"axial": ("L", "P", "S"), "coronal": ("L", "I", "P"), "sagittal": ("P", "I", "L")}
OPPOSITE = dict(zip("LRPASI", "RLAPIS", strict=True))


def stored_as(volume, shown, codes):
    """Store a (slice, row, column) volume whose columns, rows, slices point to shown, along axes codes."""
    array = volume.transpose(2, 1, 0)  # column, row, slice
    order = [next(k for k, s in enumerate(shown) if s in (code, OPPOSITE[code])) for code in codes]
    array = array.transpose(order)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    spacing = (2.0, 3.0, 5.0)  # column, row, slice
    for axis, code in enumerate(codes):
        if code != shown[order[axis]]:
            array = np.flip(array, axis)
        patient_axis, sign = AXES[code]
        affine[patient_axis, axis] = sign * spacing[order[axis]]
    return np.ascontiguousarray(array), affine


@pytest.mark.parametrize("plane", PLANES)
def test_every_way_to_store_a_nifti_gives_the_same_picture(plane):
    shown = PLANES[plane]
    volume = np.arange(3 * 10 * 12, dtype=np.float32).reshape(3, 10, 12)
    for swap in (False, True):
        for flips in np.ndindex(2, 2, 2):
            codes = [OPPOSITE[c] if flip else c for c, flip in zip(shown, flips, strict=True)]
            if swap:
                codes[0], codes[1] = codes[1], codes[0]
            array, affine = stored_as(volume, shown, codes)
            scan = read(("v.nii", nifti_bytes(array, affine)))
            assert np.array_equal(scan.values[0], volume), codes
            assert scan.spacing == (3.0, 2.0)
            assert scan.slice_spacing == 5.0
            assert "".join(codes) in scan.notes[0]


def test_the_phantoms_way_of_storing_needs_no_flip(pixels):
    affine = np.diag([-1.4, -1.4, 9, 1])
    item = read(("p.nii", nifti_bytes(pixels.T[:, :, None], affine))).slice()
    assert np.array_equal(item.pixels, pixels)
    assert item.spacing == pytest.approx((1.4, 1.4))
    assert "nothing had to be flipped" in item.notes[0]


def test_the_centre_of_a_slice_does_not_depend_on_how_it_is_stored():
    volume = np.zeros((1, 10, 12), np.float32)
    array, affine = stored_as(volume, PLANES["axial"], ("L", "P", "S"))
    flipped = affine @ np.array([[-1, 0, 0, 11], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    first = read(("a.nii", nifti_bytes(array, affine))).slice().centre
    second = read(("b.nii", nifti_bytes(array[::-1].copy(), flipped))).slice().centre
    assert first == pytest.approx((-11.0, -13.5, 0.0))
    assert second == pytest.approx(first)


def test_without_orientation_a_nifti_is_shown_as_stored(pixels):
    item = read(("n.nii", nibabel.Nifti1Image(pixels.T[:, :, None], None).to_bytes())).slice()
    assert np.array_equal(item.pixels, pixels)
    assert "no orientation" in item.notes[0]


@pytest.mark.parametrize(("at", "value"), [(76, 3.0), (256, np.inf), (256, np.nan), (256, 9.0)])
def test_a_nifti_whose_rotation_is_none_is_shown_as_stored(at, value, pixels):
    """Handedness (pixdim[0]) that is neither, and a quaternion that is not finite or too long."""
    data = bytearray(nifti_bytes(pixels.T[:, :, None], np.diag([-1, -1, 1, 1]), qform_code=1, sform_code=0))
    data[at : at + 4] = struct.pack("<f", value)
    item = read(("n.nii", bytes(data))).slice()
    assert np.array_equal(item.pixels, pixels)
    assert any("orientation matrix is not usable" in note for note in item.notes)


def test_nifti_2_and_big_endian_and_2d_read_alike(pixels):
    for image in (
        nibabel.Nifti2Image(pixels.T[:, :, None], np.diag([-1, -1, 1, 1])),
        nibabel.Nifti1Image(pixels.T.astype(">i2"), np.diag([-1, -1, 1, 1])),
        nibabel.Nifti1Image(pixels.T.astype("f4"), np.diag([-1, -1, 1, 1]), nibabel.Nifti1Header(endianness=">")),
    ):
        assert np.array_equal(read(("n.nii", image.to_bytes())).slice().pixels, pixels)


def test_nifti_scaling_is_applied_and_a_nan_slope_ignored(pixels):
    data = bytearray(nifti_bytes(pixels.T[:, :, None], np.diag([-1, -1, 1, 1])))
    data[112:120] = struct.pack("<2f", 0.5, -10)
    assert np.array_equal(read(("n.nii", bytes(data))).slice().pixels, pixels * 0.5 - 10)
    data[112:120] = struct.pack("<2f", np.nan, 0)
    item = read(("n.nii", bytes(data))).slice()
    assert np.array_equal(item.pixels, pixels)
    assert any("unscaled" in note for note in item.notes)


def test_nifti_units_are_respected(pixels):
    affine = np.diag([-0.001, -0.002, 0.003, 1])
    data = nifti_bytes(pixels.T[:, :, None], affine, xyzt_units=1)  # metres
    assert read(("n.nii", data)).spacing == pytest.approx((2.0, 1.0))


def test_four_dimensions_are_volumes_and_trailing_ones_are_squeezed(pixels):
    stack = np.stack([pixels.T + 1000 * k for k in range(6)]).reshape(2, 3, 20, 24).transpose(2, 3, 1, 0)
    scan = read(("f.nii", nifti_bytes(stack[..., None], np.diag([-1, -1, 1, 1]))))
    assert (scan.volumes, scan.slices) == (2, 3)
    assert scan.slice(1, volume=1).pixels[0, 0] == 4000
    assert "5 dimensions" in refusal(("w.nii", nifti_bytes(np.zeros((9, 9, 2, 1, 3), np.float32))))


def test_header_and_data_in_two_files_find_each_other(tmp_path, pixels):
    nibabel.save(nibabel.Nifti1Pair(pixels.T[:, :, None], np.diag([-1, -1, 1, 1])), tmp_path / "a.img")
    for name in ("a.hdr", "a.img"):
        assert np.array_equal(read(tmp_path / name).slice().pixels, pixels)
    header, data = (tmp_path / "a.hdr").read_bytes(), (tmp_path / "a.img").read_bytes()
    assert np.array_equal(read(("b.img", data), ("b.hdr", header)).slice().pixels, pixels)
    assert "give both files" in refusal(("b.hdr", header))


def test_a_gzip_checksum_is_verified_to_the_end(pixels):
    packed = bytearray(gzip.compress(nifti_bytes(pixels[:, :, None])))
    packed[-8] ^= 1  # the checksum itself: every voxel could be read
    assert "damaged" in refusal(("n.nii.gz", bytes(packed)))
    assert "cut short" in refusal(("n.nii.gz", bytes(packed[:-8])))


def test_broken_nifti_headers_are_refused_with_the_cause(pixels):
    good = bytearray(nifti_bytes(pixels[:, :, None].astype(np.float32)))

    def patched(at, layout, *values):
        data = bytearray(good)
        data[at : at + struct.calcsize(layout)] = struct.pack(layout, *values)
        return ("n.nii", bytes(data))

    assert "negative" in refusal(patched(42, "<h", -24))
    assert "data type 9999" in refusal(patched(70, "<h", 9999))
    assert "byte 1e+09" in refusal(patched(108, "<f", 1e9))
    assert "million values" in refusal(patched(42, "<3h", 4000, 4000, 30000))
    assert "cut short" in refusal(patched(42, "<3h", 4000, 4000, 1))
    assert "cut short" in refusal(("n.nii", bytes(good[:-1])))


# ---- DICOM -----------------------------------------------------------------------------------------------


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
                InstanceNumber=t,
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


def test_dicom_that_cannot_be_decoded_is_refused_with_the_method(pixels):
    frame = b"\xff\xd8\xff\xc3" + bytes(20)
    assert "JPEG Lossless" in refusal(("x.dcm", packed_dicom(pixels, JPEGLosslessSV1, [frame])))
    assert "JPEG Extended" in refusal(("x.dcm", packed_dicom(pixels, JPEGExtended12Bit, [frame])))


def test_compressed_frames_give_their_pixels(pixels):
    frames = [(pixels % 250).astype(np.uint8), (pixels % 240).astype(np.uint8)]
    packed = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
        packed.append(buffer.getvalue())
    one = packed_dicom(frames[0], JPEG2000Lossless, packed[:1])
    assert np.array_equal(read(("x.dcm", one)).values[0, 0], frames[0])
    both = packed_dicom(np.stack(frames), JPEG2000Lossless, packed)
    assert np.array_equal(read(("x.dcm", both)).values[0], frames)
    assert "not what its header says" in refusal(
        ("x.dcm", packed_dicom(np.stack(frames), JPEG2000Lossless, packed[:1]))
    )


def test_luminance_and_chroma_give_their_luminance(pixels):
    small = pixels.astype(np.uint8)
    for chroma, note in ((128, "Equal colour channels"), (90, "turned to grey")):
        stored = np.dstack([small, np.full_like(small, chroma), np.full_like(small, 128)])
        data = dicom_bytes(
            small,
            SamplesPerPixel=3,
            PlanarConfiguration=0,
            PhotometricInterpretation="YBR_FULL",
            PixelData=stored.tobytes(),
        )
        scan = read(("x.dcm", data))
        assert np.array_equal(scan.values[0, 0], small)
        assert any(note in n for n in scan.notes)
        if chroma == 90:
            assert "colour" in refusal(("x.dcm", data), mask=True)


def test_a_dicom_file_of_a_million_tiny_elements_is_given_up(pixels):
    data = dicom_bytes(pixels)
    at = data.index(b"\xe0\x7f\x10\0")  # the pixel data element
    tiny = b"".join(struct.pack("<HH2sH", 0x2001 + 2 * (k >> 15), k & 0x7FFF, b"LO", 0) for k in range(300_000))
    assert "far more DICOM elements" in refusal(("x.dcm", data[:at] + tiny + data[at:]))


def test_a_compressed_frame_that_is_larger_than_its_header_is_refused_before_decoding(pixels):
    buffer = io.BytesIO()
    Image.new("L", (9000, 9000)).save(buffer, "JPEG")
    data = packed_dicom(pixels.astype(np.uint8), JPEGBaseline8Bit, [buffer.getvalue()])
    assert "9000 x 9000" in refusal(("x.dcm", data))


def test_a_compressed_frame_of_very_many_tiles_is_refused_before_decoding():
    for tile, refused in ((64, False), (2, True)):
        frame = picture_bytes("JPEG2000", np.zeros((256, 256), np.uint8), no_jp2=True, tile_size=(tile, tile))
        data = packed_dicom(np.zeros((256, 256), np.uint8), JPEG2000Lossless, [frame])
        if refused:
            assert "tiles" in refusal(("x.dcm", data))
        else:
            assert read(("x.dcm", data)).slices == 1


# ---- pictures --------------------------------------------------------------------------------------------


def test_pictures_give_their_stored_values(tmp_path, pixels):
    deep = (pixels * 100).astype(np.uint16)
    cases = {
        "8.png": pixels.astype(np.uint8),
        "16.png": deep,
        "8.bmp": pixels.astype(np.uint8),
        "16.tif": deep,
        "float.tif": pixels.astype(np.float32) / 7,
        "int32.tif": pixels.astype(np.int32) - 200,
    }
    for name, array in cases.items():
        Image.fromarray(array).save(tmp_path / name)
        assert np.array_equal(read(tmp_path / name).values[0, 0], array.astype(np.float32)), name


def test_16_bits_per_colour_keep_all_16_bits(pixels):
    deep = (pixels * 100 + 7).astype(">u2")
    for colour, channels in ((2, 3), (4, 2), (6, 4)):
        data = deep_png_bytes(np.repeat(deep[:, :, None], channels, axis=2), colour)
        assert np.array_equal(read(("d.png", data)).values[0, 0], deep), channels


def test_colour_becomes_grey_with_a_note_and_equal_channels_stay_exact(pixels):
    grey = pixels.astype(np.uint8)
    same = read(("s.png", png_bytes(np.dstack([grey] * 3))))
    assert np.array_equal(same.values[0, 0], grey)
    red = np.dstack([grey, grey * 0, grey * 0])
    scan = read(("r.png", png_bytes(red)))
    assert np.allclose(scan.values[0, 0], 0.299 * grey, atol=1e-3)
    assert any("grey" in note for note in scan.notes)


def test_palettes_are_colours_for_images_and_indices_for_masks(pixels):
    indices = Image.fromarray((pixels % 3).astype(np.uint8), "L")
    indices = indices.convert("P")
    indices.putpalette([0, 0, 0, 90, 90, 90, 200, 200, 200])
    buffer = io.BytesIO()
    indices.save(buffer, "PNG")
    data = ("p.png", buffer.getvalue())
    stored = np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
    assert np.array_equal(read(data, mask=True).values[0, 0], stored)
    assert set(np.unique(read(data).values)) == {0, 90, 200}


def test_pages_are_slices(tmp_path, pixels):
    pages = [Image.fromarray(pixels.astype(np.uint8) + k) for k in range(3)]
    pages[0].save(tmp_path / "z.tif", save_all=True, append_images=pages[1:])
    scan = read(tmp_path / "z.tif")
    assert scan.slices == 3
    assert np.array_equal(scan.values[0, 2], pixels.astype(np.uint8) + 2)


def test_declared_sizes_are_refused_before_decoding():
    header = struct.pack(">2I5B", 60000, 60000, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header
    data += struct.pack(">I", zlib.crc32(b"IHDR" + header)) + struct.pack(">I", 0) + b"IDAT"
    assert "pixels" in refusal(("lying.png", data))


def test_a_jpeg_of_thousands_of_scans_is_refused_before_decoding(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", progressive=True)
    good = buffer.getvalue()
    assert read(("p.jpg", good)).values.shape == (1, 1, 24, 20)
    last = good.rindex(b"\xff\xda")
    assert "scans" in refusal(("p.jpg", good[:-2] + good[last:-2] * 1000 + good[-2:]))


def test_a_tiff_or_exif_that_lists_millions_of_numbers_is_refused_before_they_are_made(pixels):
    """Strips of a TIFF, and the orientation in a PNG's EXIF data; 16 million numbers take Python 500 MB and more."""
    numbers = np.ones(1 << 20, "<u4").tobytes()

    def tiff(tag, *entries):
        table = b"".join(struct.pack("<HHII", *e) for e in sorted([(tag, 4, len(numbers) // 4, 8), *entries]))
        head = struct.pack("<2sHI", b"II", 42, 8 + len(numbers))
        return head + numbers + struct.pack("<H", 1 + len(entries)) + table + bytes(4)

    sizes = [(k, 3, 1, v) for k, v in ((256, 64), (257, 64), (258, 8), (259, 1), (262, 1), (277, 1), (279, 4096))]
    assert "lists 1048583 numbers" in refusal(("t.tif", tiff(273, *sizes)))
    png = png_bytes(pixels.astype(np.uint8))
    exif = png[:-12] + png_chunk(b"eXIf", tiff(274, (258, 3, 1, 8))) + png[-12:]
    assert "lists 1048577 numbers" in refusal(("p.png", exif))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_of_hundreds_of_thousands_of_tiny_chunks_is_given_up(kind, pixels):
    good = picture_bytes(kind, pixels.astype(np.uint8))
    at, tiny = (33, png_chunk(b"prVt", b"")) if kind == "PNG" else (2, b"\xff\xe5\0\2")
    assert read(("p", good[:at] + tiny * 100 + good[at:])).slices == 1
    assert f"more {kind} chunks" in refusal(("p", good[:at] + tiny * 600_000 + good[at:]))


def test_content_that_goes_on_after_the_voxels_is_not_inflated_without_end(pixels):
    voxels = nifti_bytes(pixels[:, :, None])
    assert read(("n.nii.gz", gzip.compress(voxels + bytes(5000)))).slices == 1
    assert "fill the memory" in refusal(("n.nii.gz", gzip.compress(voxels + bytes(80 << 20), 1)))


def test_too_small_and_too_elongated_pictures_are_refused():
    assert "too small" in refusal(("s.png", png_bytes(np.zeros((7, 100), np.uint8))))
    assert "strip" in refusal(("s.png", png_bytes(np.zeros((8, 600), np.uint8))))
    assert read(("w.png", png_bytes(np.zeros((60, 1500), np.uint8)))).slice().pixels.shape == (60, 1500)


# ---- arrays ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<u4", ">i8", "<f2", ">f4", "<f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_type_and_order_give_the_same_values(dtype, order, pixels):
    array = np.asarray(np.stack([pixels % 120, pixels % 7]), dtype=dtype, order=order)
    assert np.array_equal(read(("a.npy", npy_bytes(array))).values[0], array.astype(np.float32))


def test_large_arrays_are_converted_in_parts_without_mixing_them():
    array = np.random.default_rng(0).integers(0, 60000, (3, 1100, 1000)).astype(np.uint16)
    for stored in (array, np.asfortranarray(array)):
        assert np.array_equal(read(("a.npy", npy_bytes(stored))).values[0], array)
    turned = np.ascontiguousarray(array.transpose(1, 2, 0)[::-1, ::-1])
    image = nifti_bytes(turned, np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    assert np.array_equal(read(("a.nii", image)).values[0], array)


def test_complex_values_give_their_magnitude(pixels):
    scan = read(("c.npy", npy_bytes(pixels * (3 + 4j))))
    assert np.allclose(scan.values[0, 0], 5.0 * pixels)
    assert any("magnitude" in note for note in scan.notes)


def test_constant_arrays_load_with_a_note_and_all_nan_is_refused():
    assert any("the same" in note for note in read(("c.npy", npy_bytes(np.full((9, 9), 5)))).notes)
    assert "not one of its values" in refusal(("n.npy", npy_bytes(np.full((9, 9), np.nan))))


def test_values_beyond_float32_become_its_finite_range():
    array = np.ones((9, 9))
    array[0, 0] = 1e300
    scan = read(("h.npy", npy_bytes(array)))
    assert np.isfinite(scan.values).all()
    assert scan.notes


def test_pickles_are_never_opened():
    array = np.empty((9, 9), object)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    assert "can run code" in refusal(("o.npy", buffer.getvalue()))
    assert "pickle" in refusal(("model.pt", b"\x80\x04\x95\x0a\0\0\0\0\0\0\0}\x94."))


def test_an_archive_needs_one_array_or_one_with_the_usual_name(pixels):
    def archive(**arrays):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return ("a.npz", buffer.getvalue())

    assert np.array_equal(read(archive(anything=pixels)).values[0, 0], pixels)
    both = archive(image=pixels, mask=pixels % 2)
    assert read(both).values.max() == 479
    assert read(both, mask=True).values.max() == 1
    assert "`t1`, `t2`" in refusal(archive(t1=pixels, t2=pixels))
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as other:
        other.writestr("word/document.xml", "x")
    assert "without NumPy arrays" in refusal(("letter.docx", buffer.getvalue()))


def test_lying_and_cut_arrays_are_refused(pixels):
    good = npy_bytes(pixels)
    assert "cut short" in refusal(("a.npy", good[:-1]))
    assert "at most 8192" in refusal(("a.npy", good.replace(b"(24, 20)", b"(99999, 99999)")[:128]))
    assert "empty" in refusal(("a.npy", npy_bytes(np.zeros((0, 20)))))
    assert "plain numbers" in refusal(("a.npy", npy_bytes(np.zeros((9, 9), [("a", "f4")]))))
    assert "3 or 4 are needed" in refusal(("a.npy", npy_bytes(np.zeros(99))))


# ---- masks -----------------------------------------------------------------------------------------------


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


# ---- refusals --------------------------------------------------------------------------------------------


def test_foreign_files_are_refused_by_name_of_what_they_are(tmp_path):
    assert "empty" in refusal(("z.dcm", b""))
    assert "a text file" in refusal(("t.png", b"this is no picture\n"))
    assert "SVG" in refusal(("v.svg", b"<?xml version='1.0'?><svg xmlns='x'></svg>"))
    assert "PDF" in refusal(("p.png", b"%PDF-1.7 ..."))
    assert "inside a gzip" in refusal(("g.gz", gzip.compress(gzip.compress(b"x" * 2000))))
    assert "no known format" in refusal(("r.bin", bytes(range(256)) * 8))
    assert "no such file" in refusal(tmp_path / "missing.nii")
    assert "no such file" in refusal(tmp_path)
    assert "several files" in refusal(("a", b"abc"), ("b", b"def"))


def test_messages_do_not_show_local_folders(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    assert str(tmp_path) not in refusal(tmp_path / "a.png")


@pytest.mark.trust
@pytest.mark.filterwarnings("ignore")  # Pillow's, which quote numbers of broken headers
@pytest.mark.parametrize("kind", FILES)
def test_mutated_files_are_loaded_or_refused(kind):
    for n in range(40):
        try:
            outcome = read(*mutation(kind, seed=7, n=n))
        except ReadError as error:
            outcome = str(error)
        # A plain sentence that quotes no patient and names the cause, or a picture; all else fails the test.
        if isinstance(outcome, str):
            assert NAME not in outcome
            assert "in the decoder" not in outcome, n
        else:
            assert np.isfinite(outcome.values).all()


@pytest.mark.parametrize("kind", FILES)
def test_the_files_that_are_mutated_load(kind):
    assert read(*FILES[kind].whole()).values.shape[2:] == (24, 20)


# ---- the command line ------------------------------------------------------------------------------------


def run_cli(*arguments, **options):
    command = [sys.executable, "-m", "dafnet_core.data.readers", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **options)


def test_the_command_line_prints_one_json_line_per_file(tmp_path, pixels):
    np.save(tmp_path / "good.npy", np.stack([pixels, pixels + 1]))
    (tmp_path / "bad.npy").write_bytes(b"x")
    result = run_cli(tmp_path / "good.npy", tmp_path / "bad.npy", "--slice", 1)
    assert result.returncode == 2
    assert result.stderr == ""
    good, bad = map(json.loads, result.stdout.splitlines())
    assert good["shape"] == [24, 20]
    assert (good["slices"], good["volumes"], good["kind"], good["spacing"]) == (2, 1, "NPY", None)
    assert good["range"] == [1, 480]
    assert good["sha256"] == hashlib.sha256((pixels + 1).astype("<f4").tobytes()).hexdigest()
    assert set(bad) == {"file", "error"}
    assert run_cli(tmp_path / "good.npy", "--slice", 2).returncode == 2
    assert run_cli(tmp_path / "good.npy").returncode == 0


def test_the_command_line_starts_quickly_and_without_torch(tmp_path, pixels):
    np.save(tmp_path / "a.npy", pixels)
    run_cli(tmp_path / "a.npy")  # compiles the bytecode
    start = time.perf_counter()
    run_cli(tmp_path / "a.npy")
    assert time.perf_counter() - start < 3  # about 0.3 s on an idle machine
    code = "import sys, dafnet_core.data.readers, dafnet_core.data.prepare as p; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "nibabel", "pydicom", "streamlit"} & set(modules)


# ---- real files ------------------------------------------------------------------------------------------

DATA = os.environ.get("DAFNET_TEST_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="DAFNET_TEST_DATA does not name the folder with test files")
AWKWARD = Path(DATA or ".", "awkward")

# Every entry of the manifest is in one of these two, so that a new one asks for a decision.
REFUSED = [
    "dicom/MR_truncated.dcm",
    "dicom/rtdose.dcm",
    "dicom/rtplan_truncated.dcm",
    "dicom/rtstruct.dcm",
    "dicom/reportsi.dcm",
    "dicom/no_meta.dcm",
    "dicom/DICOMDIR",
    "dicom/emri_small_jpeg_2k_lossless_too_short.dcm",
    "nifti/standard.nii.gz",
    "nifti/analyze.hdr",
    "nifti/row_major.dconn.nii",
    "nifti/t1_5d.nii.gz",
    "nifti/t1_warp_vector.nii.gz",
    "nifti/mask_probability.nii.gz",
    "nifti/mask_negative.nii.gz",
    "nifti/truncated.nii",
    "nifti/truncated.nii.gz",
    "nifti/header_only.nii",
    "nifti/negative_dim.nii",
    "nifti/bad_datatype.nii",
    "nifti/gzip_bomb_512MB.nii.gz",
    "image/mask_antialiased.jpg",
    "image/t1_cmyk.jpg",
    "image/one_by_6000.png",
    "image/truncated.png",
    "image/truncated.jpg",
    "image/lying_size.png",
    "image/text_named.png",
    "image/vector.svg",
    "npy/empty.npy",
    "npy/structured.npy",
    "npy/object_pickle.npy",
    "npy/truncated.npy",
    "npy/lying_shape.npy",
    "npy/bomb_256MB.npz",
    "npy/checkpoint_pickle.pt",
    "misc/zero_byte.dcm",
]
LOADED = [
    "dicom/MR_small.dcm",
    "dicom/MR_small_implicit.dcm",
    "dicom/MR_small_bigendian.dcm",
    "dicom/693_J2KI.dcm",
    "dicom/CT_small.dcm",
    "dicom/SC_rgb_jpeg_dcmtk.dcm",
    "dicom/SC_rgb_rle_2frame.dcm",
    "dicom/examples_rgb_color.dcm",
    "dicom/examples_overlay.dcm",
    "dicom/liver_1frame.dcm",
    "dicom/zipMR.gz",
    "dicom/RG3_J2KI_monochrome1.dcm",
    "dicom/emri_small_RLE.dcm",
    "dicom/emri_small_big_endian.dcm",
    "nifti/functional.nii",
    "nifti/anatomical.nii",
    "nifti/reoriented_anat_moved.nii",
    "nifti/t1_int8.nii.gz",
    "nifti/t1_uint16.nii.gz",
    "nifti/t1_int32.nii.gz",
    "nifti/t1_float64.nii.gz",
    "nifti/t1_complex64.nii.gz",
    "nifti/t1_slope_nan.nii",
    "nifti/t1_single_slice.nii.gz",
    "nifti/t1_zero_affine.nii.gz",
    "nifti/t1_sheared_affine.nii.gz",
    "nifti/t1_flipped_LAS.nii.gz",
    "nifti/t1_aniso_zooms.nii.gz",
    "nifti/t1_nan_inf.nii.gz",
    "nifti/t1_outlier.nii.gz",
    "nifti/t1_tiny_range.nii.gz",
    "nifti/t1_analyze.hdr",
    "nifti/mask_chaos_values.nii.gz",
    "nifti/mask_shifted_affine.nii.gz",
    "nifti/gzipped_but_named.nii",
    "image/mask_0_255.png",
    "image/mask_0_1.png",
    "image/t1_gray16_12bit.png",
    "image/t1_palette.png",
    "image/mask_palette.png",
    "image/t1_rgba.png",
    "image/t1_la.png",
    "image/t1_exif_rotate.jpg",
    "image/t1_gray.jpg",
    "image/animated.gif",
    "image/zstack_3d.tif",
    "image/t1.bmp",
    "image/very_wide.png",
    "image/t1_rgb48.png",
    "image/t1_graya32.png",
    "image/t1_bigtiff_tiled.tif",
    "npy/t1_f16.npy",
    "npy/t1_fortran.npy",
]
MASKS = ("mask_", "liver_1frame")


def read_as_mask(entry):
    return any(part in entry for part in MASKS)


# a small process in between: a child's peak is never reported below its parent's size, and pytest has grown
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def awkward():
    """What the command line says about every entry, and the two processes' peak memory in MB."""
    lines, peak = {}, 0
    for mask in (False, True):
        entries = [entry for entry in (*LOADED, *REFUSED) if read_as_mask(entry) == mask]
        command = [sys.executable, "-m", "dafnet_core.data.readers", *(["--mask"] if mask else [])]
        files = [str(AWKWARD / entry) for entry in entries]
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *command, *files], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        lines |= dict(zip(entries, map(json.loads, done.stdout.splitlines()), strict=True))
        peak = max(peak, int(done.stderr.split()[-1]) / 1024)
    return lines, peak


@needs_data
def test_every_awkward_file_has_a_decision():
    with (AWKWARD / "manifest.csv").open() as file:
        entries = {row["file"].removesuffix(" + .img") for row in csv.DictReader(file)}
    assert entries == {*LOADED, *REFUSED}


@needs_data
@pytest.mark.parametrize("entry", LOADED)
def test_awkward_files_that_hold_a_picture_load(entry, awkward):
    assert "error" not in awkward[0][entry]


@needs_data
@pytest.mark.parametrize("entry", REFUSED)
def test_awkward_files_that_hold_none_are_refused_in_one_sentence(entry, awkward):
    message = awkward[0][entry]["error"]
    assert message.startswith(f"`{Path(entry).name}`: ")
    assert message.endswith(".")
    assert str(AWKWARD) not in message
    assert "in the decoder" not in message  # the last resort is for what nobody foresaw


@needs_data
@pytest.mark.parametrize(
    "entries",
    [
        (
            "dicom/MR_small.dcm",
            "dicom/MR_small_implicit.dcm",
            "dicom/MR_small_bigendian.dcm",
            "dicom/zipMR.gz",
        ),
        ("dicom/emri_small_RLE.dcm", "dicom/emri_small_big_endian.dcm"),
        ("nifti/t1_int32.nii.gz", "nifti/t1_float64.nii.gz", "nifti/gzipped_but_named.nii"),
        ("nifti/t1_zero_affine.nii.gz", "nifti/t1_analyze.hdr"),
        ("image/t1_rgb48.png", "image/t1_graya32.png", "image/t1_bigtiff_tiled.tif"),
        ("image/t1.bmp", "image/t1_la.png", "image/t1_rgba.png", "npy/t1_fortran.npy"),
        ("image/mask_0_1.png", "image/mask_palette.png"),
        ("image/animated.gif", "image/zstack_3d.tif"),
    ],
)
def test_the_same_picture_stored_differently_gives_the_same_pixels(entries, awkward):
    assert len({awkward[0][entry]["sha256"] for entry in entries}) == 1


@needs_data
@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("nifti/t1_nan_inf.nii.gz", "not finite"),
        ("nifti/t1_complex64.nii.gz", "magnitude"),
        ("nifti/t1_slope_nan.nii", "unscaled"),
        ("nifti/t1_zero_affine.nii.gz", "no orientation"),
        ("nifti/t1_analyze.hdr", "left and right are uncertain"),
        ("nifti/t1_flipped_LAS.nii.gz", "Stored as LAS"),
        ("nifti/reoriented_anat_moved.nii", "too coarse"),
        ("nifti/mask_chaos_values.nii.gz", "0, 63"),
        ("dicom/693_J2KI.dcm", "CT, not MR"),
        ("dicom/RG3_J2KI_monochrome1.dcm", "inverted"),
        ("dicom/examples_rgb_color.dcm", "grey"),
        ("image/t1_exif_rotate.jpg", "EXIF"),
        ("image/t1_gray.jpg", "lossy"),
        ("image/animated.gif", "5 pages"),
    ],
)
def test_what_was_done_to_an_awkward_file_is_noted(entry, words, awkward):
    assert any(words in note for note in awkward[0][entry]["notes"])


@needs_data
def test_no_awkward_file_needs_more_than_600_mb(awkward):
    assert awkward[1] < 600


@needs_data
def test_a_segmentation_is_no_image():
    assert "as a mask" in refusal(AWKWARD / "dicom" / "liver_1frame.dcm")

"""NIfTI and Analyze: orientation, scaling, and headers that lie."""

import gzip
import struct

import nibabel
import numpy as np
import pytest

from dafnet_core.data.readers import read
from tests.helpers.reading import refusal
from tests.helpers.valid_files import (
    nifti_bytes,
)

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
    assert item.notes[0].startswith("Stored as LPS. Shown axial: columns run towards Left")


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


def test_content_that_goes_on_after_the_voxels_is_not_inflated_without_end(pixels):
    voxels = nifti_bytes(pixels[:, :, None])
    assert read(("n.nii.gz", gzip.compress(voxels + bytes(5000)))).slices == 1
    assert "fill the memory" in refusal(("n.nii.gz", gzip.compress(voxels + bytes(80 << 20), 1)))

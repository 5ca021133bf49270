"""DICOM series in any position of the patient: upright, and in the world where the header puts them."""

import nibabel
import numpy as np
import pytest

from dafnet_core.data.readers import read
from tests.helpers.dicom_series import AXIAL, CORONAL, PRONE, SAGITTAL, dicom_slice, picture
from tests.helpers.reading import refusal
from tests.helpers.valid_files import PIXELS, dicom_bytes, nifti_bytes

OBLIQUE = (0.9848078, 0.1736482, 0, -0.1736482, 0.9848078, 0)  # turned by 10 degrees about the body's axis
LEFT_SIDE = (0, 1, 0, -1, 0, 0)  # lying on one side
FEET_FIRST = (-1, 0, 0, 0, 1, 0)


def stored_affine(axes, step, origin):
    """From (column, row, slice, 1) as stored to RAS mm, written out from the standard's equation C.7.6.2.1-1."""
    lps = np.column_stack([np.multiply(axes[:3], 2), np.multiply(axes[3:], 1), step, origin])
    affine = np.eye(4)
    affine[:3] = np.diag([-1, -1, 1]) @ lps
    return affine


@pytest.mark.parametrize(
    ("axes", "step"),
    [
        (AXIAL, (0, 0, 8)),
        (AXIAL, (0, 0, -8)),
        (PRONE, (0, 0, 8)),
        (FEET_FIRST, (0, 0, -8)),
        (LEFT_SIDE, (0, 0, 8)),
        (OBLIQUE, (0, 0, 8)),
        (SAGITTAL, (8, 0, 0)),
        (SAGITTAL, (-8, 0, 0)),
        (CORONAL, (0, 8, 0)),
        (CORONAL, (0, -8, 0)),
    ],
)
def test_a_series_is_shown_as_a_nifti_file_of_the_same_world(axes, step):
    files = [dicom_slice(k, axes=axes, step=step) for k in (2, 0, 3, 1)]
    scan = read(*files)
    volume = np.stack([picture(k).T for k in range(4)], axis=-1)  # (i, j, k)
    other = read(("n.nii", nifti_bytes(volume, stored_affine(axes, step, (-5, -7, -30)))))
    assert np.array_equal(scan.values, other.values)
    assert np.allclose(scan.affine, other.affine, atol=1e-4)
    assert scan.spacing == pytest.approx(other.spacing)
    assert scan.slice_spacing == pytest.approx(8)


@pytest.mark.parametrize(("axes", "step"), [(PRONE, (0, 0, 8)), (LEFT_SIDE, (0, 0, 8)), (SAGITTAL, (8, 0, 0))])
def test_every_stored_voxel_keeps_its_place_in_the_world(axes, step):
    scan = read(*(dicom_slice(k, axes=axes, step=step) for k in range(3)))
    affine = stored_affine(axes, step, (-5, -7, -30))
    back = scan.stored.back(scan.values[0])  # (i, j, k)
    for i, j, k in ((0, 0, 0), (19, 0, 1), (3, 23, 2), (11, 7, 1)):
        value = 1000 * k + PIXELS[j, i]
        assert value in back[i, j]
        z, y, x = np.argwhere(scan.values[0] == value)[0]
        assert np.allclose(scan.affine @ [x, y, z, 1], affine @ [i, j, k, 1])


def test_what_was_turned_is_noted_and_what_was_not_is_not():
    turned = read(*(dicom_slice(k, axes=PRONE) for k in range(3)))
    assert any("Shown axial" in note for note in turned.notes)
    plain = read(*(dicom_slice(k) for k in range(3)))
    assert not any("Shown" in note for note in plain.notes)
    assert np.array_equal(turned.values[:, :, ::-1, ::-1], plain.values)


def test_a_single_picture_keeps_its_plane_and_is_turned_upright():
    scan = read(dicom_slice(0, axes=(0, 0, 1, 0, 1, 0)))  # columns towards Superior, rows towards Posterior
    assert scan.stored.plane == "sagittal"
    assert np.array_equal(scan.values[0, 0], PIXELS.T[::-1])  # rows towards Inferior, columns towards Posterior
    assert scan.spacing == (2, 1)
    assert np.array_equal(read(dicom_slice(0, axes=PRONE)).values[0, 0], PIXELS[::-1, ::-1])
    assert np.array_equal(read(dicom_slice(0, axes=PRONE, PixelSpacing=None)).values[0, 0], PIXELS[::-1, ::-1])


def test_a_stack_without_a_coarse_axis_is_cut_axially():
    files = [dicom_slice(k, axes=SAGITTAL, step=(1, 0, 0), PixelSpacing=[1, 1]) for k in range(16)]
    scan = read(*files)
    assert scan.values.shape == (1, 24, 20, 16)
    assert scan.stored.plane == "axial"
    assert np.array_equal(scan.values[0, -1, :, 5], picture(5)[0])  # the first row of each file is the highest
    assert any("Shown axial" in note for note in scan.notes)


def test_a_tilted_gantry_shears_the_affine():
    scan = read(*(dicom_slice(k, step=(0, 2, 8)) for k in range(4)))
    assert np.allclose(scan.affine[:3, 2], [0, -2, 8])
    for k in range(4):
        assert scan.slice(k).centre == pytest.approx((5 - 19, -(-7 + 2 * k + 11.5), -30 + 8 * k))
    assert scan.slice_spacing == pytest.approx(np.hypot(2, 8))


def test_slices_that_are_shifted_in_plane_are_refused():
    files = [dicom_slice(k, origin=(-5 + (9 if k == 2 else 0), -7, -30)) for k in range(4)]
    assert "shifted against each other in plane" in refusal(*files)


def test_a_missing_slice_is_named_left_empty_and_shifts_no_other():
    scan = read(*(dicom_slice(k) for k in (0, 1, 2, 4, 5)))
    assert scan.slice_spacing == pytest.approx(8)
    for k in (0, 1, 2, 4, 5):
        assert np.array_equal(scan.slice(k).pixels, picture(k))
        assert scan.slice(k).centre == pytest.approx((5 - 19, 7 - 11.5, -30 + 8 * k))
    assert (scan.slice(3).pixels == 0).all()
    assert any("1 slice is missing and left empty (number 4 of 6)" in note for note in scan.notes)


def test_slices_at_irregular_distances_are_in_order_and_have_no_positions():
    files = [dicom_slice(k, origin=(-5, -7, -30 + (k == 2) * 3.0 + (k == 3) * 5)) for k in range(5)]
    scan = read(*files)
    assert scan.affine is None
    assert scan.slice_spacing is None
    assert scan.values[0, :, 0, 0].tolist() == [0, 1000, 2000, 3000, 4000]
    assert any("varies (3 to 11 mm)" in note for note in scan.notes)
    slabs = read(*(dicom_slice(k, axes=SAGITTAL, step=(1, 0, 0)) for k in (0, 1, 2, 3, 40, 41, 42, 43)))
    assert slabs.values.shape == (1, 8, 24, 20)  # not cut across the gap
    assert slabs.affine is None
    unscaled = read(*(dicom_slice(k, axes=SAGITTAL, step=(1, 0, 0), PixelSpacing=None) for k in range(16)))
    assert unscaled.values.shape == (1, 16, 24, 20)


def test_files_without_positions_need_distinct_numbers():
    bare = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
    scan = read(*(dicom_slice(k, InstanceNumber=9 - k, **bare) for k in range(3)))
    assert scan.values[0, :, 0, 0].tolist() == [2000, 1000, 0]
    assert scan.affine is None
    assert any("do not say where they lie" in note for note in scan.notes)
    for number in (1, None):
        assert "their order is unknown" in refusal(*(dicom_slice(k, InstanceNumber=number, **bare) for k in range(3)))
    for tag in bare:
        files = [dicom_slice(k, **({tag: None} if k == 1 else {})) for k in range(4)]
        assert "1 of 4 slices do not say where they lie" in refusal(*files)


def test_a_spacing_that_differs_in_the_sixth_digit_is_the_same_and_numbers_are_not_needed():
    files = [dicom_slice(k, InstanceNumber=None, PixelSpacing=[1 + 1e-6 * k, 2]) for k in (3, 1, 0, 2)]
    scan = read(*files)
    assert scan.values[0, :, 0, 0].tolist() == [0, 1000, 2000, 3000]


def test_an_affine_is_the_same_whichever_way_the_file_was_read(pixels):
    affine = read(
        (
            "x",
            dicom_bytes(
                pixels,
                **{
                    "PixelSpacing": [1, 2],
                    "ImageOrientationPatient": list(AXIAL),
                    "ImagePositionPatient": [1, 2, 3],
                    "SliceThickness": 4,
                },
            ),
        )
    ).affine
    assert np.allclose(affine, [[-2, 0, 0, -1], [0, -1, 0, -2], [0, 0, 4, 3], [0, 0, 0, 1]])
    assert nibabel.aff2axcodes(affine) == ("L", "P", "S")

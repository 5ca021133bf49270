"""One physical frame for a subject: any grid, orientation, tilt and field of view; what cannot be brought together."""

from dataclasses import replace

import numpy as np
import pytest

from dafnet_core.data.dataset import matched_slices
from dafnet_core.data.frame import FrameError, in_one_plane, labels_on, nearest_position, same_grid
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.readers import ReadError, read
from dafnet_core.data.studies import join, prepare_stacks
from tests.helpers.world import FRONT, LEFT, dice, grid, nifti, orders, organs, organs_at, picture, rotation

TABLE = {0: 0, 1: 1, 2: 2}
THICK = {"spacing": (2.0, 2.0, 8.0), "shape": (96, 96, 9)}


def scans_of(*grids, **options):
    """Image and mask of the patient on each grid."""
    images, masks = [], []
    for n, (affine, shape) in enumerate(grids):
        labels = organs(affine, shape)
        images.append(read((f"{n}.nii", nifti(picture(labels), affine))))
        masks.append(read((f"{n}_mask.nii", nifti(labels, affine)), mask=True))
    return images, masks


def study_of(*grids, spacing=2.0, size=96):
    return join("one", prepare_stacks(*scans_of(*grids), Preparation(size, size, spacing), TABLE))


def overlap(study):
    """Dice of the first modality's masks copied to the second, in volumes of paired slices: of left and front."""
    pairs = list(matched_slices(study.positions))
    first, second = (np.stack([study.masks[i][pair[i]] for pair in pairs]) for i in range(2))
    return [dice(first, second, label) for label in (LEFT, FRONT)]


@pytest.mark.parametrize("spacing", [2.0, 3.0, None])
def test_the_size_of_the_grid_s_pixels_is_known_in_mm(spacing):
    other = grid(**THICK, turn=rotation("x", 10) @ rotation("z", 25))
    fits = 96 * 2.0 / 64  # the first modality's picture on the grid
    first, second = study_of(grid(**THICK), other, spacing=spacing, size=64).spacing
    assert first == pytest.approx((spacing or fits,) * 2, rel=1e-4)
    # one that is tilted is seen along the frame's normal, and its own slices are a little larger
    assert np.linalg.norm(second) == pytest.approx(np.linalg.norm(first), rel=0.02)


@pytest.mark.parametrize(
    ("header", "size", "spacing", "expected"),
    [((1.5, 2.0), 96, 2.0, 2.0), ((2.0, 2.0), 48, None, 4.0), (None, 96, 2.0, None)],
)
def test_without_a_position_it_follows_the_size_in_the_header(header, size, spacing, expected):
    scan = replace(scans_of(grid(**THICK))[0][0], affine=None, spacing=header)
    (stack,) = prepare_stacks([scan], [None], Preparation(size, size, spacing), TABLE)
    assert stack.spacing == (None if expected is None else pytest.approx((expected, expected)))


@pytest.mark.parametrize(("order", "signs"), orders())
def test_every_way_to_store_a_volume_lies_on_the_same_grid(order, signs):
    study = study_of(grid(**THICK), grid(**THICK, order=order, signs=signs))
    assert np.array_equal(study.masks[0], study.masks[1])
    assert np.allclose(study.images[0], study.images[1], atol=1e-5)
    assert np.allclose(study.positions[0], study.positions[1], atol=1e-4)
    left, front = (np.argwhere(study.masks[0] == label).mean(0) for label in (LEFT, FRONT))
    assert left[2] > 55  # shown as radiologists look at it: the patient's Left at the right
    assert front[1] < 40  # and the front at the top


@pytest.mark.parametrize(
    "other",
    [
        {"centre": (16, 10, 0)},  # the field of view elsewhere
        {"spacing": (1.2, 1.2, 8.0), "shape": (160, 128, 9)},
        {"spacing": (1.5, 2.5, 8.0), "shape": (128, 77, 9), "centre": (-7, 3, 0)},
        {"spacing": (2.0, 2.0, 5.0), "shape": (96, 96, 15)},  # other slices
        {"turn": rotation("z", 25)},  # in plane
        {"turn": rotation("z", 90), "centre": (4, 0, 0)},
        {"turn": rotation("x", 8)},  # tilted
        {"turn": rotation("y", 6) @ rotation("z", -15), "spacing": (1.4, 1.4, 6.0), "shape": (130, 140, 13)},
    ],
)
@pytest.mark.parametrize("spacing", [2.0, None])
def test_the_second_acquisition_shows_what_lies_in_its_own_slices_at_the_firsts_places(other, spacing):
    affine, shape = grid(**THICK | other)
    study = study_of(grid(**THICK), (affine, shape), spacing=spacing)
    rows, columns = np.mgrid[:96, :96]
    x, y = 95.0 - 2 * columns, 95.0 - 2 * rows  # the first one's pixels in the patient, which the grid has
    normal = affine[:3, 2] / np.linalg.norm(affine[:3, 2])
    shown, expected = [], []
    for k, height in enumerate(study.positions[1]):
        plane = affine[:3, 3] + k * affine[:3, 2]
        z = (normal @ plane - normal[0] * x - normal[1] * y) / normal[2]
        assert height == pytest.approx((normal @ plane) / normal[2], abs=0.01)  # above the middle, (0, 0)
        expected.append(organs_at(np.stack([x, y, z], -1)))
        shown.append(study.masks[1][k])
    shown, expected = np.stack(shown), np.stack(expected)
    for label in (LEFT, FRONT):
        assert dice(shown, expected, label) > 0.92  # nearest pixels of 2 mm, and 2.5 mm in one acquisition
        centres = [np.argwhere(masks == label).mean(0) for masks in (shown, expected)]
        assert centres[0] == pytest.approx(centres[1], abs=0.15)


def test_rotated_pictures_keep_their_intensities():
    study = study_of(grid(**THICK), grid(**THICK, turn=rotation("z", 30)))
    middle = study.images[0].shape[1] // 2
    a, b = (images[0, middle] for images in study.images)
    inside = (study.masks[0][middle] == LEFT) & (study.masks[1][middle] == LEFT)
    assert np.abs(a - b)[inside].mean() < 0.05
    assert b[:3, :3] == pytest.approx(-1)  # the corners lie outside of the turned picture


@pytest.mark.parametrize(("order", "plane"), [((1, 2, 0), "sagittal"), ((0, 2, 1), "coronal"), ((2, 1, 0), "sagittal")])
def test_slices_are_cut_across_the_coarse_axis_whichever_is_stored_last(order, plane):
    coarse = 0 if plane == "sagittal" else 1
    spacing, shape = [2.0, 2.0, 2.0], [96, 96, 96]
    spacing[coarse], shape[coarse] = 6.0, 30
    for stored in (order, (0, 1, 2)):
        affine, stored_shape = grid(tuple(spacing), tuple(shape), order=stored)
        scan = read(("a.nii", nifti(picture(organs(affine, stored_shape)), affine)))
        assert scan.stored.plane == plane
        assert scan.values.shape == (1, 30, 96, 96)
        assert scan.slice_spacing == pytest.approx(6)


def test_without_a_coarse_axis_slices_are_axial_or_follow_the_other_modality():
    even = grid((2.0, 2.0, 2.5), (96, 96, 70), order=(1, 2, 0))
    assert scans_of(even)[0][0].stored.plane == "axial"
    study = study_of(even, grid((5.0, 2.0, 2.0), (36, 96, 96)))
    assert study.images[0].shape[1] == 96  # cut sagittally, as the second one is
    assert study.images[1].shape[1] == 36
    assert min(overlap(study)) > 0.9
    assert [scan.stored.plane for scan in in_one_plane(scans_of(even, even)[0])] == ["axial", "axial"]


def test_a_lone_slice_keeps_its_plane():
    affine, shape = grid((2.0, 2.0, 2.0), (96, 96, 96))
    coronal = organs(affine, shape)[:, 60:61].transpose(0, 2, 1)
    scan = read(("a.nii", nifti(picture(coronal), affine[:, [0, 2, 1, 3]])))
    assert scan.stored.plane == "coronal"
    assert scan.values.shape == (1, 1, 96, 96)


def test_crossing_planes_are_refused_with_both_planes():
    with pytest.raises(FrameError, match=r"`0.nii` is axial, `1.nii` coronal.*90 degrees"):
        study_of(grid(**THICK), grid((2.0, 8.0, 2.0), (96, 12, 96)))
    with pytest.raises(FrameError, match="30 degrees"):
        study_of(grid(**THICK), grid(**THICK, turn=rotation("x", 30)))


def test_stacks_that_miss_each_other_are_refused():
    with pytest.raises(FrameError, match="336 mm away"):
        study_of(grid(**THICK), grid(**THICK, centre=(0, 0, 400)))
    with pytest.raises(FrameError, match="overlap by 0%"):
        study_of(grid(**THICK), grid(**THICK, centre=(300, 0, 0)))


def test_a_position_that_only_one_header_gives_is_refused():
    affine, shape = grid(**THICK)
    placed, silent = (
        read((f"{n}.nii", nifti(picture(organs(affine, shape)), affine, sform=n == 0, qform=n == 0))) for n in range(2)
    )
    with pytest.raises(FrameError, match=r"header of `1\.nii` does not say where"):
        prepare_stacks([placed, silent], [None, None], Preparation(96, 96, 2.0), TABLE)
    stacks = prepare_stacks([silent, silent], [None, None], Preparation(96, 96, 2.0), TABLE)
    assert "no header says where" in join("one", stacks).notes[0]


def test_an_sform_and_a_qform_that_disagree_are_told():
    import nibabel

    affine, shape = grid(**THICK)
    image = nibabel.Nifti1Image(picture(organs(affine, shape)), affine)
    moved = affine.copy()
    moved[0, 3] += 12
    image.set_sform(affine, code=2)
    image.set_qform(moved, code=1)
    scan = read(("a.nii", image.to_bytes()))
    assert np.allclose(scan.stored.affine, affine)
    assert np.allclose(scan.other_affine, moved, atol=1e-3)
    assert any("disagree by up to 12.0 mm; the sform was used" in note for note in scan.notes)
    image.set_qform(affine, code=1)
    assert read(("a.nii", image.to_bytes())).other_affine is None


# ---- masks ----


def mask_on(image_grid, mask_grid):
    affine, shape = image_grid
    image = read(("image.nii", nifti(picture(organs(affine, shape)), affine)))
    own = organs(*mask_grid)
    return image, labels_on(image, read(("mask.nii", nifti(own, mask_grid[0])), mask=True)), organs(affine, shape)


@pytest.mark.parametrize(
    "other",
    [
        {"spacing": (1.5, 1.5, 8.0), "shape": (128, 128, 9)},
        {"order": (2, 0, 1), "signs": (-1, 1, -1), "spacing": (2.0, 2.0, 4.0), "shape": (96, 96, 20)},
        {"turn": rotation("z", 20), "shape": (120, 120, 9)},
    ],
)
def test_a_mask_on_another_grid_is_placed_by_the_headers(other):
    image, labels, truth = mask_on(grid(**THICK), grid(**THICK | other))
    assert labels.values.shape == image.values.shape
    assert min(dice(image.stored.back(labels.values)[0], truth, label) for label in (LEFT, FRONT)) > 0.9
    assert any("grid of its own" in note for note in labels.notes)
    assert same_grid(image, labels)


def test_a_mask_of_some_slices_leaves_the_others_empty_and_says_so():
    _, labels, truth = mask_on(grid(**THICK), grid((2.0, 2.0, 8.0), (96, 96, 3), centre=(0, 0, 8)))
    covered = [k for k in range(9) if labels.values[0, k].any()]
    assert covered == [4, 5, 6]
    assert np.array_equal(labels.values[0, 4:7] > 0, truth[::-1, ::-1].T[4:7] > 0)
    assert any("6 of the image's 9 slices" in note for note in labels.notes)


def test_a_mask_elsewhere_is_refused_and_one_without_a_header_needs_the_images_shape():
    affine, shape = grid(**THICK)
    image = read(("image.nii", nifti(picture(organs(affine, shape)), affine)))
    moved = affine.copy()
    moved[0, 3] += 500
    away = read(("mask.nii", nifti(organs(affine, shape), moved)), mask=True)
    with pytest.raises(ReadError, match="mask lies 500 mm away"):
        labels_on(image, away)
    silent = read(("mask.nii", nifti(organs(affine, shape), affine, sform=False, qform=False)), mask=True)
    assert any("does not say where it lies" in note for note in labels_on(image, silent).notes)
    small = read(("mask.nii", nifti(organs(affine, shape)[:50], affine, sform=False, qform=False)), mask=True)
    with pytest.raises(ReadError, match="give its mask"):
        labels_on(image, small)


def test_the_nearest_slice_by_position_and_its_distance():
    (first, second), _ = scans_of(grid(**THICK), grid((2.0, 2.0, 5.0), (96, 96, 15)))
    index, distance = nearest_position(second, first.slice(6))  # at 16 mm; the other has slices at 15 and 20
    assert (index, distance) == (10, pytest.approx(1))

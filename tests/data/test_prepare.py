"""Preparation: intensities, the grid, and the way back to the user's own pixels."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from dafnet_core.data.placement import Placement
from dafnet_core.data.prepare import (
    Preparation,
    default_label_table,
    place,
    prepare,
    prepare_mask,
    scale_intensity,
)
from dafnet_core.data.readers import ReadError, Slice, read


def slice_of(pixels, spacing=None, affine=None):
    return Slice(np.ascontiguousarray(pixels), spacing, "test", (), affine)


def disc(rows, columns, radius, aspect=1.0):
    r, c = np.mgrid[:rows, :columns]
    r, c = (r - (rows - 1) / 2) * aspect, c - (columns - 1) / 2
    return (r**2 + c**2 <= radius**2).astype(np.float32)


# ---- settings ----


def test_a_preparation_survives_json():
    for preparation in (Preparation(192, 160), Preparation(96, 96, 2.0, (1, 99))):
        assert Preparation.from_dict(json.loads(json.dumps(preparation.to_dict()))) == preparation


@pytest.mark.parametrize(
    "values",
    [
        {"height": 100, "width": 96},
        {"height": 0, "width": 96},
        {"height": 96, "width": 96, "spacing": 0},
        {"height": 96, "width": 96, "spacing": float("nan")},
        {"height": 96, "width": 96, "percentiles": (99, 1)},
    ],
)
def test_impossible_preparations_are_refused(values):
    with pytest.raises(ValueError, match=r"multiples of 16|is needed|None"):
        Preparation(**values)


# ---- intensities ----


def test_percentiles_become_minus_one_and_one():
    pixels = np.random.default_rng(0).gamma(2, 100, (80, 90)).astype(np.float32)
    low, high = np.percentile(pixels.astype(np.float64), (0.5, 99.5))
    scaled = scale_intensity(pixels)
    assert scaled.dtype == np.float32
    assert (scaled.min(), scaled.max()) == (-1, 1)
    assert np.allclose(scaled, np.clip(2 * (pixels - low) / (high - low) - 1, -1, 1), atol=1e-6)


def test_scaling_does_not_depend_on_units():
    pixels = np.random.default_rng(1).random((40, 40)).astype(np.float32)
    for factor in (1e-10, 1e-30, 1e30):
        assert np.allclose(scale_intensity(pixels * np.float32(factor)), scale_intensity(pixels), atol=1e-5)


def test_a_single_outlier_does_not_darken_the_picture():
    pixels = np.random.default_rng(2).random((100, 100)).astype(np.float32)
    bright = pixels.copy()
    bright[3, 3] = 1e7
    assert np.abs(scale_intensity(bright) - scale_intensity(pixels)).mean() < 0.01


def test_constant_slices_are_minus_one_and_sparse_ones_keep_their_spots():
    assert (scale_intensity(np.full((20, 20), 7, np.float32)) == -1).all()
    sparse = np.zeros((100, 100), np.float32)
    sparse[5, 5] = 3
    assert scale_intensity(sparse)[5, 5] == 1
    assert (scale_intensity(sparse) == 1).sum() == 1


def test_the_whole_float32_range_does_not_overflow():
    largest = np.finfo(np.float32).max
    pixels = np.linspace(-1, 1, 100, dtype=np.float32).reshape(10, 10) * largest
    assert np.isfinite(scale_intensity(pixels)).all()


def test_labels_do_not_need_float():
    assert scale_intensity(np.arange(100, dtype=np.int32).reshape(10, 10)).max() == 1


# ---- the grid ----


def test_padding_is_minus_one_and_does_not_change_the_intensities():
    pixels = np.random.default_rng(3).random((40, 50)).astype(np.float32) + 100
    prepared = prepare(slice_of(pixels, (1.0, 1.0)), Preparation(64, 64, spacing=1.0))
    assert prepared.image.shape == (64, 64)
    assert np.array_equal(prepared.image[12:52, 7:57], scale_intensity(pixels))
    assert (prepared.image[:12] == -1).all()
    assert (prepared.image[:, 57:] == -1).all()


def test_anisotropic_pixels_become_isotropic():
    pixels = disc(20, 80, 30, aspect=4.0)  # a round disc in pixels of 4 x 1 mm
    prepared = prepare(slice_of(pixels, (4.0, 1.0)), Preparation(96, 96, spacing=1.0))
    assert prepared.placement.resampled == pytest.approx((80, 80))
    inside = prepared.image > 0
    assert np.ptp(np.flatnonzero(inside.any(0))) == pytest.approx(
        np.ptp(np.flatnonzero(inside.any(1))),
        abs=5,  # a native row is 4 mm
    )
    by_size = place(slice_of(pixels, (4.0, 1.0)), Preparation(96, 96))[0]
    assert by_size.resampled == pytest.approx((96, 96))


def test_without_spacing_the_picture_fits_the_grid_unstretched_with_a_note():
    prepared = prepare(slice_of(disc(60, 1500, 20)), Preparation(192, 192, spacing=1.4))
    assert prepared.placement.resampled == pytest.approx((7.68, 192))
    assert any("how large its pixels are" in note for note in prepared.notes)


def test_a_tiny_field_of_view_is_resized_with_a_note_that_gives_the_numbers():
    prepared = prepare(slice_of(disc(64, 64, 20), (0.3125, 0.3125)), Preparation(96, 96, spacing=2.0))
    assert prepared.placement.resampled == pytest.approx((96, 96))
    assert any("20 x 20 mm" in note and "192 x 192 mm" in note for note in prepared.notes)


def test_a_large_field_of_view_is_cropped_in_the_middle_with_a_note():
    pixels = disc(300, 300, 20)
    prepared = prepare(slice_of(pixels, (1.0, 1.0)), Preparation(96, 96, spacing=1.0))
    assert prepared.placement.matrix == ((1, 0, 102), (0, 1, 102))
    assert np.array_equal(prepared.image > 0, pixels[102:198, 102:198] > 0)
    assert any("cut off" in note for note in prepared.notes)


def test_an_absurd_spacing_does_not_claim_the_memory():
    placement, notes = place(slice_of(disc(64, 64, 20), (900.0, 900.0)), Preparation(96, 96, spacing=0.01))
    assert max(placement.resampled) <= 96.001
    assert any("resized" in note for note in notes)


def test_an_exact_match_is_not_resampled():
    pixels = np.random.default_rng(4).random((96, 96)).astype(np.float32)
    prepared = prepare(slice_of(pixels, (2.0, 2.0)), Preparation(96, 96, spacing=2.0))
    assert np.array_equal(prepared.image, scale_intensity(pixels))
    assert prepared.notes == ()


# ---- there and back ----

PLACEMENTS = [
    Placement.upright((40, 50), (64, 64), (1, 1), (12, 7)),  # padded
    Placement.upright((100, 90), (64, 64), (1, 1), (-18, -13)),  # cropped
    Placement.upright((50, 140), (64, 64), (2, 2), (19, -3)),  # shrunk, padded and cropped
    Placement.upright((30, 20), (96, 64), (1 / 3, 1 / 3), (3, 2)),  # grown
    Placement.upright((50, 45), (64, 64), (0.8, 0.7), (1.3, -0.4)),  # at a fraction of a pixel
]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_labels_come_back_where_they_were(placement):
    labels = (disc(*placement.native, 9) + disc(*placement.native, 4)).astype(np.uint8)
    grid = placement.forward(labels, labels=True, fill=0)
    back = placement.back(grid, labels=True)
    assert grid.dtype == back.dtype == np.uint8
    assert grid.shape == placement.grid
    assert back.shape == placement.native
    wrong = (back != labels).mean()
    exact = placement.resampled[0] >= placement.native[0]
    assert wrong == 0 if exact else wrong < 0.02  # a shrunk picture loses single pixels at borders


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_smooth_pictures_come_back_nearly_unchanged_and_fill_stays_outside(placement):
    rows, columns = placement.native
    pixels = (np.add.outer(np.linspace(0, 1, rows), np.linspace(0, 1, columns))).astype(np.float32)
    back = placement.back(placement.forward(pixels, labels=False, fill=-1), labels=False, fill=np.nan)
    known = np.isfinite(back)
    assert np.abs(back - pixels)[known].max() < 0.05
    assert known.all() != placement.cropped


def test_the_centre_stays_the_centre_when_the_size_changes():
    for native, resampled in (((40, 40), (96, 96)), ((200, 200), (96, 96)), ((33, 65), (48, 96))):
        scale = native[0] / resampled[0], native[1] / resampled[1]
        placement = Placement.upright(native, resampled, scale, (0, 0))
        r, c = np.mgrid[: native[0], : native[1]]
        blob = np.exp(-(((r - (native[0] - 1) / 2) / 5) ** 2) - (((c - (native[1] - 1) / 2) / 5) ** 2))
        grid = placement.forward(blob.astype(np.float32), labels=False, fill=0)
        r, c = np.mgrid[: resampled[0], : resampled[1]]
        assert (r * grid).sum() / grid.sum() == pytest.approx((resampled[0] - 1) / 2, abs=0.02)
        assert (c * grid).sum() / grid.sum() == pytest.approx((resampled[1] - 1) / 2, abs=0.02)


def test_shrinking_averages_instead_of_skipping():
    stripes = np.tile([0.0, 1.0], (64, 32)).astype(np.float32)
    grid = Placement.upright((64, 64), (16, 16), (4, 4), (0, 0)).forward(stripes, labels=False, fill=0)
    assert np.abs(grid[2:-2, 2:-2] - 0.5).max() < 0.05


def test_arrays_of_the_wrong_shape_are_named():
    placement = PLACEMENTS[0]
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        placement.forward(np.zeros((3, 3)), labels=False, fill=0)
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        placement.back(np.zeros((3, 3)), labels=False)


# ---- masks ----


def test_a_mask_follows_its_image():
    pixels = disc(20, 80, 30, aspect=4.0)
    image = slice_of(pixels, (4.0, 1.0))
    prepared = prepare(image, Preparation(96, 96, spacing=1.0))
    mask = prepare_mask(slice_of((pixels * 255).astype(np.int32)), prepared.placement, {0: 0, 255: 1})
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 1}
    assert ((prepared.image > 0) != (mask == 1)).mean() < 0.02


def test_masks_that_do_not_fit_are_refused_with_both_shapes_or_the_labels():
    placement = PLACEMENTS[0]
    with pytest.raises(ReadError, match="30 x 50 pixels, its image 40 x 50"):
        prepare_mask(slice_of(np.zeros((30, 50), np.int32)), placement, {0: 0})
    with pytest.raises(ReadError, match=r"\[7\]"):
        prepare_mask(slice_of(np.full((40, 50), 7, np.int32)), placement, {0: 0, 1: 1})


@pytest.mark.parametrize(
    ("labels", "classes", "table"),
    [
        ([0, 1, 3], 4, {0: 0, 1: 1, 2: 2, 3: 3}),
        ([], 2, {0: 0, 1: 1}),
        ([0, 255], 4, {0: 0, 255: 1}),
        ([255], 2, {0: 0, 255: 1}),
        ([0, 63, 126, 189, 252], 5, {0: 0, 63: 1, 126: 2, 189: 3, 252: 4}),
        ([0, 200, 500], 4, {0: 0, 200: 1, 500: 2}),
    ],
)
def test_the_proposed_table_keeps_small_labels_and_counts_up_others(labels, classes, table):
    assert default_label_table(labels, classes) == table


def test_more_labels_than_classes_are_refused():
    with pytest.raises(ReadError, match="the model knows 1"):
        default_label_table([0, 63, 126], 2)


def test_a_picture_turned_in_plane_comes_back_where_it_was():
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * 1.5
    matrix = np.column_stack([turn, [45, 40] - turn @ [40, 40]])
    placement = Placement.of((90, 80), (80, 80), matrix)
    r, c = np.mgrid[:90, :80]
    blob = np.exp(-(((r - 44.5) / 12) ** 2) - (((c - 59.5) / 6) ** 2)).astype(np.float32)
    grid = placement.forward(blob, labels=False, fill=0)
    row, column = (float((axis * grid).sum() / grid.sum()) + 0.5 for axis in np.mgrid[:80, :80])
    assert turn @ [row, column] + matrix[:, 2] == pytest.approx([45, 60], abs=0.05)  # the blob's centre, from corners
    assert np.abs(placement.back(grid, labels=False) - blob).max() < 0.05
    labels = (blob > 0.5).astype(np.uint8)
    on_grid = placement.forward(labels, labels=True, fill=0)
    assert on_grid.sum() * 1.5**2 == pytest.approx(labels.sum(), rel=0.05)
    assert (placement.back(on_grid, labels=True) != labels).mean() < 0.005


DATA = os.environ.get("DAFNET_TEST_DATA")


@pytest.mark.skipif(not DATA, reason="DAFNET_TEST_DATA does not name the folder with test files")
def test_real_masks_come_back_unchanged():
    folder = Path(DATA, "awkward", "nifti")
    image = read(folder / "t1_int32.nii.gz").slice()
    placement = prepare(image, Preparation(192, 192, spacing=1.0)).placement
    scan = read(folder / "mask_chaos_values.nii.gz", mask=True)
    table = default_label_table(np.unique(scan.values), classes=5)
    classes = prepare_mask(scan.slice(), placement, table)
    assert np.array_equal(placement.back(classes, labels=True), scan.slice().pixels > 0)

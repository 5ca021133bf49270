"""Warps and anatomies of one's own: they give the model's results again, and exactly what was asked for."""

import numpy as np
import pytest

from dafnet_core.analysis.candidates import weigh
from dafnet_core.analysis.editing import edited, matching_channels, partly_warped, realign
from dafnet_core.analysis.misregistration import Range, misregister, misregistration_range
from dafnet_core.analysis.painting import Stroke, paint
from dafnet_core.geometry import identity_pixels, jacobian, nearest_offsets, positions_of
from dafnet_core.methods.decomposition import decompose


@pytest.fixture
def slice_of(make_model):
    def make(modalities=("a", "b")):
        model = make_model(modalities=modalities).eval()
        images = np.random.default_rng(0).uniform(-1, 1, (len(modalities), 32, 48)).astype(np.float32)
        return model, decompose(model, images)

    return make


@pytest.mark.parametrize("modalities", [("a", "b"), ("a", "b", "c")])
def test_the_predicted_offsets_give_the_prediction_again(slice_of, modalities):
    model, found = slice_of(modalities)
    for p, (i, _) in enumerate(found.pairs):
        again = realign(model, found, p, found.offsets[p])
        assert np.allclose(again.positions, found.positions[p], atol=1e-4)
        assert np.allclose(again.deformed, found.deformed[p], atol=1e-5)
        assert np.allclose(again.fused, found.fused[i], atol=1e-5)
        assert np.allclose(again.cross, found.cross[p], atol=1e-4)
        assert (again.deformed_mask == found.deformed_masks[p]).mean() > 0.999  # rounding may tip a pixel
        assert (again.fused_mask == found.fused_masks[i]).mean() > 0.999


def test_no_offsets_leave_the_moving_anatomy_as_it_is(slice_of):
    model, found = slice_of()
    still = realign(model, found, 0, np.zeros_like(found.offsets[0]))
    assert np.allclose(still.deformed, found.s[1], atol=1e-5)
    assert np.array_equal(still.fused > 0.5, (found.s[0] + found.s[1]) > 0.5)
    assert still.folded == 0


def test_a_warp_sets_in_from_the_image_itself_to_the_whole_deformation(slice_of):
    _, found = slice_of()
    offsets, labels = found.offsets[0], found.s[1].argmax(0)
    images, deformed = partly_warped(found.images[1], labels, offsets, (0.0, 0.5, 1.0))
    assert np.allclose(images[0], found.images[1], atol=1e-5)
    assert np.array_equal(deformed[0], labels)
    x, y = np.rint(found.positions[0]).astype(int).transpose(2, 0, 1).clip(0, [[[47]], [[31]]])
    assert (deformed[2] == labels[y, x]).mean() > 0.99  # float32 may tip a pixel
    assert np.abs(images[1] - images[0]).mean() > 0


def test_offsets_of_another_number_are_refused(slice_of):
    model, found = slice_of()
    with pytest.raises(ValueError, match=r"expected \(25, 2\)"):
        realign(model, found, 0, np.zeros((9, 2)))


def test_a_spline_s_offsets_are_found_from_its_positions():
    offsets = np.random.default_rng(1).normal(0, 0.1, (25, 2))
    assert np.allclose(nearest_offsets(positions_of(offsets, 40, 56)), offsets, atol=1e-9)


def test_the_jacobian_of_a_magnification_and_of_a_mirror():
    still = identity_pixels(8, 8)
    assert np.allclose(jacobian(still), 1)
    assert np.allclose(jacobian(still * [0.5, 0.5]), 0.25)
    assert np.allclose(jacobian(still * [-1, 1]), -1)  # folded


def test_crossed_control_points_fold(slice_of):
    model, found = slice_of()
    offsets = np.zeros((25, 2), np.float32)
    offsets[[11, 12, 13], 0] = 0.9, 0, -0.9  # the middle row changes sides
    assert realign(model, found, 0, offsets).folded > 0


def test_an_edit_counts_what_changed(slice_of):
    model, found = slice_of()
    before = found.s[0].argmax(0).astype(np.uint8)
    after = paint(before, [Stroke(1, 4, ((20, 16),))], model.config.channels)
    made = edited(model, before, after, found.z_mean[0], truth=found.single[0])
    assert np.array_equal(made.changed, before != after)
    assert made.pixels.sum(0).tolist() == [before.size, before.size]
    assert np.allclose(made.images[0], found.own[0], atol=1e-4)
    moved = np.abs(made.images[1] - made.images[0])
    assert made.inside == pytest.approx(moved[made.changed].mean(), rel=1e-5)
    assert made.outside == pytest.approx(moved[~made.changed].mean(), rel=1e-5)
    same = edited(model, before, before, found.z_mean[0])
    assert np.isnan(same.inside)
    assert same.outside == 0
    assert np.isnan(same.dice).all()


def test_channels_of_two_models_are_matched_by_the_pixels_they_share():
    mine = np.array([[[0, 0, 1, 3]]], np.uint8)
    theirs = np.array([[[2, 2, 0, 1]]], np.uint8)
    assert matching_channels(mine, theirs, 3) == (2, 0, None, 1)


def test_a_warp_is_known_and_its_error_without_aligning_is_its_length(slice_of):
    model, found = slice_of()
    reference = np.ones((32, 48), np.uint8)
    none = misregister(model, found.images, (0, 1), (0, 1), reference, 0.0)
    assert np.allclose(none.decomposition.images, found.images, atol=1e-6)
    assert none.error_before == pytest.approx(0, abs=1e-5)
    some = misregister(model, found.images, (0, 1), (0, 1), reference, 2.0, seed=3)
    assert np.sqrt(np.square(some.applied).sum(-1).mean()) == pytest.approx(2, rel=1e-4)
    # q + applied(q) = p, so going there and looking back ends where it began
    assert 1 < some.error_before < 3
    assert np.array_equal(some.decomposition.images[0], found.images[0])
    assert not np.array_equal(some.decomposition.images[1], found.images[1])


def test_the_breaking_point_lies_where_the_dice_has_fallen_by_a_tenth():
    amounts = np.array([0.0, 4, 8])
    dice = np.array([[0.9, 0.9], [0.9, 0.8], [0.6, 0.5]])
    found = Range(amounts, dice, dice, dice, dice)
    # means .9, .85, .55: the line from .85 to .55 passes .8 after a sixth of four pixels
    assert found.breaks_at == pytest.approx(4 + 4 / 6)
    assert Range(amounts, dice, dice, dice * 0 + 0.9, dice).breaks_at is None


def test_a_range_asks_for_amounts_that_rise_from_zero(slice_of):
    model, found = slice_of()

    def one(amount, seed):
        return misregister(model, found.images, (0, 1), (0, 1), found.single[0], amount, seed=seed)

    rising = misregistration_range(one, [0, 2], [0, 1])
    assert rising.aligned.shape == (2, 2)
    assert rising.error_before[0].max() < 1e-5 < rising.error_before[1].min()
    for wrong in ([1, 2], [0, 2, 2], [0]):
        with pytest.raises(ValueError, match="rise from 0"):
            misregistration_range(one, wrong, [0])


def test_candidates_are_weighed_as_the_model_weighs_them(make_model):
    model = make_model(candidates=3).eval()
    images = np.random.default_rng(4).uniform(-1, 1, (2, 3, 32, 48)).astype(np.float32)
    made, whole = weigh(model, images, (0, 1), (1, 0)), decompose(model, images)
    p = whole.pairs.index((1, 0))
    assert made.weights == pytest.approx(whole.weights[p], abs=1e-4)
    assert np.allclose(made.deformed[0], whole.deformed[p], atol=1e-4)
    assert (made.weighted == whole.deformed_masks[p]).mean() > 0.999  # rounding may tip a pixel
    few = weigh(model, images[:, :2], (0, 1), (1, 0))
    assert few.weights is None
    assert few.weighted is None
    assert few.overlap == pytest.approx(made.overlap[:2], abs=1e-4)
    with pytest.raises(ValueError, match="two different positions"):
        weigh(model, images, (0, 1), (1, 1))

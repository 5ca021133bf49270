"""Measurements against known answers, and a decomposition against the model it came from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from dafnet_core.analysis.decompose import (
    channel_classes,
    decompose,
    kl_per_dimension,
    masks_of,
    overlaps,
    reconstruction_errors,
    registration_errors,
)
from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.analysis.informativeness import cycle, informativeness
from dafnet_core.metrics.registration import grid_to_pixels, identity_pixels, position_error
from dafnet_core.metrics.segmentation import dice_per_class, overlap_counts, summarise
from dafnet_core.networks.aligner import pixel_centres

RNG = np.random.default_rng(0)


def test_dice_per_class_is_scikit_learn_s_and_unknown_where_the_truth_has_none():
    pred, truth = RNG.integers(0, 4, (2, 20, 30))
    expected = f1_score(truth.ravel(), pred.ravel(), labels=[1, 2, 3], average=None)
    assert np.allclose(dice_per_class(pred, truth, 4), expected)
    assert np.isnan(dice_per_class(pred, np.minimum(truth, 2), 4)[2])


def test_summary_averages_slices_within_a_subject_first():
    full = overlap_counts(np.ones((2, 2), int), np.ones((2, 2), int), 2)  # Dice 1
    none = overlap_counts(np.zeros((2, 2), int), np.ones((2, 2), int), 2)  # Dice 0
    # subject 0: three slices of Dice 1; subject 1: one slice of Dice 0 -> 0.5 and not 0.75
    found = summarise(list(zip("aaab", [full, full, full, none], strict=True)), ("background", "organ"))
    assert found["dice_mean"] == 0.5
    assert found["dice_std"] == pytest.approx(np.sqrt(0.5))
    assert found["per_class"] == {"organ": 0.5}
    assert found["false_positive"] == {"slices": 0, "rate": None}


def test_absent_classes_count_as_false_positives_and_not_as_dice():
    truth = np.zeros((4, 4), int)
    pred = truth.copy()
    pred[0, 0] = 1
    counts = np.stack([overlap_counts(p, truth, 2) for p in (pred, truth)])
    found = summarise(list(zip("aa", counts, strict=True)), ("background", "organ"))
    assert found["dice_mean"] is None
    assert found["n_subjects"] == 0
    assert found["false_positive"] == {"slices": 2, "rate": 0.5}


def test_pixel_positions_of_the_identity_grid_are_the_pixels():
    grid = pixel_centres(32, 48).view(32, 48, 2).numpy()
    assert np.allclose(grid_to_pixels(grid), identity_pixels(32, 48), atol=1e-9)


def test_position_error_is_the_mean_distance_in_pixels():
    still = identity_pixels(8, 8)
    where = np.zeros((8, 8), bool)
    where[2:4] = True
    assert position_error(still + np.array([3, 4]), still, where) == pytest.approx(5)
    assert np.isnan(position_error(still, still, np.zeros((8, 8), bool)))


@pytest.fixture
def found(make_model):
    images = RNG.uniform(-1, 1, (2, 32, 48)).astype(np.float32)
    return decompose(make_model().eval(), images)


def test_decomposition_is_what_the_model_predicts(make_model, found):
    model = make_model().eval()
    x = torch.from_numpy(found.images)[None]
    prediction = model.predict(x)
    assert np.array_equal(found.s, prediction.s[:, 0, 0].numpy())
    assert np.array_equal(found.fused_masks, prediction.fused_masks[:, 0].argmax(1).numpy())
    with torch.inference_mode():
        swapped = model.decode(prediction.s[0, :, 0], torch.from_numpy(found.z_mean[1:2]))
    assert np.allclose(found.swapped[0], swapped[0, 0].numpy(), atol=1e-5)
    assert [kind for kind, *_ in masks_of(found)] == ["single", "deformed", "fused"] * 2


def test_one_modality_alone_decomposes_with_nothing_to_align(make_model):
    alone = decompose(make_model().eval(), np.zeros((1, 32, 48), np.float32), (1,))
    assert alone.names == ("b",)
    assert alone.pairs == ()
    assert (len(alone.deformed), len(alone.cross), len(alone.positions)) == (0, 0, 0)
    assert np.array_equal(alone.single, alone.fused_masks)


def test_numbers_appear_only_where_there_is_a_truth(found):
    truth = {0: RNG.integers(0, 3, (32, 48)).astype(np.uint8)}
    assert {(kind, i) for kind, i, _, _ in overlaps(found, truth, 3)} == {("single", 0), ("deformed", 0), ("fused", 0)}
    both = truth | {1: truth[0]}
    copies = [counts for kind, _, _, counts in overlaps(found, both, 3) if kind == "copy"]
    assert all((c[:, 0] == c[:, 2]).all() for c in copies)  # identical masks overlap wholly
    inside = {(kind, i): v for kind, i, _, _, v in reconstruction_errors(found, truth)}
    assert not np.isnan(inside["own", 0])
    assert np.isnan(inside["own", 1])


def test_reconstruction_error_is_the_mean_absolute_difference(found):
    _, _, _, everywhere, _ = next(iter(reconstruction_errors(found, {})))
    assert everywhere == pytest.approx(np.abs(found.own[0] - found.images[0]).mean(), rel=1e-5)


def test_kl_is_zero_for_the_prior_and_grows_with_what_z_says(found):
    from dataclasses import replace

    prior = replace(found, z_mean=np.zeros((2, 8)), z_std=np.ones((2, 8)))
    assert np.allclose(kl_per_dimension(prior), 0)
    told = replace(prior, z_mean=np.full((2, 8), 2.0), z_std=np.full((2, 8), 0.5))
    assert np.allclose(kl_per_dimension(told), 0.5 * (4 + 0.25 - 1 - np.log(0.25)))


def test_registration_error_of_the_true_warp_is_zero(found):
    truth = dict(enumerate(np.ones((2, 32, 48), np.uint8)))
    perfect = {pair: found.positions[p] for p, pair in enumerate(found.pairs)}
    assert [after for *_, after in registration_errors(found, truth, perfect)] == [0, 0]
    assert list(registration_errors(found, truth, {})) == []


def test_a_channel_is_a_class_where_most_of_its_pixels_are(found):
    from dataclasses import replace

    s = np.zeros((2, 3, 32, 48), np.float32)
    single = np.zeros((2, 32, 48), np.uint8)
    single[:, 8:16, 8:16] = 2
    s[:, 1, 8:16, 8:16] = 1  # exactly class 2
    s[:, 2, 8:16, 16:40] = 1  # background only
    s[:, 0] = 1 - s[:, 1] - s[:, 2]
    assert channel_classes(replace(found, s=s, single=single), 3) == (None, 2, None)


def test_informativeness_counts_dimensions_that_say_something(found):
    told = Encoded.of(replace(found, z_mean=np.zeros((2, 8)), z_std=np.ones((2, 8))), "one", 0)
    told.z_mean[:, 3] = (2.0, -2.0)
    seen = informativeness(Encodings(found.names, ("background", "one", "two"), 8, [told, told]))
    assert seen.active == 1
    assert seen.kl[3] == pytest.approx(2.0)  # 4 / 2
    assert seen.variance == pytest.approx(np.eye(8)[3] * 4)


def test_cycle_encodes_own_reconstructions_with_their_own_encoder(make_model, found):
    model = make_model().eval()
    seen = cycle(model, found)
    second = decompose(model, found.own[1:], (1,))
    assert seen.z_l1[1] == pytest.approx(np.abs(second.z_mean[0] - found.z_mean[1]).mean(), abs=1e-6)
    assert seen.s_agreement[1] == pytest.approx((second.s[0] == found.s[1]).all(0).mean())
    untouched = cycle(model, replace(found, own=found.images))
    assert untouched.z_l1 == pytest.approx([0, 0], abs=1e-2)  # one image at a time rounds otherwise than two
    assert (untouched.s_agreement > 0.95).all()

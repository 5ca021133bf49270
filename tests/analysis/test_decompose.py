"""A decomposition against the model it came from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dafnet_core.analysis.decompose import (
    channel_classes,
    kl_per_dimension,
    overlaps,
    reconstruction_errors,
    registration_errors,
)
from dafnet_core.methods.dafnet import masks_of
from dafnet_core.methods.decomposition import decompose

RNG = np.random.default_rng(0)


@pytest.mark.slow
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

    prior = replace(found, z_mean=np.zeros((2, 8)), z_std=np.ones((2, 8)))
    assert np.allclose(kl_per_dimension(prior), 0)
    informative = replace(prior, z_mean=np.full((2, 8), 2.0), z_std=np.full((2, 8), 0.5))
    assert np.allclose(kl_per_dimension(informative), 0.5 * (4 + 0.25 - 1 - np.log(0.25)))


def test_registration_error_of_the_true_warp_is_zero(found):
    truth = dict(enumerate(np.ones((2, 32, 48), np.uint8)))
    perfect = {pair: found.positions[p] for p, pair in enumerate(found.pairs)}
    assert [after for *_, after in registration_errors(found, truth, perfect)] == [0, 0]
    assert list(registration_errors(found, truth, {})) == []


def test_a_channel_is_a_class_where_most_of_its_pixels_are(found):

    s = np.zeros((2, 3, 32, 48), np.float32)
    single = np.zeros((2, 32, 48), np.uint8)
    single[:, 8:16, 8:16] = 2
    s[:, 1, 8:16, 8:16] = 1  # exactly class 2
    s[:, 2, 8:16, 16:40] = 1  # background only
    s[:, 0] = 1 - s[:, 1] - s[:, 2]
    assert channel_classes(replace(found, s=s, single=single), 3) == (None, 2, None)

"""V-information and information over bias flag an anatomy that holds intensities, and not a perfect one."""

import numpy as np
import pytest
import torch

from dafnet_core.analysis.information_over_bias import information_over_bias
from dafnet_core.analysis.small_networks import channel_shares
from dafnet_core.analysis.v_information import usable_information


def test_channel_shares_are_those_of_the_cells():
    labels = np.zeros((1, 4, 4), np.uint8)
    labels[0, 0, 0] = 2
    found = channel_shares(labels, 3, 2)
    assert found.shape == (1, 3, 2, 2)
    assert found[0, :, 0, 0].tolist() == [0.75, 0, 0.25]
    assert torch.equal(found.sum(1), torch.ones(1, 2, 2))


def anatomies(leak):
    """Squares of any size; a share `leak` of the pixels is in channel 2 + modality."""
    rng = np.random.default_rng(0)
    modality, subjects = np.tile([0, 1], 18), np.repeat(np.arange(9), 4)
    masks = np.zeros((36, 32, 32), np.uint8)
    for mask, side in zip(masks, rng.integers(6, 20, 36), strict=True):
        mask[4 : 4 + side, 4 : 4 + side] = 1
    code = (2 + modality[:, None, None]).astype(np.uint8)
    return np.where(rng.random(masks.shape) < leak, code, masks), masks, modality, subjects


def test_a_small_cnn_reads_the_modality_from_a_leaky_anatomy_only():
    s, masks, modality, subjects = anatomies(0.1)
    leaky = usable_information(s, 4, masks, 2, modality, subjects)
    assert leaky.excess.ci95[0] > 0.2
    assert leaky.excess.difference == pytest.approx((leaky.truth - leaky.anatomy).mean())
    s = anatomies(0)[0]
    clean = usable_information(s, 4, masks, 2, modality, subjects)
    assert abs(clean.excess.difference) < 0.1
    assert clean.truth.mean() < np.log(2) + 0.1


def test_v_information_needs_subjects_and_modalities():
    s, masks, modality, subjects = anatomies(0)
    with pytest.raises(ValueError, match="expected at least 3 and 2"):
        usable_information(s, 4, masks, 2, modality * 0, subjects)


def pictures():
    """Squares of random brightness: images, shares of perfect and of leaky anatomies, z that holds the brightness."""
    rng = np.random.default_rng(0)
    subjects, level = np.repeat(np.arange(12), 4), rng.uniform(-1, 1, 48).astype(np.float32)
    labels = np.zeros((48, 64, 64), np.uint8)
    for label, side in zip(labels, rng.integers(16, 40, 48), strict=True):
        label[8 : 8 + side, 8 : 8 + side] = 1
    images = torch.from_numpy(np.where(labels == 1, level[:, None, None], -0.5)).float()[:, None]
    leaky = np.where(labels == 1, 1 + np.floor(2 * (level[:, None, None] + 1)).astype(np.uint8), 0)
    return subjects, images, [channel_shares(x, 5, 64) for x in (labels, leaky)], torch.from_numpy(level)[:, None]


def test_information_over_bias_grows_with_what_a_factor_holds():
    subjects, images, (perfect, leaky), z = pictures()
    clean, more = (information_over_bias(s, images, subjects) for s in (perfect, leaky))
    assert more.value > 2 * clean.value
    assert information_over_bias(z, images, subjects).ci95[0] > 1
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((48, 4))).float()
    assert information_over_bias(noise, images, subjects).value == pytest.approx(1, abs=0.15)


def test_information_over_bias_needs_four_subjects():
    subjects, images, (perfect, _), _ = pictures()
    with pytest.raises(ValueError, match="at least 4 are needed"):
        information_over_bias(perfect[:8], images[:8], subjects[:8])

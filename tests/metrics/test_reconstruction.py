"""Errors of images whose best reconstruction is known."""

import numpy as np
import pytest

from dafnet_core.metrics.reconstruction import contrast, flat_error, noise_error


def test_flat_regions_have_no_flat_error_and_the_median_is_best():
    rng = np.random.default_rng(0)
    regions = rng.integers(0, 4, (32, 32))
    assert flat_error(regions / 3 - 1, regions) == 0
    image = rng.normal(size=(32, 32))
    others = [np.array([np.mean(image[regions == r]) for r in range(4)])[regions], np.zeros((32, 32))]
    assert all(flat_error(image, regions) <= np.abs(image - other).mean() for other in others)


def test_noise_that_shifts_dark_places_leaves_its_spread_only():
    """Noise of a mean of its own at each level, as magnitudes have it, is found but for that mean."""
    rng = np.random.default_rng(1)
    clean = rng.uniform(-1, 1, (128, 128))
    shift, spread = np.where(clean < 0, 0.3, 0.0), 0.1
    noisy = clean + shift + spread * rng.standard_normal(clean.shape)
    expected = spread * np.sqrt(2 / np.pi)  # mean absolute deviation of a normal distribution
    assert noise_error(noisy, clean) == pytest.approx(expected, rel=0.03)
    assert np.abs(noisy - clean).mean() > 1.5 * expected
    assert noise_error(clean, clean) < 0.01


def test_contrast_is_the_difference_of_means_and_unknown_for_nothing():
    image = np.array([[1.0, 0.5], [-1.0, 0.0]])
    left = np.array([[True, False], [True, False]])
    assert contrast(image, left, ~left) == pytest.approx(-0.25)
    assert np.isnan(contrast(image, left, np.zeros((2, 2), bool)))

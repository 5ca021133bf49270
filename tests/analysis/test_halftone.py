"""Shuffled and flipped pixels of an anatomy: what a halftone loses and a clean anatomy does not."""

import numpy as np
import pytest

from dafnet_core.analysis.halftone import halftone, shuffle_within
from dafnet_core.checkpoints.file import load
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.methods.decomposition import decompose


def test_shuffling_keeps_the_channels_of_each_cell_and_region():
    rng = np.random.default_rng(0)
    channels, regions = rng.integers(0, 8, (32, 40)).astype(np.uint8), rng.integers(0, 3, (32, 40))
    shuffled = shuffle_within(channels, regions, rng)
    assert not np.array_equal(shuffled, channels)
    for row in range(0, 32, 8):
        for column in range(0, 40, 8):
            part = np.s_[row : row + 8, column : column + 8]
            for region in range(3):
                inside = regions[part] == region
                assert np.array_equal(np.sort(channels[part][inside]), np.sort(shuffled[part][inside]))
    clean = regions.astype(np.uint8)
    assert np.array_equal(shuffle_within(clean, regions, rng), clean)


def test_the_shipped_leaky_model_loses_intensities_with_the_places_of_its_dots():
    checkpoint = load("checkpoints/cardiac-film-leaky.safetensors")
    sample = phantom_slices(9100, range(1), size=128)[3]
    decomposition = decompose(checkpoint.model, sample.images)
    found = halftone(checkpoint.model, decomposition, 0, sample.masks[0])
    assert found.own == pytest.approx(decomposition.own[0], abs=2e-2)  # bfloat16 there, perhaps
    assert found.errors[1] > 1.1 * found.errors[0]
    assert found.errors[2] > 1.1 * found.errors[0]
    assert (found.flipped != decomposition.s[0].argmax(0)).mean() == pytest.approx(0.05 * 7 / 8, abs=0.01)

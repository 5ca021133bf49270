"""Speckle, boundaries and agreement of label maps, where the answer is known."""

import numpy as np
import pytest

from dafnet_core.metrics.anatomy import agreement, boundary_length, speckle


def square():
    labels = np.zeros((16, 16), np.uint8)
    labels[4:12, 4:12] = 1
    return labels


def grid():
    y, x = np.mgrid[:16, :16].astype(float)
    return np.stack([x, y], -1)


def test_speckle_is_the_share_of_pixels_that_stand_alone():
    assert speckle(np.zeros((8, 8), int)) == 0
    clean = speckle(square())
    assert clean == pytest.approx(4 / 256)  # the corners, of which 3 x 3 pixels show 4 of the square and 5 others
    dotted = square()
    dotted[2, 2] = dotted[8, 8] = 7
    assert speckle(dotted) == pytest.approx(clean + 2 / 256)


def test_speckle_does_not_depend_on_which_number_a_label_has():
    assert speckle(square()) == speckle(9 - square()) == speckle(square().T)


def test_boundary_length_counts_neighbours_that_differ():
    assert boundary_length(np.zeros((5, 5), int)) == 0
    assert boundary_length(square()) == 4 * 8
    y, x = np.mgrid[:6, :6]
    assert boundary_length((x + y) % 2) == 2 * 6 * 5  # all of them


def test_agreement_follows_the_positions():
    fixed = square()
    assert agreement(fixed, fixed, grid()) == 1
    moving = np.roll(fixed, 3, axis=1)
    assert agreement(fixed, moving, grid()) == pytest.approx(1 - 2 * 3 * 8 / 256)
    assert agreement(fixed, moving, grid() + np.array([3, 0])) == 1  # pixels whose place is outside do not count
    assert np.isnan(agreement(fixed, moving, grid() + np.array([100, 0])))

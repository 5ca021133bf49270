"""Pixel positions of warps and their errors."""

import numpy as np
import pytest

from dafnet_core.geometry import grid_to_pixels, identity_pixels, pixel_centres
from dafnet_core.metrics.registration import position_error


def test_pixel_positions_of_the_identity_grid_are_the_pixels():
    grid = pixel_centres(32, 48).view(32, 48, 2).numpy()
    assert np.allclose(grid_to_pixels(grid), identity_pixels(32, 48), atol=1e-9)


def test_position_error_is_the_mean_distance_in_pixels():
    still = identity_pixels(8, 8)
    where = np.zeros((8, 8), bool)
    where[2:4] = True
    assert position_error(still + np.array([3, 4]), still, where) == pytest.approx(5)
    assert np.isnan(position_error(still, still, np.zeros((8, 8), bool)))

"""What a decoded image loses, for images made by hand and for the phantom."""

import numpy as np
import pytest

from dafnet_core.analysis.lost import lost, seen_from
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.sources import open_source
from dafnet_core.geometry import identity_pixels

NAMES = ("air", "myocardium", "scar")


def scene():
    """Tissues (16, 16) and an image in which the scar is 1.5 brighter than the myocardium."""
    tissues = np.zeros((16, 16), np.uint8)
    tissues[4:12, 4:12] = 1
    tissues[6:8, 6:8] = 2
    return tissues, np.array([-1.0, -0.5, 1.0])[tissues]


def test_a_scar_that_is_decoded_as_myocardium_has_lost_its_contrast():
    tissues, image = scene()
    made = np.where(tissues == 2, -0.5, image)
    found = lost(made, image, tissues, NAMES)
    assert found.error == pytest.approx(1.5 * 4 / 256)
    assert found.contrast == pytest.approx((1.5, 0.0))
    assert found.scar.sum() == 4
    assert (found.flat, found.noise) == (0, None)


def test_what_is_not_known_is_none():
    tissues, image = scene()
    assert lost(image, image).flat is None
    healthy = lost(image, image, np.minimum(tissues, 1), NAMES)
    assert healthy.scar is None
    assert healthy.contrast is None
    assert healthy.flat > 0  # the bright scar is not a tissue of its own there


def test_an_image_seen_from_a_moved_frame_is_moved():
    image = np.arange(64.0).reshape(8, 8)
    positions = identity_pixels(8, 8) + np.array([1, 0])
    assert np.allclose(seen_from(image, positions)[:, :-1], image[:, 1:])


@pytest.mark.parametrize("difficulty", ["standard", "hard", "wide"])
def test_no_phantom_has_less_error_left_by_its_tissues_than_by_its_noise(difficulty):
    sample = open_source("phantom").sample_slices(0, difficulty, Preparation(64, 64), ("cine", "LGE"))[3]
    clean = sample.without_noise()
    assert clean.shape == sample.images.shape
    for i, image in enumerate(sample.images):
        found = lost(clean[i], image, sample.tissues[i], sample.tissue_names, clean[i])
        assert 0 < found.noise <= found.error + 1e-6  # no image of these levels is better than the best of them
        assert found.noise < found.flat

"""A phantom study generates what it is asked for and implements the ground truth of a study."""

import numpy as np
import pytest

from dafnet_core.data.dataset import PairedSlices
from dafnet_core.data.phantom import CINE, LGE, generate, known_factors
from dafnet_core.data.phantom.study import PhantomStudy, phantom_slices
from dafnet_core.data.prepare import Preparation, scale_intensity
from dafnet_core.data.studies import Study


@pytest.fixture
def study():
    return PhantomStudy(3, 1, size=64, slices=4, difficulty="hard", phases=3)


def test_indexing_gives_the_generated_slices(study):
    pair = generate(3, 1, 2, size=64, slices=4, difficulty="hard", phases=3)
    assert [images.shape for images in study.images] == [(3, 4, 64, 64), (1, 4, 64, 64)]
    assert np.array_equal(study.images[CINE][1, 2], scale_intensity(pair.frames[1]))
    assert np.array_equal(study.images[LGE][0, 2], scale_intensity(pair.images[LGE]))
    for modality in (CINE, LGE):
        assert np.array_equal(study.masks[modality][2], pair.masks[modality])


def test_truth_is_that_of_the_generated_pair(study):
    pair = generate(3, 1, 2, size=64, slices=4, difficulty="hard")
    positions, regions = study.truth(2)
    assert set(positions) == {(CINE, LGE), (LGE, CINE)}
    for fixed, moving in positions:
        assert np.array_equal(positions[fixed, moving], pair.sampling(fixed, moving))
    assert set(regions) == {CINE, LGE}
    for modality, region in regions.items():
        assert np.array_equal(region, pair.masks[modality] > 0)
    assert study.ground_truth(2) == known_factors(3, 1, 2, "hard")


def test_slices_hand_on_what_their_study_knows():
    data = phantom_slices(3, range(2), size=64, slices=4, difficulty="mixed")
    assert data.ground_truth(6) == known_factors(3, 1, 2, "hard")
    assert data.ground_truth(2) == known_factors(3, 0, 2, "standard")
    varied = phantom_slices(3, range(4), size=64, slices=4, difficulty="varied")
    kinds = ("wide", "standard", "wide", "hard")
    assert [varied.ground_truth(4 * n) == known_factors(3, n, 0, kind) for n, kind in enumerate(kinds)] == [True] * 4
    positions, _ = data.truth(6)
    assert np.array_equal(positions[LGE, CINE], data.studies[1].truth(2)[0][LGE, CINE])


def test_a_study_that_was_read_has_no_ground_truth():
    images = tuple(np.zeros((1, 2, 16, 16), np.float32) for _ in range(2))
    read = Study("one", images, (None, None), (np.arange(2.0),) * 2)
    assert read.truth(0) == ({}, {})
    assert read.ground_truth(0) == {}
    data = PairedSlices(("a", "b"), ("background",), Preparation(16, 16), [read])
    assert (data.truth(1), data.ground_truth(1)) == (({}, {}), {})

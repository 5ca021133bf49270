"""Samples: slices that a source offers for a look are those that its studies hold."""

import numpy as np
import pytest

from dafnet_core.config import EVALUATION_SEED
from dafnet_core.data.phantom import generate
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.source import nearest_slices
from dafnet_core.data.sources import SOURCES, open_source

GRID = Preparation(64, 64)


@pytest.mark.parametrize("kind", [kind for kind, source in SOURCES.items() if source.built_in])
def test_a_built_in_source_offers_the_slices_of_its_studies(kind):
    source = open_source(kind)
    samples = source.samples
    for variant in samples.variants:
        spec = source.evaluation_spec(2, variant)
        study = open_source(spec).study(source.names()[1], source.preparation(64, None))
        made = source.sample(1, 2, variant, GRID, source.modalities)
        truth, _ = study.truth(2)
        for m, image in enumerate(made.images):
            assert np.array_equal(image, study.images[m][0, 2])
            assert np.array_equal(made.masks[m], study.masks[m][2])
        assert made.sampling.keys() == truth.keys()
        assert all(np.array_equal(positions, truth[pair]) for pair, positions in made.sampling.items())
        around = made.around(3)
        assert around.shape == (len(source.modalities), 3, 64, 64)
        assert np.array_equal(around[:, 0], made.images)
        assert np.array_equal(around[0, 1], study.images[0][0, 1])


def test_modalities_come_in_the_order_that_was_asked_for():
    source = open_source("phantom")
    there, back = (source.sample(0, 3, "hard", GRID, names) for names in (("cine", "LGE"), ("LGE", "cine")))
    assert np.array_equal(there.images, back.images[::-1])
    assert np.array_equal(there.masks[0], back.masks[1])
    assert np.array_equal(there.sampling[0, 1], back.sampling[1, 0])
    alone = source.sample(0, 3, "hard", GRID, ("LGE",))
    assert np.array_equal(alone.masks[0], generate(EVALUATION_SEED, 0, 3, size=64, difficulty="hard").masks[1])
    assert alone.sampling == {}


def test_sources_of_files_offer_none():
    assert [kind for kind, source in SOURCES.items() if source.samples] == ["phantom"]
    assert all(source.samples is None for source in SOURCES.values() if not source.built_in)


def test_the_nearest_slices_come_first_and_end_with_the_stack():
    assert nearest_slices(3, 8, 3) == [3, 2, 4]
    assert nearest_slices(0, 8, 3) == [0, 1, 2]
    assert nearest_slices(1, 2, 3) == [1, 0]

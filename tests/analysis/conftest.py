"""The decomposition of one random slice by a small model."""

import numpy as np
import pytest

from dafnet_core.methods.decomposition import decompose


@pytest.fixture
def found(make_model):
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 48)).astype(np.float32)
    return decompose(make_model().eval(), images)

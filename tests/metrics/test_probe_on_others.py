"""A probe fitted on some subjects and tested on others (Sec. V-H.1)."""

import numpy as np
import pytest

from dafnet_core.metrics.probe import probe_on_others


def rows(n, rng, gap):
    labels = np.tile([0, 1], n)
    z = rng.standard_normal((2 * n, 3))
    z[:, 1] += gap * labels
    return z, labels


def test_one_dimension_tells_the_modality_and_the_others_do_not():
    rng = np.random.default_rng(0)
    z, labels = rows(200, rng, 8)
    other, theirs = rows(150, rng, 8)
    found = probe_on_others(z, labels, other, theirs, np.repeat([1, 2, 3], 100))
    assert found.accuracy > 0.99
    assert found.per_dimension[1] > 0.99
    assert max(found.per_dimension[0], found.per_dimension[2]) < 0.6
    assert (found.chance, found.n_fitted, found.n, found.n_subjects) == (0.5, 400, 300, 3)
    assert found.ci95[0] < 0.5  # three subjects say little


def test_nothing_of_the_others_enters_the_fit():
    rng = np.random.default_rng(1)
    z, labels = rows(50, rng, 8)
    shifted = z + 100  # other subjects whose z lies elsewhere: standardised by the fitted ones, all look alike
    found = probe_on_others(z, labels, shifted, labels, np.zeros(100))
    assert found.accuracy == pytest.approx(0.5)
    with pytest.raises(ValueError, match="every row has the label 0"):
        probe_on_others(z, labels * 0, z, labels, np.zeros(100))

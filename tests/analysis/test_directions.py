"""Directions found in factors of several subjects: known ones are found again."""

import numpy as np
import pytest

from dafnet_core.analysis.directions import dimensions, modality_directions, principal_directions


def test_dimensions_are_the_axes_of_z():
    assert [d.name for d in dimensions(3)] == ["z1", "z2", "z3"]
    assert np.array_equal([d.vector for d in dimensions(3)], np.eye(3))


def test_principal_directions_are_those_in_which_z_was_made_to_vary():
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    rng = np.random.default_rng(1)
    z = 7 + (rng.normal(size=(400, 2)) * [4, 1]) @ axes[:2]
    found = principal_directions(z, 3)
    assert [d.name for d in found] == ["PC1", "PC2", "PC3"]
    for direction, axis in zip(found, axes[:2], strict=False):
        assert abs(direction.vector @ axis) == pytest.approx(1, abs=0.02)
        assert np.linalg.norm(direction.vector) == pytest.approx(1)
        assert direction.vector[np.abs(direction.vector).argmax()] > 0
    assert found[0].about == "94% of the variance"  # of variances 16 and 1
    assert len(principal_directions(z[:2], 3)) == 2
    for wrong in (z[:1], z[[0, 0, 0]]):
        with pytest.raises(ValueError, match="no principal components"):
            principal_directions(wrong)


def test_the_probe_s_direction_leads_from_one_modality_to_the_other():
    rng = np.random.default_rng(2)
    labels = np.tile([0, 1], 200)
    z = rng.normal(size=(400, 4))
    z[:, 2] += 3 * labels
    (direction,) = modality_directions(z, labels, ["cine", "LGE"])
    assert direction.name == "to LGE"
    assert direction.vector[2] > 0.9
    assert np.linalg.norm(direction.vector) == pytest.approx(1)
    scales = np.array([1, 1, 10, 1])  # of the rows; the normal of the same boundary is scaled the other way
    (scaled,) = modality_directions(z * scales, labels, ["cine", "LGE"])
    expected = direction.vector / scales
    assert scaled.vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    with pytest.raises(ValueError, match="at least 2"):
        modality_directions(z, np.zeros(400, int), ["cine", "LGE"])
    with pytest.raises(ValueError, match="no direction separates"):
        modality_directions(np.ones((400, 4)), labels, ["cine", "LGE"])


def test_of_three_modalities_each_has_a_direction_from_the_others():
    rng = np.random.default_rng(3)
    labels = np.tile([0, 1, 2], 100)
    z = rng.normal(size=(300, 5)) + 4 * np.eye(5)[labels]
    found = modality_directions(z, labels, ["a", "b", "c"])
    assert [d.name for d in found] == ["to a", "to b", "to c"]
    assert [int(d.vector.argmax()) for d in found] == [0, 1, 2]

"""What factors know of what is true: known shapes, planted answers, and controls that behave."""

import numpy as np
import pytest

from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.analysis.reading import Reading, read_ground_truth
from dafnet_core.analysis.truth import controls, dci, representations, score, shape_moments


def planted(n_subjects: int = 16) -> Encodings:
    """Size is in s, contrast in z1, noise in z2 and the shift in the warp; nothing else is anywhere."""
    rng = np.random.default_rng(0)
    slices = []
    for n in range(n_subjects):
        known = {name: float(rng.normal()) for name in ("size", "contrast", "noise", "shift")}
        for position in range(3):
            s = np.zeros((2, 16, 16), np.uint8)
            s[:, : 8 + round(np.clip(2 * known["size"], -6, 6))] = 1
            mean = rng.normal(0, 0.05, (2, 3))
            mean[:, 0] += known["contrast"]
            mean[:, 1] += known["noise"]
            offsets = rng.normal(0, 0.01, (2, 4)) + known["shift"]
            picture = np.zeros(s.shape, np.float32)
            slices.append(Encoded(f"p{n}", position, picture, s, mean, np.ones((2, 3)), None, known, offsets))
    return Encodings(("a", "b"), ("background", "one"), 2, slices)


def test_shape_moments_of_a_rectangle_are_known():
    labels = np.zeros((1, 8, 16), np.uint8)
    labels[0, 4:, :8] = 1  # lower left quarter
    _, found = shape_moments(labels, 3).reshape(1, 3, 5).transpose(1, 0, 2)[:2]
    assert found[0, :2] == pytest.approx([-0.5, 0.5])
    assert found[0, 2] == pytest.approx(np.var((np.arange(8) * 2 + 1) / 16))
    assert found[0, 3] == pytest.approx(np.var((np.arange(4) * 2 + 1) / 8))
    assert found[0, 4] == pytest.approx(0)
    assert not shape_moments(labels, 3)[0, 10:].any()  # an empty channel


def test_everything_is_read_where_it_is_and_nowhere_else():
    found = planted()
    parts = representations(found)
    assert parts["warp"].shape == (96, 4)
    scores = {
        (r.target, r.factor): score(r) for r in read_ground_truth(found, parts | controls(found)) if r.modality == "a"
    }
    home = {"size": "s occupancies", "contrast": "z1", "noise": "z2", "shift": "warp"}
    for known, place in home.items():
        assert scores[known, place] > 0.8
        assert scores[known, "oracle"] > 0.99
    for known, elsewhere in (("size", "z"), ("contrast", "s occupancies"), ("contrast", "z2"), ("shift", "z")):
        assert scores[known, elsewhere] < 0.3
    assert scores["contrast", "leaky s"] > 0.8  # the leak is found
    assert scores["size", "s shapes"] > 0.8


def test_one_thing_a_dimension_is_disentangled_and_a_rotation_of_it_is_not():
    def scores(mixing):
        rng = np.random.default_rng(0)
        slices = []
        for n in range(24):
            values = rng.normal(size=3)
            mean = np.stack([mixing @ values] * 2) + rng.normal(0, 0.01, (2, 3))
            s = np.zeros((2, 8, 8), np.uint8)
            known = dict(zip("uvw", values.tolist(), strict=True))
            slices.append(Encoded(f"p{n}", 0, s * 1.0, s, mean, np.ones((2, 3)), None, known, np.zeros((2, 2))))
        found = Encodings(("a", "b"), ("background", "one"), 2, slices)
        parts = {f"z{d + 1}": found.z[:, [d]] for d in range(3)} | {"z": found.z}
        return dci(read_ground_truth(found, parts), "a", ["z1", "z2", "z3"], "z")

    straight = scores(np.eye(3))
    turned = scores(np.linalg.qr(np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2.0]]).T)[0])
    assert straight.disentanglement > 0.85
    assert straight.completeness > 0.85
    assert straight.informativeness == pytest.approx([1, 1, 1], abs=0.01)
    assert turned.disentanglement < 0.6
    assert turned.informativeness == pytest.approx([1, 1, 1], abs=0.01)  # nothing is lost, only mixed


def test_scores_count_from_chance():
    assert score(Reading("x", "a", "z", "accuracy", 0.75, (0, 1), 0.5)) == 0.5
    assert score(Reading("x", "a", "z", "R²", -0.4, (0, 1), 0.0)) == 0
    assert np.isnan(score(Reading("x", "a", "z", "R²", None, None, None, "too few")))

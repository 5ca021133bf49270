"""Contrast parameters are read from the factor that holds them: a leaky anatomy is flagged, a perfect one is not."""

from types import SimpleNamespace

import numpy as np

from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.analysis.style_reading import anatomy_features, subject_means, tissue_intensities
from dafnet_core.data.phantom.parameters import CONTRAST_PARAMETERS, SHAPE_PARAMETERS, known_factors
from dafnet_core.evaluation.base import Context
from dafnet_core.evaluation.measures.style import Style


def test_the_phantom_knows_all_declared_parameters():
    assert set(CONTRAST_PARAMETERS) | set(SHAPE_PARAMETERS) <= set(known_factors(0, 0, 0, "standard"))


def test_intensities_of_tissues_and_their_means_by_subject():
    tissues = np.array([[0, 0], [2, 2]])
    found = tissue_intensities(np.array([[1.0, 3.0], [5.0, 5.0]]), tissues, 3)
    assert found[[0, 2]].tolist() == [2, 5]
    assert np.isnan(found[1])
    rows = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 8.0]])
    assert subject_means(rows, np.array(["a", "a", "b"])).tolist() == [[2, 8], [5, 8]]


def test_features_of_an_anatomy_have_their_number():
    assert anatomy_features(np.zeros((2, 16, 16), np.uint8), 3).shape == (2, 22 * 3)


def summary(leaky, informative, n_subjects=96):
    """Of subjects whose contrast parameters are in z, in s (as shares of channel 2), or in neither."""
    rng = np.random.default_rng(0)
    slices, rows = [], []
    for n in range(n_subjects):
        contrast, radius = dict.fromkeys(CONTRAST_PARAMETERS, rng.normal()), rng.uniform(2, 6)
        known = contrast | dict.fromkeys(SHAPE_PARAMETERS, radius)
        amount = next(iter(contrast.values()))
        s = np.zeros((2, 16, 16), np.uint8)
        s[:, : round(2 * radius)] = 1
        if leaky:
            s[rng.random(s.shape) < 0.1 * np.clip(2 + amount, 0, 4)] = 2
        z = rng.normal(size=(2, 4)) + informative * np.array([3 * amount, 0, 0, 0])
        pixels = np.zeros(s.shape, np.float32)
        slices.append(Encoded(f"p{n:03}", 0, pixels, s, z, np.ones((2, 4)), None, known))
        rows.append(np.stack([[0.1 * amount, np.nan, 0.01 * rng.normal()]] * 2))
    encodings = Encodings(("cine", "LGE"), ("background", "one"), 3, slices)
    context = Context(None, [], None, ())
    context.__dict__["encodings"] = encodings
    return Style().summarise(rows, context)["style"], context.reasons


def test_contrast_is_found_in_z_and_shape_in_a_perfect_anatomy():
    found, _ = summary(leaky=False, informative=True)
    assert found.oracle.linear.mean_r2 > 0.9
    assert found.z.linear.mean_r2 > 0.8
    assert found.z.nonlinear.mean_r2 > 0.7
    assert set(found.z.linear.r2) == set(CONTRAST_PARAMETERS)
    assert max(found.s.linear.mean_r2, found.s.nonlinear.mean_r2) < 0.1
    assert found.shape.s.linear.mean_r2 > 0.9
    assert max(found.shape.z.linear.mean_r2, found.shape.z.nonlinear.mean_r2) < 0.1


def test_contrast_in_a_leaky_anatomy_is_flagged():
    found, _ = summary(leaky=True, informative=False)
    assert found.s.linear.mean_r2 > 0.5
    assert found.s.nonlinear.mean_r2 > 0.5
    assert max(found.z.linear.mean_r2, found.z.nonlinear.mean_r2) < 0.1


def test_too_few_subjects_and_data_without_parameters_have_a_reason():
    found, reasons = summary(leaky=False, informative=True, n_subjects=8)
    assert found.z.linear.mean_r2 is found.oracle.linear.mean_r2 is None
    assert reasons["style"].startswith("8 subjects; at least 96 are needed")
    seen = SimpleNamespace(tissues={}, images=np.zeros((2, 1, 4, 4)))
    assert Style().observe(seen) is None


def test_an_oracle_that_reads_nothing_leaves_nulls(monkeypatch):
    monkeypatch.setattr("dafnet_core.evaluation.measures.style.LEAST_MEAN", 1.1)
    found, reasons = summary(leaky=False, informative=True)
    assert found.z.linear.mean_r2 is found.z.nonlinear.mean_r2 is None
    assert min(found.oracle.linear.mean_r2, found.oracle.nonlinear.mean_r2) > 0.7
    assert "expected at least" in reasons["style"]

"""Probe of z, regression on what is known, and leakage: planted answers and noise."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.analysis.reading import read_ground_truth
from dafnet_core.metrics.probe import leakage, occupancies, pooled, principal_axes, probe, regress


def scans(n_subjects: int = 12, slices: int = 4, n_z: int = 3, seed: int = 0):
    """Rows of two modalities a slice: noise z (n, n_z), labels and subjects (n,)."""
    labels = np.tile([0, 1], n_subjects * slices)
    subjects = np.repeat(np.arange(n_subjects), 2 * slices)
    return np.random.default_rng(seed).normal(size=(len(labels), n_z)), labels, subjects


def test_probe_finds_the_dimension_that_tells_the_modality():
    z, labels, subjects = scans()
    z[:, 1] += 20 * labels
    found = probe(z, labels, subjects)
    assert found.accuracy == 1
    assert found.per_dimension[1] == 1
    assert all(abs(found.per_dimension[d] - 0.5) < 0.2 for d in (0, 2))
    assert (found.chance, found.n, found.n_subjects) == (0.5, 96, 12)


def test_probe_of_noise_is_near_chance():
    found = probe(*scans(30, 6))
    assert found.ci95[0] < found.chance < found.ci95[1]
    assert abs(found.accuracy - 0.5) < 0.1  # 360 rows: four standard errors


def test_probe_never_meets_a_subject_twice():
    # z names the subject and the label is the subject's: known subjects would all be right, new ones are guesses
    subjects = np.repeat(np.arange(20), 10)
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1], 10))[subjects]
    assert probe(np.eye(20)[subjects], labels, subjects).accuracy < 0.7


def test_probe_standardises_by_the_training_part_and_repeats_itself():
    z, labels, subjects = scans()
    z[:, 0] += labels
    first, again, scaled = (probe(x, labels, subjects) for x in (z, z, z * [1e3, 1e-3, 1] + [7, -7, 100]))
    assert (first.accuracy, first.per_dimension) == (again.accuracy, again.per_dimension)
    assert (first.accuracy, first.per_dimension) == (scaled.accuracy, scaled.per_dimension)


def test_constant_dimension_tells_nothing():
    z, labels, subjects = scans()
    z[:, 0] += 20 * labels
    z[:, 2] = 0.1
    found = probe(z.astype(np.float32), labels, subjects)
    assert found.accuracy == 1
    assert found.per_dimension[2] == 0.5


def test_more_labels_and_named_subjects():
    labels = np.tile([3, 5, 5, 9], 6)
    subjects = np.repeat([f"patient {i}" for i in range(6)], 4)
    z = np.eye(10)[labels] + np.random.default_rng(0).normal(0, 0.01, (24, 10))
    found = probe(z, labels, subjects, folds=3)
    assert (found.accuracy, found.chance, found.n_subjects) == (1, 0.5, 6)
    assert np.array_equal(found.classify(z, subjects), labels)


@pytest.mark.parametrize(("n_subjects", "wrong"), [(12, 0), (2, 0), (10, 20)])
def test_probe_interval_is_wilson_s_over_subjects(n_subjects, wrong):
    z, labels, subjects = scans(n_subjects, 5)
    z[:, 0] += 50 * labels
    z[:wrong, 0] *= -1  # subjects 0 and 1 are the other way round
    z[:wrong, 0] += 50
    found = probe(z[:, :1], labels, subjects)
    right = n_subjects - wrong // 10
    assert found.accuracy == right / n_subjects
    expected = stats.binomtest(right, n_subjects).proportion_ci(0.95, "wilson")
    assert found.ci95 == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= found.ci95[0] < found.ci95[1] <= 1


def test_classify_uses_the_classifier_that_never_saw_the_subject():
    z, labels, subjects = scans(8)
    z[:, 0] += 5 * labels
    mine = subjects == 3
    found = probe(z, labels, subjects, folds=8)
    lied = np.where(mine, 1 - labels, labels)  # what subject 3 says about itself must not matter to it
    other = probe(z, lied, subjects, folds=8)
    grid = np.random.default_rng(1).normal(2, 3, (200, 3))
    at = np.full(200, 3)
    assert np.array_equal(found.classify(grid, at), other.classify(grid, at))
    assert (found.classify(z, subjects) == labels).mean() == found.accuracy
    assert found.classify(z[:0], subjects[:0]).shape == (0,)


def test_probe_says_what_it_lacks():
    z, labels, subjects = scans(2)
    with pytest.raises(ValueError, match="at least 2"):
        probe(z, labels, np.zeros_like(subjects))
    with pytest.raises(ValueError, match="every row has the label 0"):
        probe(z, np.zeros_like(labels), subjects)
    with pytest.raises(ValueError, match=r"without subjects \[\d\] a single label"):
        probe(z, subjects, subjects)
    with pytest.raises(ValueError, match=r"expected \(n, n_z\)"):
        probe(z, labels[:-1], subjects)
    found = probe(z, labels, subjects)
    with pytest.raises(ValueError, match="subject 7 was not among the 2"):
        found.classify(z[:2], np.array([0, 7]))
    with pytest.raises(ValueError, match="one id a row"):
        found.classify(z, subjects[:2])


def test_confusion_counts_held_out_rows():
    z, labels, subjects = scans()
    found = probe(z, labels, subjects)
    assert np.sum(found.confusion) == found.n
    assert np.trace(found.confusion) == found.correct.sum() == pytest.approx(found.accuracy * found.n)
    assert np.array_equal(np.sum(found.confusion, 1), np.bincount(labels))
    assert all(low <= a <= high for a, (low, high) in zip(found.per_dimension, found.per_dimension_ci95, strict=True))


def test_regression_finds_a_planted_number_and_none_in_noise():
    z, _, subjects = scans(n_subjects=20)
    rng = np.random.default_rng(1)
    size = rng.normal(size=20)[subjects]
    assert regress(z, size, subjects).ci95[0] < 0
    z[:, 1] += 10 * size
    found = regress(z, size, subjects)
    assert 0.9 < found.r2 < 1
    assert found.ci95[0] > 0.85
    with pytest.raises(ValueError, match="every row has the value 2"):
        regress(z, np.full(len(z), 2.0), subjects)
    with pytest.raises(ValueError, match="2 subjects"):
        regress(z[:16], size[:16], subjects[:16])


def encoded(n_subjects: int = 12) -> Encodings:
    """Subjects whose size is in their anatomy, whose noise is in their z and whose luck is in neither."""
    rng = np.random.default_rng(0)
    slices = []
    for n in range(n_subjects):
        size, noise = rng.uniform(2, 12), rng.normal()
        known = {"size": size, "noise": noise, "scar": noise > 0, "luck": rng.normal()}
        for position in range(3):
            s = np.zeros((2, 16, 16), np.uint8)
            s[:, : round(size)] = 1
            mean = rng.normal(0, 0.1, (2, 4))
            mean[:, 2] += noise
            picture = rng.normal(size=s.shape).astype(np.float32)
            slices.append(Encoded(f"p{n}", position, picture, s, mean, np.full((2, 4), 0.5), None, known))
    return Encodings(("a", "b"), ("background", "one"), 2, slices)


def test_what_is_known_is_read_from_the_factor_that_holds_it():
    found = {(r.target, r.modality, r.factor): r for r in read_ground_truth(encoded())}
    assert len(found) == 4 * 2 * 2
    for modality in "ab":
        assert found["size", modality, "s"].value > 0.95
        assert found["size", modality, "z"].ci95[0] < 0.2
        assert found["noise", modality, "z"].value > 0.9
        assert (found["scar", modality, "z"].measure, found["scar", modality, "z"].value > 0.9) == ("accuracy", True)
        assert found["luck", modality, "z"].ci95[0] <= 0
    alone = [r for r in read_ground_truth(encoded(2)) if r.target == "size"]
    assert {(r.value, "at least 3" in r.why) for r in alone} == {(None, True)}


def test_rows_of_encodings_belong_together_and_z_can_be_a_sample():
    found = encoded(3)
    assert found.subjects.tolist() == np.repeat(["p0", "p1", "p2"], 6).tolist()
    assert found.modality.tolist() == [0, 1] * 9
    assert found.positions[:6].tolist() == [0, 0, 1, 1, 2, 2]
    assert found.masks is None
    one, two, again = (replace(found, sample_z=seed) for seed in (1, 2, 1))
    assert np.array_equal(one.z, again.z)
    assert np.std(one.z - found.z) == pytest.approx(0.5, abs=0.1)
    assert not np.array_equal(one.z, two.z)
    assert (found.z_is, one.z_is) == ("posterior mean", "sample of the posterior, seed 1")


def test_principal_axes_are_where_z_varies_most():
    z = np.random.default_rng(0).normal(size=(200, 4)) * (1, 5, 0.1, 3)
    places, shares = principal_axes(z)
    assert abs(np.corrcoef(places[:, 0], z[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(places[:, 1], z[:, 3])[0, 1]) > 0.99
    assert 1 > shares[0] > shares[1] > 0


def test_occupancies_and_pooled_channels_are_shares():
    labels = np.random.default_rng(0).integers(0, 3, (2, 20, 36)).astype(np.uint8)
    assert np.allclose(occupancies(labels, 3).sum(1), 1)
    found = pooled(labels, 3, 4).reshape(2, 3, 4, 4)
    assert found[1, 2, 3, 0] == pytest.approx((labels[1, 15:, :9] == 2).mean())
    assert np.allclose(found.sum(1), 1)


def anatomies(leak: float, n_subjects: int = 12):
    """Anatomies (n, 16, 16) that copy the masks but for some pixels of channel 2 whose number is the modality's."""
    rng = np.random.default_rng(0)
    labels, subjects = np.tile([0, 1], n_subjects * 3), np.repeat(np.arange(n_subjects), 6)
    masks = (rng.random((len(labels), 16, 16)) < rng.uniform(0.2, 0.5, (len(labels), 1, 1))).astype(np.uint8)
    leaky = rng.random(masks.shape) < leak * labels[:, None, None]
    return np.where(leaky, 2, masks).astype(np.uint8), masks, labels, subjects


@pytest.mark.parametrize("features", [occupancies, pooled])
def test_an_anatomy_that_holds_the_style_is_caught_and_a_clean_one_is_not(features):
    s, masks, labels, subjects = anatomies(0.1)
    found = leakage(s, 3, masks, 2, labels, subjects, features=features)
    assert found.anatomy.accuracy > 0.95
    assert found.truth.ci95[0] < 0.5 < found.truth.ci95[1]
    assert found.excess.ci95[0] > 0.2
    s, *same = anatomies(0.0)
    clean = leakage(s, 3, same[0], 2, *same[1:], features=features)
    assert clean.excess.ci95[0] <= 0 <= clean.excess.ci95[1]
    assert leakage(s, 3, None, 2, *same[1:], features=features).excess is None

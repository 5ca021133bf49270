"""Statistics against known answers, other implementations, and data whose truth is known by construction."""

import time
from dataclasses import replace

import dcor
import numpy as np
import pytest
from scipy import stats

from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.metrics.dependence import (
    Dependence,
    anatomy_distances,
    dependence,
    dependence_curve,
    euclidean_distances,
)
from dafnet_core.metrics.paired import paired
from dafnet_core.metrics.probe import leakage, occupancies, pooled, principal_axes, probe, read_known, regress

# --- probe: is the modality in z?


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
    found = {(r.known, r.modality, r.factor): r for r in read_known(encoded())}
    assert len(found) == 4 * 2 * 2
    for modality in "ab":
        assert found["size", modality, "s"].value > 0.95
        assert found["size", modality, "z"].ci95[0] < 0.2
        assert found["noise", modality, "z"].value > 0.9
        assert (found["scar", modality, "z"].measure, found["scar", modality, "z"].value > 0.9) == ("accuracy", True)
        assert found["luck", modality, "z"].ci95[0] <= 0
    alone = [r for r in read_known(encoded(2)) if r.known == "size"]
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


# --- dependence: distance correlation

ALONE = np.arange(20)  # every row its own subject


@pytest.mark.parametrize("channels", [1, 2, 8, 16, 256])
def test_anatomy_distances_are_those_of_one_hot_anatomies(channels):
    labels = np.random.default_rng(0).integers(0, channels, (7, 100)).astype(np.uint8)  # 100: not a whole word of bits
    one_hot = np.eye(channels)[labels].reshape(7, -1)
    assert np.allclose(anatomy_distances(labels), euclidean_distances(one_hot), atol=1e-12)


def test_anatomy_distances_take_uint8_maps_only():
    with pytest.raises(ValueError, match=r"expected \(n, pixels\) uint8"):
        anatomy_distances(np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="float64"):
        anatomy_distances(np.zeros((2, 16)))


def test_anatomy_distances_of_a_data_set_take_no_minute():
    labels = np.random.default_rng(0).integers(0, 8, (400, 128 * 128)).astype(np.uint8)
    start = time.process_time()  # not the clock on the wall: other tests may share the core
    anatomy_distances(labels)
    assert time.process_time() - start < 2  # a tenth of a second is usual


def test_euclidean_distances_are_known():
    assert np.array_equal(euclidean_distances(np.array([[0, 0], [3, 4]], np.float32)), [[0, 5], [5, 0]])


def test_distance_correlation_is_dcor_s():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    y = x[:, :2] ** 2 + rng.normal(size=(20, 2))
    found = dependence(euclidean_distances(x), euclidean_distances(y), ALONE, permutations=1)
    assert found.dcor == pytest.approx(dcor.distance_correlation(x, y), abs=1e-9)
    assert found.dcor_squared_unbiased == pytest.approx(dcor.u_distance_correlation_sqr(x, y), abs=1e-9)
    assert (found.n, found.n_subjects) == (20, 20)


def test_distance_correlation_of_anatomies_is_dcor_s_of_their_one_hot_vectors():
    rng = np.random.default_rng(0)
    labels, z = rng.integers(0, 4, (20, 30)).astype(np.uint8), rng.normal(size=(20, 8))
    one_hot = np.eye(4)[labels].reshape(20, -1)
    found = dependence(anatomy_distances(labels), euclidean_distances(z), ALONE, permutations=1)
    assert found.dcor == pytest.approx(dcor.distance_correlation(one_hot, z), abs=1e-9)
    assert found.dcor_squared_unbiased == pytest.approx(dcor.u_distance_correlation_sqr(one_hot, z), abs=1e-9)


def test_linear_and_identical_factors_correlate_wholly():
    x = np.random.default_rng(0).normal(size=(20, 1))
    a = euclidean_distances(x)
    for b in (a, euclidean_distances(5 - 3 * x)):
        found = dependence(a, b, ALONE, permutations=99)
        assert found.dcor == pytest.approx(1, abs=1e-12)
        assert found.dcor_squared_unbiased == pytest.approx(1, abs=1e-12)
        assert found.p_value == 0.01  # none of 99 orders is as dependent


def test_nonlinear_dependence_is_seen_where_correlation_is_blind():
    x = np.linspace(-1, 1, 60)[:, None]
    assert abs(np.corrcoef(x[:, 0], x[:, 0] ** 2)[0, 1]) < 1e-9
    assert dependence(euclidean_distances(x), euclidean_distances(x**2), np.arange(60)).p_value < 0.01


def clustered(rng: np.random.Generator, sizes: tuple[int, ...], shared: float) -> tuple[np.ndarray, ...]:
    """Distances of two factors that vary mostly between subjects; `shared` of the first enters the second."""
    subjects = np.repeat(np.arange(len(sizes)), sizes)
    x, y = (rng.normal(size=(len(sizes), 2))[subjects] for _ in range(2))
    x, y = x + rng.normal(0, 0.2, x.shape), y + shared * x + rng.normal(0, 0.2, x.shape)
    return euclidean_distances(x), euclidean_distances(y), subjects


@pytest.mark.parametrize("sizes", [(6,) * 12, (3, 4, 5, 6, 7, 8) * 2, (6,) * 11 + (2,), (1, 2, 4, 8, 12) * 2])
def test_independent_clusters_are_rejected_one_time_in_twenty(sizes):
    rng = np.random.default_rng(0)
    sets = [clustered(rng, sizes, shared=0) for _ in range(60)]
    rejected = sum(dependence(*data, permutations=199).p_value <= 0.05 for data in sets)
    assert rejected <= 6  # 3 expected; more than 6 would come up in 3 of 100 seeds
    # row by row, the same data look dependent: that is what permuting subjects is for
    naive = sum(dependence(a, b, np.arange(len(a)), permutations=199).p_value <= 0.05 for a, b, _ in sets[:10])
    assert naive >= 5


def test_p_of_independent_rows_is_uniform():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(200):
        a, b = (euclidean_distances(rng.normal(size=(10, 2))) for _ in range(2))
        p.append(dependence(a, b, np.arange(10), permutations=99).p_value)
    # uniform on 0.01, 0.02 ... 1: spread over half a step each, it is uniform on [0, 1]
    spread = np.array(p) - rng.uniform(0, 0.01, 200)
    assert stats.kstest(spread, "uniform").pvalue > 0.01


def leaky_and_clean(n_subjects: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distances of an anatomy with the style written into it, of one without, of the style, and subjects."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(n_subjects), 4)
    style = rng.normal(size=(n_subjects, 1))[subjects] + rng.normal(0, 0.1, (len(subjects), 1))
    clean = (rng.random((len(subjects), 400)) < 0.5).astype(np.uint8)
    written = rng.random(clean.shape) < 0.15 * (1 + np.tanh(style))  # the brighter, the more of channel 2
    leaky = np.where(written, 2, clean).astype(np.uint8)
    return *(anatomy_distances(s) for s in (leaky, clean)), euclidean_distances(style), subjects


def test_a_style_written_into_the_anatomy_is_caught_by_dependence_and_a_clean_one_is_not():
    leaky, clean, style, subjects = leaky_and_clean()
    found = dependence(leaky, style, subjects, permutations=199)
    assert found.p_value <= 0.01
    assert found.dcor_squared_unbiased_ci95[0] > 0
    found = dependence(clean, style, subjects, permutations=199)
    assert found.p_value > 0.05
    assert abs(found.dcor_squared_unbiased) < 0.1
    assert found.dcor > 0.3  # what the paper's number says of independent factors


def test_the_curve_shows_the_bias_of_the_plug_in_statistic():
    leaky, clean, style, subjects = leaky_and_clean()
    curve = dependence_curve(clean, style, subjects, (3, 6, 12), draws=4)
    assert curve.n == (12, 24, 48)
    assert curve.dcor[0] > curve.dcor[1] > curve.dcor[2] > 0.3
    assert curve.null_dcor == pytest.approx(curve.dcor, abs=0.1)  # all of it is bias
    assert max(map(abs, curve.dcor_squared_unbiased)) < 0.2
    whole = dependence(leaky, style, subjects, permutations=19)
    last = dependence_curve(leaky, style, subjects, (12,))
    assert last.dcor == pytest.approx([whole.dcor])
    assert last.dcor_squared_unbiased == pytest.approx([whole.dcor_squared_unbiased])
    with pytest.raises(ValueError, match="from 3 to the 12 subjects"):
        dependence_curve(clean, style, subjects, (2,))


def test_dependent_clusters_are_always_rejected():
    rng = np.random.default_rng(0)
    for _ in range(10):
        for sizes in ((6,) * 12, (3, 4, 5, 6, 7, 8) * 2):
            assert dependence(*clustered(rng, sizes, shared=3), permutations=199).p_value <= 0.05


def test_three_subjects_cannot_give_a_small_p():
    rng = np.random.default_rng(0)
    a, _, subjects = clustered(rng, (4, 4, 4), shared=0)
    assert 0.1 < dependence(a, a, subjects).p_value < 0.25  # one of the six orders is the observed one


@pytest.mark.parametrize("sizes", [(6,) * 5, (3, 5, 2, 7, 4)])
def test_intervals_are_those_of_leaving_each_subject_out_with_dcor(sizes):
    a, b, subjects = clustered(np.random.default_rng(1), sizes, shared=1)
    found = dependence(a, b, subjects, permutations=0)
    kept = [np.ix_(subjects != k, subjects != k) for k in range(5)]
    biased = [
        (
            dcor.mean_product(*(dcor.double_centered(x[rows]) for x in (a, b))),
            *(dcor.mean_product(c, c) for c in (dcor.double_centered(x[rows]) for x in (a, b))),
        )
        for rows in kept
    ]
    corrected = [
        (
            dcor.u_product(*(dcor.u_centered(x[rows]) for x in (a, b))),
            *(dcor.u_product(c, c) for c in (dcor.u_centered(x[rows]) for x in (a, b))),
        )
        for rows in kept
    ]
    for value, interval, without in (
        (found.dcor, found.dcor_ci95, [np.sqrt(ab / np.sqrt(aa * bb)) for ab, aa, bb in biased]),
        (
            found.dcor_squared_unbiased,
            found.dcor_squared_unbiased_ci95,
            [ab / np.sqrt(aa * bb) for ab, aa, bb in corrected],
        ),
    ):
        spread = np.sqrt(4 / 5 * np.square(np.array(without) - np.mean(without)).sum())
        expected = value + stats.t.ppf([0.025, 0.975], 4) * spread
        assert interval == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("sizes", [(4,) * 4, (3, 5, 2, 6)])
def test_null_distributions_are_the_statistics_of_permuted_subjects(sizes):
    a, b, subjects = clustered(np.random.default_rng(1), sizes, shared=1)
    found = dependence(a, b, subjects, permutations=20, seed=3)
    blocks, rng = [np.flatnonzero(subjects == k) for k in range(4)], np.random.default_rng(3)
    for biased, corrected in zip(found.null_dcor, found.null_dcor_squared_unbiased, strict=True):
        drawn = [blocks[k] for k in rng.permutation(4)]
        rows = np.concatenate(
            [other[(2 * np.arange(n) + 1) * len(other) // (2 * n)] for n, other in zip(sizes, drawn, strict=True)]
        )
        moved = b[np.ix_(rows, rows)]
        v, u = ((dcor.double_centered(a), dcor.double_centered(moved)), (dcor.u_centered(a), dcor.u_centered(moved)))
        assert biased**2 == pytest.approx(np.vdot(*v) / np.sqrt(np.vdot(v[0], v[0]) * np.vdot(v[1], v[1])), abs=1e-9)
        assert corrected == pytest.approx(np.vdot(*u) / np.sqrt(np.vdot(u[0], u[0]) * np.vdot(u[1], u[1])), abs=1e-9)


def test_permutations_repeat_by_seed():
    data = clustered(np.random.default_rng(0), (6,) * 6, shared=0)
    assert dependence(*data, permutations=99) == dependence(*data, permutations=99)
    assert isinstance(dependence(*data, permutations=0), Dependence)


def test_dependence_says_what_it_lacks():
    a, b, subjects = clustered(np.random.default_rng(0), (2, 2, 2), shared=0)
    with pytest.raises(ValueError, match="at least 3 subjects"):
        dependence(a, b, np.array([0, 0, 0, 1, 1, 1]))
    with pytest.raises(ValueError, match="4 rows"):
        dependence(a[:3, :3], b[:3, :3], np.arange(3))
    with pytest.raises(ValueError, match="lie apart"):
        dependence(a, b, np.array([0, 1, 2, 0, 1, 2]))
    with pytest.raises(ValueError, match="b is \\(5, 5\\); expected 6x6"):
        dependence(a, b[:5, :5], subjects)
    with pytest.raises(ValueError, match="one id a row"):
        dependence(a, b, subjects[:, None])
    with pytest.raises(ValueError, match="a holds distances that are not finite"):
        dependence(a * np.nan, b, subjects)
    with pytest.raises(ValueError, match="a does not vary"):
        dependence(anatomy_distances(np.ones((6, 9), np.uint8)), b, subjects)
    with pytest.raises(ValueError, match="b does not vary"):
        dependence(a, 0.1 * (1 - np.eye(6)), subjects)  # equally far apart: centred, only rounding is left


# --- paired: two methods on the same subjects


def test_three_pairs_by_hand():
    found = paired(np.array([1.0, 2, 3]), np.zeros(3))
    # 8 flips: only +++ and --- reach |sum| 6; mean 2, deviation 1, t(0.975, 2) = 4.302653
    assert (found.difference, found.p_value, found.n) == (2, 0.25, 3)
    assert found.ci95 == pytest.approx((2 - 4.302653 / np.sqrt(3), 2 + 4.302653 / np.sqrt(3)), abs=1e-6)


def test_equal_differences_leave_no_width_and_two_flips():
    found = paired(np.full(5, 0.3), np.full(5, 0.1))
    assert found.ci95 == pytest.approx((0.2, 0.2))
    assert found.p_value == 2 / 2**5
    assert paired(np.ones(5), np.ones(5)).p_value == 1


@pytest.mark.parametrize("n", [2, 6, 13])
def test_few_pairs_are_flipped_as_scipy_flips_them(n):
    a, b = np.random.default_rng(n).normal(size=(2, n)) + np.array([[0.5], [0]])
    expected = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert paired(a, b).p_value == pytest.approx(expected.pvalue, abs=1e-12)
    interval = stats.ttest_rel(a, b).confidence_interval()
    assert paired(a, b).ci95 == pytest.approx(tuple(interval))


def test_many_pairs_are_flipped_at_random_and_agree_with_scipy():
    a, b = np.random.default_rng(0).normal(size=(2, 30)) + np.array([[0.3], [0]])
    expected = stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis), permutation_type="samples", n_resamples=9999, rng=1
    )
    found = paired(a, b)
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.02)  # each has a standard error below 0.005
    assert found == paired(a, b)
    assert paired(a + 9, b).p_value == 1 / 10_000  # never 0
    assert paired(a, b).p_value == paired(b, a).p_value


def test_unknown_pairs_are_left_out():
    a, b = np.array([1, np.nan, 2, 5, 3]), np.array([0, 1, 0, np.nan, 0])
    assert paired(a, b) == paired(np.array([1.0, 2, 3]), np.zeros(3))


def test_paired_says_what_it_lacks():
    with pytest.raises(ValueError, match="1 of 3 pairs are known"):
        paired(np.array([1, np.nan, np.nan]), np.zeros(3))
    with pytest.raises(ValueError, match=r"a is \(3,\), b is \(2,\)"):
        paired(np.zeros(3), np.zeros(2))

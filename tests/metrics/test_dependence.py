"""Distance correlation against dcor, and permutation of subjects on data whose truth is known."""

import time

import numpy as np
import pytest
from scipy import stats

from dafnet_core.metrics.dependence import (
    Dependence,
    _dcor,
    anatomy_distances,
    dependence,
    dependence_curve,
    euclidean_distances,
)

dcor = _dcor()  # with as many threads as torch has
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


@pytest.mark.slow
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

"""Paired differences of two methods on the same subjects, against SciPy."""

import numpy as np
import pytest
from scipy import stats

from dafnet_core.metrics.paired import paired


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

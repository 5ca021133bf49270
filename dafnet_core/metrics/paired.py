"""Paired comparison of two methods on the same subjects: t interval and permutation test (Sec. V)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

EXACT_UP_TO = 13  # pairs: 2^13 = 8192 sign patterns are fewer than the random ones used above it


@dataclass(frozen=True)
class Paired:
    """Mean difference over subjects, in the unit of the values.

    Attributes:
        difference: mean of a - b.
        ci95: its 95 % t interval.
        p_value: two-sided sign-flip permutation test of "no difference".
        n: pairs that were known on both sides.
    """

    difference: float
    ci95: tuple[float, float]
    p_value: float
    n: int


def paired(a: np.ndarray, b: np.ndarray, *, seed: int = 0, permutations: int = 9999) -> Paired:
    """Compare two methods on the same subjects.

    The paper assesses its paired t-tests via permutations. The sum of the squared differences does not change when
    signs flip, so |mean| and |t| rank the flips identically and give the same p.

    Args:
        a, b: (n,) one value a subject, the same subject at the same place; NaN where unknown.
        seed: of the random flips, drawn only above 13 pairs; up to there all 2^n are counted.
        permutations: number of random flips N; p = (1 + count) / (1 + N), so never below 1 / (1 + N).

    Raises:
        ValueError: shapes differ or are not one-dimensional, or fewer than 2 pairs are known.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"a is {a.shape}, b is {b.shape}; expected one value a subject in both, in the same order")
    d = (a - b)[~np.isnan(a - b)]
    n = len(d)
    if n < 2:
        raise ValueError(f"{n} of {len(a)} pairs are known on both sides; a comparison needs at least 2")
    half = special.stdtrit(n - 1, 0.975) * d.std(ddof=1) / np.sqrt(n)
    mean = float(d.mean())
    return Paired(mean, (mean - float(half), mean + float(half)), _flip_p_value(d, seed, permutations), n)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values (m,) corrected for m comparisons by Holm's method: the chance of any false finding stays at the level.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, n in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[n]))
        corrected[n] = highest
    return corrected


def least_p(n: int, permutations: int = 9999) -> float:
    """The smallest p that `paired` can give for n pairs, whatever their differences.

    >>> least_p(8)
    0.0078125
    """
    return 2 / 2**n if n <= EXACT_UP_TO else 1 / (1 + permutations)


def jackknife(value: float, without: np.ndarray) -> tuple[float, float]:
    """95 % interval of a statistic of k subjects from its values with each of them left out in turn.

    Args:
        value: of all subjects.
        without: (k,); an undefined one (NaN) makes both ends NaN.
    """
    k = len(without)
    half = special.stdtrit(k - 1, 0.975) * np.sqrt((k - 1) / k * np.square(without - without.mean()).sum())
    return float(value - half), float(value + half)


def _flip_p_value(d: np.ndarray, seed: int, permutations: int) -> float:
    """Share of sign flips of d (n,) whose |sum| reaches the observed one."""
    n = len(d)
    exact = n <= EXACT_UP_TO
    if exact:
        flips = np.arange(2**n)[:, None] >> np.arange(n) & 1  # every pattern once, the observed one among them
    else:
        flips = np.random.default_rng(seed).integers(0, 2, (permutations, n), np.int8)
    sums = (1.0 - 2.0 * flips) @ d
    # equal sums can differ in their last bits, being added in another order; they must count as equal
    reached = int((np.abs(sums) >= abs(d.sum()) - 1e-12 * np.abs(d).sum()).sum())
    return reached / len(sums) if exact else (1 + reached) / (1 + permutations)

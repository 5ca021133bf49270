"""Distance correlation of anatomy and modality factors, as a measure of their dependence (Sec. V-H.3).

The paper's statistic is the square root of the plug-in (V) statistic, which is above 0 even for independent factors,
with a bias that grows with fewer rows and larger factors. So the bias-corrected squared statistic and a permutation
test are reported as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from dafnet_core.metrics.paired import jackknife


@dataclass(frozen=True)
class Dependence:
    """Distance correlation of two factors.

    Attributes:
        dcor: the paper's dCor, in [0, 1]; biased upwards.
        dcor_squared_unbiased: bias-corrected estimate of dCor^2, about 0 for independent factors; may be negative.
        dcor_ci95, dcor_squared_unbiased_ci95: leave-one-subject-out jackknife intervals (see `dependence`).
        p_value: of independence between subjects (see `dependence`).
        null_dcor, null_dcor_squared_unbiased: both statistics of each permutation: their null distribution
            under independence between subjects.
        n: rows.
        n_subjects: number of subjects.
    """

    dcor: float
    dcor_squared_unbiased: float
    dcor_ci95: tuple[float, float]
    dcor_squared_unbiased_ci95: tuple[float, float]
    p_value: float
    null_dcor: tuple[float, ...]
    null_dcor_squared_unbiased: tuple[float, ...]
    n: int
    n_subjects: int


def anatomy_distances(labels: np.ndarray) -> np.ndarray:
    """Euclidean distances of one-hot anatomies, sqrt(2 x differing pixels).

    Args:
        labels: (n, pixels) uint8, the channel that is 1 at each pixel.

    Returns:
        (n, n) float64, exact counts under the root.

    Raises:
        ValueError: not (n, pixels), not uint8.

    >>> anatomy_distances(np.array([[0, 1, 2, 3], [0, 1, 3, 2]], np.uint8))
    array([[0., 2.],
           [2., 0.]])
    """
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ValueError(f"labels are {labels.shape} {labels.dtype}; expected (n, pixels) uint8 channel indices")
    n, pixels = labels.shape
    # One bit plane for each bit of the largest index, 64 pixels a word: two pixels differ where any plane does.
    # Bytes compared one by one take seven times as long; one-hot doubles take 8 C bytes a pixel.
    bits = max(1, int(labels.max(initial=0)).bit_length())
    padded = np.pad(labels, ((0, 0), (0, -pixels % 64)))
    planes = [np.packbits(padded >> bit & 1, axis=1).view(np.uint64) for bit in range(bits)]  # (n, pixels / 64) each
    differing = np.zeros((n, n), np.int64)
    for i in range(n):
        unlike = planes[0][i] ^ planes[0][i:]
        for plane in planes[1:]:
            unlike |= plane[i] ^ plane[i:]
        differing[i, i:] = differing[i:, i] = np.bitwise_count(unlike).sum(1, np.int64)
    return np.sqrt(2.0 * differing)


def euclidean_distances(z: np.ndarray) -> np.ndarray:
    """(n, d) -> (n, n) float64 Euclidean distances; exactly 0 between equal rows, which a matrix product is not."""
    z = np.asarray(z, np.float64)
    return cdist(z, z)


def _dcor() -> Any:
    """The library, imported when it is needed, since numba compiles for seconds then.

    numba would also set the number of threads of all OpenMP libraries, torch's too, to that of the processors.
    """
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdecimal():
        os.environ.setdefault("NUMBA_NUM_THREADS", threads)
    import dcor

    return dcor


def dependence(
    a: np.ndarray, b: np.ndarray, subjects: np.ndarray, *, permutations: int = 999, seed: int = 0
) -> Dependence:
    """Distance correlation of two factors given their distances, tested over subjects.

    Whole subjects are permuted (see `_null`): p = (1 + those at least as dependent) / (1 + permutations); k subjects
    cannot give less than about 1 / k!. Intervals leave one subject out at a time and take Student's t. A bootstrap
    would draw subjects twice, whose zero distances push both statistics up.

    What depends only on the place of a row in its subject (say, every second row is of modality 1) survives the
    permutation and does not lower p. Ask about one modality at a time where that matters.

    Args:
        a, b: (n, n) distances, such as of `anatomy_distances` and `euclidean_distances`, n >= 4.
        subjects: (n,) ids of the rows of both; rows of a subject adjoin.
        permutations: drawn at random.
        seed: of the permutations.

    Raises:
        ValueError: shapes do not fit, an unknown distance, rows of a subject apart, fewer than 3 subjects or 4 rows,
            or a factor that is constant or equally far apart everywhere, which has no distance variance.

    >>> z = np.random.default_rng(0).standard_normal((40, 2))
    >>> subjects = np.arange(40) // 4
    >>> result = dependence(euclidean_distances(z), euclidean_distances(2 * z), subjects, permutations=99)
    >>> round(result.dcor, 6), result.p_value
    (1.0, 0.01)
    """
    dcor = _dcor()

    a, b, subjects = np.asarray(a, np.float64), np.asarray(b, np.float64), np.asarray(subjects)
    blocks = _blocks(subjects)
    _check(a, b, blocks, len(subjects))
    squared = _correlation(dcor.mean_product, dcor.double_centered(a), dcor.double_centered(b))
    unbiased = _correlation(dcor.u_product, dcor.u_centered(a), dcor.u_centered(b))
    reached, null = _null(a, b, blocks, permutations, seed)
    without = _without_each(a, b, blocks)
    return Dependence(
        dcor=_root(squared),
        dcor_squared_unbiased=unbiased,
        dcor_ci95=jackknife(_root(squared), _root(without[:, 0])),
        dcor_squared_unbiased_ci95=jackknife(unbiased, without[:, 1]),
        p_value=float((1 + reached) / (1 + permutations)),
        null_dcor=tuple(_root(null[:, 0]).tolist()),
        null_dcor_squared_unbiased=tuple(null[:, 1].tolist()),
        n=len(subjects),
        n_subjects=len(blocks),
    )


def _check(a: np.ndarray, b: np.ndarray, blocks: list[np.ndarray], n: int) -> None:
    """Errors of `dependence`."""
    dcor = _dcor()

    for name, distances in (("a", a), ("b", b)):
        if distances.shape != (n, n):
            raise ValueError(f"{name} is {distances.shape}; expected {n}x{n} distances of the rows of {n} subject ids")
        if not np.isfinite(distances).all():
            raise ValueError(f"{name} holds distances that are not finite; leave the rows out that have none")
    if len(blocks) < 3 or n < 4:
        raise ValueError(f"{len(blocks)} subjects with {n} rows; dependence needs at least 3 subjects and 4 rows")
    for name, distances in (("a", a), ("b", b)):
        centred = dcor.u_centered(distances)
        # of equal distances, centring leaves rounding errors near 1e-16 of them, squared here
        if dcor.u_product(centred, centred) <= 1e-24 * dcor.mean_product(distances, distances):
            raise ValueError(f"{name} does not vary: all its rows are the same or equally far apart")


def _null(
    a: np.ndarray, b: np.ndarray, blocks: list[np.ndarray], permutations: int, seed: int
) -> tuple[int, np.ndarray]:
    """How often permuted subjects are at least as dependent, and both squared statistics of each, (permutations, 2).

    Slices of a subject resemble each other in both factors, so single rows are not exchangeable and permuting them
    would call independent factors dependent. Whole subjects are permuted: in b, each subject's rows are replaced by
    another subject's, in their order.

    With equally many rows a subject the test is exact. Where numbers differ, a row is replaced by the one at the same
    relative place (from base to apex, say), used twice or left out as need be, so that subjects still meet whole
    subjects. Simply joining the permuted blocks would let them lie across each other and lose, in every permutation,
    the dependence that coinciding blocks alone bring: independent factors were then rejected up to 2 times in 5.
    """
    dcor = _dcor()

    # The centred side is orthogonal to all that centring takes from the other, so b need not be centred again for
    # each permutation.
    sides, others = (dcor.double_centered(a), dcor.u_centered(a)), (dcor.double_centered(b), dcor.u_centered(b))
    observed = np.vdot(sides[1], b)
    slack = 1e-12 * np.linalg.norm(sides[1]) * np.linalg.norm(b)  # equal sums may differ in their last bits

    def scale(others: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        return np.sqrt([np.vdot(x, x) * np.vdot(y, y) for x, y in zip(sides, others, strict=True)])

    variances, equal = scale(others), len({len(block) for block in blocks}) == 1
    rng = np.random.default_rng(seed)
    reached, null = 0, np.empty((permutations, 2))
    for n in range(permutations):
        drawn = rng.permutation(len(blocks))
        rows = np.concatenate([_stretch(blocks[k], len(own)) for own, k in zip(blocks, drawn, strict=True)])
        permuted = b[rows][:, rows]
        products = np.array([np.vdot(side, permuted) for side in sides])
        reached += int(products[1] >= observed - slack)
        if not equal:  # rows used twice or left out: b's own variance is another one
            variances = scale((dcor.double_centered(permuted), dcor.u_centered(permuted)))
        null[n] = products / variances
    return reached, null


@dataclass(frozen=True)
class Curve:
    """Both statistics over the number of subjects, each a mean over random draws of so many.

    Attributes:
        n_subjects, n: subjects, and mean number of their rows.
        dcor, dcor_squared_unbiased: of the factors as they are.
        null_dcor, null_dcor_squared_unbiased: with the subjects of one factor permuted, so of independent ones.
    """

    n_subjects: tuple[int, ...]
    n: tuple[float, ...]
    dcor: tuple[float, ...]
    dcor_squared_unbiased: tuple[float, ...]
    null_dcor: tuple[float, ...]
    null_dcor_squared_unbiased: tuple[float, ...]


def dependence_curve(
    a: np.ndarray,
    b: np.ndarray,
    subjects: np.ndarray,
    counts: Sequence[int],
    *,
    draws: int = 8,
    permutations: int = 19,
    seed: int = 0,
) -> Curve:
    """`dependence` of fewer and fewer of the same subjects: what of a statistic is its bias.

    Args:
        a, b, subjects: of `dependence`.
        counts: numbers of subjects, each from 3 to all.
        draws: random choices of subjects for each count.
        permutations: of each draw's null.
        seed: of draws and permutations.

    Raises:
        ValueError: a count that is out of range, or as in `dependence`.
    """
    blocks = _blocks(np.asarray(subjects))
    if not all(3 <= k <= len(blocks) for k in counts):
        raise ValueError(f"counts are {tuple(counts)}; expected numbers from 3 to the {len(blocks)} subjects")
    rng = np.random.default_rng(seed)
    rows = []
    for k in counts:
        statistics = []
        for _ in range(1 if k == len(blocks) else draws):
            chosen = np.concatenate([blocks[i] for i in np.sort(rng.permutation(len(blocks))[:k])])
            part_a, part_b = (np.asarray(x)[chosen][:, chosen] for x in (a, b))
            d = dependence(part_a, part_b, np.asarray(subjects)[chosen], permutations=permutations, seed=seed)
            null = np.mean([d.null_dcor, d.null_dcor_squared_unbiased], 1)
            statistics.append((d.n, d.dcor, d.dcor_squared_unbiased, *null))
        rows.append((k, *np.mean(statistics, 0).tolist()))
    return Curve(*zip(*rows, strict=True))


def _root(squared: Any) -> Any:
    """Square roots of squared correlations, which are in [0, 1] in theory and by rounding not always."""
    root = np.sqrt(np.clip(squared, 0, 1))
    return float(root) if np.ndim(squared) == 0 else root


def _without_each(a: np.ndarray, b: np.ndarray, blocks: list[np.ndarray]) -> np.ndarray:
    """dCor^2 and its bias-corrected estimate with each subject left out, (n_subjects, 2); NaN where undefined.

    Both are computed from sums over pairs, over rows and over all, from which a subject's part is subtracted, so all of
    them together cost about as much as one.
    """
    pairs = ((a, b), (a, a), (b, b))
    whole = [np.vdot(x, y) for x, y in pairs]
    rows_a, rows_b = a.sum(1), b.sum(1)
    values = np.full((len(blocks), 2), np.nan)
    for k, block in enumerate(blocks):
        m = len(a) - len(block)
        keep = np.ones(len(a), bool)
        keep[block] = False
        # the cross of the block's rows and columns, whose own square would be taken away twice
        inner = [
            np.vdot(x[block], y[block]) * 2 - np.vdot(x[np.ix_(block, block)], y[np.ix_(block, block)])
            for x, y in pairs
        ]
        r_a, r_b = ((r - x[:, block].sum(1))[keep] for r, x in ((rows_a, a), (rows_b, b)))
        sums = [
            (w - i, np.dot(x, y), x.sum() * y.sum())
            for w, i, (x, y) in zip(whole, inner, ((r_a, r_b), (r_a, r_a), (r_b, r_b)), strict=True)
        ]
        biased = [s - 2 / m * r + t / m**2 for s, r, t in sums]
        corrected = [s - 2 / (m - 2) * r + t / ((m - 1) * (m - 2)) for s, r, t in sums] if m > 3 else [0.0] * 3
        for column, (ab, aa, bb) in enumerate((biased, corrected)):
            if aa * bb > 1e-24 * (whole[1] * whole[2]):
                values[k, column] = ab / np.sqrt(aa * bb)
    return values


def _correlation(product: Callable[..., Any], a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two centred distance matrices under an inner product of dcor: a squared distance correlation."""
    return float(product(a, b) / np.sqrt(product(a, a) * product(b, b)))


def _blocks(subjects: np.ndarray) -> list[np.ndarray]:
    """Row indices of each subject, in order.

    Raises:
        ValueError: not one-dimensional, or rows of a subject lie apart.
    """
    if subjects.ndim != 1:
        raise ValueError(f"subjects are {subjects.shape}; expected one id a row")
    starts = np.flatnonzero(subjects[1:] != subjects[:-1]) + 1
    blocks = np.split(np.arange(len(subjects)), starts)
    if len(blocks) != max(1, len(np.unique(subjects))):
        raise ValueError("rows of a subject lie apart; sort a, b and subjects by subject")
    return blocks


def _stretch(rows: np.ndarray, length: int) -> np.ndarray:
    """`length` of the rows, evenly spread and in order; all of them, once each, if there are as many."""
    return rows[(2 * np.arange(length) + 1) * len(rows) // (2 * length)]

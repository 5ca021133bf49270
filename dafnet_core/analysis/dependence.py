"""Do anatomy and modality factors depend on each other? Distance correlation of s and z (Sec. V-H.3).

The paper's number is the square root of the plug-in (V) statistic, which is above 0 for independent factors too, the
more so the fewer the rows and the larger the factors. So the bias-corrected squared statistic and a permutation test
stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist


@dataclass(frozen=True)
class Dependence:
    """Distance correlation of two factors.

    Attributes:
        dcor: the paper's dCor, in [0, 1]; biased upwards.
        dcor_squared_unbiased: bias-corrected estimate of dCor^2, about 0 for independent factors, also below it.
        p_value: of independence between subjects (see `dependence`).
        n: rows.
        n_subjects: whom they come from.
    """

    dcor: float
    dcor_squared_unbiased: float
    p_value: float
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


def dependence(
    a: np.ndarray, b: np.ndarray, subjects: np.ndarray, *, permutations: int = 999, seed: int = 0
) -> Dependence:
    """Distance correlation of two factors given their distances, tested over subjects.

    Slices of a subject resemble each other in both factors, so single rows are not exchangeable and permuting them
    would call independent factors dependent. Whole subjects are permuted: in b, each subject's rows are replaced by
    another subject's, in their order. p = (1 + those at least as dependent) / (1 + permutations); k subjects cannot
    give less than about 1 / k!.

    With equally many rows a subject the test is exact. Where numbers differ, a row is replaced by the one at the same
    relative place (from base to apex, say), used twice or left out as need be, so that subjects still meet whole
    subjects. Simply joining the permuted blocks would let them lie across each other and lose, in every permutation,
    the dependence that coinciding blocks alone bring: independent factors were then rejected up to 2 times in 5.

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
    """
    import dcor  # here, since numba compiles for seconds when it is imported and only this function needs it

    a, b, subjects = np.asarray(a, np.float64), np.asarray(b, np.float64), np.asarray(subjects)
    blocks = _blocks(subjects)
    n = len(subjects)
    for name, distances in (("a", a), ("b", b)):
        if distances.shape != (n, n):
            raise ValueError(f"{name} is {distances.shape}; expected {n}x{n} distances of the rows of {n} subject ids")
        if not np.isfinite(distances).all():
            raise ValueError(f"{name} holds distances that are not finite; leave the rows out that have none")
    if len(blocks) < 3 or n < 4:
        raise ValueError(f"{len(blocks)} subjects with {n} rows; dependence needs at least 3 subjects and 4 rows")

    centred_a, centred_b = dcor.u_centered(a), dcor.u_centered(b)
    for name, distances, centred in (("a", a, centred_a), ("b", b, centred_b)):
        # of equal distances, centring leaves rounding errors near 1e-16 of them, squared here
        if dcor.u_product(centred, centred) <= 1e-24 * dcor.mean_product(distances, distances):
            raise ValueError(f"{name} does not vary: all its rows are the same or equally far apart")

    # The centred side is orthogonal to all that centring takes from the other, so b need not be centred again for
    # each permutation; nor does the denominator matter to a comparison of permutations.
    observed = np.vdot(centred_a, b)
    slack = 1e-12 * np.linalg.norm(centred_a) * np.linalg.norm(b)  # equal sums may differ in their last bits
    rng = np.random.default_rng(seed)
    reached = 0
    for _ in range(permutations):
        drawn = rng.permutation(len(blocks))
        rows = np.concatenate([_stretch(blocks[k], len(own)) for own, k in zip(blocks, drawn, strict=True)])
        reached += np.vdot(centred_a, b[rows][:, rows]) >= observed - slack
    squared = _correlation(dcor.mean_product, dcor.double_centered(a), dcor.double_centered(b))
    return Dependence(
        dcor=float(np.sqrt(np.clip(squared, 0, 1))),  # in theory inside, by rounding not always
        dcor_squared_unbiased=_correlation(dcor.u_product, centred_a, centred_b),
        p_value=float((1 + reached) / (1 + permutations)),
        n=n,
        n_subjects=len(blocks),
    )


def _correlation(product: Callable[[np.ndarray, np.ndarray], float], a: np.ndarray, b: np.ndarray) -> float:
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

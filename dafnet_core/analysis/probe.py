"""Can the modality be read from the modality factor z? Logistic regression on z (Sec. V-H.1).

The paper trains on some subjects and tests on three. Here every subject is tested once, by cross-validation, which
wastes none of few subjects; in both, no subject is on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True, eq=False)
class Probe:
    """How well a linear classifier reads the modality from z of subjects that it never saw.

    Attributes:
        accuracy: held-out share of right answers over all rows.
        ci95: Wilson score interval of the accuracy, as of n_subjects and not n trials (see `probe`).
        chance: share of the most frequent label.
        per_dimension: (n_z) the accuracy from each dimension alone.
        n: rows.
        n_subjects: whom they come from.
    """

    accuracy: float
    ci95: tuple[float, float]
    chance: float
    per_dimension: tuple[float, ...]
    n: int
    n_subjects: int
    _held_out: dict[int | str, Pipeline] = field(repr=False)  # subject -> the classifier that never saw it

    def classify(self, z: np.ndarray, subjects: np.ndarray) -> np.ndarray:
        """Labels of further rows, such as z re-encoded from swapped images of the same subjects.

        Args:
            z: (m, n_z).
            subjects: (m,) ids, all among those the probe was made from.

        Returns:
            (m,) labels, each by the classifier that never saw the row's subject.

        Raises:
            ValueError: an unknown subject. Any fold's classifier could answer, and they differ; none is the right one.
        """
        z = np.asarray(z, np.float64)
        ids = np.asarray(subjects).tolist()
        if len(ids) != len(z):
            raise ValueError(f"z has {len(z)} rows, subjects has {len(ids)}; expected one id a row")
        unknown = sorted(set(ids) - set(self._held_out), key=str)
        if unknown:
            raise ValueError(f"subject {unknown[0]!r} was not among the {self.n_subjects} that the probe was made from")
        labels = np.empty(len(z), next(iter(self._held_out.values())).classes_.dtype)
        for subject in dict.fromkeys(ids):
            rows = [row for row, other in enumerate(ids) if other == subject]
            labels[rows] = self._held_out[subject].predict(z[rows])
        return labels


def probe(z: np.ndarray, labels: np.ndarray, subjects: np.ndarray, *, folds: int = 5) -> Probe:
    """Predict the modality from z, cross-validated over subjects.

    The interval takes each subject for one trial. Rows of a subject resemble each other, so n rows tell less than n
    independent ones, by an unknown factor; were all rows of a subject right or wrong together, n_subjects would be
    exact (for equally many rows each), and otherwise the interval is too wide rather than too narrow. Wilson's form
    keeps a width where everything is right, and a bootstrap of all-right subjects would not.

    Args:
        z: (n, n_z) means of q(z | x, s).
        labels: (n,) ints, the modality of each row.
        subjects: (n,) ids, ints or strings. All rows of one subject are on one side of every split.
        folds: parts to hold out in turn; as many as there are subjects if those are fewer.

    Raises:
        ValueError: shapes do not fit, fewer than 2 subjects, a single label in all rows or in a training part.
    """
    z, labels, subjects = np.asarray(z, np.float64), np.asarray(labels), np.asarray(subjects)
    if z.ndim != 2 or labels.shape != z.shape[:1] or subjects.shape != z.shape[:1]:
        raise ValueError(f"z is {z.shape}, labels {labels.shape}, subjects {subjects.shape}; expected (n, n_z), n, n")
    ids = np.unique(subjects)
    if len(ids) < 2:
        raise ValueError(f"{len(ids)} subject in {len(z)} rows; held-out accuracy needs at least 2")
    values, counts = np.unique(labels, return_counts=True)
    if len(values) < 2:
        raise ValueError(f"every row has the label {values[0]}; telling labels apart needs at least 2 of them")
    splits = list(GroupKFold(min(folds, len(ids))).split(z, labels, subjects))
    for train, test in splits:
        if len(np.unique(labels[train])) < 2:
            raise ValueError(f"without subjects {np.unique(subjects[test]).tolist()} a single label is left to learn")

    predicted = np.empty_like(labels)
    held_out: dict[int | str, Pipeline] = {}
    for train, test in splits:
        model = _classifier().fit(z[train], labels[train])
        predicted[test] = model.predict(z[test])
        held_out |= dict.fromkeys(subjects[test].tolist(), model)
    accuracy = float((predicted == labels).mean())
    alone = (cross_val_predict(_classifier(), z[:, [d]], labels, cv=splits) for d in range(z.shape[1]))
    return Probe(
        accuracy=accuracy,
        ci95=_wilson(accuracy, len(ids)),
        chance=float(counts.max() / len(z)),
        per_dimension=tuple(float((p == labels).mean()) for p in alone),
        n=len(z),
        n_subjects=len(ids),
        _held_out=held_out,
    )


def _classifier() -> Pipeline:
    """Standardisation and regression in one, so that held-out rows never enter mean and scale."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _wilson(share: float, trials: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share; by hand because scipy's takes whole numbers of successes only."""
    q = float(stats.norm.ppf(0.975))
    centre = (share + q**2 / (2 * trials)) / (1 + q**2 / trials)
    half = q * np.sqrt(share * (1 - share) / trials + q**2 / (4 * trials**2)) / (1 + q**2 / trials)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))

"""Linear probes: classify the modality from z and from the anatomy by logistic regression (Sec. V-H.1).

The paper trains on some subjects and tests on three. Here every subject is tested once, by cross-validation, which
uses all subjects; in both, no subject is in training and test.

scikit-learn is imported where it is needed: it takes most of a second, and whoever reads results needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from dafnet_core.metrics.paired import Paired, jackknife, paired

if TYPE_CHECKING:
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline


@dataclass(frozen=True, eq=False)
class Probe:
    """Accuracy of a linear classifier of the modality from z, on held-out subjects.

    Attributes:
        accuracy: held-out share of correctly classified rows, in [0, 1].
        ci95: Wilson score interval of the accuracy, as of n_subjects and not n trials (see `probe`).
        chance: share of the most frequent label.
        per_dimension: (n_z) the accuracy from each dimension alone; its intervals are per_dimension_ci95.
        classes: the labels, sorted.
        confusion: [true][predicted] counts of held-out rows, in the order of `classes`.
        correct: (n,) bool, which rows were classified correctly.
        n: rows.
        n_subjects: number of subjects.
    """

    accuracy: float
    ci95: tuple[float, float]
    chance: float
    per_dimension: tuple[float, ...]
    per_dimension_ci95: tuple[tuple[float, float], ...]
    classes: tuple[int | str, ...]
    confusion: tuple[tuple[int, ...], ...]
    correct: np.ndarray = field(repr=False)
    n: int
    n_subjects: int
    _held_out: dict[int | str, Pipeline] = field(repr=False)  # subject -> the classifier that was not fitted on it

    def classify(self, z: np.ndarray, subjects: np.ndarray) -> np.ndarray:
        """Labels of further rows, such as z re-encoded from swapped images of the same subjects.

        Args:
            z: (m, n_z).
            subjects: (m,) ids, all among those the probe was made from.

        Returns:
            (m,) labels, each by the classifier that was not fitted on the row's subject.

        Raises:
            ValueError: an unknown subject. The classifiers of the folds differ, and none is preferred.
        """
        return np.array(self.classes)[self.probability(z, subjects).argmax(1)]

    def probability(self, z: np.ndarray, subjects: np.ndarray) -> np.ndarray:
        """Probability of each of `classes` for further rows, (m, len(classes)); arguments and errors of `classify`."""
        z = np.asarray(z, np.float64)
        ids = np.asarray(subjects).tolist()
        if len(ids) != len(z):
            raise ValueError(f"z has {len(z)} rows, subjects has {len(ids)}; expected one id a row")
        unknown = sorted(set(ids) - set(self._held_out), key=str)
        if unknown:
            raise ValueError(f"subject {unknown[0]!r} was not among the {self.n_subjects} that the probe was made from")
        probabilities = np.zeros((len(z), len(self.classes)))
        for subject in dict.fromkeys(ids):
            rows = [row for row, other in enumerate(ids) if other == subject]
            model = self._held_out[subject]
            columns = [self.classes.index(label) for label in model.classes_.tolist()]
            probabilities[np.ix_(rows, columns)] = model.predict_proba(z[rows])
        return probabilities


def probe(z: np.ndarray, labels: np.ndarray, subjects: np.ndarray, *, folds: int = 5, each: bool = True) -> Probe:
    """Predict the modality from z, cross-validated over subjects.

    The interval treats each subject as one trial. Rows of a subject are correlated, so n rows carry less information
    than n independent ones. If all rows of a subject are correct or wrong together, n_subjects is exact (for equally
    many rows each); otherwise the interval is conservative. Wilson's interval keeps a positive width at an accuracy of
    1, where a bootstrap of subjects would not.

    Args:
        z: (n, n_z) means of q(z | x, s).
        labels: (n,) ints, the modality of each row.
        subjects: (n,) ids, ints or strings. All rows of one subject are on one side of every split.
        folds: parts to hold out in turn; as many as there are subjects if those are fewer.
        each: whether to probe each dimension alone as well.

    Raises:
        ValueError: shapes do not fit, fewer than 2 subjects, a single label in all rows or in a training part.
    """
    from sklearn.metrics import confusion_matrix
    from sklearn.model_selection import GroupKFold, cross_val_predict

    z, labels, subjects = np.asarray(z, np.float64), np.asarray(labels), np.asarray(subjects)
    if z.ndim != 2 or labels.shape != z.shape[:1] or subjects.shape != z.shape[:1]:
        raise ValueError(f"z is {z.shape}, labels {labels.shape}, subjects {subjects.shape}; expected (n, n_z), n, n")
    ids = np.unique(subjects)
    if len(ids) < 2:
        raise ValueError(f"{len(ids)} subject in {len(z)} rows; held-out accuracy needs at least 2")
    values, counts = np.unique(labels, return_counts=True)
    if len(values) < 2:
        raise ValueError(f"every row has the label {values[0]}; classification needs at least 2")
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
    alone = []
    for d in range(z.shape[1] if each else 0):
        predictions = cross_val_predict(_classifier(), z[:, [d]], labels, cv=splits)
        alone.append(float((predictions == labels).mean()))
    return Probe(
        accuracy=accuracy,
        ci95=_wilson(accuracy, len(ids)),
        chance=float(counts.max() / len(z)),
        per_dimension=tuple(alone),
        per_dimension_ci95=tuple(_wilson(share, len(ids)) for share in alone),
        classes=tuple(values.tolist()),
        confusion=tuple(tuple(row) for row in confusion_matrix(labels, predicted, labels=values).tolist()),
        correct=predicted == labels,
        n=len(z),
        n_subjects=len(ids),
        _held_out=held_out,
    )


@dataclass(frozen=True)
class ProbeOnOthers:
    """Accuracy of a linear classifier of the modality on subjects that it was not fitted on, as in Sec. V-H.1.

    Attributes:
        accuracy: share of correctly classified rows of the other subjects, in [0, 1].
        ci95: Wilson score interval with a subject as a trial, as `Probe` has it.
        per_dimension: (n_z) the accuracy from each dimension alone.
        chance: share of the most frequent label among the other subjects' rows.
        n_fitted, n: rows that it was fitted on, and that it was tested on; n_subjects: of the latter.
    """

    accuracy: float
    ci95: tuple[float, float]
    per_dimension: tuple[float, ...]
    chance: float
    n_fitted: int
    n: int
    n_subjects: int


def probe_on_others(
    z: np.ndarray, labels: np.ndarray, other_z: np.ndarray, other_labels: np.ndarray, other_subjects: np.ndarray
) -> ProbeOnOthers:
    """Fit the modality on z of some subjects, and test it on others.

    Args:
        z, labels: (n, n_z) and (n,) to fit on.
        other_z, other_labels, other_subjects: (m, n_z), (m,) and (m,) ids to test on.

    Raises:
        ValueError: a single label to fit on, or shapes that do not fit.
    """
    if z.shape[1:] != other_z.shape[1:] or len(other_z) != len(other_labels) or len(other_z) != len(other_subjects):
        raise ValueError(f"z is {z.shape}, the others' {other_z.shape} with {len(other_labels)} labels")
    if len(np.unique(labels)) < 2:
        raise ValueError(f"every row has the label {labels[0]}; classification needs at least 2")

    def share(columns: list[int]) -> float:
        model = _classifier().fit(z[:, columns], labels)
        return float((model.predict(other_z[:, columns]) == other_labels).mean())

    every = list(range(z.shape[1]))
    accuracy, count = share(every), len(np.unique(other_subjects))
    chance = float(np.unique(other_labels, return_counts=True)[1].max() / len(other_labels))
    alone = tuple(share([d]) for d in every)
    return ProbeOnOthers(accuracy, _wilson(accuracy, count), alone, chance, len(z), len(other_z), count)


@dataclass(frozen=True)
class Regression:
    """Held-out R^2 of a regression from factors to a number, such as a contrast parameter.

    Attributes:
        r2: held-out coefficient of determination against the mean of the training part; 0: no better than
            the mean; may be negative.
        ci95: leave-one-subject-out jackknife interval of `r2`.
        n, n_subjects: numbers of rows and subjects.
    """

    r2: float
    ci95: tuple[float, float]
    n: int
    n_subjects: int


def regress(
    z: np.ndarray, values: np.ndarray, subjects: np.ndarray, *, folds: int = 5, nonlinear: bool = False
) -> Regression:
    """Predict a number from factors by (kernel) ridge regression, cross-validated over subjects.

    Args:
        z: (n, d).
        values: (n,) the number of each row, in any unit.
        subjects: (n,) ids. All rows of one subject are on one side of every split.
        folds: parts to hold out in turn; as many as there are subjects if those are fewer.
        nonlinear: kernel ridge regression with a Gaussian kernel, its width and penalty chosen within the training
            part, over subjects.

    Raises:
        ValueError: shapes do not fit, fewer than 3 subjects, or a number that does not vary.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    z, values, subjects = np.asarray(z, np.float64), np.asarray(values, np.float64), np.asarray(subjects)
    if z.ndim != 2 or values.shape != z.shape[:1] or subjects.shape != z.shape[:1]:
        raise ValueError(f"z is {z.shape}, values {values.shape}, subjects {subjects.shape}; expected (n, d), n, n")
    ids = np.unique(subjects)
    if len(ids) < 3:
        raise ValueError(f"{len(ids)} subjects in {len(z)} rows; a held-out R^2 with an interval needs at least 3")
    if np.ptp(values) == 0:
        raise ValueError(f"every row has the value {values[0]:g}; there is nothing to predict")
    left, total = np.empty_like(values), np.empty_like(values)
    for train, test in GroupKFold(min(folds, len(ids))).split(z, values, subjects):
        mean, deviation = values[train].mean(), values[train].std() or 1.0
        if nonlinear:
            model = _kernel_ridge(z.shape[1], len(np.unique(subjects[train])))
            model.fit(z[train], (values[train] - mean) / deviation, groups=subjects[train])
            predicted = mean + deviation * model.predict(z[test])
        else:
            ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))
            predicted = ridge.fit(z[train], values[train]).predict(z[test])
        left[test] = np.square(values[test] - predicted)
        total[test] = np.square(values[test] - mean)
    sums = np.array([[left[subjects == s].sum(), total[subjects == s].sum()] for s in ids])
    whole = sums.sum(0)
    r2 = float(1 - whole[0] / whole[1])
    return Regression(r2, jackknife(r2, 1 - np.divide(*(whole - sums).T)), len(z), len(ids))


def _kernel_ridge(dimensions: int, subjects: int) -> GridSearchCV:
    """For values of mean 0 and deviation 1; its parameters are chosen over subjects, of which there are at least 2."""
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), KernelRidge(kernel="rbf"))
    gammas = [share / dimensions for share in (0.01, 0.1, 1.0)]
    grid = {"kernelridge__alpha": [0.01, 0.1, 1.0], "kernelridge__gamma": gammas}
    return GridSearchCV(model, grid, cv=GroupKFold(min(3, subjects)), scoring="neg_mean_squared_error")


def occupancies(labels: np.ndarray, channels: int) -> np.ndarray:
    """Share of pixels in each channel: (n, H, W) channel indices -> (n, channels)."""
    return np.stack([(labels == c).mean((1, 2)) for c in range(channels)], 1)


def pooled(labels: np.ndarray, channels: int, grid: int = 8) -> np.ndarray:
    """Share of each channel in each of grid x grid cells: (n, H, W) channel indices -> (n, channels * grid^2)."""
    n, height, width = labels.shape
    rows, columns = (np.linspace(0, side, grid + 1).round().astype(int)[:-1] for side in (height, width))
    parts = []
    for c in range(channels):
        sums = np.add.reduceat(np.add.reduceat((labels == c).astype(np.float64), rows, 1), columns, 2)
        area = np.outer(np.diff([*rows, height]), np.diff([*columns, width]))
        parts.append((sums / area).reshape(n, -1))
    return np.concatenate(parts, 1)


@dataclass(frozen=True, eq=False)
class Leakage:
    """Accuracy of the modality from anatomies, and from the true masks of the same slices.

    Position and visible extent of organs can differ between modalities (breathing, coverage), and a perfect anatomy
    contains this information too. Leakage is the modality information in s beyond that in true masks.

    Attributes:
        anatomy, truth: the two probes; truth is None where not every slice has a mask.
        excess: accuracy from anatomies minus from masks, by subject, with interval and p; None without masks.
    """

    anatomy: Probe
    truth: Probe | None
    excess: Paired | None


def leakage(
    anatomies: np.ndarray,
    channels: int,
    masks: np.ndarray | None,
    classes: int,
    modalities: np.ndarray,
    subjects: np.ndarray,
    *,
    features: Callable[[np.ndarray, int], np.ndarray] = occupancies,
) -> Leakage:
    """Probe the modality from anatomies and from true masks, with the same features, folds and classifier.

    Args:
        anatomies: (n, H, W) uint8 channel indices.
        channels: C.
        masks: (n, H, W) uint8 labels of the same slices, or None.
        classes: number of classes with the background.
        modalities, subjects: (n,) label and id of each row.
        features: `occupancies` or `pooled`.
    """
    ours = probe(features(anatomies, channels), modalities, subjects, each=False)
    if masks is None:
        return Leakage(ours, None, None)
    theirs = probe(features(masks, classes), modalities, subjects, each=False)
    ids = np.unique(subjects)
    shares = [np.array([p.correct[subjects == s].mean() for s in ids]) for p in (ours, theirs)]
    return Leakage(ours, theirs, paired(*shares))


def principal_axes(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two directions in which z varies most: coordinates (n, 2) of z (n, n_z >= 2), and their share of variance."""
    from sklearn.decomposition import PCA

    pca = PCA(2).fit(z)
    return pca.transform(z), pca.explained_variance_ratio_


def modality_normals(z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Normals, of length 1, of the boundaries between modalities that logistic regression fits to all rows of z.

    Args:
        z: (n, n_z).
        labels: (n,) modality of each row.

    Returns:
        (1, n_z), pointing to the larger of two labels; of more than two labels (labels, n_z), in their order.

    Raises:
        ValueError: a single label, or a z that does not depend on the label at all.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError(f"every row has the label {labels[0]}; classification needs at least 2")
    scaler, regression = (step for _, step in _classifier().fit(np.asarray(z, np.float64), labels).steps)
    normals = regression.coef_ / scaler.scale_
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise ValueError("z is the same whatever the modality, so no direction separates them")
    return np.asarray(normals / lengths)


def _classifier() -> Pipeline:
    """Standardisation and regression in one, so that held-out rows never enter mean and scale."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def _wilson(share: float, trials: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share; scipy's accepts whole numbers of successes only."""
    q = float(special.ndtri(0.975))
    centre = (share + q**2 / (2 * trials)) / (1 + q**2 / trials)
    half = q * np.sqrt(share * (1 - share) / trials + q**2 / (4 * trials**2)) / (1 + q**2 / trials)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))

"""Predict known properties of subjects from z and s: classifiers and regressions on held-out subjects (Sec. V-H)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.metrics.probe import occupancies, probe, regress


@dataclass(frozen=True)
class Reading:
    """How well a known property of the subjects is predicted from one factor of the model.

    Attributes:
        target: name of the property; modality: of the rows used; factor: name of the representation.
        measure: "accuracy", or "R²" for a number; value and ci95 are held out (Probe, Regression).
        chance: score without information: the share of the most frequent class, or 0 for R^2.
        why: the reason if value is None, else "".
    """

    target: str
    modality: str
    factor: str
    measure: str
    value: float | None
    ci95: tuple[float, float] | None
    chance: float | None
    why: str = ""


def read_ground_truth(
    encodings: Encodings, representations: Mapping[str, np.ndarray] | None = None, only: str | None = None
) -> list[Reading]:
    """Predict every known property of the subjects (bool or number) from representations, one modality at a time.

    Args:
        representations: features (n, d) of every row, by name; z and the occupancies of s by default.
        only: name of a modality, to use its rows alone.
    """
    parts = representations or {"z": encodings.z, "s": occupancies(encodings.anatomies, encodings.channels)}
    return [
        _read(name, values[rows], modality, factor, features[rows], encodings.subjects[rows])
        for name, values in encodings.ground_truth.items()
        for i, modality in enumerate(encodings.names)
        if only in (None, modality)
        for rows in [encodings.modality == i]
        for factor, features in parts.items()
    ]


def _read(
    name: str, values: np.ndarray, modality: str, factor: str, features: np.ndarray, subjects: np.ndarray
) -> Reading:
    is_class = values.dtype == bool
    labels = name, modality, factor, "accuracy" if is_class else "R²"
    try:
        if is_class:
            classifier = probe(features, values.astype(int), subjects, each=False)
            return Reading(*labels, classifier.accuracy, classifier.ci95, classifier.chance)
        fit = regress(features, values, subjects)
        return Reading(*labels, fit.r2, fit.ci95, 0.0)
    except ValueError as error:
        return Reading(*labels, None, None, None, str(error))

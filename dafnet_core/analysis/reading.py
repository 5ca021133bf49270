"""What z and s tell of everything that is known of the subjects: classifiers and regressions on held-out subjects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.metrics.probe import occupancies, probe, regress


@dataclass(frozen=True)
class Reading:
    """How well one factor of the model tells something that is known of the subjects.

    Attributes:
        target: its name; modality: whose rows were read; factor: the representation that it was read from.
        measure: "accuracy", or "R²" for a number; value and ci95 are held out (Probe, Regression).
        chance: what knowing nothing gives: the most frequent answer's share, or 0 for R^2.
        why: the reason where value is None.
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
    found: Encodings, representations: Mapping[str, np.ndarray] | None = None, only: str | None = None
) -> list[Reading]:
    """Read everything that is known of the subjects (bool or number) from representations, one modality at a time.

    Args:
        representations: features (n, d) of every row, by name; z and the occupancies of s by default.
        only: a modality whose rows alone are read.
    """
    parts = representations or {"z": found.z, "s": occupancies(found.anatomies, found.channels)}
    return [
        _read(name, values[rows], modality, factor, features[rows], found.subjects[rows])
        for name, values in found.ground_truth.items()
        for i, modality in enumerate(found.names)
        if only in (None, modality)
        for rows in [found.modality == i]
        for factor, features in parts.items()
    ]


def _read(
    name: str, values: np.ndarray, modality: str, factor: str, features: np.ndarray, subjects: np.ndarray
) -> Reading:
    is_class = values.dtype == bool
    asked = name, modality, factor, "accuracy" if is_class else "R²"
    try:
        if is_class:
            told = probe(features, values.astype(int), subjects, each=False)
            return Reading(*asked, told.accuracy, told.ci95, told.chance)
        fit = regress(features, values, subjects)
        return Reading(*asked, fit.r2, fit.ci95, 0.0)
    except ValueError as error:
        return Reading(*asked, None, None, None, str(error))

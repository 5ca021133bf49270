"""Which properties of a subject are read from z, from s and from true intensities, on other subjects.

A subject is one row: the mean of its slices' features, since the parameters are properties of the subject.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dafnet_core.analysis.truth import shape_moments
from dafnet_core.metrics.probe import occupancies, pooled, regress

GRID = 4  # cells a side in which the shares of channels are read


def anatomy_features(labels: np.ndarray, channels: int) -> np.ndarray:
    """Occupancies, shares on a 4 x 4 grid and shape moments: (n, H, W) channel indices -> (n, 22 * channels)."""
    parts = occupancies(labels, channels), pooled(labels, channels, GRID), shape_moments(labels, channels)
    return np.concatenate(parts, 1)


def tissue_intensities(image: np.ndarray, tissues: np.ndarray, count: int) -> np.ndarray:
    """Mean intensity of each tissue: (H, W) image and labels -> (count,) with NaN for a tissue that is not there."""
    area = np.bincount(tissues.ravel(), minlength=count)
    sums = np.bincount(tissues.ravel(), weights=image.ravel().astype(np.float64), minlength=count)
    return np.where(area > 0, sums / np.maximum(area, 1), np.nan)


def subject_means(features: np.ndarray, subjects: np.ndarray) -> np.ndarray:
    """Mean of each subject's rows: (n, d) with NaN, ids (n,) -> (n_subjects, d), in the order of np.unique.

    A feature that is unknown in all rows of a subject is that of the other subjects' mean, or 0 where none has it.
    """
    ids = np.unique(subjects)
    sums = np.stack([np.nan_to_num(features[subjects == s]).sum(0) for s in ids])
    known = np.stack([(~np.isnan(features[subjects == s])).sum(0) for s in ids])
    means = sums / np.maximum(known, 1)
    typical = (means * (known > 0)).sum(0) / np.maximum((known > 0).sum(0), 1)
    return np.where(known > 0, means, typical)


def readable(
    features: np.ndarray, parameters: Mapping[str, np.ndarray], subjects: np.ndarray, *, nonlinear: bool
) -> dict[str, float]:
    """Held-out R^2 of each parameter, clipped at 0; a parameter that does not vary is left out.

    Args:
        features: (n, d) of every row, with NaN.
        parameters: (n,) values of every row by name, the same in all rows of a subject.
        subjects: (n,) ids, of at least 3 subjects.
        nonlinear: kernel ridge regression, and not ridge regression.
    """
    ids, first = np.unique(subjects, return_index=True)
    means = subject_means(features, subjects)
    varying = {name: values[first] for name, values in parameters.items() if np.ptp(values) > 0}
    return {name: max(0.0, regress(means, values, ids, nonlinear=nonlinear).r2) for name, values in varying.items()}

"""Dice of masks: per slice and class, per volume, and false positives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def overlap_counts(pred: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Pixels of each class but the background in both, in the prediction and in the truth.

    Args:
        pred, truth: integer labels of one shape.
        classes: number of classes with the background, class 0.

    Returns:
        (classes - 1, 3) int64: intersection, predicted, true.

    >>> overlap_counts(np.array([0, 1, 1, 2]), np.array([0, 0, 1, 2]), classes=3)
    array([[1, 2, 1],
           [1, 1, 1]])
    """
    if pred.shape != truth.shape:
        raise ValueError(f"prediction is {pred.shape}, truth is {truth.shape}; expected one shape")
    rows = []
    for label in range(1, classes):
        p, t = pred == label, truth == label
        rows.append((np.count_nonzero(p & t), np.count_nonzero(p), np.count_nonzero(t)))
    return np.array(rows, np.int64).reshape(-1, 3)


def dice_from_counts(counts: np.ndarray) -> np.ndarray:
    """(..., 3) counts -> (...) Dice, NaN for a class that the truth does not contain."""
    inter, pred, true = np.moveaxis(counts.astype(np.float64), -1, 0)
    return np.where(true > 0, 2 * inter / np.maximum(pred + true, 1), np.nan)


def dice_per_class(pred: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Dice of each class but the background, (classes - 1,); NaN where the truth has none of it.

    >>> pred, truth = np.array([[0, 1], [1, 1]]), np.array([[0, 0], [1, 1]])
    >>> dice_per_class(pred, truth, classes=3)
    array([0.8, nan])
    """
    return dice_from_counts(overlap_counts(pred, truth, classes))


def nanmean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean of the values that are not NaN; NaN, without a warning, if there are none."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis)
    count = known.sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean_by_subject(rows: Sequence[tuple[str, float]], ids: Sequence[str]) -> np.ndarray:
    """Mean over each subject's values, (len(ids),); NaN if all of them are NaN."""
    subjects, values = np.array([s for s, _ in rows]), np.array([v for _, v in rows], np.float64)
    return np.array([nanmean(values[subjects == i]) for i in ids], np.float64)


def dice_by_subject(rows: Sequence[tuple[str, np.ndarray]], ids: Sequence[str]) -> np.ndarray:
    """Dice of each subject, (len(ids),): averaged over slices within the subject, then over classes.

    Args:
        rows: subject and `overlap_counts` of every slice with a truth.
        ids: subjects in the order wanted; NaN for those without a truth.
    """
    return nanmean(_class_dice(rows, ids), axis=1)


def volume_dice_by_subject(rows: Sequence[tuple[str, np.ndarray]], ids: Sequence[str]) -> np.ndarray:
    """Dice of each subject's slices as one volume, (len(ids),), averaged over classes; as `dice_by_subject`."""
    subjects, counts = np.array([s for s, _ in rows]), np.stack([c for _, c in rows])
    volumes = np.stack([dice_from_counts(counts[subjects == i].sum(0)) for i in ids])
    return nanmean(volumes, axis=1)


def mean_by_class(rows: Sequence[tuple[str, np.ndarray]], ids: Sequence[str]) -> np.ndarray:
    """(len(ids), classes - 1, ...): each class averaged over the slices of a subject in which it is known.

    Args:
        rows: subject and values (classes - 1, ...) of every slice, NaN where unknown.
        ids: subjects in the order wanted; NaN for those without a slice.
    """
    subjects, values = np.array([s for s, _ in rows]), np.stack([v for _, v in rows])
    return np.stack([nanmean(values[subjects == i], axis=0) for i in ids])


def _class_dice(rows: Sequence[tuple[str, np.ndarray]], ids: Sequence[str]) -> np.ndarray:
    """(subjects, classes - 1): each class averaged over the slices of a subject that contain it."""
    return mean_by_class([(s, dice_from_counts(c)) for s, c in rows], ids)


def summarise(rows: Sequence[tuple[str, np.ndarray]], class_names: tuple[str, ...]) -> dict[str, Any]:
    """Dice over a data set: slices averaged within the subject, then over classes, then over subjects.

    Args:
        rows: subject and `overlap_counts` (classes - 1, 3) of every slice with a truth; may be empty.
        class_names: of all classes, background first.

    Returns:
        dice_mean, dice_std (over subjects), dice_volume_mean (each subject's slices as one volume),
        per_class, n_subjects, and false_positive: slices whose truth lacks a class that was predicted.
        None for undefined values.
    """
    ids = tuple(dict.fromkeys(s for s, _ in rows))
    if not rows:
        nothing: dict[str, Any] = {"dice_mean": None, "dice_std": None, "dice_volume_mean": None}
        nothing |= {"per_class": dict.fromkeys(class_names[1:]), "n_subjects": 0}
        return nothing | {"false_positive": {"slices": 0, "rate": None}}
    by_subject, counts = _class_dice(rows, ids), np.stack([c for _, c in rows])
    per_subject = nanmean(by_subject, axis=1)
    known = per_subject[~np.isnan(per_subject)]
    absent = counts[..., 2] == 0
    return {
        "dice_mean": number(known.mean() if len(known) else np.nan),
        "dice_std": number(known.std(ddof=1) if len(known) > 1 else np.nan),
        "dice_volume_mean": number(float(nanmean(volume_dice_by_subject(rows, ids)))),
        "per_class": dict(zip(class_names[1:], (number(v) for v in nanmean(by_subject, axis=0)), strict=True)),
        "n_subjects": len(known),
        "false_positive": {
            "slices": int(absent.sum()),
            "rate": number((absent & (counts[..., 1] > 0)).sum() / absent.sum() if absent.any() else np.nan),
        },
    }


def number(value: float) -> float | None:
    """A float for JSON; None for NaN."""
    return None if np.isnan(value) else float(value)

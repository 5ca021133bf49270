"""Dice against scikit-learn, and summaries by subject."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from dafnet_core.metrics.segmentation import dice_per_class, overlap_counts, summarise

RNG = np.random.default_rng(0)


def test_dice_per_class_is_scikit_learn_s_and_unknown_where_the_truth_has_none():
    pred, truth = RNG.integers(0, 4, (2, 20, 30))
    expected = f1_score(truth.ravel(), pred.ravel(), labels=[1, 2, 3], average=None)
    assert np.allclose(dice_per_class(pred, truth, 4), expected)
    assert np.isnan(dice_per_class(pred, np.minimum(truth, 2), 4)[2])


def test_summary_averages_slices_within_a_subject_first():
    full = overlap_counts(np.ones((2, 2), int), np.ones((2, 2), int), 2)  # Dice 1
    none = overlap_counts(np.zeros((2, 2), int), np.ones((2, 2), int), 2)  # Dice 0
    # subject 0: three slices of Dice 1; subject 1: one slice of Dice 0 -> 0.5 and not 0.75
    found = summarise(list(zip("aaab", [full, full, full, none], strict=True)), ("background", "organ"))
    assert found["dice_mean"] == 0.5
    assert found["dice_std"] == pytest.approx(np.sqrt(0.5))
    assert found["per_class"] == {"organ": 0.5}
    assert found["false_positive"] == {"slices": 0, "rate": None}


def test_absent_classes_count_as_false_positives_and_not_as_dice():
    truth = np.zeros((4, 4), int)
    pred = truth.copy()
    pred[0, 0] = 1
    counts = np.stack([overlap_counts(p, truth, 2) for p in (pred, truth)])
    found = summarise(list(zip("aa", counts, strict=True)), ("background", "organ"))
    assert found["dice_mean"] is None
    assert found["n_subjects"] == 0
    assert found["false_positive"] == {"slices": 2, "rate": 0.5}

"""Splits into training, validation and test subjects; always whole subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

FOLDS = 3
PARTS = ("train", "val", "test")
Split = dict[str, tuple[str, ...]]  # part -> names of subjects


def split_subjects(names: Sequence[str], seed: int, fold: int = 0) -> Split:
    """70 / 15 / 15 per cent by subject (Sec. IV-A); the tests of the three folds never overlap.

    Args:
        names: of all subjects, at least 3.
        seed: of the shuffle.
        fold: 0 to 2.

    Raises:
        ValueError: too few subjects for three parts, or an unknown fold.
    """
    if not 0 <= fold < FOLDS:
        raise ValueError(f"fold is {fold}; expected 0 to {FOLDS - 1}")
    if len(set(names)) != len(names) or len(names) < 3:
        raise ValueError(f"{len(names)} subjects; expected at least 3 different ones, to train, validate and test on")
    order = [sorted(names)[i] for i in np.random.default_rng([seed, 70]).permutation(len(names))]
    held = max(1, round(0.15 * len(order)))
    start = fold * held
    turned = order[start:] + order[:start]
    test, val, train = turned[:held], turned[held : 2 * held], turned[2 * held :]
    return {"train": tuple(sorted(train)), "val": tuple(sorted(val)), "test": tuple(sorted(test))}


def split_patients(names: Sequence[str], patients: Mapping[str, str], seed: int, fold: int = 0) -> Split:
    """`split_subjects` where several subjects may be cases of one patient, who stays in one part.

    Args:
        patients: of each name; a name that is missing is a patient of its own.
    """
    parts = split_subjects(sorted({patients.get(name, name) for name in names}), seed, fold)
    return {part: tuple(n for n in sorted(names) if patients.get(n, n) in chosen) for part, chosen in parts.items()}


def draw_patients(names: Sequence[str], patients: Mapping[str, str], share: float, seed: int) -> frozenset[str]:
    """`draw_annotated` where several subjects may be cases of one patient: all of a patient's, or none."""
    drawn = draw_annotated(sorted({patients.get(name, name) for name in names}), share, seed)
    return frozenset(name for name in names if patients.get(name, name) in drawn)


def draw_annotated(names: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """Subjects whose target masks may be used: a share of them drawn by subject, never by image.

    The same seed draws nested sets: subjects annotated at 25 % also are at 50 %. At least one at any share
    above 0.

    Raises:
        ValueError: a share outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"annotations is {share}; expected a share from 0 to 1")
    count = max(round(share * len(names)), 1) if share else 0
    order = np.random.default_rng([seed, 71]).permutation(len(names))
    return frozenset(sorted(names)[i] for i in order[:count])

"""Splits into training, validation and test subjects; always whole subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dafnet_core.data.nnunet_description import read_json
from dafnet_core.data.studies import DataError

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


def read_folds(path: Path, names: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], ...]:
    """The splits of splits_final.json; test cases are those that a split names nowhere."""
    if not path.exists():
        return ()
    splits = read_json(path)
    if not isinstance(splits, list) or not splits:
        what = "an empty list" if splits == [] else f"a {type(splits).__name__}"
        raise DataError(f"{path}: it holds {what}; a list of splits is needed. Without the file they are drawn.")
    folds = []
    for number, split in enumerate(splits):
        if not isinstance(split, dict) or not all(isinstance(split.get(part), list) for part in ("train", "val")):
            raise DataError(f'{path}: split {number} is not {{"train": [names], "val": [names]}}; write it so.')
        train, val = split["train"], split["val"]
        if unknown := [name for name in (*train, *val) if name not in names]:
            raise DataError(f"{path}: split {number} names {unknown[0]!r}; there is no such case, correct the split.")
        if twice := sorted({*train} & {*val}):
            raise DataError(f"{path}: split {number} has {twice[0]!r} in train and in val; leave it in one of them.")
        for part in ("train", "val"):
            if len(set(split[part])) < len(split[part]):
                twice = sorted(name for name in set(split[part]) if split[part].count(name) > 1)
                raise DataError(f"{path}: split {number} has {twice[0]!r} twice in {part}; name it once.")
        rest = tuple(name for name in names if name not in train and name not in val)
        folds.append({"train": tuple(train), "val": tuple(val), "test": rest})
    return tuple(folds)

"""Splits and annotations by subject."""

from itertools import pairwise

import pytest

from dafnet_core.data.splits import draw_annotated, split_subjects


def test_splits_are_by_subject_seeded_and_their_tests_never_overlap():
    names = [f"p{n}" for n in range(68)]
    folds = [split_subjects(names, 0, k) for k in range(3)]
    for split in folds:
        assert sorted(sum(split.values(), ())) == sorted(names)
        assert [len(split[p]) for p in ("train", "val", "test")] == [48, 10, 10]
    assert len(set().union(*(f["test"] for f in folds))) == 30
    assert folds[0] == split_subjects(names[::-1], 0, 0) != split_subjects(names, 1, 0)
    with pytest.raises(ValueError, match="fold is 3"):
        split_subjects(names, 0, 3)
    with pytest.raises(ValueError, match="2 subjects"):
        split_subjects(names[:2], 0)


def test_annotations_are_drawn_by_subject_and_nested():
    names = [f"p{n}" for n in range(40)]
    drawn = [draw_annotated(names, share, 3) for share in (0, 0.01, 0.25, 0.5, 1)]
    assert [len(d) for d in drawn] == [0, 1, 10, 20, 40]
    assert all(a <= b for a, b in pairwise(drawn))
    with pytest.raises(ValueError, match="annotations is 2"):
        draw_annotated(names, 2, 0)

"""The size of the smallest piece is chosen on validation subjects, stored, and named on the card."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import load
from dafnet_core.config import ModelConfig
from dafnet_core.metrics.segmentation import overlap_counts, summarise
from dafnet_core.training.smallest_piece import SIZES, counts_by_size, main, mean_dice, table
from tests.helpers.paths import SHIPPED

DATA = "phantom:seed=9210,subjects=1,difficulty=hard"


def test_every_size_is_one_that_a_checkpoint_may_have():
    low, high = ModelConfig.LIMITS["smallest_piece"]
    assert all(low <= size <= high for size in SIZES)
    with pytest.raises(ValueError, match="smallest_piece is 5000"):
        ModelConfig.compact(("a", "b"), ("none", "x"), smallest_piece=5000)


@pytest.mark.slow
def test_the_best_size_is_stored_and_weights_stay(tmp_path, capsys):
    path = tmp_path / "mine.safetensors"
    shutil.copy(SHIPPED, path)
    before = load(path)
    assert main([str(path), "--data", DATA]) == 0
    printed = capsys.readouterr().out
    assert path.read_bytes() == SHIPPED.read_bytes()  # without --write
    found = counts_by_size(load(path), DATA)
    summaries = {
        size: {key: summarise(rows, before.config.classes) for key, rows in counts.items()}
        for size, counts in found.items()
    }
    best = max(SIZES, key=lambda size: (mean_dice(summaries[size]), -size))
    assert printed.strip() == table(summaries, best)
    assert main([str(path), "--data", DATA, "--write"]) == 0
    assert f"pieces below {best} pixels" in capsys.readouterr().out
    after = load(path)
    assert after.config == replace(before.config, smallest_piece=best)
    weights = before.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in after.model.state_dict().items())
    assert path.with_suffix(".md").read_text() == card(after, path.name)


def test_the_table_counts_dice_and_absent_classes_and_marks_the_best():
    truth, mask = np.zeros((2, 4, 4), np.uint8)
    mask[0, 0] = 1
    truth[2:] = 2
    rows = {("cine", "single"): [("a", overlap_counts(mask, truth, 3))]}
    clean = {("cine", "single"): [("a", overlap_counts(truth, truth, 3))]}
    names = ("background", "x", "y")
    summaries = {n: {k: summarise(v, names) for k, v in r.items()} for n, r in {0: rows, 8: clean}.items()}
    assert table(summaries, 8).splitlines() == [
        "| smallest piece, pixels | single cine |",
        "| --- | --- |",
        "| 0 | 0.000 / 1.000 |",
        "| 8 (best) | 1.000 / 0.000 |",
    ]


def test_a_card_says_what_is_dropped():
    checkpoint = load(SHIPPED)
    assert "pieces of a class" not in card(checkpoint, "x.safetensors")
    checkpoint.model.config = replace(checkpoint.config, smallest_piece=24)
    assert "| masks | pieces of a class below 24 pixels are dropped |" in card(checkpoint, "x.safetensors")


def test_a_checkpoint_that_is_none_is_refused_in_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "none.safetensors"), "--data", DATA]) == 2
    assert "none.safetensors" in capsys.readouterr().err

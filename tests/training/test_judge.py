"""A checkpoint judged again keeps its weights and gains numbers."""

from __future__ import annotations

import shutil

import pytest
import torch

from dafnet_core.checkpoints.card import card, measures_of
from dafnet_core.checkpoints.file import load
from dafnet_core.evaluation.comparison import compare
from dafnet_core.training.judge import main
from tests.helpers.paths import SHIPPED


@pytest.mark.slow
def test_numbers_are_added_under_their_title_and_weights_stay(tmp_path):
    path = tmp_path / "mine.safetensors"
    shutil.copy(SHIPPED, path)
    before = load(path)
    data = "phantom:seed=9200,subjects=2,difficulty=standard"
    assert main([str(path), "--data", f"two={data}", "--measures", "all"]) == 0
    assert measures_of(load(path).metrics["two"]) == "all"
    assert main([str(path), "--data", f"two={data}"]) == 0  # by the measures of before
    after = load(path)
    weights = before.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in after.model.state_dict().items())
    assert {k: v for k, v in after.metrics.items() if k != "two"} == before.metrics
    assert after.metrics["two"].data == data
    assert after.metrics["two"].prior.dice_kept is not None
    found = compare(after.metrics["two"], after.metrics["two"])["segmentation.LGE.fused.dice_mean"].paired
    assert (found.difference, found.n) == (0, 2)  # numbers of subjects are kept
    assert path.with_suffix(".md").read_text() == card(after, path.name)


def test_mistakes_are_told_in_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "none.safetensors")]) == 2
    assert "none.safetensors" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["a.safetensors", "--data", "phantom"])
    assert "expected TITLE=DATA" in capsys.readouterr().err

"""The table of what was tried goes into the checkpoint and onto its card."""

from __future__ import annotations

import shutil

import torch

from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import load
from tests.helpers.paths import SHIPPED
from tools.tries import main


def test_a_table_stands_on_the_card_and_all_else_stays(tmp_path):
    path, table = tmp_path / "mine.safetensors", tmp_path / "tries.csv"
    shutil.copy(SHIPPED, path)
    before = load(path)
    table.write_text("try,probe\n1,0.945\n2 (shipped),0.966\n")
    assert main([str(path), str(table)]) == 0
    after = load(path)
    assert after.tries == (("try", "probe"), ("1", "0.945"), ("2 (shipped)", "0.966"))
    assert (after.metrics, after.training) == (before.metrics, before.training)
    weights = before.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in after.model.state_dict().items())
    text = path.with_suffix(".md").read_text()
    assert text == card(after, path.name)
    assert "## What was tried\n\n| try | probe |\n|---|---|\n| 1 | 0.945 |\n| 2 (shipped) | 0.966 |\n" in text


def test_a_table_that_is_none_is_refused_in_a_sentence(tmp_path, capsys):
    path, table = tmp_path / "mine.safetensors", tmp_path / "tries.csv"
    shutil.copy(SHIPPED, path)
    before = path.read_bytes()
    for text, said in (("a,b\n1\n", "tries[1]"), ("<b>x</b>\n", "tries[0][0]")):
        table.write_text(text)
        assert main([str(path), str(table)]) == 2
        assert said in capsys.readouterr().err
    assert main([str(path), str(tmp_path / "none.csv")]) == 2
    assert "none.csv" in capsys.readouterr().err
    assert path.read_bytes() == before

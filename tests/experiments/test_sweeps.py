"""Sweeps of short trainings: their commands, their numbers and their table."""

from __future__ import annotations

import json

import pytest

from dafnet_core.training.cli import parser
from dafnet_core.training.config import TrainConfig
from experiments import dice, disentangle
from experiments.sweep import Cell, Sweep, number_at

TINY = "--size 64 --steps 2 --finish-steps 1 --batch-size 2 --warmup 1 --subjects 2 --validation-subjects 1"


@pytest.mark.parametrize("sweep", [disentangle, dice])
def test_every_command_that_a_sweep_lists_is_a_valid_run(sweep, capsys):
    asked = [] if sweep is disentangle else ["--chaos", "chaos:X"]
    assert sweep.main(["--list", *asked]) == 0
    commands = capsys.readouterr().out.splitlines()
    assert len(commands) == (len(disentangle.VARIANTS) if sweep is disentangle else 2 * len(dice.DICE))
    configs = []
    for command in commands:
        given = vars(parser().parse_args(command.split()[2:]))
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        for name in ("out", "resume", "export", "force"):
            del options[name]
        configs.append(TrainConfig.of(**options))
    assert len(set(map(repr, configs))) == len(commands)
    assert {c.schedule.steps for c in configs} == {480}


@pytest.mark.slow
def test_a_cell_is_trained_and_measured_once_and_stands_in_the_table(tmp_path, capsys):
    sweep = Sweep("tiny", {"L1": ("reconstruction.cine.own_l1", "reconstruction.LGE|T2.own_l1")})
    given = sweep.parser("about", TINY).parse_args(
        ["--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results")]
    )
    cell = Cell("--data phantom", "phantom:seed=9700,subjects=1")
    assert sweep.run({"only": cell}, given) == 0
    found = json.loads((tmp_path / "results" / "only.json").read_text())
    assert found["training"].startswith("python train.py --data phantom --subjects 2")
    numbers = [found["reconstruction"][name]["own_l1"] for name in ("cine", "LGE")]
    row = capsys.readouterr().out.splitlines()[-1]
    assert row.startswith("| only | ")
    assert row.endswith(f"| {numbers[0]:.3f} / {numbers[1]:.3f} |")
    (tmp_path / "runs" / "only" / "last.safetensors").unlink()  # what has a result is not made again
    assert sweep.run({"only": cell}, given) == 0
    assert capsys.readouterr().out.splitlines()[-1] == row


def test_numbers_are_found_by_path_or_by_the_first_key_that_is_there():
    assert number_at({"a": {"LGE": 1}}, "a.T2|LGE") == 1
    assert number_at({"a": {"LGE": None}}, "a.LGE") is None
    assert number_at({"a": 2}, "a.b") is None

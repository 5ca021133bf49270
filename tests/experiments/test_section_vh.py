"""Sec. V-H as an experiment: its commands, a whole small one, and the numbers that ship."""

import json

import pytest

from dafnet_core.checkpoints.file import load
from dafnet_core.evaluate import evaluate
from experiments import __main__ as command
from experiments import section_vh
from tests.helpers.chaos_tree import write_chaos

TINY = "--steps 2 --validate-every 2 --size 64 --batch-size 2"


def test_an_unknown_table_is_refused_with_those_that_there_are(capsys):
    assert command.main(["table9"]) == 2
    assert "section-vh" in capsys.readouterr().err


def test_the_commands_are_listed_one_a_line(tmp_path, capsys):
    assert command.main(["section-vh", "--data", "chaos:MR", "--runs", str(tmp_path), "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert all(line.startswith("python train.py --data chaos:MR --decoder ") for line in lines)
    assert all("--w-fused 0 --dice paper" in line for line in lines)


@pytest.mark.slow
def test_it_trains_measures_draws_and_does_nothing_twice(tmp_path, capsys):
    tree = write_chaos(tmp_path / "MR", range(1, 8), annotated=range(1, 8), digits=1)
    data, runs, results = f"chaos:{tree}", tmp_path / "runs", tmp_path / "results"
    arguments = ["--data", data, "--runs", str(runs), "--results", str(results), "--seeds", "0", "--options", TINY]
    assert section_vh.main([*arguments, "--figures", str(tmp_path / "figures")]) == 0
    shown = capsys.readouterr().out
    assert "| film-0 | " in shown
    assert "| paper, spade | 0.97 |" in shown
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {
        "figure8.png",
        *(f"figure9-{d}-{m}.png" for d in ("film", "spade") for m in ("T1", "T2")),
    }
    found = json.loads((results / "film-0.json").read_text())
    assert str(tmp_path) not in json.dumps(found)
    checkpoint = load(runs / "film-0.safetensors")
    assert found["checkpoint"] == checkpoint.digest
    assert found["probe_cross_validated"]["all"]["accuracy"] == evaluate(checkpoint, data, split="all").probe.accuracy
    fitted = found["probe_fitted_on_training_patients"]
    assert fitted["n_subjects"] == found["patients"]["test"] == 1
    assert len(fitted["per_dimension"]) == 8
    before = {p: p.stat().st_mtime_ns for p in results.iterdir()}
    (runs / "film-0.safetensors").unlink()  # numbers that are there need no model
    assert section_vh.main(arguments) == 0
    assert {p: p.stat().st_mtime_ns for p in results.iterdir()} == before


def test_results_that_ship_hold_numbers_of_six_models_and_no_path():
    results = sorted(section_vh.RESULTS.glob("*.json"))
    if not results:
        pytest.skip("no results are committed")
    assert [p.stem for p in results] == [f"{d}-{s}" for d in ("film", "spade") for s in (0, 1, 2)]
    for path in results:
        found = json.loads(path.read_text())
        assert found["data"] == "chaos:FOLDER"
        assert found["patients"]["test"] == 3
        assert "/" not in found["training"].split(" # ")[0].replace("train.py", "")

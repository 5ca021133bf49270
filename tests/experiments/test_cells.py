"""Cells of the tables: trained and judged once, resumed, run at once, shipped and drawn."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest

from dafnet_core.checkpoints.file import load
from dafnet_core.evaluate import evaluate_checkpoint, evaluate_untrained
from dafnet_core.training import loop
from dafnet_core.training.step import NotFiniteError
from experiments import cell as cells
from experiments import table1
from experiments.__main__ import main
from experiments.masks import chosen, load_masks
from experiments.protocol import Setting
from experiments.record import read
from experiments.table import Scope
from tests.helpers.chaos_tree import write_chaos
from tests.helpers.paths import ROOT

TINY = "--steps 4 --finish-steps 1 --warmup 1 --subjects 2 --validation-subjects 1"
UNET = "unet-multi_LGE_100_f0_s0"


@pytest.fixture
def asked(tmp_path):
    """Options of a small setting in a folder of its own."""
    return options(tmp_path)


def options(folder, *further):
    places = [f"--runs={folder / 'runs'}", f"--results={folder / 'results'}"]
    return ["--data=phantom", "--protocol=smoke", f"--options={TINY}", *places, *further]


def records_of(folder, name="phantom-hard-smoke"):
    return read(folder / "results" / name)


def no_training(*arguments, **options):
    raise AssertionError("nothing is to be trained")


# --- one cell -----------------------------------------------------------------------------------------------


def test_a_cell_without_training_has_the_numbers_of_evaluate(tmp_path, asked):
    assert main(["table1", *asked, "--only", "copy_f0_s0"]) == 0
    record = records_of(tmp_path)["copy_f0_s0"]
    spec = "phantom:seed=9800,subjects=2,difficulty=hard"
    assert record.evaluation["data"] == spec
    assert record.data == "phantom:difficulty=hard"
    assert (record.command, record.digest, record.failure) == (None, None, None)
    expected = np.nanmean(record.values("LGE", "copy", "dice"))
    assert record.evaluation["segmentation"]["LGE"]["copy"]["dice_mean"] == pytest.approx(expected)
    at_128 = evaluate_untrained("copy", spec).result.segmentation["LGE"]["copy"].dice_mean
    assert expected == pytest.approx(at_128, abs=0.05)  # here of 64 pixels a side
    masks = load_masks(tmp_path / "runs" / "phantom-hard-smoke" / "copy_f0_s0.masks.npz")
    assert len(masks) == 2 * 8 * 2
    assert {m.shape for m in masks.values()} == {(64, 64)}


def test_methods_without_training_are_judged_on_the_folds_of_the_others(tmp_path):
    tree = write_chaos(tmp_path / "MR", range(1, 8))
    where = [f"--runs={tmp_path / 'runs'}", f"--results={tmp_path / 'results'}", "--protocol=smoke"]
    asked = [f"--data=chaos:{tree}", *where, "--folds", "0", "1"]
    assert main(["table1", *asked, "--only", "copy_f0_s0", "copy_f1_s0"]) == 0
    found = records_of(tmp_path, "chaos-smoke")
    setting = Setting(f"chaos:{tree}", "smoke")
    for fold in (0, 1):
        config = cells.TrainConfig.of(**cells.Cell("copy", "", "T2", 1.0, fold, 0).options(setting))
        assert found[f"copy_f{fold}_s0"].subjects == setting.source.split(config.data, 0)["test"]
    assert not set(found["copy_f0_s0"].subjects) & set(found["copy_f1_s0"].subjects)
    assert str(tmp_path) not in json.dumps([r.evaluation for r in found.values()])


def test_a_method_of_one_modality_is_not_applicable_without_annotations(tmp_path, asked, monkeypatch):
    monkeypatch.setattr(cells, "train", no_training)
    assert main(["table1", *asked, "--only", "unet-single_LGE_0_f0_s0"]) == 0
    failure = records_of(tmp_path)["unet-single_LGE_0_f0_s0"].failure
    assert failure == "n/a: UNet-single learns from LGE alone, of which nothing is annotated"


def test_a_training_that_diverges_is_recorded_and_the_others_go_on(tmp_path, asked, monkeypatch, capsys):
    def diverge(*arguments):
        raise NotFiniteError(f"step 3: rec is nan; {tmp_path} holds the last good state")

    monkeypatch.setattr(cells, "train", diverge)
    assert main(["table1", *asked, "--only", UNET, "copy_f0_s0"]) == 0
    found = records_of(tmp_path)
    assert found[UNET].failure == "diverged: step 3: rec is nan"
    assert found["copy_f0_s0"].failure is None
    assert main(["table1", *asked, "--budget-minutes", "0"]) == 0
    assert f"Without numbers: {UNET}: diverged: step 3: rec is nan." in capsys.readouterr().out


def test_other_problems_are_said_and_not_recorded(tmp_path, asked, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(cells, "train", full)
    assert main(["table1", *asked, "--only", UNET, "copy_f0_s0"]) == 2
    assert f"{UNET}: somewhere: no space left on device; free some space" in capsys.readouterr().err
    assert set(records_of(tmp_path)) == {"copy_f0_s0"}


def test_without_time_nothing_is_begun_and_the_table_says_what_is_missing(tmp_path, asked, monkeypatch, capsys):
    monkeypatch.setattr(cells, "train", no_training)
    output = tmp_path / "table.md"
    assert main(["table3", *asked, "--budget-minutes", "0", "--output", str(output)]) == 0
    assert "Missing: copy_f0_s0; copy-shuffled_f0_s0; dafnet-paper_LGE_100_f0_s0;" in output.read_text()
    assert records_of(tmp_path) == {}
    assert capsys.readouterr().out == ""


def test_an_unreadable_record_is_named(tmp_path, asked, capsys):
    folder = tmp_path / "results" / "phantom-hard-smoke"
    folder.mkdir(parents=True)
    (folder / f"{UNET}.json").write_text("{")
    assert main(["table1", *asked, "--budget-minutes", "0"]) == 2
    assert f"{UNET}.json is not JSON" in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupted_training_goes_on_where_it_was_and_refuses_other_options(tmp_path, monkeypatch, capsys):
    asked = options(tmp_path, "--only", UNET)
    asked[2] += " --save-every 2"
    steps, take = [], loop._Run._step

    def step(run, *arguments):
        steps.append(run.state.step)
        if len(steps) == 4:
            raise KeyboardInterrupt
        take(run, *arguments)

    monkeypatch.setattr(loop._Run, "_step", step)
    assert main(["table1", *asked]) == 2
    assert "stopped; the same command goes on" in capsys.readouterr().err
    assert records_of(tmp_path) == {}
    changed = [word.replace("--steps 4", "--steps 6") for word in asked]
    assert main(["table1", *changed]) == 2
    assert "steps is 6, but the run in" in capsys.readouterr().err
    assert main(["table1", *asked]) == 0
    assert steps == [0, 1, 2, 3, 2, 3]
    record = records_of(tmp_path)[UNET]
    assert record.step == 4
    checkpoint = load(tmp_path / "runs" / "phantom-hard-smoke" / UNET / "best.safetensors")
    assert record.digest == checkpoint.digest
    assert record.parameters == sum(p.numel() for p in checkpoint.model.parameters())
    evaluation = evaluate_checkpoint(checkpoint, record.evaluation["data"])
    assert record.values("cine", "single", "dice") == pytest.approx(
        tuple(evaluation.by_subject["segmentation.cine.single.dice_mean"]), nan_ok=True
    )
    assert main(["table1", *changed[:-2], "--budget-minutes", "0"]) == 0
    assert f"Trained by other options than smoke has here: {UNET}." in capsys.readouterr().out


# --- processes ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_listed_command_makes_its_cell_alone(tmp_path, asked, capsys):
    assert main(["table1", *asked, "--list"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "--only copy_f0_s0" in line)
    words = shlex.split(line)
    assert words[0] == "python"
    subprocess.run([sys.executable, *words[1:]], cwd=ROOT, check=True, capture_output=True)
    assert set(records_of(tmp_path)) == {"copy_f0_s0"}


@pytest.mark.slow
def test_two_cells_run_at_once_each_with_a_log_and_its_name_before_its_lines(tmp_path, asked, capsys):
    names = [UNET, "copy_f0_s0", "unet-single_LGE_0_f0_s0"]
    assert main(["table1", *asked, "--jobs", "2", "--only", *names]) == 0
    assert set(records_of(tmp_path)) == set(names)
    said = capsys.readouterr().err
    assert f"{UNET}: recipe clean: dice every" in said
    log = (tmp_path / "runs" / "phantom-hard-smoke" / f"{UNET}.log").read_text()
    assert "recipe clean: dice every" in log
    assert "copy_f0_s0" not in log


@pytest.mark.slow
def test_a_process_that_fails_is_named_with_its_log(tmp_path, asked, capsys):
    (tmp_path / "runs" / "phantom-hard-smoke" / UNET).mkdir(parents=True)
    (tmp_path / "runs" / "phantom-hard-smoke" / UNET / "something").write_text("")
    assert main(["table1", *asked, "--jobs", "2", "--only", UNET, "copy_f0_s0"]) == 2
    assert f"{UNET}: experiments: " not in capsys.readouterr().out
    assert set(records_of(tmp_path)) == {"copy_f0_s0"}
    assert "is not empty" in (tmp_path / "runs" / "phantom-hard-smoke" / f"{UNET}.log").read_text()


# --- a whole table ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder with all cells of Table I for one target, and those of the figures."""
    folder = tmp_path_factory.mktemp("tables")
    assert main(["table1", *options(folder), "--targets", "lge"]) == 0
    assert main(["decoders", *options(folder), "--only", "dafnet-spade_LGE_100_f0_s0"]) == 0
    assert main(["table3", *options(folder), "--only", "dafnet-neighbours_LGE_100_f0_s0"]) == 0
    return folder


@pytest.mark.slow
def test_table_i_fills_all_its_cells_and_trains_none_twice(filled, monkeypatch, capsys):
    monkeypatch.setattr(cells, "train", no_training)
    monkeypatch.setattr(cells, "evaluate_method", no_training)
    assert main(["table1", *options(filled), "--targets", "LGE", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["entries"]) == 2 * len(table1.ROWS)
    for entry in found["entries"]:
        single = entry["method"] in cells.OF_ONE_MODALITY and not entry["annotations"]
        assert entry["said"] == ("n/a" if single else ""), entry
        assert entry["n"] == (0 if single else 2)
        assert entry["p"] is None
    assert not any(note.startswith(("Missing", "Trained by other")) for note in found["notes"])
    assert {entry["annotations"] for entry in found["entries"] if entry["best"]} == {1.0, 0.0}


@pytest.mark.slow
def test_cells_of_table_i_serve_other_tables(filled, monkeypatch, capsys):
    monkeypatch.setattr(cells, "train", no_training)
    assert main(["aligner", *options(filled), "--budget-minutes", "0"]) == 0
    missing = "Missing: dafnet-without-aligner_LGE_100_f0_s0; dafnet-without-aligner_LGE_0_f0_s0."
    assert missing in capsys.readouterr().out


@pytest.mark.slow
def test_every_record_is_complete(filled):
    setting = Setting(protocol="smoke", further=TINY, results=filled / "results", runs=filled / "runs")
    asked = table1.TABLE.cells(Scope(setting, ("LGE",), (0,), (0,)))
    for name, record in records_of(filled).items():
        if record.failure or name not in asked:
            continue
        trained = record.command is not None
        assert trained == (record.method not in ("copy", "register", "active-contour"))
        assert not cells.differs(record, asked[name], setting)
        assert len(record.subjects) == 2
        assert record.machine
        assert record.version["torch"]
        assert str(filled) not in json.dumps(record.evaluation) + str(record.command)
        assert asked[name].masks(setting).exists()


@pytest.mark.slow
def test_masks_of_chosen_phantom_slices_ship_and_those_of_patients_never(filled, tmp_path, capsys):
    assert main(["masks", *options(filled)]) == 0
    folder = filled / "results" / "phantom-hard-smoke" / "masks"
    assert {p.stem for p in folder.glob("*.npz")} == {n for n, r in records_of(filled).items() if not r.failure}
    shipped = load_masks(folder / "dafnet-paper_LGE_100_f0_s0.npz")
    whole = load_masks(filled / "runs" / "phantom-hard-smoke" / "dafnet-paper_LGE_100_f0_s0.masks.npz")
    kinds = {"single", "deformed", "fused"}
    assert {key.split("|")[3] for key in shipped} == kinds
    assert len(shipped) == 2 * 2 * 2 * 3  # subjects, slices, modalities, kinds
    assert all((labels == whole[key]).all() for key, labels in shipped.items())
    tree = write_chaos(tmp_path / "MR", (1, 2, 3))
    assert main(["masks", "--data", f"chaos:{tree}"]) == 2
    assert "masks of patients are not shipped" in capsys.readouterr().err


@pytest.mark.slow
def test_figures_are_drawn_of_what_is_there_and_say_what_is_missing(filled, tmp_path, capsys):
    assert main(["figures", *options(filled), "--out", str(tmp_path / "figures")]) == 0
    names = {p.stem for p in (tmp_path / "figures").iterdir()}
    nine = {f"figure9-{decoder}-{modality}" for decoder in ("film", "spade") for modality in ("cine", "LGE")}
    assert names == {"figure4", "figure5", "figure6", "figure7", "figure8", *nine}
    said = capsys.readouterr().err
    assert said.startswith("figure 5: drawn without unet-single_LGE_50_f0_s0, ")
    assert len(said.splitlines()) == 1
    assert main(["figures", *options(tmp_path), "--out", str(tmp_path / "none")]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"figure {n}" for n in range(4, 10)]
    assert "figure 6: dafnet-neighbours_LGE_100_f0_s0 is missing" in lines
    assert not (tmp_path / "none").exists()


def test_twelve_slices_of_24_subjects_are_chosen():
    keys = [f"s{n}|{p}|{m}|{k}" for n in range(24) for p in range(8) for m in ("cine", "LGE") for k in ("a", "b")]
    found = {tuple(key.split("|")[:2]) for key in chosen(keys)}
    assert found == {(f"s{n}", str(p)) for n in range(0, 24, 4) for p in (3, 4)}
    assert len(chosen(keys)) == 12 * 4

"""Folds without a test part, as nnU-Net makes them: the validation subjects judge the model, and it is said."""

import json
import shutil

import pytest
import torch

import train
from dafnet_core import evaluate
from dafnet_core.checkpoints.card import card, selected_on
from dafnet_core.checkpoints.file import load
from dafnet_core.evaluate import evaluate_checkpoint, judged_part
from dafnet_explorer.background_evaluation import EvaluationRequest
from dafnet_explorer.report.page import _evaluations, _reproduction
from tests.helpers.nnunet_folder import Folder, marked
from tests.helpers.refused import refused

SAID = "Judged on its validation subjects: this data set's folds have no test part"


def folds(names, count=3):
    """nnU-Net's folds: every case is in train or in val."""
    vals = [names[k::count] for k in range(count)]
    return [{"train": [n for n in names if n not in val], "val": list(val)} for val in vals]


@pytest.fixture(autouse=True)
def _one_thread():
    """bfloat16 sums depend on the number of threads, which an evaluation may change."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of six cases in three folds, and the checkpoint that training on the second one exports."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("folds")
    folder = Folder(root / "hearts")
    for number, name in enumerate("abcdef"):
        folder.case(name, marked(2, shift=3 * number))
    (folder.root / "splits_final.json").write_text(json.dumps(folds("abcdef")))
    options = ["--size", 64, "--batch-size", 2, "--steps", 1, "--fold", 1, "--export", root / "mine.safetensors"]
    assert train.main([str(a) for a in ("--data", folder.root, *options, "--out", root / "run")]) == 0
    return folder, root / "mine.safetensors"


def test_the_exported_checkpoint_is_judged_on_the_validation_part(trained):
    folder, path = trained
    found = load(path)
    assert found.training.split.parts() == {"train": ("a", "c", "d", "f"), "val": ("b", "e"), "test": ()}
    (result,) = found.metrics.values()
    assert (result.split, result.n_subjects, result.data) == ("val", 2, "FOLDER")
    again = evaluate_checkpoint(found, str(folder.root), split="val").with_subjects()
    assert result.to_json() == again.to_json() | {"data": "FOLDER"}


def test_the_card_says_so_and_its_command_gives_the_same_numbers(trained, capsys):
    folder, path = trained
    text = path.with_suffix(".md").read_text()
    assert text == card(load(path), path.name)
    assert f"**{SAID}" in text
    assert f"- validation: {SAID}" in text  # among the weaknesses
    assert "--data FOLDER --split val`" in text
    capsys.readouterr()
    assert evaluate.main([str(path), "--data", str(folder.root), "--split", "val"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    (result,) = load(path).metrics.values()
    kept = json.loads(json.dumps(result.to_json())).items()
    assert {k: v for k, v in numbers.items() if k not in ("checkpoint", "data")} == {
        k: v
        for k, v in kept
        if k not in ("data", "subjects", "by_subject")  # which a checkpoint keeps besides
    }


def test_the_default_part_is_refused_and_never_taken_from_training(trained, capsys):
    folder, path = trained
    said = refused(capsys, evaluate.main, path, "--data", folder.root)
    assert "split has no test part" in said
    assert "use --split val" in said


def test_new_cases_of_the_folder_are_test_subjects(trained, tmp_path):
    folder, path = trained
    found = load(path)
    assert judged_part(found, str(folder.root)) == "val"
    larger = shutil.copytree(folder.root, tmp_path / "larger")
    Folder(larger).case("new", marked(2))
    (larger / "splits_final.json").unlink()
    assert judged_part(found, str(larger)) == "test"
    result = evaluate_checkpoint(found, str(larger)).result
    assert (result.n_subjects, selected_on(result)) == (1, "")


def test_a_fold_without_validation_is_refused(trained, tmp_path, capsys):
    folder = shutil.copytree(trained[0].root, tmp_path / "set")
    (folder / "splits_final.json").write_text(json.dumps([{"train": list("abcdef"), "val": []}]))
    said = refused(capsys, train.main, "--data", folder, "--size", 64, "--out", tmp_path / "run")
    assert "fold 0 of set has no subject to train on, or none to validate on" in said


def test_a_fold_whose_validation_cases_have_no_label_is_refused(trained, tmp_path, capsys):
    folder = shutil.copytree(trained[0].root, tmp_path / "set")
    for name in "be":
        (folder / "labelsTr" / f"{name}.nii.gz").unlink()
    options = ["--size", 64, "--fold", 1, "--out", tmp_path / "run"]
    said = refused(capsys, train.main, "--data", folder, *options)
    assert "no validation subject is annotated" in said


def test_reports_and_requests_say_so(trained):
    path = trained[1]
    numbers = load(path).metrics
    assert SAID in "".join(_evaluations(numbers, stored=True)).replace("&#x27;", "'")
    settings = {"link": None, "checkpoint_file": "mine.safetensors"}
    assert "--data FOLDER --split val</code>" in "".join(_reproduction(numbers, settings, stored=True))
    assert EvaluationRequest("hearts", split="val").command == "--data hearts --split val"
    assert EvaluationRequest("hearts").command == "--data hearts"

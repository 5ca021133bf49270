"""Runs on folders in which several cases are of one patient: what they warn of, store and evaluate."""

import json

import pytest
import torch

import train
from dafnet_core import evaluate
from dafnet_core.checkpoints.file import load
from dafnet_core.evaluate import evaluate_checkpoint
from dafnet_core.evaluation.comparison import compare
from tests.helpers.nnunet_folder import Folder, marked
from tests.helpers.refused import refused

NAMES = [f"pat{p}_sl{s}" for p in range(4) for s in range(2)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder of four patients with two cases each, trained on without and with a pattern; and what was said."""
    root = tmp_path_factory.mktemp("patients")
    folder = Folder(root / "set")
    for number, name in enumerate(NAMES):
        folder.case(name, marked(1, shift=2 * number))
    options = ["--data", folder.root, "--size", 64, "--batch-size", 2, "--steps", 1]
    for name, more in (("cases", []), ("patients", ["--subject-pattern", r"pat\d+"])):
        assert train.main([str(a) for a in (*options, *more, "--out", root / name)]) == 0
    return root


def test_the_warning_is_on_standard_error_and_on_the_card_without_names(tmp_path, capsys):
    folder = Folder(tmp_path / "set")
    for number, name in enumerate(NAMES):
        folder.case(name, marked(1, shift=2 * number))
    options = ["--data", folder.root, "--size", 64, "--batch-size", 2, "--steps", 1, "--out", tmp_path / "run"]
    assert train.main([str(a) for a in options]) == 0
    said = capsys.readouterr().err
    assert "warning: the names of the cases look as if several were of one patient" in said
    assert "pat0_sl0 and pat0_sl1 (pat0)" in said
    assert "--subject-pattern" in said
    text = (tmp_path / "run" / "best.md").read_text()
    assert "- Its data: the names of the cases look as if several were of one patient" in text
    assert "pat0" not in text


def test_a_checkpoint_knows_its_patients_and_is_evaluated_by_them(runs):
    found = load(runs / "patients" / "best.safetensors")
    assert found.training.patients == {name: name[:4] for name in NAMES}
    assert found.training.warnings is None
    assert found.training.validation.n_subjects == 1
    split = json.loads((runs / "patients" / "split.json").read_text())
    parts = [{name[:4] for name in names} for names in split.values()]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 4
    text = (runs / "patients" / "best.md").read_text()
    assert "cases of 4 patients, each in one part" in text
    assert r"--subject-pattern 'pat\d+'" in text  # as a shell needs it
    evaluation = evaluate_checkpoint(found, str(runs / "set"), split="all")
    assert (evaluation.result.n_subjects, evaluation.result.n_slices) == (4, 8)
    assert evaluation.subjects == ("pat0", "pat1", "pat2", "pat3")
    plain = load(runs / "cases" / "best.safetensors")
    assert plain.training.patients is None
    assert evaluate_checkpoint(plain, str(runs / "set"), split="all").result.n_subjects == 8


def test_the_mean_over_patients_is_that_of_their_means(runs):
    """Reconstruction errors of the cases, averaged within a patient first, give the number of the patients."""
    torch.set_num_threads(before := torch.get_num_threads())  # an evaluation may change it, and sums depend on it
    found = load(runs / "patients" / "best.safetensors")
    by_patient = evaluate_checkpoint(found, str(runs / "set"), split="all", statistics=False).by_subject
    cases = load(runs / "cases" / "best.safetensors")
    object.__setattr__(cases, "model", found.model)
    torch.set_num_threads(before)
    by_case = evaluate_checkpoint(cases, str(runs / "set"), split="all", statistics=False).by_subject
    path = "reconstruction.T1.own_l1"
    assert by_patient[path] == pytest.approx(by_case[path].reshape(4, 2).mean(axis=1), rel=1e-6)


def test_checkpoints_of_other_splits_are_not_paired_by_subject(runs, capsys):
    one, other = (runs / name / "best.safetensors" for name in ("cases", "patients"))
    said = refused(capsys, evaluate.main, one, "--against", other, "--data", runs / "set")
    assert "the test parts of the two checkpoints differ" in said
    a, b = (evaluate_checkpoint(load(path), str(runs / "set")).with_subjects() for path in (one, other))
    assert compare(a, b) == {}

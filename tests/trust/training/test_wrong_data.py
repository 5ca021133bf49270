"""Data that cannot be used for training or evaluation."""

import shutil

import numpy as np
import pytest

import train
from dafnet_core import evaluate
from dafnet_core.data.phantom.source import Phantom
from dafnet_core.data.phantom.study import phantom_slices
from tests.helpers.nnunet_folder import Folder, marked, shown_by
from tests.helpers.paths import SHIPPED
from tests.helpers.refused import refused

pytestmark = pytest.mark.trust


def write_bad_folders(root):
    """Write folders that cannot be trained on, each named after its fault, and one of three subjects."""

    def of(name, cases=(), **more):
        folder = Folder(root / name, channels=("cine", "LGE"), **more)
        for case in cases:
            folder.case(case)
        return folder

    nan = of("nan", "abc")
    values = shown_by(marked())
    values[1, 3, 4] = np.nan
    nan.image("b_0001", values)
    unknown = of("unknown", "abc")
    unknown.label("a", marked(value=9))
    mismatch = of("mismatch", "abc")
    mismatch.label("a", marked(slices=4))
    (of("no-image", "abc").root / "imagesTr" / "b_0000.nii.gz").unlink()
    (of("text", "abc").root / "imagesTr" / "b_0000.nii.gz").write_text("not an image")
    (of("no-json", "abc").root / "dataset.json").unlink()
    of("markup", "abc", labels=("background", "<b>"))
    unlabelled = of("unlabelled", "abc")
    shutil.rmtree(unlabelled.root / "labelsTr")
    for name, cases in (("empty", ""), ("one", "a"), ("two", "ab"), ("three", "abc")):
        of(name, cases)


@pytest.mark.slow
def test_data_that_cannot_be_trained_or_judged_on_are_refused(capsys, tmp_path):
    write_bad_folders(tmp_path)
    out = tmp_path / "run"
    said = refused(capsys, train.main, "--data", "/no/such/folder", "--out", out)
    assert "data is '/no/such/folder'; expected phantom" in said
    for name, words in (
        ("nan", "b_0001.nii.gz: 1 values that were not finite"),
        ("unknown", "labels [9] that have no class"),
        ("mismatch", "a.nii.gz: it has 4 slices"),
        ("no-image", "b_0000.nii.gz: there is no such file"),
        ("text", "b_0000.nii.gz"),
        ("no-json", "dataset.json: it cannot be opened"),
        ("markup", "without markup"),
        ("unlabelled", "no training subject is annotated"),
        ("empty", "no case found"),
        ("one", "1 subjects; expected at least 3"),
        ("two", "2 subjects; expected at least 3"),
    ):
        said = refused(capsys, train.main, "--data", tmp_path / name, "--size", 64, "--out", out)
        assert words in said, name
        assert not out.exists()
        if name not in ("one", "two", "unlabelled", "markup"):
            assert words in refused(capsys, evaluate.main, SHIPPED, "--data", tmp_path / name)
    for options, words in (
        (["--modalities", "LGE", "T9"], "there is no modality 'T9'; choose from cine, LGE"),
        (["--modalities", "LGE"], "two or more different ones are needed"),
        (["--fold", "7"], "fold is 7; expected 0 to 2"),
        (["--target", "T1"], "target is 'T1'; expected one of cine, LGE"),
        (["--phases", "3"], "phases is 3, which means nothing"),
    ):
        said = refused(capsys, train.main, "--data", tmp_path / "three", "--size", 64, *options, "--out", out)
        assert words in said
    assert not out.exists()
    assert not (tmp_path / "markup" / "run").exists()


def test_slices_that_cannot_be_paired_are_not_evaluated(capsys, monkeypatch):
    empty = phantom_slices(0, range(0), size=128)
    monkeypatch.setattr(evaluate, "evaluation_data", lambda *_, **__: (Phantom.open("phantom"), empty))
    assert "nothing can be evaluated" in refused(capsys, evaluate.main, SHIPPED)

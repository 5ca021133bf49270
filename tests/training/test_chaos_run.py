"""Training and evaluation on the real CHAOS tree, and on splits of one's own."""

import json

import pytest

import train
from dafnet_core import evaluate
from dafnet_core.checkpoints.file import load
from dafnet_core.data.chaos import FOLDS
from dafnet_core.data.config import DataConfig
from dafnet_core.data.sources import open_source, training_data
from dafnet_core.data.studies import DataError
from dafnet_core.training.config import TrainConfig
from tests.helpers.chaos_tree import write_chaos

TINY = ["--size", "64", "--batch-size", "2", "--steps", "2", "--validate-every", "2", "--save-every", "2"]


@pytest.fixture(scope="module")
def mr(real_data):
    folder = real_data / "chaos_mr"
    if not folder.is_dir():
        pytest.skip("the folder of real MR data holds no chaos_mr")
    return folder


def test_the_real_tree_is_read_in_one_frame(mr):
    source = open_source(f"chaos:{mr}")  # three levels above the subjects
    assert len(source.names()) == 20
    assert len(source.folds) == 3
    preparation = source.preparation(128, None)
    assert preparation.spacing == pytest.approx(192 * 1.89 / 128)
    study = source.study("10", preparation)
    assert study.notes == ()
    assert all(mask.any() for mask in study.masks)


@pytest.mark.slow
def test_copy_on_the_real_tree_is_the_paper_s_baseline_without_hand_made_pairs(mr, tmp_path):
    """Outside of this project, on all 20 patients: 0.57 over labelled slices and 0.66 over volumes."""
    out = tmp_path / "copy.json"
    assert evaluate.main(["copy", "--data", f"chaos:{mr}", "--json", str(out)]) == 0
    t2 = json.loads(out.read_text())["segmentation"]["T2"]["copy"]
    assert t2["n_subjects"] == 20
    assert t2["dice_mean"] == pytest.approx(0.57, abs=0.01)
    assert t2["dice_volume_mean"] == pytest.approx(0.66, abs=0.01)


def test_a_run_on_the_real_tree_is_trained_and_judged_on_the_published_fold(mr, tmp_path):
    exported = tmp_path / "abdomen.safetensors"
    arguments = ["--data", f"chaos:{mr}", *TINY, "--out", str(tmp_path / "run"), "--export", str(exported)]
    assert train.main(arguments) == 0
    checkpoint = load(exported)
    test, val = (set(part) for part in FOLDS[0])
    split = checkpoint.training.split
    assert (set(split.test), set(split.val), len(split.train)) == (test, val, 14)
    assert checkpoint.preparation.spacing == pytest.approx(192 * 1.89 / 64)
    assert checkpoint.training.data_licence.startswith("CC BY-NC-SA 4.0")
    judged = checkpoint.metrics["test"]
    assert (judged.n_subjects, judged.data) == (3, "chaos:FOLDER")
    assert str(mr) not in exported.with_suffix(".md").read_text()


# ---- splits ----


@pytest.fixture
def tree(tmp_path):
    return write_chaos(tmp_path / "MR", range(1, 8), annotated=range(1, 8), digits=1)


def test_own_splits_are_an_option(tree, tmp_path):
    own = tmp_path / "own.json"
    own.write_text(json.dumps([{"train": ["1", "2", "3"], "val": ["4"]}, {"train": ["5", "6"], "val": ["7"]}]))
    data = training_data(DataConfig(source=f"chaos:{tree}", splits=str(own), fold=1, size=64), 0)
    assert data.split == {"train": ("5", "6"), "val": ("7",), "test": ("1", "2", "3", "4")}
    with pytest.raises(DataError, match="splits is 'mine'; expected given, drawn, or a file"):
        training_data(DataConfig(source=f"chaos:{tree}", splits="mine", size=64), 0)
    with pytest.raises(ValueError, match="splits is 'drawn', which means nothing for --data 'phantom'"):
        TrainConfig.of(splits="drawn")


def test_published_folds_are_the_default_and_may_be_drawn_instead(tmp_path):
    names = sorted({int(name) for fold in FOLDS for part in fold for name in part} | {2, 8, 21, 38})
    tree = write_chaos(tmp_path / "MR", names, annotated=names, digits=1)
    given, drawn = (
        training_data(DataConfig(source=f"chaos:{tree}", splits=splits, size=64), 3).split
        for splits in ("given", "drawn")
    )
    assert set(given["test"]) == set(FOLDS[0][0])
    assert set(drawn["test"]) != set(FOLDS[0][0])
    assert sorted(n for part in drawn.values() for n in part) == sorted(map(str, names))

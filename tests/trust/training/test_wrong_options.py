"""Wrong options of train.py and evaluate end with one sentence."""

from pathlib import Path

import pytest
import torch

import train
from dafnet_core import evaluate
from tests.helpers.commands import TINY
from tests.helpers.paths import ROOT, SHIPPED
from tests.helpers.refused import refused

pytestmark = pytest.mark.trust


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--steps", "0"], "steps is 0; expected 1 to"),
        (["--steps", "many"], "invalid int value"),
        (["--steps", "1e3"], "invalid int value"),
        (["--lr", "-1"], "lr is -1.0; expected 1e-12 or more"),
        (["--lr", "nan"], "lr is nan; expected a finite number"),
        (["--lr", "inf"], "lr is inf; expected a finite number"),
        (["--lr", "0"], "lr is 0.0"),
        (["--critic-lr", "-0.1"], "critic_lr is -0.1"),
        (["--clip", "-1"], "clip is -1.0"),
        (["--w-rec", "-3"], "w_rec is -3.0; expected 0 to"),
        (["--w-kl", "nan"], "w_kl is nan"),
        (["--warmup", "-1"], "warmup is -1"),
        (["--kl-ramp", "-1"], "kl_ramp is -1"),
        (["--ema", "1.5"], "ema is 1.5; expected 0 to 1"),
        (["--annotations", "nan"], "annotations is nan"),
        (["--annotations", "2"], "annotations is 2.0; expected 0 to 1"),
        (["--size", "100"], "size is 100 x 100; the phantom is square, of a multiple of 16"),
        (["--size", "48"], "size is 48; expected 64 to 1024"),
        (["--size", "1000000000"], "size is 1000000000"),
        (["--size", "1024", "--model", "published"], "are more than this program computes"),
        (["--channels", "1"], "channels is 1; expected 2 to 64"),
        (["--channels", "1000000"], "channels is 1000000"),
        (["--z-dim", "0"], "z_dim is 0; expected 1 to 128"),
        (["--fold", "7"], "fold is 7, which means nothing for --data 'phantom'"),
        (["--fold", "-1"], "fold is -1"),
        (["--rotation", "1e9"], "rotation is 1000000000.0"),
        (["--warp", "-2"], "warp is -2.0"),
        (["--warp", "500"], "warp is 500.0"),
        (["--subjects", "0"], "subjects is 0"),
        (["--validation-subjects", "0"], "validation_subjects is 0"),
        (["--subjects", "1000000000"], "subjects is 1000000000"),
        (["--phases", "0"], "phases is 0"),
        (["--batch-size", "0"], "batch_size is 0"),
        (["--batch-size", "100000"], "batch_size is 100000; expected 1 to 1024"),
        (["--save-every", "0"], "save_every is 0"),
        (["--validate-every", "-5"], "validate_every is -5"),
        (["--patience", "-1"], "patience is -1"),
        (["--seed", "-1"], "seed is -1"),
        (["--seed", "9000"], "for evaluation only"),
        (["--target", "T7"], "target is 'T7'; expected one of cine, LGE"),
        (["--modalities", "T1", "T2"], "which means nothing for --data 'phantom'"),
        (["--modalities", "a", "A"], "expected each name once"),
        (["--without", "everything"], "invalid choice"),
        (["--pairing", "neighbours"], "expected --candidates 2 or more"),
        (["--candidates", "0"], "candidates is 0"),
        (["--decoder", "unet"], "invalid choice"),
        (["--data", "/no/such/folder"], "subjects is 1, which means nothing"),
        (["--spacing", "2"], "spacing is 2.0, which means nothing"),
        (["--w-warp", "20"], "known warps are the truth of registered data only"),
        (["--start", "/no/such.safetensors"], "there is no such file"),
        (["--surprise"], "unrecognized arguments"),
        (["--export", "model.pt"], "expected a name that ends in .safetensors"),
        (["--export", "/dev/null/model.safetensors"], "cannot be written: /dev/null is a file"),
        (["--export", "/proc/none/model.safetensors"], "cannot be written"),
        (["--export", "checkpoints/cardiac-film.safetensors"], "add --force"),
        (["--resume"], "holds no config.json"),
    ],
)
def test_a_wrong_option_ends_with_one_sentence_and_leaves_nothing(capsys, tmp_path, options, words):
    assert words in refused(capsys, train.main, *TINY, "--steps", 1, "--out", tmp_path / "a" / "run", *options)
    assert not list(tmp_path.iterdir())


def test_a_device_that_is_not_there_is_said(capsys, tmp_path):
    for device in ("cuda", "mps"):
        if not getattr(torch, "cuda" if device == "cuda" else "mps").is_available():
            said = refused(capsys, train.main, *TINY, "--out", tmp_path / "run", "--device", device)
            assert f"device is {device}, which torch does not find here" in said
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_said_before_data_are_read(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/run")):
        said = refused(capsys, train.main, "--data", "/no/such/folder", "--out", out)
        assert "not empty" in said or "cannot be written" in said
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    (tmp_path / "folder.safetensors").mkdir()
    target = tmp_path / "folder.safetensors"
    said = refused(capsys, train.main, *TINY, "--out", tmp_path / "run", "--export", target, "--force")
    assert "is a folder; name a file" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["README.md"], "not a whole safetensors file"),
        (["checkpoints"], "there is no such file"),
        (["/no/such.safetensors"], "there is no such file"),
        ([SHIPPED, "--data", "phantom:subjects=0"], "subjects to be a whole number from 1 to 10000"),
        ([SHIPPED, "--data", "phantom:subjects=abc"], "subjects to be a whole number"),
        ([SHIPPED, "--data", "phantom:subjects=-3"], "subjects to be a whole number"),
        ([SHIPPED, "--data", "phantom:subjects=99999999"], "subjects to be a whole number"),
        ([SHIPPED, "--data", "phantom:seed=\u00b2"], "seed to be a whole number"),
        ([SHIPPED, "--data", "phantom:nonsense=1"], "expected phantom"),
        ([SHIPPED, "--data", "phantom:seed=1,seed=2"], "expected phantom"),
        ([SHIPPED, "--data", "phantom:difficulty=easy"], "expected one of standard, hard, wide, mixed, varied"),
        ([SHIPPED, "--data", "/no/such/folder"], "data is '/no/such/folder'; expected"),
        ([SHIPPED, "--data", "README.md"], "data is 'README.md'; expected"),
        ([SHIPPED, "--data", "chaos:/no/such"], "there is no such folder"),
        ([SHIPPED, "--split", "half"], "invalid choice"),
        ([SHIPPED, "--warp-seed", "-1"], "expected a whole number from 0 on"),
        ([SHIPPED, "--sample-z", "x"], "expected a whole number from 0 on"),
        ([SHIPPED, "--against", "README.md"], "README.md: not a whole safetensors file"),
        ([SHIPPED, "--against", "checkpoints/brain-film.safetensors"], "compare two of the same"),
        ([SHIPPED, "--json", "/dev/null/a.json"], "/dev/null is a file"),
        ([SHIPPED, "--json", "checkpoints"], "is a folder; name a file"),
        ([], "required: checkpoint"),
    ],
)
def test_evaluate_refuses_with_one_sentence_before_it_evaluates(capsys, monkeypatch, arguments, words):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(evaluate, "evaluate_method", lambda *_, **__: pytest.fail("it was evaluated"))
    assert words in refused(capsys, evaluate.main, *arguments)

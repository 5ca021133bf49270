"""train.py and evaluate as somebody would call them."""

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dafnet_core.checkpoint import load
from dafnet_core.config import TrainConfig
from dafnet_core.data.datasets import PhantomSet
from dafnet_core.evaluate import evaluate_model, phantom_set

ROOT = Path(__file__).resolve().parent.parent
TINY = ["--subjects", "1", "--validation-subjects", "1", "--size", "64", "--batch-size", "2"]


def call(*arguments, module="train.py"):
    command = [sys.executable, *(["-m", module] if module.startswith("dafnet") else [module]), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def shipped():
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (ROOT / "checkpoints").iterdir()}


@pytest.mark.slow
def test_the_documented_command_trains_and_leaves_a_loadable_checkpoint(tmp_path):
    before, run = shipped(), tmp_path / "run"
    done = call("--data", "phantom", "--decoder", "film", "--steps", 30, "--out", run)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in run.iterdir()} == {
        "config.json", "log.csv", "validation.csv", "sheets", "state.pt",
        "best.safetensors", "best.md", "last.safetensors", "last.md",
    }  # fmt: skip
    assert load(run / "best.safetensors").config.modalities == ("cine", "LGE")
    assert TrainConfig.from_dict(json.loads((run / "config.json").read_text())).steps == 30
    with open(run / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows] == list(range(30))
    assert {"sup", "adv_mask", "rec", "adv_image", "rec_z", "kl", "grad_norm", "shift"} <= set(rows[0])
    assert shipped() == before


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    for name in ("a", "b"):
        assert call(*TINY, "--steps", 4, "--validate-every", 2, "--out", tmp_path / name).returncode == 0
    weights = [load(tmp_path / n / "last.safetensors").model.state_dict() for n in ("a", "b")]
    assert all(torch.equal(v, weights[1][k]) for k, v in weights[0].items())
    other = tmp_path / "other"
    assert call(*TINY, "--steps", 4, "--seed", 1, "--validate-every", 4, "--out", other).returncode == 0
    different = load(other / "last.safetensors").model.state_dict()
    assert any(not torch.equal(v, different[k]) for k, v in weights[0].items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", "9000"], "for judging only"),
        (["--size", "100"], "multiple of 16"),
        (["--export", "checkpoints/cardiac-film.safetensors"], "--force"),
        (["--resume"], "state.pt"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path, arguments, words):
    done = call(*TINY, "--steps", 1, "--out", tmp_path / "run", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_used_folder_is_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    done = call(*TINY, "--steps", 1, "--out", tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_help_shows_every_option_and_its_default():
    text = call("--help").stdout
    from dataclasses import fields

    for f in fields(TrainConfig):
        assert f"--{f.name.replace('_', '-')}" in text
    assert "9000" in text


def test_subjects_of_training_and_validation_never_overlap():
    import train

    first, second = train.phantom_sets(TrainConfig(subjects=5, validation_subjects=3))
    assert not set(first.subjects) & set(second.subjects)


def test_batches_are_a_function_of_the_step_and_use_every_sample_once_an_epoch():
    data = PhantomSet(0, range(1), size=64)
    seen = [data.batch_at(step, 2, 0).images for step in range(4)]
    assert torch.equal(seen[2], data.batch_at(2, 2, 0).images)
    assert len({t.numpy().tobytes() for batch in seen for t in batch}) == 8


def test_evaluate_prints_json_that_names_its_data(tmp_path):
    assert call(*TINY, "--steps", 1, "--out", tmp_path / "run").returncode == 0
    done = call(
        tmp_path / "run" / "best.safetensors", "--data", "phantom:seed=9001,subjects=2", module="dafnet_core.evaluate"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["n_subjects"], found["n_slices"], found["data"]) == (2, 16, "phantom:seed=9001,subjects=2")
    assert 0.5 < found["copy"]["LGE"]["dice_mean"] < 0.9
    assert found["segmentation"]["cine"]["fused"]["n_subjects"] == 2
    for wrong in ("phantom:seeds=3", "photos", "phantom:difficulty=easy"):
        refused = call(tmp_path / "run" / "best.safetensors", "--data", wrong, module="dafnet_core.evaluate")
        assert refused.returncode == 2
        assert "expected" in refused.stderr


def test_a_model_that_does_nothing_is_judged_to_do_nothing():
    """With an identity aligner the registration error stays exactly what it was."""
    from dafnet_core.config import ModelConfig
    from dafnet_core.model import DAFNet

    data = phantom_set("phantom:subjects=1", 64)
    model = DAFNet(ModelConfig.compact(data.modalities, data.classes)).eval()
    found = evaluate_model(model, data, limit=3)
    errors = found["registration"]
    assert errors["error_after_px"] == pytest.approx(errors["error_before_px"], abs=1e-3)
    assert errors["error_before_px"] > 1

"""train.py run as a command."""

import csv
import json
from dataclasses import replace

import pytest
import torch

from dafnet_core.checkpoints.file import load, save
from dafnet_core.data.config import DataConfig
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.sources import training_data
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.export import load_start
from dafnet_core.training.warnings import training_warnings
from tests.helpers.commands import TINY, call, shipped


@pytest.mark.slow
def test_the_documented_command_trains_and_leaves_a_loadable_checkpoint(tmp_path):
    before, run = shipped(), tmp_path / "run"
    done = call("--data", "phantom", "--decoder", "film", "--steps", 6, "--out", run)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in run.iterdir()} == {
        "config.json",
        "split.json",
        "log.csv",
        "epochs.csv",
        "validation.csv",
        "sheets",
        "state.pt",
        "best.safetensors",
        "best.md",
        "last.safetensors",
        "last.md",
    }
    assert load(run / "best.safetensors").config.modalities == ("cine", "LGE")
    assert TrainConfig.from_dict(json.loads((run / "config.json").read_text())).schedule.steps == 6
    with open(run / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows] == list(range(6))
    assert {"sup", "rec", "rec_z", "swap", "kl", "grad_norm", "shift"} <= set(rows[0])
    assert shipped() == before


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    for name in ("a", "b"):
        assert call(*TINY, "--steps", 4, "--validate-every", 2, "--out", tmp_path / name).returncode == 0
    weights = [load(tmp_path / n / "last.safetensors").model.state_dict() for n in ("a", "b")]
    assert all(torch.equal(v, weights[1][k]) for k, v in weights[0].items())
    other = tmp_path / "other"
    assert call(*TINY, "--steps", 4, "--seed", 1, "--validate-every", 4, "--out", other).returncode == 0
    different = load(other / "last.safetensors").model.state_dict()
    assert any(not torch.equal(v, different[k]) for k, v in weights[0].items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", "9000"], "for evaluation only"),
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


@pytest.mark.slow
def test_a_run_begins_with_a_checkpoint_s_weights_and_its_card_says_so(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert call(*TINY, "--steps", 2, "--out", first).returncode == 0
    begun = ["--start", first / "best.safetensors", "--steps", 1, "--warmup", 1]
    done = call(*TINY, *begun, "--lr", 1e-9, "--finish-lr", 1e-9, "--averaging", "none", "--out", second)
    assert done.returncode == 0, done.stderr
    one, two = (load(run / "best.safetensors") for run in (first, second))
    weights = two.model.state_dict()
    assert all(torch.allclose(v, weights[k], atol=1e-7) for k, v in one.model.state_dict().items())
    assert two.training.start.digest == one.digest
    assert "--start best.safetensors" in two.training.command
    assert f"fine-tuned from | `best.safetensors` (digest {one.digest[:8]})" in (second / "best.md").read_text()
    other = call(*TINY, *begun, "--decoder", "spade", "--out", tmp_path / "third")
    assert other.returncode == 2
    assert "has decoder film, this run spade" in other.stderr


def test_no_run_begins_with_a_checkpoint_that_has_seen_its_test_subjects(tmp_path):
    path = "checkpoints/cardiac-film.safetensors"
    config = TrainConfig.of(start=path, difficulty="varied")
    data = training_data(config.data, load(path).training.option("seed"))
    assert load_start(config, data).digest
    pieces = tmp_path / "pieces.safetensors"
    start = load(path)
    start.model.config = replace(start.config, smallest_piece=64)
    save(start, pieces)
    assert load_start(replace(config, model=replace(config.model, start=str(pieces))), data)  # of the same networks
    seen = replace(data, split=data.split | {"test": list(data.split["train"][:3])})
    with pytest.raises(ValueError, match="trained on 3 of the 15 subjects"):
        load_start(config, seen)


@pytest.mark.slow
def test_a_used_folder_is_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    done = call(*TINY, "--steps", 1, "--out", tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_help_shows_every_option_and_its_default():
    text = call("--help").stdout
    for name in TrainConfig.options():
        assert f"--{name.replace('_', '-')}" in text
    assert "9000" in text


def test_subjects_of_training_and_validation_never_overlap():
    data = training_data(DataConfig(subjects=5, validation_subjects=3), 0)
    assert not set(data.train.subjects) & set(data.val.subjects)


def test_batches_are_a_function_of_the_step_and_use_every_sample_once_an_epoch():
    data = phantom_slices(0, range(1), size=64)
    seen = [data.batch_at(step, 2, 0).images for step in range(4)]
    assert torch.equal(seen[2], data.batch_at(2, 2, 0).images)
    assert len({t.numpy().tobytes() for batch in seen for t in batch}) == 8


@pytest.mark.slow
def test_training_stops_at_a_loss_that_is_not_finite_and_says_where(tmp_path):
    run = tmp_path / "run"
    done = call(*TINY, "--steps", 30, "--lr", 1e30, "--warmup", 0, "--clip", 1e30, "--out", run)
    assert done.returncode == 2
    assert "is not finite" in done.stderr
    assert "step" in done.stderr
    assert "state" in done.stderr


def test_an_unknown_configuration_of_the_machine_is_refused():
    with pytest.raises(ValueError, match="candidate"):
        TrainConfig.of(pairing="neighbours")
    with pytest.raises(ValueError, match=r"annotations is 1\.5"):
        TrainConfig.of(annotations=1.5)
    assert TrainConfig.of(data="a_folder").with_options(fold=2).data.fold == 2


def test_what_looks_sick_is_said_in_words():
    recent = [{"shift": "0.05", "grad_norm": "4"}] * 30
    well = {
        "data": "validation",
        "kl_per_dimension": [0.9, 0.01],
        "channel_occupancy": {"cine": [0.5, 0.5, 0.0]},
        "registration": {"error_before_px": 4.0, "error_after_px": 2.0},
    }

    def warned(found, rows=recent):
        return training_warnings(EvaluationResult.from_json(found), rows, TrainConfig())

    assert warned(well) == []
    for change, rows, words in (
        ({"kl_per_dimension": [0.01, 0.02]}, recent, "posterior collapse"),
        ({"channel_occupancy": {"cine": [1.0, 0.0, 0.0]}}, recent, "2 of 3 anatomy channels are empty"),
        ({"registration": {"error_before_px": 4.0, "error_after_px": 4.5}}, recent, "makes things worse"),
        ({}, [{"shift": "0.0001", "grad_norm": "4"}] * 30, "hardly moves"),
        ({}, [{"shift": "0.05", "grad_norm": "40"}] * 30, "clipped in nearly every step"),
    ):
        (said,) = warned(well | change, rows)
        assert words in said
    nothing_known = {"registration": {"error_before_px": None, "error_after_px": None}}
    assert warned(well | nothing_known) == []

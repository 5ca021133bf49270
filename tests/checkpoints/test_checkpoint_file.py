"""Checkpoints: what is written comes back, and nothing else is accepted."""

import json
import pickle
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import FORMAT, Checkpoint, CheckpointError, load, save
from dafnet_core.checkpoints.schema import training_from_json
from dafnet_core.config import EVALUATION_SEED, ModelConfig
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.prepare import Preparation
from dafnet_core.evaluation.run import evaluate_method
from dafnet_core.methods.dafnet import DAFNetMethod
from dafnet_core.networks.dafnet import DAFNet
from tests.helpers.paths import CHECKPOINTS


@pytest.fixture
def checkpoint(make_model):
    training = {
        "data": "a test",
        "data_licence": "MIT",
        "step": 3,
        "minutes": 0.1,
        "machine": "a CPU",
        "target": "b",
        "split": {"train": ["x", "y"], "val": ["z"], "test": []},
        "annotated_target_subjects": ["x"],
        "command": "python train.py",
        "configuration": {"seed": 0, "data": "FOLDER"},
        "validation": {"segmentation": {n: {"fused": {"dice_mean": 0.5}} for n in "ab"}},
    }
    model = make_model().eval()
    record = training_from_json(training, model.config)
    return Checkpoint(model, Preparation(32, 48, 1.5), ("#000000", "#D55E00", "#009E73"), record)


def test_a_saved_checkpoint_comes_back_whole(checkpoint, tmp_path, make_batch):
    save(checkpoint, tmp_path / "a.safetensors")
    found = load(tmp_path / "a.safetensors")
    assert found.config == checkpoint.config
    assert found.preparation == checkpoint.preparation
    assert (found.colours, found.training) == (checkpoint.colours, checkpoint.training)
    assert found.versions["torch"] == torch.__version__
    assert not found.model.training
    images = make_batch().images
    assert torch.allclose(*(c.model.predict(images, precision="fp32").single for c in (found, checkpoint)), atol=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]  # no other file is left


def test_half_precision_rounds_once_and_halves_the_file(checkpoint, tmp_path):
    save(checkpoint, tmp_path / "full.safetensors")
    save(checkpoint, tmp_path / "half.safetensors", half=True)
    sizes = [(tmp_path / f"{n}.safetensors").stat().st_size for n in ("half", "full")]
    assert sizes[0] < 0.75 * sizes[1]  # the metadata of so small a model weighs something too
    save(load(tmp_path / "half.safetensors"), tmp_path / "again.safetensors", half=True)
    a, b = (load_file(tmp_path / f"{n}.safetensors") for n in ("half", "again"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def damaged(path, change):
    """Rewrite a checkpoint after changing its (tensors, metadata)."""

    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t, m: t.pop("segmentor.head.weight"), "segmentor.head.weight is missing"),
        (lambda t, m: t.update(surprise=torch.zeros(1)), "surprise is unknown"),
        (
            lambda t, m: t.update({"segmentor.head.bias": torch.zeros(7)}),
            r"segmentor.head.bias is \(7,\), expected \(3,\)",
        ),
        (lambda t, m: t["segmentor.head.bias"].fill_(float("nan")), "NaN"),
        (lambda t, m: m.update(dafnet_format=json.dumps(FORMAT + 1)), f"format {FORMAT + 1}, expected {FORMAT}"),
        (lambda t, m: m.clear(), "format none"),
        (lambda t, m: m.update(model=json.dumps({"modalities": ["a"]})), "incomplete or wrong"),
        (lambda t, m: m.update(preparation="not json"), "metadata are not JSON"),
    ],
)
def test_a_wrong_checkpoint_is_refused_and_says_why(checkpoint, tmp_path, change, words):
    path = tmp_path / "bad.safetensors"
    save(checkpoint, path)
    damaged(path, change)
    with pytest.raises(CheckpointError, match=words):
        load(path)


def test_files_that_are_no_checkpoints_are_refused(checkpoint, tmp_path):
    whole, part, other = (tmp_path / f"{n}.safetensors" for n in ("whole", "part", "other"))
    save(checkpoint, whole)
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    other.write_bytes(pickle.dumps({"a": 1}))
    for path in (part, other):
        with pytest.raises(CheckpointError, match="not a whole safetensors file"):
            load(path)
    with pytest.raises(CheckpointError, match="no such file"):
        load(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("path", sorted(CHECKPOINTS.glob("*.safetensors")), ids=lambda p: p.stem)
def test_a_shipped_checkpoint_is_small_judged_and_what_its_card_says(path):
    found = load(path)
    assert path.stat().st_size < 8e6
    assert found.training.option("seed") < EVALUATION_SEED
    assert found.metrics
    least = 3 if found.training.data == "CHAOS MR" else 10  # its folds have as many test patients
    assert all(m.n_subjects >= least for m in found.metrics.values())
    assert path.with_suffix(".md").read_text() == card(found, path.name)


def test_card_names_the_command_and_says_when_nothing_was_judged(checkpoint):
    text = card(checkpoint, "a.safetensors")
    assert "python train.py --recipe plain --out RUN" in text  # version 0.1 knew one recipe
    assert "| subjects | 2 train, 1 val, 0 test |" in text
    assert "Not evaluated yet" in text


def test_card_shows_every_number_and_what_speaks_against_the_model(checkpoint):
    data = phantom_slices(9000, range(2), size=64)
    model = DAFNet(ModelConfig.compact(data.modalities, data.classes)).eval()
    found = replace(evaluate_method(DAFNetMethod(model), data, limit=10).result, data="phantom:subjects=2")
    text = card(replace(checkpoint, metrics={"standard": found}), "a.safetensors")
    assert "Not evaluated yet" not in text
    assert f"{found.segmentation['LGE']['fused'].dice_mean:.3f}" in text
    assert f"{found.probe.accuracy:.3f}" in text
    assert "fused minus single" in text
    before, after = found.registration.error_before_px, found.registration.error_after_px
    assert f"- standard: alignment leaves {after:.2f} of {before:.2f} pixels." in text  # an aligner that does nothing


@pytest.mark.parametrize("path", sorted(CHECKPOINTS.glob("*.safetensors")), ids=lambda p: p.stem)
def test_numbers_that_a_checkpoint_carries_are_given_back_as_they_were_written(path):
    """Those of earlier versions too: they had fewer keys."""
    with safe_open(path, "pt") as file:
        written = json.loads(file.metadata()["metrics"])
    for title, result in load(path).metrics.items():
        assert json.loads(json.dumps(result.to_json())) == written[title] | {"method": "dafnet"}

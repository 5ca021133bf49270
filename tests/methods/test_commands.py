"""The paper's other systems by the command line: trained, resumed, evaluated, predicted; what they may not see."""

import csv
import json
import shlex

import nibabel
import numpy as np
import pytest
import torch

from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import load
from dafnet_core.data.phantom.write import write_folder
from dafnet_core.evaluate import evaluate_untrained, main
from dafnet_core.methods import METHODS
from dafnet_core.predict import main as predict
from dafnet_core.training.cli import main as train_command
from dafnet_core.training.cli import parser
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.loop import train
from dafnet_core.training.run_folder import configured
from tests.helpers.commands import TINY

SINGLE = ("unet-single", "sdnet-single")  # learn from images of the target
SUP = {"sup", "loss", "grad_norm"}
SDNET = SUP | {"rec", "rec_z", "kl", "adv_mask", "critic_masks", "critic_grad_norm"}
MUNIT = SUP | {"rec", "rec_z", "rec_s", "cycle", "adv_image", "critic_images_0", "critic_images_1", "critic_grad_norm"}
COLUMNS = {
    **dict.fromkeys(("unet-single", "unet-multi", "unet-augmented", "dual-stream"), SUP),
    **dict.fromkeys(("sdnet-single", "sdnet-multi"), SDNET),
    **dict.fromkeys(("translation", "dadr"), MUNIT),
}
LEARNT = tuple(COLUMNS)
SMALL = {"subjects": 1, "validation_subjects": 1, "size": (64,), "batch_size": 2}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNT)
def test_two_steps_of_training_and_an_evaluation(name, tmp_path, capsys):
    run = tmp_path / "run"
    asked = ["--method", name, *TINY, "--steps", "2", "--annotations", "0.5", "--adversarial-from", "-1"]
    asked = asked if "critic_grad_norm" in COLUMNS[name] else asked[:-2]
    assert train_command([*asked, "--out", str(run)]) == 0
    with open(run / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[-1]) == {"step", "epoch"} | COLUMNS[name]
    assert (f"method {name}: " in capsys.readouterr().out) == bool(METHODS[name].presets)
    assert main([str(run / "best.safetensors"), "--data", "phantom:subjects=1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["method"] == name
    assert 0 <= found["segmentation"]["LGE"]["single"]["dice_mean"] <= 1
    assert (found["segmentation"]["cine"]["single"]["dice_mean"] is None) == (name in SINGLE)
    if name in SINGLE:
        reason = found["why"]["segmentation.cine.single.dice_mean"]
        assert reason == f"{METHODS[name].title} predicts no mask of cine"
    assert found["why"]["registration"].endswith("has no positions")
    with_codes = "sdnet" in name or name in ("translation", "dadr")
    assert ("has no modality factor" in found["why"]["probe"]) == (not with_codes)  # else: one subject is too few
    check_record(run, name)


def check_record(run, name):
    """The checkpoint and its card tell the method and its presets, and the command gives the run's configuration."""
    best = load(run / "best.safetensors")
    assert best.method_name == name
    assert all(best.training.option(option) == value for option, value in METHODS[name].presets.items())
    assert f" --method {name} " in best.training.command
    assert ("--decoder" in best.training.command) == ("sdnet" in name)
    assert f"A {best.method.description} for cine and LGE" in card(best, "best.safetensors")
    words = [*shlex.split(best.training.command)[2:], "--out", str(run.parent / "again")]
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in vars(parser().parse_args(words)).items()}
    given = {k: v for k, v in given.items() if k not in ("out", "resume", "export", "force")}
    again = configured(given, run.parent / "again", False)
    assert json.loads(json.dumps(again.to_dict())) == json.loads((run / "config.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNT)
def test_a_resumed_run_is_bitwise_the_undisturbed_one(name, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(TrainConfig.of(method=name, steps=3, validate_every=3, save_every=1, **SMALL), whole)
    config = TrainConfig.of(method=name, steps=3, validate_every=2, save_every=1, **SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dafnet_core.training.loop._Run._validate", _stop)
        with pytest.raises(KeyboardInterrupt):
            train(config, parts)
    train(configured({}, parts, True), parts)
    first, second = (load(run / "last.safetensors").model.state_dict() for run in (whole, parts))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def _stop(*_):
    raise KeyboardInterrupt


@pytest.fixture
def hearts(tmp_path):
    folder = tmp_path / "hearts"
    write_folder(folder, 6, 5, difficulty="standard", size=64, slices=2)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in LEARNT if name not in SINGLE])
def test_without_annotations_garbage_in_the_target_s_masks_changes_no_weight(name, hearts, tmp_path):
    config = TrainConfig.of(data=str(hearts), method=name, annotations=0.0, steps=2, size=(64,), batch_size=2)
    train(config, tmp_path / "a")
    masks = sorted((hearts / "labelsTr").glob("*_0001.nii.gz"))
    assert len(masks) == 6
    rng = np.random.default_rng(0)
    for path in masks:
        image = nibabel.load(path)
        garbage = rng.integers(0, 4, image.shape).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(garbage, image.affine), path)
    train(config, tmp_path / "b")
    first, second = (load(tmp_path / run / "last.safetensors") for run in "ab")
    weights = second.model.state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in first.model.state_dict().items())
    assert first.training.validation.segmentation == second.training.validation.segmentation


@pytest.mark.slow
@pytest.mark.parametrize("name", SINGLE)
def test_a_method_of_the_target_alone_is_refused_without_annotations(name, tmp_path, capsys):
    options = ["--annotations", "0", *TINY, "--steps", "2", "--out", str(tmp_path / "run")]
    assert train_command(["--method", name, *options]) == 2
    assert "no image of LGE is annotated" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["register", "active-contour"])
def test_methods_without_training_are_judged_on_a_checkpoint_s_slices(name, hearts, tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    train(TrainConfig.of(data=str(hearts), method="unet-multi", steps=1, size=(64,), batch_size=2), run)
    for values in ("LENGTHS", "SMOOTHNESSES", "STEPS"):
        monkeypatch.setattr(f"dafnet_core.methods.active_contour.{values}", (0.1,))
    best = str(run / "best.safetensors")
    capsys.readouterr()
    found = []
    for what in ([best], [name, "--like", best]):
        assert main([*what, "--data", str(hearts)]) == 0
        found.append(json.loads(capsys.readouterr().out))
    learnt, other = found
    assert other["method"] == name
    assert (other["n_subjects"], other["n_slices"]) == (learnt["n_subjects"], learnt["n_slices"])
    assert other["copy"] == learnt["copy"]
    kind = {"register": "registered", "active-contour": "contour"}[name]
    assert other["segmentation"]["LGE"][kind]["dice_mean"] > 0.3
    assert f"{kind}_minus_copy" in other["paired"]["LGE"]


@pytest.mark.slow
def test_register_is_better_than_copy_and_its_alignment_is_measured():
    found = evaluate_untrained("register", "phantom:subjects=1", limit=3).result
    assert found.segmentation["LGE"]["registered"].dice_mean > found.copy["LGE"].dice_mean + 0.05
    assert found.registration.error_after_px < found.registration.error_before_px


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet-single", "dual-stream", "sdnet-single", "translation"])
def test_masks_are_predicted_as_files(name, hearts, tmp_path):
    run = tmp_path / "run"
    train(TrainConfig.of(data=str(hearts), method=name, steps=1, size=(64,), batch_size=2), run)
    options = ["--data", str(hearts), "--subjects", "phantom_s5_0000", "--out", str(tmp_path / "out"), "--quiet"]
    assert predict([str(run / "best.safetensors"), *options]) == 0
    found = {path.name for path in (tmp_path / "out").rglob("*.nii.gz")}
    assert {"LGE_mask.nii.gz", "LGE_probabilities.nii.gz"} <= found
    assert any(file.startswith(("cine_mask", "cine_prob", "cine_reconstruction")) for file in found) == (
        name not in SINGLE
    )

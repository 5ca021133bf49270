"""train.py and evaluate as somebody would call them."""

import csv
import hashlib
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from chaos_tree import write_chaos

from dafnet_core.checkpoints.file import load
from dafnet_core.config import ModelConfig, TrainConfig
from dafnet_core.data.dataset import phantom_slices
from dafnet_core.data.sources import training_data
from dafnet_core.evaluate import judge
from dafnet_core.networks.dafnet import DAFNet
from train import opened_start

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


def test_a_run_begins_with_a_checkpoint_s_weights_and_its_card_says_so(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert call(*TINY, "--steps", 2, "--out", first).returncode == 0
    begun = ["--start", first / "best.safetensors", "--steps", 1, "--warmup", 1]
    done = call(*TINY, *begun, "--lr", 1e-9, "--finish-lr", 1e-9, "--averaging", "none", "--out", second)
    assert done.returncode == 0, done.stderr
    one, two = (load(run / "best.safetensors") for run in (first, second))
    weights = two.model.state_dict()
    assert all(torch.allclose(v, weights[k], atol=1e-7) for k, v in one.model.state_dict().items())
    assert two.training["start"]["digest"] == one.digest
    assert "--start best.safetensors" in two.training["command"]
    assert f"begun with | `best.safetensors` (digest {one.digest[:8]})" in (second / "best.md").read_text()
    other = call(*TINY, *begun, "--decoder", "spade", "--out", tmp_path / "third")
    assert other.returncode == 2
    assert "has decoder film, this run spade" in other.stderr


def test_no_run_begins_with_a_checkpoint_that_has_seen_its_test_subjects():
    config = TrainConfig(start="checkpoints/cardiac-film.safetensors")
    data = training_data(config)
    assert opened_start(config, data).digest
    seen = replace(data, split=data.split | {"test": list(data.split["train"][:3])})
    with pytest.raises(ValueError, match="trained on 3 of the 15 subjects"):
        opened_start(config, seen)


def test_a_used_folder_is_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    done = call(*TINY, "--steps", 1, "--out", tmp_path)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_help_shows_every_option_and_its_default():
    text = call("--help").stdout
    for f in fields(TrainConfig):
        assert f"--{f.name.replace('_', '-')}" in text
    assert "9000" in text


def test_subjects_of_training_and_validation_never_overlap():
    data = training_data(TrainConfig(subjects=5, validation_subjects=3))
    assert not set(data.train.subjects) & set(data.val.subjects)


def test_batches_are_a_function_of_the_step_and_use_every_sample_once_an_epoch():
    data = phantom_slices(0, range(1), size=64)
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
    data = phantom_slices(9000, range(1), size=64)
    model = DAFNet(ModelConfig.compact(data.modalities, data.classes)).eval()
    found = judge(model, data, limit=3, statistics=False).found
    errors = found["registration"]
    assert errors["error_after_px"] == pytest.approx(errors["error_before_px"], abs=1e-3)
    assert errors["error_before_px"] > 1


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_candidates_are_weighed_and_their_weights_logged_by_epoch(tmp_path):
    run = tmp_path / "run"
    done = call(*TINY, "--steps", 5, "--pairing", "neighbours", "--candidates", 3, "--out", run)
    assert done.returncode == 0, done.stderr
    epochs = rows_of(run / "epochs.csv")
    assert [row["epoch"] for row in epochs] == ["0", "1"]  # 8 slices, batches of 2
    for row in epochs:
        assert sum(float(row[f"weight_{k}"]) for k in (1, 2, 3)) == pytest.approx(1, abs=1e-4)
    assert load(run / "best.safetensors").config.candidates == 3


@pytest.mark.parametrize(
    "options",
    [
        ["--annotations", 0, "--target", "LGE", "--rotation", 20, "--warp", 2],
        ["--without", "adv_mask", "adv_image", "rec_z", "fused", "--decoder", "spade", "--averaging", "swa"],
        ["--without", "aligner", "sup", "kl", "rec", "--z-dim", 3, "--channels", 5, "--averaging", "none"],
        ["--pairing", "shuffled", "--precision", "fp16", "--channels-last", "off", "--phases", 2, "--patience", 1],
        ["--phases", 3, "--candidates", 2, "--precision", "bf16"],
    ],
)
def test_every_variant_of_the_recipe_trains(tmp_path, options):
    run = tmp_path / "run"
    done = call(*TINY, "--steps", 2, "--adversarial-from", 0, "--adversarial-ramp", 1, *options, "--out", run)
    assert done.returncode == 0, done.stderr
    found = load(run / "last.safetensors")
    log = rows_of(run / "log.csv")
    if "adv_mask" in options:
        assert not {"adv_mask", "critic_masks"} & set(log[0])
    if "aligner" in options:
        assert found.config.align == "off"
        assert (found.config.z_dim, found.config.channels) == (3, 5)
        validation = found.training["validation"]["registration"]
        assert validation["error_after_px"] == pytest.approx(validation["error_before_px"], abs=1e-3)
    if "--annotations" in options:
        validation = found.training["validation"]["segmentation"]
        assert validation["LGE"]["fused"]["dice_mean"] is None  # nobody chooses weights by masks that may not be used
        assert validation["cine"]["fused"]["dice_mean"] is not None
        assert found.training["annotated_target_subjects"] == []


def test_switched_off_terms_have_weight_zero():
    weights = TrainConfig(without=("rec", "kl"), w_sup=3.0).weights_at(10**6)
    assert (weights.rec, weights.kl, weights.sup, weights.adv_mask) == (0, 0, 3, 1)
    with pytest.raises(ValueError, match="expected one of sup"):
        TrainConfig(without=("everything",))


@pytest.mark.slow
def test_a_chaos_folder_trains(tmp_path):
    """A miniature of the tree as it is downloaded: real DICOM, unequal slice counts, unsorted names, label PNGs."""
    folder = write_chaos(tmp_path / "chaos", subjects=(1, 2, 3, 10))
    run = tmp_path / "run"
    options = ["--data", f"chaos:{folder}", "--size", 64, "--batch-size", 2, "--steps", 2, "--rotation", 20]
    done = call(*options, "--out", run)
    assert done.returncode == 0, done.stderr
    found = load(run / "best.safetensors")
    assert (found.config.modalities, len(found.config.classes)) == (("T1", "T2"), 5)
    assert sorted(map(len, found.training["split"].values())) == [1, 1, 2]
    assert str(tmp_path) not in json.dumps(found.training)  # no path of this machine in what is shared
    judged = call(run / "best.safetensors", "--data", f"chaos:{folder}", module="dafnet_core.evaluate")
    assert judged.returncode == 0, judged.stderr
    numbers = json.loads(judged.stdout)
    assert (numbers["n_subjects"], numbers["warp"]["rms_px"]) == (1, None)
    assert "not known" in numbers["why"]["registration.error_after_px"]


@pytest.mark.slow
def test_an_nnunet_folder_trains_and_is_judged_on_its_test_part(tmp_path):
    folder = tmp_path / "phantom"
    made = call("--subjects", 4, "--seed", 1, "--size", 64, folder, module="dafnet_core.data.phantom")
    assert made.returncode == 0, made.stderr
    run = tmp_path / "run"
    options = ["--data", folder, "--modalities", "LGE", "cine", "--size", 64, "--batch-size", 2, "--steps", 2]
    done = call(*options, "--out", run)
    assert done.returncode == 0, done.stderr
    found = load(run / "best.safetensors")
    assert found.config.modalities == ("LGE", "cine")
    split = json.loads((run / "split.json").read_text())
    judged = {}
    for part, count in (("test", 1), ("train", 2), ("all", 4)):
        done = call(run / "best.safetensors", "--data", folder, "--split", part, module="dafnet_core.evaluate")
        assert done.returncode == 0, done.stderr
        judged[part] = json.loads(done.stdout)
        assert judged[part]["n_subjects"] == count
    assert len(split["test"]) == 1
    assert judged["test"]["probe"]["accuracy"] is None
    assert "subject" in judged["test"]["why"]["probe.accuracy"]
    assert 0 <= judged["all"]["probe"]["accuracy"] <= 1


def test_a_checkpoint_against_itself_differs_by_nothing(tmp_path):
    run = tmp_path / "run"
    assert call(*TINY, "--steps", 1, "--out", run).returncode == 0
    one = run / "best.safetensors"
    done = call(one, "--data", "phantom:subjects=3", "--against", one, module="dafnet_core.evaluate")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["against"]
    assert found["checkpoint"] == "best.safetensors"
    change = found["difference"]["segmentation.LGE.fused.dice_mean"]
    assert (change["difference"], change["p_value"], change["n"]) == (0, 1, 3)


def test_every_null_has_its_reason(tmp_path):
    data = phantom_slices(9000, range(2), size=64)
    model = DAFNet(ModelConfig.compact(data.modalities, data.classes)).eval()
    found = judge(model, data, limit=3).found

    def nulls(value, path=""):
        for key, inner in value.items():
            here = f"{path}.{key}".lstrip(".")
            yield from nulls(inner, here) if isinstance(inner, dict) else [here] if inner is None else []

    assert set(found["why"]) == set(nulls({k: v for k, v in found.items() if k != "why"}))
    assert {"warp.rms_px", "probe.accuracy", "dependence.dcor"} <= set(found["why"])
    assert set(found["swap"]) == {"cine_to_LGE", "LGE_to_cine"}


def test_training_stops_at_a_loss_that_is_not_finite_and_says_where(tmp_path):
    run = tmp_path / "run"
    done = call(*TINY, "--steps", 30, "--lr", 1e30, "--warmup", 0, "--clip", 1e30, "--out", run)
    assert done.returncode == 2
    assert "is not finite" in done.stderr
    assert "step" in done.stderr
    assert "state" in done.stderr


def test_an_unknown_configuration_of_the_machine_is_refused():
    with pytest.raises(ValueError, match="candidate"):
        TrainConfig(pairing="neighbours")
    with pytest.raises(ValueError, match=r"annotations is 1\.5"):
        TrainConfig(annotations=1.5)
    assert replace(TrainConfig(data="a_folder"), fold=2).fold == 2


def test_what_looks_sick_is_said_in_words():
    import train

    well = {
        "kl_per_dimension": [0.9, 0.01],
        "channel_occupancy": {"cine": [0.5, 0.5, 0.0]},
        "registration": {"error_before_px": 4.0, "error_after_px": 2.0},
    }
    recent = [{"shift": "0.05", "grad_norm": "4"}] * 30
    config = TrainConfig()
    assert train.complaints(well, recent, config) == []
    for change, rows, words in (
        ({"kl_per_dimension": [0.01, 0.02]}, recent, "posterior collapse"),
        ({"channel_occupancy": {"cine": [1.0, 0.0, 0.0]}}, recent, "2 of 3 anatomy channels are empty"),
        ({"registration": {"error_before_px": 4.0, "error_after_px": 4.5}}, recent, "makes things worse"),
        ({}, [{"shift": "0.0001", "grad_norm": "4"}] * 30, "hardly moves"),
        ({}, [{"shift": "0.05", "grad_norm": "40"}] * 30, "clipped in nearly every step"),
    ):
        (said,) = train.complaints(well | change, rows, config)
        assert words in said
    nothing_known = {"registration": {"error_before_px": None, "error_after_px": None}}
    assert train.complaints(well | nothing_known, recent, config) == []


@pytest.mark.slow
def test_three_modalities_of_real_patients_train_under_known_warps(tmp_path, real_data):
    run = tmp_path / "run"
    options = ["--data", real_data / "lgg_mri", "--size", 64, "--batch-size", 2, "--steps", 1, "--warp", 4]
    done = call(*options, "--out", run)
    assert done.returncode == 0, done.stderr
    found = load(run / "best.safetensors")
    assert found.config.modalities == ("T1", "FLAIR", "T1post")
    assert "CC BY-NC-SA" in found.training["data_licence"]
    assert {part: len(names) for part, names in found.training["split"].items()} == {"train": 48, "val": 10, "test": 10}
    # over the head, which a field that is smooth over an eighth of the side leaves near its RMS over the image
    assert 1.5 < found.training["validation"]["registration"]["error_before_px"] < 4 * 64 / 96

"""Training on CHAOS, nnU-Net folders and three modalities of real patients."""

import json

import pytest

from dafnet_core.checkpoints.file import load
from tests.helpers.chaos_tree import write_chaos
from tests.helpers.commands import call


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
    assert sorted(map(len, found.training.split.parts().values())) == [1, 1, 2]
    assert str(tmp_path) not in json.dumps(found.training.to_json())  # no path of this machine in what is shared
    done = call(run / "best.safetensors", "--data", f"chaos:{folder}", module="dafnet_core.evaluate")
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout)
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
    results = {}
    for part, count in (("test", 1), ("train", 2), ("all", 4)):
        done = call(run / "best.safetensors", "--data", folder, "--split", part, module="dafnet_core.evaluate")
        assert done.returncode == 0, done.stderr
        results[part] = json.loads(done.stdout)
        assert results[part]["n_subjects"] == count
    assert len(split["test"]) == 1
    assert results["test"]["probe"]["accuracy"] is None
    assert "subject" in results["test"]["why"]["probe.accuracy"]
    assert 0 <= results["all"]["probe"]["accuracy"] <= 1


@pytest.mark.slow
def test_three_modalities_of_real_patients_train_under_known_warps(tmp_path, real_data):
    run = tmp_path / "run"
    options = ["--data", real_data / "lgg_mri", "--size", 64, "--batch-size", 2, "--steps", 1, "--warp", 4]
    done = call(*options, "--out", run)
    assert done.returncode == 0, done.stderr
    found = load(run / "best.safetensors")
    assert found.config.modalities == ("T1", "FLAIR", "T1post")
    assert "CC BY-NC-SA" in found.training.data_licence
    assert {part: len(names) for part, names in found.training.split.parts().items()} == {
        "train": 48,
        "val": 10,
        "test": 10,
    }
    # over the head, which a field that is smooth over an eighth of the side leaves near its RMS over the image
    assert 1.5 < found.training.validation.registration.error_before_px < 4 * 64 / 96

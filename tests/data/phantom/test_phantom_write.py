"""The command line writes an nnU-Net folder, the same bytes each time."""

import json

import nibabel
import numpy as np
import pytest

from dafnet_core.data import phantom
from dafnet_core.data.phantom import LGE, generate
from dafnet_core.data.phantom.__main__ import main


def test_command_line_writes_an_nnunet_folder_with_a_mask_per_modality(tmp_path):
    out = tmp_path / "data"
    arguments = [
        str(out),
        "--subjects",
        "2",
        "--seed",
        "3",
        "--size",
        "64",
        "--slices",
        "4",
        "--difficulty",
        "hard",
    ]
    assert main(arguments) == 0
    description = json.loads((out / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "cine", "1": "LGE"}
    assert description["labels"] == {name: i for i, name in enumerate(phantom.CLASSES)}
    assert (description["numTraining"], description["file_ending"]) == (2, ".nii.gz")
    assert description["labels_per_modality"] is True
    assert (description["generator_version"], description["seed"]) == (phantom.VERSION, 3)
    assert description["difficulty"] == "hard"
    names = {f"phantom_s3_{subject:04d}_000{i}.nii.gz" for subject in range(2) for i in range(2)}
    for folder in ("imagesTr", "labelsTr"):
        assert {path.name for path in (out / folder).iterdir()} == names
    image = nibabel.load(out / "imagesTr" / "phantom_s3_0001_0001.nii.gz")
    labels = nibabel.load(out / "labelsTr" / "phantom_s3_0001_0001.nii.gz")
    assert np.array_equal(image.affine, np.diag([-3.125, -3.125, 9.0, 1.0]))
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert np.array_equal(labels.affine, image.affine)
    pair = generate(3, 1, 2, size=64, slices=4, difficulty="hard")
    assert np.array_equal(np.asarray(image.dataobj)[..., 2].T, pair.images[LGE])
    assert np.array_equal(np.asarray(labels.dataobj)[..., 2].T, pair.masks[LGE])


def test_phases_are_the_fourth_axis_of_the_cine_alone(tmp_path):
    out = tmp_path / "data"
    arguments = [str(out), "--subjects", "1", "--seed", "3", "--size", "32", "--slices", "2", "--phases", "5"]
    assert main(arguments) == 0
    cine, lge, mask = (
        nibabel.load(out / folder / f"phantom_s3_0000_000{i}.nii.gz")
        for folder, i in (("imagesTr", 0), ("imagesTr", 1), ("labelsTr", 0))
    )
    assert (cine.shape, lge.shape, mask.shape) == ((32, 32, 2, 5), (32, 32, 2), (32, 32, 2))
    assert np.array_equal(cine.affine, lge.affine)
    assert cine.header.get_xyzt_units() == ("mm", "msec")
    pair = generate(3, 0, 1, size=32, slices=2, phases=5)
    heartbeat = pair.parameters["sequence"]["lge_tr_ms"] / 2
    assert cine.header.get_zooms()[3] == pytest.approx(heartbeat / 5)
    assert np.array_equal(np.asarray(cine.dataobj)[:, :, 1], pair.frames.T)
    assert np.array_equal(np.asarray(lge.dataobj)[:, :, 1].T, pair.images[LGE])
    assert np.array_equal(np.asarray(mask.dataobj)[:, :, 1].T, pair.frame_masks[0])
    assert json.loads((out / "dataset.json").read_text())["phases"] == {"cine": 5}


def test_command_line_writes_the_same_bytes_again(tmp_path):
    for name in ("first", "second"):
        assert main([str(tmp_path / name), "--subjects", "1", "--seed", "0", "--size", "32"]) == 0
    written = [sorted((tmp_path / name).rglob("*.*")) for name in ("first", "second")]
    assert [p.read_bytes() for p in written[0]] == [p.read_bytes() for p in written[1]]


def test_command_line_refuses_a_folder_with_something_in_it(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    assert main([str(tmp_path), "--subjects", "1", "--seed", "0"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "not an empty folder" in error
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_command_line_refuses_bad_numbers_before_writing(tmp_path, capsys):
    out = tmp_path / "data"
    assert main([str(out), "--subjects", "0", "--seed", "0"]) == 2
    assert main([str(out), "--subjects", "1", "--seed", "0", "--size", "50"]) == 2
    assert main([str(out), "--subjects", "1", "--seed", "0", "--phases", "0"]) == 2
    error = capsys.readouterr().err
    assert "subjects is 0" in error
    assert "phases is 0; expected 1 or more" in error
    assert not out.exists()

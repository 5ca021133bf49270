"""dafnet-predict: its data, what it writes, what it leaves alone, and going on after an interruption."""

import csv
import json
import signal
import subprocess
import sys
import time

import nibabel
import numpy as np
import pytest

from dafnet_core import predict
from dafnet_core.checkpoints.file import load
from dafnet_core.data.readers import read
from dafnet_core.data.studies import prepare_stacks
from dafnet_core.methods.decomposition import decompose
from dafnet_core.prediction import folder as folders
from tests.helpers import masks_only
from tests.helpers.bodies import ORIENTATIONS, centred, image, series, turn_about
from tests.helpers.chaos_tree import write_chaos
from tests.helpers.commands import call, interruptible
from tests.helpers.nnunet_folder import Folder, marked, shown_by
from tests.helpers.paths import CHECKPOINTS, ROOT, SHIPPED

BRAIN = CHECKPOINTS / "brain-film.safetensors"
SHAPE, SPACING = (60, 52, 3), (2.0, 2.2, 8.0)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def one_file(tmp_path):
    path = tmp_path / "scan.nii.gz"
    nibabel.save(image(SHAPE, centred(SHAPE, SPACING), ORIENTATIONS[13]), path)
    return path


def run(*arguments, checkpoint=SHIPPED):
    return predict.main([str(checkpoint), "--quiet", *map(str, arguments)])


def record(folder):
    return json.loads((folder / "prediction.json").read_text())


def state(folder):
    """Content and time of every file."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_one_file_of_one_modality_by_the_command_line(one_file, out):
    done = call(SHIPPED, "--data", f"LGE={one_file}", "--out", out, module="dafnet_core.predict")
    assert done.returncode == 0, done.stderr
    assert "1.0/1" in done.stderr  # the progress bar
    written = out / "scan"
    told = record(written)
    assert {path.name for path in written.iterdir()} == {*told["outputs"], "prediction.json"}
    assert set(told["outputs"]) == {
        "LGE_mask.nii.gz",
        "LGE_mask_single.nii.gz",
        "LGE_probabilities.nii.gz",
        "LGE_anatomy.nii.gz",
        "LGE_anatomy_fused.nii.gz",
        "LGE_reconstruction_own.nii.gz",
        "z.csv",
    }
    assert told["checkpoint"]["digest"] == load(SHIPPED).digest
    assert (told["checkpoint_file"], told["data"]["files"]) == ("cardiac-film.safetensors", {"LGE": "scan.nii.gz"})
    assert told["classes"]["2"] == "myocardium"
    assert any("Only one modality" in note for note in told["notes"])
    assert str(out.parent) not in (written / "prediction.json").read_text() + (out / "prediction.json").read_text()
    mask, single = (np.asarray(nibabel.load(written / f"LGE_mask{k}.nii.gz").dataobj) for k in ("", "_single"))
    assert np.array_equal(mask, single)
    assert record(out)["subjects"] == {"scan": "predicted"}
    voxel = abs(np.linalg.det(nibabel.load(one_file).affine[:3, :3])) / 1000
    for number, name in told["classes"].items():
        assert told["modalities"]["LGE"]["volumes_ml"][name] == pytest.approx(
            (mask == int(number)).sum() * voxel, abs=1e-3
        )


def test_files_hold_what_the_model_computes(tmp_path, out):
    paths, images = [], []
    for n, (orientation, turned) in enumerate(((5, 0), (38, 10))):
        made = image(SHAPE, centred(SHAPE, SPACING, turn_about(2, turned)), ORIENTATIONS[orientation])
        paths.append(tmp_path / f"{n}.nii.gz")
        nibabel.save(made, paths[-1])
        images.append(read(paths[-1]))
    assert run("--data", f"LGE={paths[1]}", f"cine={paths[0]}", "--out", out) == 0
    checkpoint = load(SHIPPED)
    stacks = prepare_stacks(images, [None, None], checkpoint.preparation, {})
    expected = decompose(checkpoint.model, np.stack([stack.images[0, 1] for stack in stacks]))
    written = out / "0"
    for m, name in enumerate(("cine", "LGE")):
        stored, placement = images[m].stored, stacks[m].placements[1]

        def shown(kind, name=name, stored=stored):
            """Slice 1 as the reader turns it."""
            values = nibabel.load(written / f"{name}_{kind}.nii.gz").get_fdata()
            values = np.moveaxis(values, (0, 1, 2), (-1, -2, -3))  # (..., k, j, i)
            turned = np.empty((*values.shape[:-3], *stored.turned_shape))
            stored.as_stored(turned)[...] = values
            return turned[..., 1, :, :]

        assert np.array_equal(shown("mask"), placement.back(expected.fused_masks[m], labels=True))
        probabilities = shown("probabilities")
        assert np.allclose(probabilities.sum(0), 1, atol=1e-3)
        assert np.allclose(probabilities[2], placement.back(expected.probabilities[m][2], labels=False), atol=1e-5)
        own = placement.back(expected.s[m].argmax(0).astype(np.uint8) + 1, labels=True)
        assert np.array_equal(shown("anatomy"), own)
        fused = np.stack([placement.back(channel, labels=False) for channel in expected.fused[m]])
        assert np.abs(shown("anatomy_fused") - fused).max() < 0.01
        cross = placement.back(expected.cross[m], labels=False, fill=-1)
        assert np.allclose(shown(f"reconstruction_cross_from_{('LGE', 'cine')[m]}"), cross, atol=1e-4)
    rows = list(csv.DictReader((written / "z.csv").open()))
    assert [(row["modality"], row["slice"]) for row in rows] == [(m, str(k)) for m in ("cine", "LGE") for k in range(3)]
    middle = next(row for row in rows if row["modality"] == "LGE" and row["slice"] == "1")
    assert middle["partners"] == "cine"
    assert float(middle["z1_mean"]) == pytest.approx(float(expected.z_mean[1, 0]), rel=1e-4)
    assert float(middle["z1_variance"]) == pytest.approx(float(expected.z_std[1, 0] ** 2), rel=1e-4)


def test_a_subject_that_is_there_is_left_and_one_that_changed_is_made_again(one_file, out, capsys):
    options = "--data", f"cine={one_file}", "--out", out, "--only", "masks"
    assert run(*options) == 0
    first = state(out / "scan")
    assert run(*options) == 0
    assert state(out / "scan") == first
    assert "already there" in capsys.readouterr().err
    (out / "scan" / "cine_mask.nii.gz").unlink()
    assert run(*options) == 0
    assert state(out / "scan").keys() == first.keys()
    again = state(out / "scan")
    assert run(*options[:-1], "masks", "factors") == 0
    assert state(out / "scan").keys() == first.keys() | {"z.csv"}
    assert run(*options) == 0
    assert state(out / "scan").keys() == first.keys()
    nibabel.save(image(SHAPE, centred(SHAPE, SPACING, at=(3, 0, 0))), one_file)
    assert run(*options) == 0
    assert state(out / "scan")["cine_mask.nii.gz"] != again["cine_mask.nii.gz"]
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


def test_other_files_are_never_written_over(one_file, out, capsys):
    (out / "scan").mkdir(parents=True)
    (out / "scan" / "notes.txt").write_text("mine")
    options = "--data", f"cine={one_file}", "--out", out, "--only", "masks"
    assert run(*options) == 2
    assert "notes.txt was not written by dafnet-predict" in capsys.readouterr().err
    assert [path.name for path in (out / "scan").iterdir()] == ["notes.txt"]
    assert record(out)["subjects"] == {"scan": "failed"}
    assert run(*options, "--subjects", "other") == 0
    (out / "other" / "more.txt").write_text("mine")
    (out / "other" / "cine_mask.nii.gz").unlink()
    assert run(*options, "--subjects", "other") == 2
    assert (out / "other" / "more.txt").read_text() == "mine"
    (out / "prediction.json").write_text("{}")
    assert run(*options) == 2
    assert (out / "prediction.json").read_text() == "{}"


def test_an_interrupted_run_leaves_whole_subjects_and_goes_on(out, monkeypatch):
    options = "--data", "phantom:seed=9001,subjects=3", "--out", out, "--only", "masks"
    original, calls = predict.predict_subject, []

    def interrupted(*arguments, **more):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(predict, "predict_subject", interrupted)
        assert run(*options) == 130
    (first,) = out.iterdir()
    before = state(first)
    assert run(*options) == 0
    assert state(first) == before
    assert len([path for path in out.iterdir() if path.is_dir()]) == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_subject_is_whole_or_not_there(tmp_path, error, earlier):
    told = {"dafnet_prediction": 1, "outputs": {"a.nii.gz": "old"}}
    whole = [("a.nii.gz", b"old"), ("prediction.json", json.dumps(told).encode())]
    if earlier:
        folders.write_subject(tmp_path / "s", whole)

    def failing():
        yield "a.nii.gz", b"new"
        raise error

    with pytest.raises(error if isinstance(error, type) else OSError):
        folders.write_subject(tmp_path / "s", failing())
    assert [path.name for path in tmp_path.iterdir()] == (["s"] if earlier else [])
    if earlier:
        assert (tmp_path / "s" / "a.nii.gz").read_bytes() == b"old"


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    for name in (".s.999999999.part", ".s.999999999.old", ".other.999999999.part", ".s.1.part"):
        (tmp_path / name).mkdir()
    folders.write_subject(tmp_path / "s", [("prediction.json", b"{}")])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.999999999.part", ".s.1.part", "s"]


def test_test_images_of_an_nnunet_folder_need_no_labels_and_not_every_channel(tmp_path, out, capsys):
    folder = Folder(tmp_path / "set", channels=("FLAIR", "ADC", "T1"))
    folder.case("train")
    (folder.root / "imagesTr").rename(folder.root / "imagesTs")
    for stem in ("both_0000", "both_0002", "one_0002"):
        folder.image(stem, shown_by(marked()))
        (folder.root / "imagesTr" / f"{stem}.nii.gz").rename(folder.root / "imagesTs" / f"{stem}.nii.gz")
    for name in ("none_0001",):
        folder.image(name, shown_by(marked()))
        (folder.root / "imagesTr" / f"{name}.nii.gz").rename(folder.root / "imagesTs" / f"{name}.nii.gz")
    options = "--data", folder.root, "--images", "imagesTs", "--out", out, "--only", "masks"
    assert run(*options, checkpoint=BRAIN) == 2
    assert "none: failed:" in capsys.readouterr().err
    assert record(out)["subjects"] == {"both": "predicted", "none": "failed", "one": "predicted", "train": "predicted"}
    assert set(record(out / "both")["modalities"]) == {"T1", "FLAIR"}
    assert set(record(out / "one")["modalities"]) == {"T1"}
    assert record(out / "both")["data"] == {"source": "nnunet", "name": "set", "images": "imagesTs", "split": "all"}
    assert run(*options, "--subjects", "nobody", checkpoint=BRAIN) == 2
    assert "has no subject 'nobody'" in capsys.readouterr().err


def test_a_chaos_tree_and_a_dicom_series(tmp_path, out):
    root = write_chaos(tmp_path / "chaos", (1, 2))
    assert run("--data", f"chaos:{root}", "--out", out, "--only", "masks", checkpoint=BRAIN) == 0
    told = record(out / "2")
    assert (set(told["modalities"]), told["data"]["name"]) == ({"T1"}, "chaos:FOLDER")
    folder = series(tmp_path / "series", centred(SHAPE, SPACING), SHAPE)
    assert run("--data", f"t1={folder}", "--out", out, "--only", "masks", checkpoint=BRAIN) == 0
    assert set(record(out / "series")["outputs"]) == {"T1_mask.nii.gz", "T1_mask_single.nii.gz"}
    assert run("--data", f"chaos:{root}", "--out", out, checkpoint=SHIPPED) == 2


def test_a_method_without_factors_gives_masks(tmp_path, out, one_file, monkeypatch):
    masks_only.write(tmp_path / "masks-only.safetensors", monkeypatch)
    assert run("--data", f"cine={one_file}", "--out", out, checkpoint=tmp_path / "masks-only.safetensors") == 0
    assert list(record(out / "scan")["outputs"]) == ["cine_mask.nii.gz"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (["T9=scan.nii.gz"], "expected one data set, or MODALITY=FILE with MODALITY one of cine, LGE"),
        (["cine=a.nii.gz", "cine=b.nii.gz"], "names cine twice"),
        (["cine=missing.nii.gz"], "there is no such file"),
        (["missing-folder"], "there is no such folder"),
        (["phantom:seeds=3"], "expected phantom"),
        (["phantom", "phantom"], "expected one data set"),
    ],
)
def test_data_that_cannot_be_used_are_refused_with_the_reason(data, says, out, capsys):
    assert run("--data", *data, "--out", out) == 2
    assert says in capsys.readouterr().err


def test_the_parts_of_a_split_are_those_of_the_checkpoint(tmp_path, out):
    folder = Folder(tmp_path / "set", channels=("T1", "FLAIR"))
    split = load(BRAIN).training.split
    for name in (split.train[0], split.test[0], "new"):
        folder.case(name)
    options = "--data", folder.root, "--out", out, "--only", "masks", "--split", "test"
    assert run(*options, checkpoint=BRAIN) == 0
    assert set(record(out)["subjects"]) == {split.test[0], "new"}


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "a/b", "prediction.json"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="cannot name a folder of results"):
        folders.subject_folder(tmp_path, name)


def test_files_that_dataset_json_lists_are_predicted_too(tmp_path, out):
    folder = Folder(tmp_path / "set", channels=("T1", "FLAIR"))
    folder.case("a")
    (folder.root / "imagesTr").rename(folder.root / "elsewhere")
    images = [f"elsewhere/a_000{n}.nii.gz" for n in range(2)]
    folder.describe(dataset={"a": {"images": images, "label": "labelsTr/a.nii.gz"}})
    assert run("--data", folder.root, "--out", out, "--only", "masks", checkpoint=BRAIN) == 0
    assert set(record(out / "a")["modalities"]) == {"T1", "FLAIR"}


def test_an_image_without_a_channel_is_refused_with_the_names_that_are_needed(tmp_path, out, capsys):
    folder = Folder(tmp_path / "set", channels=("T1", "FLAIR"))
    folder.image("a_0007", shown_by(marked()))
    assert run("--data", folder.root, "--out", out, checkpoint=BRAIN) == 2
    assert "0000 T1, 0001 FLAIR" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_process_that_is_stopped_leaves_whole_subjects_alone(out, how, code):
    options = [str(SHIPPED), "--data", "phantom:seed=9001,subjects=6", "--out", str(out)]
    command = [sys.executable, "-m", "dafnet_core.predict", *options]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, preexec_fn=interruptible)
    deadline = time.monotonic() + 120
    while not list(out.glob("phantom*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)  # in the middle of the second one
    process.send_signal(how)
    process.communicate()
    assert process.returncode == code
    whole = list(out.glob("phantom*"))
    assert 1 <= len(whole) < 6
    for folder in whole:
        assert {path.name for path in folder.iterdir()} == {*record(folder)["outputs"], "prediction.json"}
    before = {folder.name: state(folder) for folder in whole}
    assert predict.main([*options, "--quiet"]) == 0
    assert {folder.name: state(folder) for folder in whole} == before
    assert sorted(path.name for path in out.iterdir()) == [
        *(f"phantom_s9001_{n:04d}" for n in range(6)),
        "prediction.json",
    ]

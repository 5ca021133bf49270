"""nnU-Net folders whose dataset.json lists the files of each case ("dataset"), as generate_dataset_json writes it."""

import gzip
import json
import shutil

import numpy as np
import pytest

from dafnet_core.data.config import DataConfig
from dafnet_core.data.nnunet import NnUNet
from dafnet_core.data.sources import public_name, training_data
from tests.helpers.nnunet_folder import affine_of, bright, marked, nifti, shown_by


def listed(name, *, images=None, **more):
    """Entry of a case whose files lie in folders of their own, with names that say nothing."""
    return {"images": images or [f"scans/{name}-{k}.nii.gz" for k in "ab"], "label": f"masks/{name}.nii.gz"} | more


@pytest.fixture
def table(folder):
    """A folder of three cases, with different marks, that are only found through the table."""
    for number, name in enumerate("xyz"):
        labels = marked(shift=5 * number)
        for channel, letter in enumerate("ab"):
            nifti(folder.root / "scans" / f"{name}-{letter}.nii.gz", shown_by(labels) * (channel + 1), affine_of())
        nifti(folder.root / "masks" / f"{name}.nii.gz", labels, affine_of())
    folder.describe(dataset={name: listed(name) for name in "xyz"})
    return folder


def test_the_table_is_obeyed_instead_of_the_folders(table):
    table.case("not_listed")
    found = table.read()
    assert [study.name for study in found.studies] == ["x", "y", "z"]
    assert found.registered
    for number, study in enumerate(found.studies):
        for images, mask in zip(study.images, study.masks, strict=True):
            assert np.array_equal(mask[:, 8:40], marked(shift=5 * number))
            assert np.array_equal(bright(images), mask == 1)


def test_channels_are_taken_from_the_list_in_the_order_asked_for(table):
    volume = np.random.default_rng(0).random((3, 32, 48)).astype(np.float32)
    nifti(table.root / "scans" / "x-b.nii.gz", volume, affine_of())
    forwards, backwards = (table.read(names).studies[0] for names in (("T1", "T2"), ("T2", "T1")))
    assert np.array_equal(forwards.images[0], backwards.images[1])
    assert np.array_equal(forwards.images[1], backwards.images[0])
    assert not np.array_equal(forwards.images[0], forwards.images[1])


def test_a_case_may_lack_a_label_and_the_ending_may_be_left_out_or_vary(table):
    first = listed("x")
    plain = table.root / "scans" / "y-a.nii"
    plain.write_bytes(gzip.decompress((table.root / "scans" / "y-a.nii.gz").read_bytes()))
    second = listed("y", images=["scans/y-a.nii", "scans\\y-b.nii.gz"], label=None)
    del first["label"]
    table.describe(dataset={"x": first, "y": second, "z": listed("z")})
    table.description.pop("file_ending")
    table.describe()
    masks = [study.masks[0] for study in table.read().studies]
    assert [mask is None for mask in masks] == [True, True, False]


def test_absolute_paths_are_read_and_stay_out_of_what_is_shared(table, tmp_path):
    away = tmp_path / "elsewhere"
    away.mkdir()
    shutil.move(table.root / "scans", away)
    entries = {n: listed(n, images=[str(away / "scans" / f"{n}-{k}.nii.gz") for k in "ab"]) for n in "xyz"}
    table.describe(dataset=entries)
    data = training_data(DataConfig(source=str(table.root), size=64), 0)
    shared = [data.source.public_name, public_name(str(table.root)), data.source.name, data.source.licence]
    shared += [*data.source.names(), *data.annotated, *data.train.subjects, *sum(data.split.values(), ())]
    assert not any("/" in text or str(tmp_path) in text for text in shared)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"images": ["scans/x-a.nii.gz"]}, "has 1 images for the case 'x', and channel_names 2"),
        ({"images": ["scans/x-a.nii.gz", "scans/none.nii.gz"]}, "the file 'scans/none.nii.gz' for the case 'x'"),
        ({"images": ["scans/x-a.nii.gz", "scans/x-a.nii.gz"]}, "and already for 'x'"),
        ({"images": ["scans/x-a.nii.gz", 3]}, "with the file 3"),
        ({"images": "scans/x-a.nii.gz"}, "without a list of images"),
        ({"label": "masks/none.nii.gz"}, "the file 'masks/none.nii.gz' for the case 'x'"),
        ({"label": "masks/y.nii.gz"}, "for the case 'y' and already for 'x'"),
        ({"label": 7}, "with the file 7"),
        ({"seg": "masks/x.nii.gz"}, "with the key 'seg', which is not known"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_case_and_file(table, change, says):
    table.describe(dataset=table.description["dataset"] | {"x": listed("x") | change})
    message = table.refusal()
    assert says in message
    assert "dataset.json" in message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "'dataset' is {}"),
        (["x"], "'dataset' is ['x']"),
        ({"/home/me/x": {"images": ["scans/x-a.nii.gz", "scans/x-b.nii.gz"]}}, "as the name of a case"),
        ({"..\\x": {"images": ["scans/x-a.nii.gz", "scans/x-b.nii.gz"]}}, "as the name of a case"),
    ],
)
def test_a_table_of_another_shape_is_refused(table, content, says):
    table.describe(dataset=content)
    assert says in table.refusal()


def test_a_case_that_is_listed_twice_is_refused(table):
    text = json.dumps(table.description)
    entry = json.dumps({"x": listed("x")})[1:-1]
    (table.root / "dataset.json").write_text(text.replace('"dataset": {', f'"dataset": {{{entry}, '))
    assert "the key 'x' appears twice" in table.refusal()


def test_a_relative_folder_is_enough(table, monkeypatch):
    monkeypatch.chdir(table.root)
    source = NnUNet(".")
    assert source.study("x", source.preparation(48, 2.0)).masks[0].any()

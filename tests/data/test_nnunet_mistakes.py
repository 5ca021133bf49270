"""Common mistakes in nnU-Net folders: colour pictures, version 1, mixed endings, folders in folders, odd names."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.helpers.nnunet_folder import Folder, affine_of, marked, nifti, shown_by


def colour_folder(root, **more):
    folder = Folder(root, channels=("R", "G", "B"), file_ending=".png", **more)
    for kind, name, shape in (("imagesTr", "a_0000", (32, 32, 3)), ("labelsTr", "a", (32, 32))):
        (root / kind).mkdir()
        Image.fromarray(np.zeros(shape, np.uint8)).save(root / kind / f"{name}.png")
    return folder


@pytest.mark.parametrize("more", [{}, {"overwrite_image_reader_writer": "NaturalImage2DIO"}])
def test_colour_pictures_are_refused_by_that_name_and_with_the_remedy(tmp_path, more):
    message = colour_folder(tmp_path / "set", **more).refusal()
    for part in ("a_0000.png", "R, G, B", "RGB", "NaturalImage2DIO", "CASE_0000, CASE_0001"):
        assert part in message


def test_a_colour_picture_in_the_table_is_refused_in_the_same_way(tmp_path):
    folder = colour_folder(tmp_path / "set")
    folder.describe(dataset={"a": {"images": ["imagesTr/a_0000.png"], "label": "labelsTr/a.png"}})
    assert "NaturalImage2DIO" in folder.refusal()


def test_a_missing_channel_of_volumes_is_not_taken_for_colours(folder):
    folder.image("a_0000", shown_by(marked()))
    message = folder.refusal()
    assert "a_0001.nii.gz: there is no such file" in message
    assert "RGB" not in message


def test_descriptions_of_version_1_are_refused_by_that_name(folder):
    folder.case("a")
    del folder.description["channel_names"]
    folder.describe(modality={"0": "T1", "1": "T2"}, labels={"0": "background", "1": "lesion"})
    message = folder.refusal()
    assert "'modality', as in nnU-Net v1" in message
    assert "channel_names" in message


def test_an_ending_is_needed_with_its_dot(folder):
    folder.case("a")
    folder.describe(file_ending="nii.gz")
    assert "'file_ending' is 'nii.gz'; it needs its dot, such as '.nii.gz'" in folder.refusal()
    del folder.description["file_ending"]
    folder.describe()
    assert "'file_ending' is None" in folder.refusal()


@pytest.mark.parametrize("stray", ["imagesTr/b_0000.nii", "imagesTr/b_0000.NII.GZ", "labelsTr/a.nii", "labelsTr/a.png"])
def test_files_of_another_ending_are_not_left_out_without_a_word(folder, stray):
    folder.case("a")
    (folder.root / stray).write_bytes(b"")
    message = folder.refusal()
    assert stray in message
    assert "file_ending of dataset.json is '.nii.gz'" in message


def test_files_that_are_no_images_of_a_case_may_lie_there(folder):
    folder.case("a")
    for name in (
        "imagesTr/README.txt",
        "imagesTr/a.json",
        "imagesTr/overview.png",
        "labelsTr/a.json",
        "labelsTr/b.png",
    ):
        (folder.root / name).write_text("{}")
    assert [study.name for study in folder.read().studies] == ["a"]


def test_images_in_other_folders_are_pointed_at(folder):
    inner = Folder(folder.root / "Dataset007")
    inner.case("a")
    assert "There is one in 'Dataset007'" in folder.refusal()
    (folder.root / "imagesTr" / "case_a").mkdir(parents=True)
    message = folder.refusal()
    assert "It holds the folder 'case_a'" in message
    assert "'dataset'" in message


def test_names_of_cases_may_have_dots_and_numbers(folder):
    for name in ("a.1", "a.1.2", "b_0001"):
        folder.case(name)
    assert [study.name for study in folder.read().studies] == ["a.1", "a.1.2", "b_0001"]


def test_names_that_differ_in_case_only_are_refused(folder):
    for name in ("pat1", "PAT1"):
        folder.case(name)
    assert "'PAT1' and 'pat1' differ in upper and lower case only" in folder.refusal()


@pytest.mark.parametrize(
    ("splits", "says"),
    [
        ([], "it holds an empty list"),
        ([{"train": ["a", "a"], "val": ["b"]}], "split 0 has 'a' twice in train"),
        ([{"train": ["a"], "val": ["b", "b"]}], "split 0 has 'b' twice in val"),
        ([{"train": [["a"]], "val": ["b"]}], "split 0 names ['a']"),
    ],
)
def test_splits_that_name_nothing_or_a_case_twice_are_refused(folder, splits, says):
    for name in "ab":
        folder.case(name)
    (folder.root / "splits_final.json").write_text(json.dumps(splits))
    assert says in folder.refusal()


def test_keys_that_appear_twice_are_refused(folder):
    folder.case("a")
    (folder.root / "dataset.json").write_text('{"labels": {"background": 0, "a": 1, "a": 2}}')
    assert "the key 'a' appears twice" in folder.refusal()


def test_labels_may_be_of_fewer_cases_but_of_no_others(folder):
    folder.case("a")
    nifti(folder.root / "labelsTr" / "b.nii.gz", marked(), affine_of())
    assert "labelsTr/b.nii.gz: labels without an image" in folder.refusal()

"""What nnU-Net folders are refused for: grids, descriptions, missing files, splits."""

import gzip
import json

import nibabel
import numpy as np
import pytest

from dafnet_core.data.studies import DataError
from tests.helpers.nnunet_folder import affine_of, marked, nifti, shown_by
from tests.helpers.sources import read_nnunet


@pytest.mark.parametrize(
    ("stem", "volume", "affine", "says"),
    [
        ("labelsTr/a", marked(4), None, ["4 slices of 32 x 48", "a_0000.nii.gz has 3 slices of 32 x 48"]),
        ("labelsTr/a", marked(rows=48, columns=32), None, ["3 slices of 48 x 32"]),
        ("labelsTr/a", np.stack([marked()] * 2), None, ["2 volumes"]),
        ("labelsTr/a", marked(), affine_of(z=5), ["corners", "5.0 mm"]),
        ("labelsTr/a", marked(), np.eye(4), ["mm away", "grid"]),  # would be shown flipped against its image
        ("imagesTr/a_0001", shown_by(marked(4)), None, ["4 slices", "One label file serves all"]),
        ("imagesTr/a_0001", shown_by(marked()), affine_of(between=2), ["corners", "6.0 mm"]),
    ],
)
def test_what_does_not_lie_on_one_grid_is_refused(folder, stem, volume, affine, says):
    folder.case("a")
    nifti(folder.root / f"{stem}.nii.gz", volume, affine_of() if affine is None else affine)
    message = folder.refusal()
    for part in (f"{stem}.nii.gz", *says):
        assert part in message


def test_a_label_whose_header_is_silent_is_refused_where_its_image_speaks(folder):
    folder.case("a")
    path = folder.root / "labelsTr" / "a.nii.gz"
    image = nibabel.load(path)
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    path.write_bytes(gzip.compress(image.to_bytes()))
    assert "header of a.nii.gz does not say where" in folder.refusal()


def test_a_folder_without_a_description_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"dataset\.json: it cannot be opened"):
        read_nnunet(tmp_path, size=32)
    (tmp_path / "dataset.json").write_text('{"labels": ')
    with pytest.raises(DataError, match=r"dataset\.json: it is not JSON"):
        read_nnunet(tmp_path, size=32)
    (tmp_path / "dataset.json").write_text("[]")
    with pytest.raises(DataError, match="an object is needed"):
        read_nnunet(tmp_path, size=32)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"channel_names": None}, "'channel_names' is None"),
        ({"labels": {}}, "'labels' is {}"),
        ({"file_ending": 3}, "'file_ending' is 3"),
        ({"channel_names": {"T1": 0, "T2": 1}}, "names by number"),
        ({"channel_names": {"0": "MR", "1": "mr"}}, "a name of its own"),
        ({"labels": {"background": 0, "whole": [1, 2], "core": 2}}, "'whole' is a region of the values [1, 2]"),
        ({"labels": {"0": "background", "1": "lesion"}}, "whole numbers"),
        ({"labels": {"background": 0, "ignore": 1}}, "'ignore'"),
        ({"labels": {"background": 0}}, "one or more"),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "values of their own"),
        ({"labels": {"lesion": 1, "liver": 2}}, "'background' with the value 0"),
        ({"channel_names": {"0": "T1"}}, "two or more"),
        ({"file_ending": ".mha"}, "file_ending of dataset.json is '.mha'"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(folder, changes, says):
    folder.case("a")
    folder.describe(**changes)
    assert says in folder.refusal()


def test_an_unknown_modality_is_refused_with_those_that_there_are(folder):
    folder.case("a")
    assert "no modality 'CT'; choose from T1, T2" in folder.refusal(("T1", "CT"))
    assert "two or more different ones" in folder.refusal(("T1", "t1"))
    assert "two or more different ones" in folder.refusal(("T1",))


def test_missing_and_surplus_files_are_refused_by_name(folder):
    assert "no case found" in folder.refusal()
    folder.case("a")
    folder.image("b_0000", shown_by(marked()))
    assert "imagesTr/b_0001.nii.gz: there is no such file" in folder.refusal()
    (folder.root / "imagesTr" / "b_0000.nii.gz").rename(folder.root / "imagesTr" / "b.nii.gz")
    assert "imagesTr/b.nii.gz: no channel number" in folder.refusal()
    (folder.root / "imagesTr" / "b.nii.gz").rename(folder.root / "imagesTr" / "._b.nii.gz")  # macOS adds such files
    assert len(folder.read().studies) == 1
    folder.label("c", marked())
    assert "labelsTr/c.nii.gz: labels without an image" in folder.refusal()


def test_a_file_that_cannot_be_read_is_named_with_its_folder_and_the_reason(folder):
    folder.case("a")
    path = folder.root / "imagesTr" / "a_0001.nii.gz"
    path.write_bytes(path.read_bytes()[:-30])
    assert "imagesTr: `a_0001.nii.gz`: its gzip stream is cut short" in folder.refusal()


def test_splits_name_their_cases_and_leave_the_others_to_the_test(folder):
    for name in "abcd":
        folder.case(name)
    assert folder.read().folds == ()
    splits = folder.root / "splits_final.json"
    splits.write_text(json.dumps([{"train": ["b", "a"], "val": ["c"]}, {"train": ["a", "b", "c"], "val": ["d"]}]))
    assert folder.read().folds == (
        {"train": ("b", "a"), "val": ("c",), "test": ("d",)},
        {"train": ("a", "b", "c"), "val": ("d",), "test": ()},
    )
    for content, says in [
        ([{"train": ["a", "x"], "val": []}], "split 0 names 'x'"),
        ([{"train": ["a"], "val": ["a"]}], "'a' in train and in val"),
        ([{"train": ["a"]}], "split 0 is not"),
        ({"train": ["a"]}, "a list of splits"),
    ]:
        splits.write_text(json.dumps(content))
        assert says in folder.refusal()

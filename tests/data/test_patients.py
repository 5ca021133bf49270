"""Several cases of one patient: tables, patterns, guesses, and splits that keep them together."""

import json

import numpy as np
import pytest
from PIL import Image

from dafnet_core.data.config import DataConfig
from dafnet_core.data.nnunet import NnUNet
from dafnet_core.data.patients import by_pattern, guess_note, guessed, spread
from dafnet_core.data.sources import evaluation_data, training_data
from dafnet_core.data.splits import draw_annotated, draw_patients, split_patients, split_subjects
from dafnet_core.data.studies import DataError
from tests.helpers.nnunet_folder import Folder

SLICES = [f"pat{p:02d}_sl{s:02d}" for p in range(6) for s in range(5)]
PATIENTS = {name: name[:5] for name in SLICES}


def slices(root, names=SLICES, **more):
    """A folder of single slices as PNG."""
    folder = Folder(root, file_ending=".png", **more)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 1
    for number, name in enumerate(names):
        for kind, stem, values in [
            ("imagesTr", f"{name}_0000", 100 * mask + number),
            ("imagesTr", f"{name}_0001", 150 - 100 * mask + number),
            ("labelsTr", name, mask),
        ]:
            (root / kind).mkdir(exist_ok=True)
            Image.fromarray(values.astype(np.uint8)).save(root / kind / f"{stem}.png")
    return folder


def data_of(folder, **options):
    return training_data(DataConfig(source=str(folder.root), size=64, **options), 0)


def patients_of(names):
    return {PATIENTS[name] for name in names}


def test_splits_and_annotations_are_by_patient():
    for fold in range(3):
        split = split_patients(SLICES, PATIENTS, 0, fold)
        assert sorted(sum(split.values(), ())) == SLICES
        parts = split_subjects(sorted(set(PATIENTS.values())), 0, fold)
        assert {part: patients_of(names) for part, names in split.items()} == {p: set(n) for p, n in parts.items()}
        assert [len(split[part]) for part in ("train", "val", "test")] == [20, 5, 5]
    drawn = draw_patients(SLICES, PATIENTS, 0.5, 3)
    assert len(drawn) == 15
    assert patients_of(drawn) == draw_annotated(sorted(set(PATIENTS.values())), 0.5, 3)
    names = [f"p{n}" for n in range(20)]
    assert split_patients(names, {}, 1, 2) == split_subjects(names, 1, 2)
    assert draw_patients(names, {}, 0.3, 1) == draw_annotated(names, 0.3, 1)


@pytest.mark.parametrize("how", ["table", "pattern", "group"])
def test_a_run_keeps_the_cases_of_a_patient_together(tmp_path, how):
    folder = slices(tmp_path / "set")
    if how == "table":
        folder.describe(subjects=PATIENTS)
    data = data_of(
        folder, annotations=0.5, subject_pattern={"table": "", "pattern": r"pat\d+", "group": r"^(.*)_"}[how]
    )
    parts = [patients_of(names) for names in data.split.values()]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 6
    assert len(data.annotated) == 10
    assert len(patients_of(data.annotated)) == 2
    assert data.train.subjects == data.split["train"]  # a study's name stays the case's
    assert {data.train[n].subject for n in range(len(data.train))} == patients_of(data.split["train"])
    assert data.warnings == ()


def test_numbers_are_over_patients(tmp_path):
    folder = slices(tmp_path / "set")
    interleaved = {name: f"p{int(name[-2:]) % 2}" for name in SLICES}
    folder.describe(subjects=interleaved)
    _, data = evaluation_data(str(folder.root), "all", modalities=())
    subjects = [data[n].subject for n in range(len(data))]
    assert subjects == ["p0"] * 18 + ["p1"] * 12  # one after the other, as encodings need them
    plain = slices(tmp_path / "plain")
    _, data = evaluation_data(str(plain.root), "all", modalities=(), patients=PATIENTS)
    assert {data[n].subject for n in range(len(data))} == set(PATIENTS.values())
    _, data = evaluation_data(str(plain.root), "all", modalities=())
    assert [data[n].subject for n in range(len(data))] == SLICES


def test_without_a_table_or_pattern_the_run_is_warned_with_an_example_and_the_remedy(tmp_path):
    folder = slices(tmp_path / "set")
    (warning,) = data_of(folder).warnings
    for part in ("pat00_sl00 and pat00_sl01 (pat00)", "in two of its parts", "--subject-pattern", '"subjects"'):
        assert part in warning
    assert "pat0" not in warning.partition(":")[0]  # what a checkpoint keeps
    assert data_of(folder, subject_pattern=".+").warnings == ()


@pytest.mark.parametrize(
    ("names", "patient"),
    [
        (SLICES, "pat00"),
        (["P001_0001", "P001_0002", "P002_0001"], "P001"),
        (["P001-1", "P001-2", "P002-1", "P002-2"], "P001"),
        (["patient001_frame01", "patient001_frame12", "patient002_frame01", "patient002_frame14"], "patient001"),
        (["sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1"], "sub-01"),
        (["BraTS-GLI-00000-000", "BraTS-GLI-00000-001", "BraTS-GLI-00002-000"], "BraTS-GLI-00000"),
        (["sub01_20190101", "sub01_20200303", "sub02_20180505"], "sub01"),
        (["7_slice1", "7_slice2", "8_slice3"], "7"),
    ],
)
def test_names_that_look_like_several_cases_of_a_patient(names, patient):
    found = guessed(names)
    assert found[names[0]] == found[names[1]] == patient
    assert f"({patient})" in guess_note({"train": tuple(names)}, found)[0]


@pytest.mark.parametrize(
    "names",
    [
        [f"s{n:02d}" for n in range(9)],
        [f"case_{n:03d}" for n in range(9)],
        [f"BRATS_{n:03d}" for n in range(9)],
        [f"lgg_{n:04d}" for n in range(9)],
        [f"BraTS20_Training_{n:03d}" for n in range(9)],
        [f"site{1 + n % 2}_{n:03d}" for n in range(9)],
        [f"BraTS-GLI-{n:05d}-000" for n in range(9)],
        [f"TCGA_CS_{n}_1996{n:04d}" for n in range(1000, 1009)],
        [f"phantom-s0001-{n:05d}" for n in range(4)],
        ["a_10", "a_2", "b"],
        ["a.1", "a.1.2", "b_0001"],
        ["only_1_1", "only_1_2"],
        [],
    ],
)
def test_names_with_a_number_for_each_case_raise_no_alarm(names):
    assert guessed(names) == {}
    assert guess_note({"train": tuple(names)}, {}) == ()


def test_given_folds_that_tear_a_patient_apart_are_refused_or_warned_of(tmp_path):
    folder = slices(tmp_path / "set")
    fold = [{"train": SLICES[:12], "val": SLICES[12:]}]  # pat02 is in both
    (folder.root / "splits_final.json").write_text(json.dumps(fold))
    (warning,) = data_of(folder).warnings
    assert "'pat02_sl00' in train and 'pat02_sl02' in val are both of 'pat02'" in warning
    with pytest.raises(DataError, match=r"fold 0 of set does not keep .*'pat02_sl02' in val are both of 'pat02'"):
        data_of(folder, subject_pattern=r"pat\d+")
    folder.describe(subjects=PATIENTS)
    with pytest.raises(DataError, match="make folds by patient"):
        data_of(folder)
    fold = [{"train": SLICES[:10], "val": SLICES[10:16]}]  # pat03 is in val and test
    (folder.root / "splits_final.json").write_text(json.dumps(fold))
    with pytest.raises(DataError, match=r"in val and .* in test are both of 'pat03'"):
        data_of(folder)
    fold = [{"train": SLICES[:10], "val": SLICES[10:15]}]
    (folder.root / "splits_final.json").write_text(json.dumps(fold))
    assert len(data_of(folder).split["test"]) == 15


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "'subjects' is {}"),
        ("pat", "'subjects' is pat"),
        ({"a_1": 3, "a_2": "a"}, "the patient of each case is needed"),
        ({"a_1": "a"}, "'subjects' lacks the case 'a_2'"),
        ({"a_1": "a", "a_2": "a", "b": "b"}, "'subjects' names a case that does not exist, 'b'"),
    ],
)
def test_a_table_that_does_not_fit_the_cases_is_refused(tmp_path, table, says):
    with pytest.raises(DataError) as caught:
        NnUNet(slices(tmp_path / "set", ["a_1", "a_2"], subjects=table).root)
    assert says in str(caught.value)


def test_a_case_of_two_patients_and_two_ways_of_saying_it_are_refused(tmp_path):
    folder = slices(tmp_path / "set", ["a_1", "a_2"], subjects={"a_1": "a", "a_2": "a"})
    with pytest.raises(DataError, match="leave one out"):
        NnUNet(folder.root, subject_pattern="a")
    path = folder.root / "dataset.json"
    path.write_text(path.read_text().replace('"a_1": "a"', '"a_1": "a", "a_1": "b"'))
    with pytest.raises(DataError, match="the key 'a_1' appears twice"):
        NnUNet(folder.root)


def test_patterns_find_a_patient_in_every_name_or_are_refused():
    assert by_pattern(["x-p1-2", "x-p1-3"], r"p\d") == {"x-p1-2": "p1", "x-p1-3": "p1"}
    assert by_pattern(["x-p1-2"], r"x-(.*)-") == {"x-p1-2": "p1"}
    for pattern in (r"q\d", r"\d*", r"(q)?x"):
        with pytest.raises(DataError, match="finds no patient in the name of the case 'x-p1-2'"):
            by_pattern(["x-p1-2"], pattern)
    with pytest.raises(ValueError, match=r"subject_pattern is .* expected a regular expression"):
        DataConfig(source="set", subject_pattern="(")


def test_a_patient_in_two_parts_is_found():
    assert spread({"train": ("a1",), "val": ("b1",)}, {"a1": "a", "b1": "b"}) == ""
    assert spread({"train": ("a1",), "val": ("a2",)}, {}) == ""
    assert spread({"train": ("a1",), "val": ("a2",)}, {"a1": "a", "a2": "a"}).endswith("are both of 'a'")


def test_a_count_that_disagrees_is_a_warning(tmp_path):
    folder = slices(tmp_path / "set", ["a", "b", "c"], numTraining=30)
    assert data_of(folder).warnings == ("numTraining of dataset.json is 30, but there are 3 cases; all are used",)
    folder.describe(numTraining=3)
    assert data_of(folder).warnings == ()

"""Files for download: their names, and tables whose cells are numbers."""

import io
from dataclasses import replace

import numpy as np
import pytest
from page_visits import assert_numbers

from dafnet_core.analysis.reading import Reading
from dafnet_core.methods.decomposition import OF_MODALITIES, decompose
from dafnet_explorer import provenance, subjects
from dafnet_explorer.figures.decompose import numbers
from dafnet_explorer.figures.independence import dependence_csv_rows
from dafnet_explorer.figures.masks import dice_rows, dice_table
from dafnet_explorer.figures.truth import truth_rows
from dafnet_explorer.report.tables import error_rows, evaluate_csv_rows, z_rows
from tests.helpers import untrained


@pytest.fixture(scope="module")
def subject(checkpoint):
    return subjects.sample(checkpoint, 2, 3, "hard")


@pytest.fixture(scope="module")
def decomposition(checkpoint, subject):
    return decompose(checkpoint.model, subject.images, subject.modalities)


def test_a_file_is_named_by_page_checkpoint_subject_and_slice_or_by_its_data(subject):
    name = provenance.file_name("decompose", "runs/mine", subject, "png")
    assert name == "dafnet-decompose-runs-mine-Phantom-subject-3-slice-4-of-8-hard.png"
    assert (
        provenance.file_name("mix", "cardiac-film", "phantom:subjects=8,difficulty=standard", "csv")
        == "dafnet-mix-cardiac-film-phantom-subjects-8-difficulty-standard.csv"
    )
    own = replace(subject, uploaded=True, title="`Jane-Doe.nii`, slice 2 of 9")
    assert provenance.file_name("report", "cardiac-film", own, "zip") == "dafnet-report-cardiac-film-upload-slice-2.zip"


def test_cells_of_tables_are_numbers(checkpoint, subject, decomposition):
    reading = (
        Reading("scar", "LGE", "z", "accuracy", 0.5, (0.4, 0.6), 0.3),
        Reading("scar", "cine", "z", "accuracy", None, None, None, "one label"),
    )
    stored = checkpoint.metrics["standard"]
    classes = checkpoint.config.classes
    for rows in (
        dice_rows(decomposition, subject.truth, classes),
        dice_rows(decomposition, {0: subject.truth[0]}, classes),
        error_rows(decomposition, subject),
        z_rows(decomposition),
        evaluate_csv_rows(stored),
        dependence_csv_rows(stored.dependence),
        truth_rows(reading),
    ):
        assert_numbers(rows)
    with pytest.raises(AssertionError):
        assert_numbers(dice_table(decomposition, {0: subject.truth[0]}, classes, "none"))


def test_dice_are_the_same_as_text_and_as_numbers(checkpoint, subject, decomposition):
    classes = checkpoint.config.classes
    texts = dice_table(decomposition, {0: subject.truth[0]}, classes, "no mask")
    for row, text in zip(dice_rows(decomposition, {0: subject.truth[0]}, classes), texts, strict=True):
        mean = row["mean (Dice)"]
        assert text["mean"] == ("n/a: no mask" if mean is None else f"{mean:.3f}")


def test_arrays_of_one_modality_s_method_are_of_that_modality_alone(tmp_path, subject):
    made = untrained.write(tmp_path / "single.safetensors", "sdnet-single")
    found = decompose(made.model, subject.images, subject.modalities)
    (served,) = found.served
    with np.load(io.BytesIO(numbers(found, subject.truth, (), {}))) as file:
        assert '"modalities": ["LGE"], "pairs_fixed_moving": []' in str(file["about"])
        assert np.array_equal(file["s"], found.s[[served]])
        assert np.array_equal(file["images"], found.images[[served]])
        assert [name for name in file if name.startswith("truth")] == ["truth_LGE"]
        lengths = {name: len(file[name]) for name in file if name not in ("about", "truth_LGE")}
    assert {name for name, n in lengths.items() if n == 1} == OF_MODALITIES
    assert set(lengths.values()) == {0, 1}  # there is no pair


def test_arrays_of_a_method_of_all_modalities_are_all_of_them(decomposition, subject):
    with np.load(io.BytesIO(numbers(decomposition, subject.truth, (), {}))) as file:
        for name, values in vars(decomposition).items():
            if isinstance(values, np.ndarray):
                assert np.array_equal(file[name], values), name

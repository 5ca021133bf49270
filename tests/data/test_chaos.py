"""CHAOS: slices, labels, folds, and trees that are refused."""

import shutil

import numpy as np
import pytest
from PIL import Image

from dafnet_core.data.chaos import FOLDS, PUBLISHED_SPACING
from dafnet_core.data.prepare import prepare
from dafnet_core.data.readers import read
from dafnet_core.data.studies import DataError
from tests.helpers.chaos_tree import FIELD_MM, SLICES, heights, write_chaos
from tests.helpers.sources import read_chaos

SIZE, SPACING = 32, FIELD_MM / 32  # T1 as it is, T2 resampled from 40 x 40


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Four subjects, one of them without labels; names that sort wrongly as text."""
    return write_chaos(tmp_path_factory.mktemp("MR"), (1, 2, 3, 10), annotated=(1, 2, 10), digits=1)


@pytest.fixture(scope="module")
def chaos(tree):
    return read_chaos(tree, size=SIZE, spacing=SPACING)


def liver(mask):
    """Pixels of liver in each slice: in this tree it grows towards Superior."""
    return (mask == 1).sum(axis=(1, 2))


def copy_of(tree, to, *subjects):
    """Some subjects of a tree, to be changed."""
    for subject in subjects:
        shutil.copytree(tree / subject, to / subject)
    return to


def test_chaos_is_described(chaos):
    assert [study.name for study in chaos.studies] == ["1", "10", "2", "3"]
    assert chaos.modalities == ("T1", "T2")
    assert chaos.classes == ("background", "liver", "right kidney", "left kidney", "spleen")
    assert chaos.licence.startswith("CC BY-NC-SA 4.0")
    assert not chaos.registered
    assert chaos.folds == ()
    assert PUBLISHED_SPACING == 1.89


def test_slices_ascend_with_their_masks_whichever_way_the_files_count(chaos):
    for study in chaos.studies:  # odd subjects count downwards, and 10 sorts before 2 in the names
        for images, mask, sequence in zip(study.images, study.masks, SLICES, strict=True):
            assert images.shape == (1, SLICES[sequence], SIZE, SIZE)
            if study.name == "3":
                assert mask is None
                continue
            assert (np.diff(liver(mask)) > 0).all()
            assert set(np.unique(mask)) == {0, 1, 2, 3, 4}
            if sequence == "T1DUAL":  # not resampled: every organ is brighter than the body, to the pixel
                assert np.array_equal(images[0] > -1, mask > 0)
            else:
                assert np.mean((images[0] > -0.6) != (mask > 0)) < 0.03  # outlines, resampled by 32 / 40


def test_images_ascend_with_the_liver_whether_annotated_or_not(chaos):
    for study in chaos.studies:
        areas = (study.images[0][0, :, :16, :17] > -1).sum(axis=(1, 2))
        assert (np.diff(areas) > 0).all()


def test_t1_and_t2_lie_in_one_frame_of_reference(chaos):
    for study in chaos.studies:
        for positions, sequence in zip(study.positions, SLICES, strict=True):
            assert positions == pytest.approx(heights(sequence))


def test_slices_come_in_the_order_in_which_the_reader_gives_a_series(tmp_path):
    for subject in (1, 2):
        root = write_chaos(tmp_path / str(subject), (subject,), one_series=True)
        collection = read_chaos(root, size=SIZE, spacing=SPACING)
        scan = read(*(root / str(subject) / "T2SPIR" / "DICOM_anon").glob("*.dcm"))
        for k in range(scan.slices):
            expected = prepare(scan.slice(k), collection.preparation).image
            assert np.array_equal(collection.studies[0].images[1][0, k], expected)


def test_labels_go_with_the_file_of_the_same_rank_even_if_the_label_contradicts_the_picture(tree, tmp_path):
    root = copy_of(tree, tmp_path / "MR", "1", "2")
    for subject in ("1", "2"):  # spleen alone in the label of the second file, at the second or last but one height
        path = root / subject / "T2SPIR" / "Ground" / "IMG-0004-2.png"
        Image.fromarray(np.full((40, 40), 252, np.uint8)).save(path)
    for study, at in zip(read_chaos(root, size=SIZE, spacing=SPACING).studies, (-2, 1), strict=True):
        found = [bool((mask == 4).all()) for mask in study.masks[1]]
        assert found == [k == at % 4 for k in range(4)]


def test_the_out_phase_has_the_same_labels_and_other_pictures(tree, chaos):
    out = read_chaos(tree, size=SIZE, spacing=SPACING, phase="out")
    for first, second in zip(chaos.studies, out.studies, strict=True):
        assert not np.array_equal(first.images[0], second.images[0])
        assert np.array_equal(first.images[1], second.images[1])
        if first.masks[0] is not None:
            assert np.array_equal(first.masks[0], second.masks[0])


def test_without_geometry_the_files_numbers_order_the_slices(tmp_path):
    root = write_chaos(tmp_path, (1, 2), geometry=False, digits=1)
    for study in read_chaos(root, size=SIZE, spacing=SPACING).studies:
        direction = -1 if study.name == "1" else 1  # odd subjects count downwards
        assert all((direction * np.diff(liver(mask)) > 0).all() for mask in study.masks)
        assert np.array_equal(study.images[0][0] > -1, study.masks[0] > 0)
        assert study.positions[0] == pytest.approx(np.linspace(0, 1, 6))
        assert study.positions[1] == pytest.approx(np.linspace(0, 1, 4))


def test_one_modality_alone_may_be_annotated(tree, tmp_path):
    root = copy_of(tree, tmp_path, "1")
    shutil.rmtree(root / "1" / "T1DUAL" / "Ground")
    (study,) = read_chaos(root, size=SIZE).studies
    assert study.masks[0] is None
    assert study.masks[1].any()


def test_the_tree_is_found_two_levels_down_if_it_is_the_only_one(tree, tmp_path):
    copy_of(tree, tmp_path / "Train_Sets" / "MR", "2")
    (tmp_path / "Train_Sets" / "CT" / "1" / "DICOM_anon").mkdir(parents=True)
    assert [study.name for study in read_chaos(tmp_path, size=SIZE).studies] == ["2"]
    assert [study.name for study in read_chaos(tmp_path / "Train_Sets", size=SIZE).studies] == ["2"]
    copy_of(tree, tmp_path / "Test_Sets" / "MR", "3")
    with pytest.raises(DataError, match=r"several folders.*Test_Sets/MR, .*Train_Sets/MR"):
        read_chaos(tmp_path, size=SIZE)
    for nothing in (tmp_path / "Train_Sets" / "CT", tmp_path / "nowhere"):
        with pytest.raises(DataError, match="CHAOS"):
            read_chaos(nothing, size=SIZE)


def test_broken_trees_are_refused_by_the_name_of_what_is_wrong(tree, tmp_path):
    def refusal(change):
        root = copy_of(tree, tmp_path / change.__name__, "1")
        change(root / "1")
        with pytest.raises(DataError) as caught:
            read_chaos(root, size=SIZE)
        return str(caught.value)

    def one_label_less(subject):
        (subject / "T1DUAL" / "Ground" / "IMG-0004-6.png").unlink()

    def unknown_value(subject):
        Image.fromarray(np.full((40, 40), 64, np.uint8)).save(subject / "T2SPIR" / "Ground" / "IMG-0004-3.png")

    def other_size(subject):
        Image.fromarray(np.zeros((40, 41), np.uint8)).save(subject / "T2SPIR" / "Ground" / "IMG-0004-3.png")

    def no_t2(subject):
        shutil.rmtree(subject / "T2SPIR")

    def no_slices(subject):
        for path in (subject / "T1DUAL" / "DICOM_anon" / "InPhase").iterdir():
            path.unlink()

    def same_number(subject):
        path = subject / "T2SPIR" / "DICOM_anon" / "IMG-0004-3.dcm"
        shutil.copy(path, path.with_name("IMG-0005-3.dcm"))

    def damaged(subject):
        path = subject / "T2SPIR" / "DICOM_anon" / "IMG-0004-3.dcm"
        path.write_bytes(path.read_bytes()[:-100])

    def mixed_sizes(subject):
        other = subject / "T2SPIR" / "DICOM_anon" / "IMG-0004-3.dcm"
        shutil.copy(subject / "T1DUAL" / "DICOM_anon" / "InPhase" / "IMG-0004-2.dcm", other)

    for change, says in [
        (one_label_less, ["1/T1DUAL/Ground", "5 labels", "6 slices"]),
        (unknown_value, ["1/T2SPIR/Ground", "IMG-0004-3.png", "[64]", "[0, 63, 126, 189, 252]"]),
        (other_size, ["IMG-0004-3.png", "40 x 41", "IMG-0004-3.dcm", "40 x 40"]),
        (no_t2, ["1/T2SPIR/DICOM_anon", "no such folder"]),
        (no_slices, ["InPhase", "no .dcm file"]),
        (same_number, ["IMG-0005-3.dcm", "slice number that no other has"]),
        (damaged, ["1/T2SPIR/DICOM_anon", "IMG-0004-3.dcm", "cut short"]),
        (mixed_sizes, ["IMG-0004-3.dcm", "32 x 32", "40 x 40"]),
    ]:
        message = refusal(change)
        for part in says:
            assert part in message


def test_the_published_folds_are_given_if_all_their_subjects_are_there(tmp_path):
    annotated = [1, 2, 3, 5, 8, 10, 13, 15, 19, 20, 21, 22, 31, 32, 33, 34, 36, 37, 38, 39]
    root = write_chaos(tmp_path, annotated, slices={"T1DUAL": 2, "T2SPIR": 1})
    folds = read_chaos(root, size=SIZE).folds
    assert [(fold["test"], fold["val"]) for fold in folds] == list(FOLDS)
    for fold in folds:
        assert len(fold["train"]) == 14
        assert sorted(fold["train"] + fold["val"] + fold["test"], key=int) == [str(n) for n in annotated]
    shutil.rmtree(root / "22")
    assert read_chaos(root, size=SIZE).folds == ()

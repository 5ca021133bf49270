"""nnU-Net folders with one label file for all channels."""

import shutil

import nibabel
import numpy as np
import pytest

from dafnet_core.data import phantom
from dafnet_core.data.phantom.__main__ import main
from dafnet_core.data.prepare import prepare, scale_intensity
from dafnet_core.data.readers import read
from tests.helpers.nnunet_folder import COLUMNS, MM, ROWS, Folder, bright, marked, shown_by
from tests.helpers.sources import read_nnunet


def test_marks_lie_under_their_masks_where_they_were_put(folder):
    folder.case("a")
    collection = folder.read()
    (study,) = collection.studies
    top = (48 - ROWS) // 2  # the grid is 48 x 48 at the same spacing
    for images, mask in zip(study.images, study.masks, strict=True):
        assert images.shape == (1, 3, 48, 48)
        assert images.dtype == np.float32
        assert mask.dtype == np.uint8
        assert (images.min(), images.max()) == (-1, 1)
        assert np.array_equal(mask[:, top : top + ROWS], marked())
        assert mask.sum() == marked().sum()
        assert np.array_equal(bright(images), mask == 1)
    assert collection.registered


def test_images_are_what_inference_makes_of_the_same_file(folder):
    rng = np.random.default_rng(0)
    folder.image("a_0000", rng.random((2, ROWS, COLUMNS)).astype(np.float32))
    folder.image("a_0001", rng.random((2, ROWS, COLUMNS)).astype(np.float32))
    collection = folder.read(spacing=3.1)
    scan = read(folder.root / "imagesTr" / "a_0001.nii.gz")
    for k in range(2):
        expected = prepare(scan.slice(k), collection.preparation).image
        assert np.array_equal(collection.studies[0].images[1][0, k], expected)


@pytest.mark.parametrize("spacing", [None, 1.3, 3.0])
def test_masks_stay_on_their_marks_when_resampled(folder, spacing):
    labels = np.zeros((2, ROWS, COLUMNS), np.uint8)
    labels[0, 8:16, 10:20], labels[1, 16:26, 26:38] = 1, 1
    folder.case("a", labels)
    (study,) = folder.read(size=64, spacing=spacing).studies
    scale = 64 / COLUMNS if spacing is None else MM / spacing
    for k, (row, column) in enumerate([(12, 15), (21, 32)]):  # the centres of the blocks
        found = np.argwhere(study.masks[0][k]).mean(axis=0) + 0.5
        expected = 32 + scale * np.array([row - ROWS / 2, column - COLUMNS / 2])
        # half a pixel for the whole number of the margin, half for the nearest label
        assert found == pytest.approx(expected, abs=1)
        assert np.mean(bright(study.images[0])[k] != study.masks[0][k]) < 0.02  # pixels of the outline


def test_files_stored_in_other_directions_give_the_same_study(folder):
    folder.case("a")
    other = Folder(folder.root.parent / "other")
    flipped, upside_down = [[0, -1], [1, -1], [2, 1]], [[1, 1], [0, -1], [2, -1]]  # axis and direction of each
    for kind in ("imagesTr", "labelsTr"):
        for path in (folder.root / kind).iterdir():
            image = nibabel.load(path)
            turned = image.as_reoriented(np.array(upside_down if "_0001" in path.name else flipped))
            (other.root / kind).mkdir(exist_ok=True)
            nibabel.save(turned, other.root / kind / path.name)
    (first,), (second,) = folder.read().studies, other.read().studies
    for i in range(2):
        assert np.array_equal(first.images[i], second.images[i])
        assert np.array_equal(first.masks[i], second.masks[i])


def test_channels_are_chosen_by_name_in_the_order_asked_for_and_no_other_is_read(tmp_path):
    folder = Folder(tmp_path, channels=("T1", "T2", "FLAIR"))
    folder.case("a", channels=3)
    (folder.root / "imagesTr" / "a_0001.nii.gz").write_bytes(b"no image")
    collection = folder.read(("flair", "t1"))
    assert collection.modalities == ("FLAIR", "T1")
    scans = [read(folder.root / "imagesTr" / f"a_000{k}.nii.gz") for k in (2, 0)]
    for images, scan in zip(collection.studies[0].images, scans, strict=True):
        assert np.array_equal(images[0, 1], prepare(scan.slice(1), collection.preparation).image)
    assert "a_0001.nii.gz" in folder.refusal()  # () takes all


def test_label_values_become_classes_in_the_order_of_the_values(tmp_path):
    folder = Folder(tmp_path, labels={"scar": 5, "background": 0, "blood": 2})
    folder.case("a", marked(value=5))
    folder.case("b", marked(value=2))
    collection = folder.read()
    assert collection.classes == ("background", "blood", "scar")
    assert [sorted(np.unique(study.masks[0])) for study in collection.studies] == [[0, 2], [0, 1]]


def test_a_label_value_without_a_name_is_refused_with_file_and_value(folder):
    folder.case("a", marked(value=7))
    message = folder.refusal()
    assert "labelsTr/a.nii.gz: the mask holds labels [7]" in message
    assert "[7]" in message
    assert "dataset.json" in message


def test_frames_come_in_order_and_the_mask_belongs_to_the_first(folder):
    frames = np.stack([shown_by(marked(shift=shift)) for shift in (0, 10, 20)])
    folder.image("a_0000", frames)
    folder.image("a_0001", frames[0])
    folder.label("a", marked())
    (study,) = folder.read().studies
    assert [images.shape[0] for images in study.images] == [3, 1]
    assert np.array_equal(bright(study.images[0]), study.masks[0] == 1)
    for frame, shift in enumerate((0, 10, 20)):
        assert np.array_equal(study.images[0][frame] > 0.5, np.roll(study.masks[0], shift, axis=2) == 1)


def test_studies_are_sorted_by_name_and_the_description_is_kept(folder):
    for name in ("b", "a_2", "a_10"):
        folder.case(name)
    folder.describe(name="Two weightings", license="CC BY 4.0")
    collection = folder.read()
    assert [study.name for study in collection.studies] == ["a_10", "a_2", "b"]
    assert (collection.name, collection.licence) == ("Two weightings", "CC BY 4.0")
    plain = Folder(folder.root.parent / "plain")
    plain.case("a")
    assert (plain.read().name, plain.read().licence) == ("plain", "not stated")


def test_cases_without_labels_are_unannotated(folder):
    folder.case("a")
    folder.case("b")
    (folder.root / "labelsTr" / "b.nii.gz").unlink()
    collection = folder.read()
    assert [study.masks[0] is None for study in collection.studies] == [False, True]
    assert collection.registered
    shutil.rmtree(folder.root / "labelsTr")
    assert all(mask is None for study in folder.read().studies for mask in study.masks)


def test_phantom_subjects_come_back_as_they_were_made(tmp_path):
    out = tmp_path / "phantom"
    assert main([str(out), "--subjects", "2", "--seed", "1", "--size", "64", "--slices", "2"]) == 0
    collection = read_nnunet(out, size=64, spacing=phantom.FIELD_OF_VIEW_MM / 64)
    assert (collection.name, collection.modalities) == ("phantom", phantom.MODALITIES)
    assert collection.classes == phantom.CLASSES
    assert not collection.registered
    for subject, study in enumerate(collection.studies):
        assert study.name == phantom.case_name(1, subject)
        assert study.positions[0].tolist() == study.positions[1].tolist() == [0, phantom.SLICE_DISTANCE_MM]
        for k in range(2):
            pair = phantom.generate(1, subject, k, size=64, slices=2)
            for i in range(2):
                assert np.array_equal(study.masks[i][k], pair.masks[i])
                assert np.allclose(study.images[i][0, k], scale_intensity(pair.images[i]), atol=1e-6)


def test_real_brains_are_read_as_one_registered_collection(real_data):
    collection = read_nnunet(real_data / "lgg_mri", ("T1", "FLAIR"), size=128)
    assert collection.registered
    assert len(collection.studies) == 68
    assert sum(study.images[0].shape[1] for study in collection.studies) == 473
    assert sum(study.masks[0].any(axis=(1, 2)).sum() for study in collection.studies) == 337
    assert "CC BY-NC-SA" in collection.licence
    # the labels are of what is bright in FLAIR: a flipped or shifted mask would not be
    inside = [study.images[1][0][study.masks[1] == 1].mean() for study in collection.studies]
    flipped = [study.images[1][0][study.masks[1][:, :, ::-1] == 1].mean() for study in collection.studies]
    assert np.mean(np.array(inside) > np.array(flipped)) > 0.9

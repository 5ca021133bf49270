"""The LGG data set becomes an nnU-Net folder: slices, halving, who is dropped and who is left out, by known answers."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from tools.prepare_lgg import (
    choose_slices,
    find_patients,
    halve,
    keep_for_training,
    main,
    sequence_missing,
    spread,
)

T1, FLAIR, T1POST = range(3)


def slices(count, *, abnormal=(), headless=()):
    """Images and masks of slices 0 to count - 1; FLAIR is 100 + the slice's number all over the head."""
    images = np.zeros((count, 256, 256, 3), dtype=np.uint8)
    masks = np.zeros((count, 256, 256), dtype=bool)
    for k in range(count):
        extent = 10 if k in headless else 200
        images[k, :extent, :200] = (50, 100 + k, 200)
        masks[k, 20:30, 20:30] = k in abnormal
    return images, masks


def write_patient(root, name, images, masks):
    folder = root / name
    folder.mkdir(parents=True)
    for number, (image, mask) in enumerate(zip(images, masks, strict=True), start=1):
        Image.fromarray(image).save(folder / f"{name}_{number}.tif")
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{name}_{number}_mask.tif")
    return folder


@pytest.fixture
def source(tmp_path):
    """Six patients of two institutions, one of them without T1post, and further files in the same folder."""
    root = tmp_path / "kaggle_3m"
    images, masks = slices(3, abnormal=(1,))
    for name in ("CS_0001", "CS_0002", "CS_0004", "CS_0005", "EZ_0001"):
        write_patient(root, f"TCGA_{name}_20000101", images, masks)
    images[:2, ..., T1POST] = images[:2, ..., FLAIR]
    write_patient(root, "TCGA_CS_0003_20000101", images, masks)
    (root / "data.csv").write_text("Patient\n")
    (root / "README.md").write_text("LGG\n")
    return root


def cases(out):
    return sorted(path.name.removesuffix(".nii.gz") for path in (out / "labelsTr").iterdir())


# --- which slices -------------------------------------------------------------------------------------------


def test_spread_takes_all_of_few_and_inner_points_of_many():
    assert spread([3, 5, 8], 5) == [3, 5, 8]
    assert spread(range(7), 5) == [1, 2, 3, 4, 5]
    assert spread(range(100), 2) == [33, 66]
    # linspace(0, 5, 7) inside: 0.83, 1.67, 2.5, 3.33, 4.17, and a half rounds to the even number
    assert spread(range(6), 5) == [1, 2, 2, 3, 4]
    assert spread([], 5) == []


def test_slices_with_60_abnormal_pixels_and_clear_ones_with_a_head_are_chosen():
    # Seven candidates 2 to 8, of which inner five; clear with a head 0, 1, 9, 10, of which the inner two.
    images, masks = slices(12, abnormal=range(2, 9), headless=(11,))
    assert choose_slices(images, masks) == [1, 3, 4, 5, 6, 7, 9]


@pytest.mark.parametrize(("pixels", "chosen"), [(60, [0, 1, 2]), (59, [0, 2]), (1, [0, 2])])
def test_a_slice_with_few_abnormal_pixels_counts_neither_as_abnormal_nor_as_clear(pixels, chosen):
    images, masks = slices(3)
    masks[1].flat[:pixels] = True
    assert choose_slices(images, masks) == chosen


def test_a_head_covers_more_than_15_per_cent_above_25():
    images, masks = slices(3)
    images[..., FLAIR] = 25
    images[:, :64, :, FLAIR] = 26  # a quarter
    images[1, 38:, :, FLAIR] = 25  # 38 of 256 rows: 14.8 %
    assert choose_slices(images, masks) == [0, 2]


def test_a_sequence_is_missing_if_it_copies_flair_on_more_than_half_of_the_slices():
    for channel in (T1, T1POST):
        images, _ = slices(4)
        assert not sequence_missing(images)
        images[:2, ..., channel] = images[:2, ..., FLAIR]
        assert not sequence_missing(images)
        images[2, ..., channel] = images[2, ..., FLAIR]
        assert sequence_missing(images)


# --- pixels -------------------------------------------------------------------------------------------------


def test_halving_is_the_mean_of_blocks():
    pixels = np.array([[[1, 2, 0, 255], [3, 6, 255, 255]]], dtype=np.uint8)
    assert halve(pixels).tolist() == [[[3.0, 191.25]]]


def test_images_are_block_means_and_masks_blocks_that_are_half_abnormal(tmp_path):
    images, masks = slices(1, abnormal=(0,))
    images[0, 100:102, 60:62, T1] = [[10, 20], [30, 41]]  # mean 25.25, rows 100 and 101, columns 60 and 61
    images[0, 102:104, 60:62, T1] = [[10, 20], [30, 43]]  # 25.75
    masks[0, 100, 60] = True  # a quarter of its block
    masks[0, 102, 60:62] = True  # half
    write_patient(tmp_path / "in", "TCGA_HT_A5RC_19990831", images, masks)
    assert main([str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    t1 = nibabel.load(tmp_path / "out/imagesTr/TCGA_HT_A5RC_19990831_0000.nii.gz")
    label = nibabel.load(tmp_path / "out/labelsTr/TCGA_HT_A5RC_19990831.nii.gz")
    pixels, abnormal = np.asarray(t1.dataobj), np.asarray(label.dataobj)
    assert (pixels.shape, pixels.dtype) == ((128, 128, 1), np.uint8)
    assert (abnormal.shape, abnormal.dtype) == ((128, 128, 1), np.uint8)
    assert pixels[30, 50, 0] == 25  # column, row
    assert pixels[30, 51, 0] == 26
    assert (abnormal[30, 50, 0], abnormal[30, 51, 0]) == (0, 1)
    assert abnormal.sum() == 26  # and the 10 x 10 square
    for image in (t1, label):
        assert np.allclose(image.affine, np.diag([1.8, 1.8, 6.0, 1.0]))
        assert image.header.get_xyzt_units()[0] == "mm"


def test_slices_come_in_the_order_of_their_numbers_and_channels_in_theirs(tmp_path):
    images, masks = slices(12, abnormal=range(2, 9), headless=(11,))
    write_patient(tmp_path / "in", "TCGA_DU_5849_19950405", images, masks)
    assert main([str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    corner = [
        np.asarray(nibabel.load(tmp_path / f"out/imagesTr/TCGA_DU_5849_19950405_{i:04d}.nii.gz").dataobj)[0, 0]
        for i in range(3)
    ]
    assert corner[T1].tolist() == 7 * [50]
    assert corner[FLAIR].tolist() == [101, 103, 104, 105, 106, 107, 109]  # 10.tif and later after 9.tif
    assert corner[T1POST].tolist() == 7 * [200]


# --- which patients -----------------------------------------------------------------------------------------


def test_the_third_sixth_of_each_institution_is_left_out():
    names = [f"TCGA_CS_{n}_20000101" for n in range(1001, 1008)] + ["TCGA_EZ_0001_20000101", "TCGA_EZ_0002_20000101"]
    kept = keep_for_training(names[::-1])
    assert [name[5:12] for name in kept] == [
        "CS_1001",
        "CS_1002",
        "CS_1004",
        "CS_1005",
        "CS_1007",
        "EZ_0001",
        "EZ_0002",
    ]


def test_who_lacks_a_sequence_is_dropped_before_every_third_is_left_out(source, tmp_path, capsys):
    assert main([str(source), str(tmp_path / "out")]) == 0
    kept = [f"TCGA_{name}_20000101" for name in ("CS_0001", "CS_0002", "CS_0005", "EZ_0001")]
    assert cases(tmp_path / "out") == kept
    files = {path.name for path in (tmp_path / "out/imagesTr").iterdir()}
    assert files == {f"{name}_000{i}.nii.gz" for name in kept for i in range(3)}
    report = capsys.readouterr().out
    for line in (
        "6 patients found, 4 written",
        "1 (TCGA_CS_0003_20000101)",
        "institution: 1",
        "12, of which abnormal: 4",
    ):
        assert line in report


def test_all_keeps_everyone_who_has_all_sequences(source, tmp_path):
    assert main([str(source), str(tmp_path / "out"), "--all"]) == 0
    assert [name[5:12] for name in cases(tmp_path / "out")] == ["CS_0001", "CS_0002", "CS_0004", "CS_0005", "EZ_0001"]


def test_the_description_names_channels_labels_licence_and_citation(source, tmp_path):
    assert main([str(source), str(tmp_path / "out")]) == 0
    description = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "T1", "1": "FLAIR", "2": "T1post"}
    assert description["labels"] == {"background": 0, "abnormality": 1}
    assert (description["numTraining"], description["file_ending"]) == (4, ".nii.gz")
    assert "CC BY-NC-SA 4.0" in description["licence"]
    assert "Buda, Saha, Mazurowski" in description["citation"]


# --- errors -------------------------------------------------------------------------------------------------


def test_a_wrong_folder_is_named_with_the_right_one(source, tmp_path):
    with pytest.raises(ValueError, match=r"has no folders named like TCGA_CS_4941_19960909; give .*kaggle_3m"):
        find_patients(source.parent)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="expected the data set's folder kaggle_3m"):
        find_patients(tmp_path / "empty")
    with pytest.raises(ValueError, match="is not a folder"):
        find_patients(tmp_path / "nowhere")


def test_a_damaged_source_is_refused_before_anything_is_written(source, tmp_path, capsys):
    name = "TCGA_EZ_0001_20000101"
    mask = source / name / f"{name}_2_mask.tif"
    good = mask.read_bytes()

    def refused():
        assert main([str(source), str(tmp_path / "out")]) == 2
        assert not (tmp_path / "out").exists()
        return capsys.readouterr().err

    mask.unlink()
    assert f"{name}_2_mask.tif is missing" in refused()
    mask.write_bytes(b"not a picture")
    assert f"{name}_2_mask.tif cannot be read" in refused()
    mask.write_bytes(good[: len(good) // 2])
    assert f"{name}_2_mask.tif cannot be read" in refused()
    Image.fromarray(np.zeros((128, 128), dtype=np.uint8)).save(mask)
    assert "is (128, 128) uint8; expected (256, 256) uint8" in refused()
    for path in (source / name).iterdir():
        path.unlink()
    assert f"has no slices; expected {name}_1.tif" in refused()


def test_a_folder_with_something_in_it_is_left_alone(source, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    assert main([str(source), str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "not an empty folder" in error
    assert [path.name for path in out.iterdir()] == ["mine.txt"]

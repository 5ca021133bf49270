"""Folders of studies: what a file holds arrives where it should, with its mask on top; the rest is refused."""

import gzip
import json
import shutil

import nibabel
import numpy as np
import pytest
from chaos_tree import FIELD_MM, SLICES, heights, write_chaos
from PIL import Image

from dafnet_core.data import phantom
from dafnet_core.data.chaos import FOLDS
from dafnet_core.data.nnunet import DataError, read_chaos, read_nnunet
from dafnet_core.data.prepare import prepare, scale_intensity
from dafnet_core.data.readers import read

ROWS, COLUMNS, MM = 32, 48, 2.0


# ---- nnU-Net folders written here --------------------------------------------------------------------------


def marked(slices=3, *, shift=0, value=1, rows=ROWS, columns=COLUMNS):
    """(slices, rows, columns) with a block in each slice, all at different places."""
    volume = np.zeros((slices, rows, columns), np.uint8)
    for k in range(slices):
        volume[k, 4 + 2 * k : 9 + 2 * k, 6 + 5 * k + shift : 12 + 5 * k + shift] = value
    return volume


def shown_by(volume):
    """An image of a volume of labels: brighter inside, and no two slices alike."""
    return (100 + 50 * (volume > 0) + np.arange(len(volume))[:, None, None]).astype(np.float32)


def affine_of(z=0.0, between=5.0):
    """Columns towards Left, rows towards Posterior, so that pictures are shown as they are given."""
    affine = np.diag([-MM, -MM, between, 1.0])
    affine[2, 3] = z
    return affine


def nifti(path, volume, affine):
    """Write (slices, rows, columns), or with frames in front of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(nibabel.Nifti1Image(np.asarray(volume).T, affine).to_bytes(), 1))


class Folder:
    """An nnU-Net folder under construction."""

    def __init__(self, root, channels=("T1", "T2"), labels=("background", "lesion"), **more):
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.description = {
            "channel_names": {str(k): name for k, name in enumerate(channels)},
            "labels": labels if isinstance(labels, dict) else {name: k for k, name in enumerate(labels)},
            "file_ending": ".nii.gz",
        } | more
        self.describe()

    def describe(self, **changes):
        self.description |= changes
        (self.root / "dataset.json").write_text(json.dumps(self.description))

    def image(self, stem, volume, affine=None):
        nifti(self.root / "imagesTr" / f"{stem}.nii.gz", volume, affine_of() if affine is None else affine)

    def label(self, stem, volume, affine=None):
        nifti(self.root / "labelsTr" / f"{stem}.nii.gz", volume, affine_of() if affine is None else affine)

    def case(self, name, labels=None, channels=2):
        """One case of all channels with one label file."""
        labels = marked() if labels is None else labels
        for channel in range(channels):
            self.image(f"{name}_{channel:04d}", shown_by(labels) * (channel + 1))
        self.label(name, labels)

    def read(self, modalities=(), size=48, spacing=MM):
        return read_nnunet(self.root, modalities, size=size, spacing=spacing)

    def refusal(self, modalities=()):
        with pytest.raises(DataError) as caught:
            self.read(modalities)
        return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "set")


def bright(images):
    """Where frame 0 shows a mark, (slices, H, W)."""
    return images[0] > 0.5


# ---- one label file for all channels -----------------------------------------------------------------------


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
    assert "labelsTr: `a.nii.gz`, slice 1 of 3" in message
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


@pytest.mark.parametrize(
    ("stem", "volume", "affine", "says"),
    [
        ("labelsTr/a", marked(4), None, ["4 slices of 32 x 48", "a_0000.nii.gz has 3 slices of 32 x 48"]),
        ("labelsTr/a", marked(rows=48, columns=32), None, ["3 slices of 48 x 32"]),
        ("labelsTr/a", np.stack([marked()] * 2), None, ["2 volumes"]),
        ("labelsTr/a", marked(), affine_of(z=5), ["slice 1", "5.0 mm"]),
        ("labelsTr/a", marked(), np.eye(4), ["mm away", "grid"]),  # would be shown flipped against its image
        ("imagesTr/a_0001", shown_by(marked(4)), None, ["4 slices", "One label file serves all"]),
        ("imagesTr/a_0001", shown_by(marked()), affine_of(between=2), ["slice 3", "6.0 mm"]),
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


# ---- a label file for each channel -------------------------------------------------------------------------


def test_channels_with_labels_of_their_own_may_differ_in_slices_and_in_what_is_annotated(folder):
    first, second = marked(3), marked(5, shift=3)
    for name in ("a", "b"):
        folder.image(f"{name}_0000", shown_by(first), affine_of(between=5))
        folder.image(f"{name}_0001", shown_by(second), affine_of(between=2.5))
        folder.label(f"{name}_0000", first, affine_of(between=5))
    folder.label("a_0001", second, affine_of(between=2.5))
    collection = folder.read()
    a, b = collection.studies
    assert not collection.registered
    assert [images.shape[1] for images in a.images] == [3, 5]
    for images, mask in zip(a.images, a.masks, strict=True):
        assert np.array_equal(bright(images), mask == 1)
    assert b.masks[0] is not None
    assert b.masks[1] is None
    assert a.positions[0].tolist() == [0, 5, 10]
    assert a.positions[1].tolist() == [0, 2.5, 5, 7.5, 10]


def test_labels_of_channels_that_are_not_asked_for_are_left_out(tmp_path):
    folder = Folder(tmp_path, channels=("T1", "T2", "FLAIR"))
    for channel in range(3):
        folder.image(f"a_{channel:04d}", shown_by(marked()))
    folder.label("a_0002", marked())
    collection = folder.read(("T1", "T2"))
    assert collection.studies[0].masks == (None, None)
    assert folder.read(("T1", "FLAIR")).studies[0].masks[1].any()


def test_a_label_of_another_size_than_its_channel_is_refused(folder):
    folder.image("a_0000", shown_by(marked(3)))
    folder.image("a_0001", shown_by(marked(5)))
    folder.label("a_0001", marked(3))
    message = folder.refusal()
    assert "labelsTr/a_0001.nii.gz" in message
    assert "a_0001.nii.gz has 5 slices" in message


def test_labels_for_all_channels_and_for_one_are_ambiguous(folder):
    folder.case("a")
    folder.label("a_0000", marked())
    assert "keep one label file for all channels, or one for each" in folder.refusal()


def test_phantom_subjects_come_back_as_they_were_made(tmp_path):
    out = tmp_path / "phantom"
    assert phantom.main([str(out), "--subjects", "2", "--seed", "1", "--size", "64", "--slices", "2"]) == 0
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


# ---- positions ---------------------------------------------------------------------------------------------


def positions_of(folder, *stacks):
    """Positions of a case whose channels are given as (slices, affine)."""
    for channel, (slices, affine) in enumerate(stacks):
        folder.image(f"a_{channel:04d}", shown_by(marked(slices)), affine)
    return [p.tolist() for p in folder.read().studies[0].positions]


def test_positions_are_mm_along_the_first_stack_in_one_frame_of_reference(folder):
    found = positions_of(folder, (3, affine_of(z=-4, between=4)), (2, affine_of(z=-2, between=3)))
    assert found == [[-4, 0, 4], [-2, 1]]


def test_a_tilted_stack_is_placed_along_the_normal_of_the_first(folder):
    tilted = affine_of(between=5)
    angle = np.deg2rad(10)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    tilted[:3, :3] = turn @ tilted[:3, :3]
    middle = np.array([(COLUMNS - 1) / 2, (ROWS - 1) / 2, 0, 1])
    found = positions_of(folder, (3, affine_of()), (3, tilted))
    expected = [(tilted @ (middle + np.array([0, 0, k, 0])))[2] for k in range(3)]
    assert found[1] == pytest.approx(expected, abs=1e-4)  # headers hold float32


@pytest.mark.parametrize("other", ["far away", "another plane"])
def test_positions_are_relative_where_headers_cannot_be_compared(folder, other):
    affine = affine_of(z=500)
    if other == "another plane":
        affine = affine_of(z=-72.5)[:, [0, 2, 1, 3]]  # coronal, its middle as high as the first stack's
    assert positions_of(folder, (3, affine_of()), (5, affine)) == [[0, 0.5, 1], [0, 0.25, 0.5, 0.75, 1]]


def test_pictures_without_headers_have_relative_positions_and_a_lone_slice_is_in_the_middle(tmp_path):
    folder = Folder(tmp_path, file_ending=".png")
    (tmp_path / "imagesTr").mkdir()
    for channel in range(2):
        Image.fromarray(shown_by(marked(1))[0].astype(np.uint8)).save(tmp_path / "imagesTr" / f"a_000{channel}.png")
    assert [p.tolist() for p in folder.read(spacing=None).studies[0].positions] == [[0.5], [0.5]]


# ---- what nnU-Net folders are refused for ------------------------------------------------------------------


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
        ({"file_ending": ".mha"}, "images named CASE_0000.mha"),
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


# ---- CHAOS -------------------------------------------------------------------------------------------------

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
    assert read_chaos.__kwdefaults__["spacing"] == 1.89


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
    with pytest.raises(ValueError, match="phase is 'both'"):
        read_chaos(tree, size=SIZE, phase="both")


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


# ---- real data ---------------------------------------------------------------------------------------------


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

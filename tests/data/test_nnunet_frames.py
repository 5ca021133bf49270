"""nnU-Net folders whose files lie on different grids: brought together by their affines, or refused."""

import os
from pathlib import Path

import numpy as np
import pytest

from dafnet_core.data.dataset import matched_slices
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.sources import open_source
from dafnet_core.data.studies import DataError
from tests.helpers.nnunet_folder import Folder
from tests.helpers.world import FRONT, LEFT, dice, grid, nifti, organs, picture, rotation

CASES = Path(os.environ.get("DAFNET_TEST_DATA", ""), "cases")
THICK = {"spacing": (2.0, 2.0, 8.0), "shape": (96, 96, 9)}


def folder_of(tmp_path, *grids, labels, **forms):
    """A folder of one case: an image on each grid, and labels by stem on theirs."""
    folder = Folder(tmp_path, file_ending=".nii", labels=("background", "left", "front"))
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "labelsTr").mkdir()
    for channel, (affine, shape) in enumerate(grids):
        path = tmp_path / "imagesTr" / f"a_{channel:04d}.nii"
        path.write_bytes(nifti(picture(organs(affine, shape)), affine, **forms))
    for stem, (affine, shape) in labels.items():
        (tmp_path / "labelsTr" / f"{stem}.nii").write_bytes(nifti(organs(affine, shape), affine))
    return folder


def copied(study):
    """Dice of the first modality's mask copied to the second, over all pairs, of the worse organ."""
    pairs = list(matched_slices(study.positions))
    first, second = (np.stack([study.masks[i][pair[i]] for pair in pairs]) for i in range(2))
    return min(dice(first, second, label) for label in (LEFT, FRONT))


def test_a_field_of_view_elsewhere_does_not_move_the_patient(tmp_path):
    a, b = grid(**THICK), grid((2.0, 2.0, 6.0), (96, 96, 12), centre=(16, 10, 0))
    folder = folder_of(tmp_path, a, b, labels={"a_0000": a, "a_0001": b})
    assert not open_source(str(folder.root)).registered
    for spacing in (None, 2.0):
        assert copied(folder.read(size=96, spacing=spacing).studies[0]) > 0.9


def test_a_label_of_other_spacing_for_all_channels_is_refused_with_both_spacings(tmp_path):
    a, b = grid(**THICK), grid((1.5, 1.5, 8.0), (96, 96, 9))  # one matrix, one centre
    message = folder_of(tmp_path, a, a, labels={"a": b}).refusal()
    assert "1.5 x 1.5 mm" in message
    assert "2 x 2 mm" in message


def test_a_label_of_other_spacing_for_one_channel_is_refused_at_the_same_matrix_and_else_resampled(tmp_path):
    a, b = grid(**THICK), grid((1.5, 1.5, 8.0), (96, 96, 9))
    assert "1.5 x 1.5 mm" in folder_of(tmp_path / "same", a, a, labels={"a_0000": b, "a_0001": a}).refusal()
    c = grid((1.5, 1.5, 8.0), (128, 128, 9))
    study = folder_of(tmp_path / "other", a, a, labels={"a_0000": c, "a_0001": a}).read(size=96).studies[0]
    assert copied(study) > 0.92  # nearest voxels, of organs 12 and 14 mm wide
    assert any("grid of its own" in note for note in study.notes)


def test_images_of_registered_data_share_the_whole_affine_labelled_or_not(tmp_path):
    a, b = grid(**THICK), grid(**THICK, turn=rotation("z", 10))  # one centre, another direction
    assert "bring them to one grid" in folder_of(tmp_path, a, b, labels={"a": a}).refusal()


def test_crossing_planes_are_refused_with_the_reason(tmp_path):
    a, b = grid(**THICK), grid((2.0, 8.0, 2.0), (96, 9, 96))
    message = folder_of(tmp_path, a, b, labels={"a_0000": a, "a_0001": b}).refusal()
    assert "axial" in message
    assert "coronal" in message


def test_headers_that_contradict_themselves_are_refused_unless_all_do_so_alike(tmp_path):
    import nibabel

    def contradict(path, by):
        image = nibabel.load(path)
        moved = image.affine.copy()
        moved[0, 3] += by
        image.set_qform(moved, code=1)
        path.write_bytes(image.to_bytes())

    a = grid(**THICK)
    folder = folder_of(tmp_path, a, a, labels={"a": a})
    contradict(tmp_path / "imagesTr" / "a_0001.nii", 20)
    message = folder.refusal()
    assert "a_0001.nii: its sform and its qform place it differently" in message
    for path in (tmp_path / "imagesTr" / "a_0000.nii", tmp_path / "labelsTr" / "a.nii"):
        contradict(path, 20)
    assert copied(folder.read(size=96).studies[0]) == 1


@pytest.mark.skipif(not CASES.is_dir(), reason="DAFNET_TEST_DATA does not name the folder with test files")
def test_the_given_cases_are_read_as_in_the_world_or_refused():
    for case, says in {"01-label-other-spacing": "1.5 x 1.5 mm", "20-axial-and-coronal": "axial"}.items():
        source = open_source(str(CASES / case))
        with pytest.raises(DataError, match=says):
            source.study(source.names()[0], Preparation(128, 128, 2.0))
    for case, slices, least in (("19-sagittal-canonical", (18, 18), 1), ("23-fov-offset", (8, 12), 0.94)):
        source = open_source(str(CASES / case))
        for name in source.names():
            study = source.study(name, Preparation(128, 128, 2.0))
            assert tuple(images.shape[1] for images in study.images) == slices
            assert copied(study) >= least

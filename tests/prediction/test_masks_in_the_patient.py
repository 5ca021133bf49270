"""Written masks lie on the structure in world coordinates, however the file is stored."""

import gzip

import nibabel
import numpy as np
import pytest

from dafnet_core.data.chaos import ChaosInPhase
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.readers import read
from dafnet_core.data.studies import prepare_stacks
from dafnet_core.methods.base import Estimate, PredictedMask
from dafnet_core.prediction.record import files
from dafnet_core.prediction.slices import predict_subject
from tests.helpers.bodies import (
    ORIENTATIONS,
    Bright,
    body,
    centre_of,
    centred,
    dice,
    image,
    opened,
    series,
    turn_about,
)

PREPARATION = Preparation(96, 96, 2.0)
SHAPE, SPACING = (66, 57, 12), (1.6, 2.1, 5.0)


def predicted(*scans, method=None, preparation=PREPARATION):
    """The files of a subject, by name."""
    stacks = dict(enumerate(prepare_stacks(scans, [None] * len(scans), preparation, {})))
    method = method or Bright(*"ABC"[: len(scans)])
    return dict(files(predict_subject(method, "a", stacks, preparation), {}))


def scan_of(volume):
    return read(("a.nii", volume.to_bytes()))


def check(content, truth, affine, near=1.0):
    """Check a mask with nibabel alone: its grid, its centre in mm, its overlap."""
    mask = opened(content)
    assert mask.shape == truth.shape
    assert np.allclose(mask.affine, affine, atol=1e-4)
    labels = np.asarray(mask.dataobj)
    assert labels.dtype == np.uint8
    assert (int(mask.header["sform_code"]), int(mask.header["qform_code"])) == (1, 1)
    assert np.allclose(mask.get_qform(), mask.get_sform(), atol=1e-3)
    assert np.linalg.norm(centre_of(labels == 1, mask.affine) - centre_of(truth, affine)) < near
    assert dice(labels == 1, truth) > 0.9


@pytest.mark.parametrize("number", range(48))
def test_a_mask_lies_on_the_structure_in_every_orientation(number):
    stored = image(SHAPE, centred(SHAPE, SPACING), ORIENTATIONS[number])
    found = predicted(scan_of(stored))
    check(found["A_mask.nii.gz"], np.asarray(stored.dataobj) > 0, stored.affine)


@pytest.mark.parametrize(
    "spacing", [(1.6, 2.1, 5.0), (5.0, 1.6, 2.1), (2.1, 5.0, 1.6), (2.0, 2.0, 2.0), (1.0, 3.0, 2.9)]
)
@pytest.mark.parametrize("turned", [0, 12])
def test_a_mask_lies_on_the_structure_in_every_plane(spacing, turned):
    shape = tuple(int(112 / s) for s in spacing)
    stored = image(shape, centred(shape, spacing, turn_about(0, turned) @ turn_about(2, turned)))
    found = predicted(scan_of(stored))
    check(found["A_mask.nii.gz"], np.asarray(stored.dataobj) > 0, stored.affine)


@pytest.mark.parametrize("number", range(0, 48, 5))
def test_masks_of_another_grid_turned_in_plane_lie_on_the_structure_too(number):
    first = image(SHAPE, centred(SHAPE, SPACING), ORIENTATIONS[(7 * number) % 48])
    shape = (72, 50, 9)
    second = image(shape, centred(shape, (1.3, 2.4, 6.5), turn_about(2, 20), (4, -3, 2)), ORIENTATIONS[number])
    found = predicted(scan_of(first), scan_of(second))
    for name, stored in (("A", first), ("B", second)):
        check(found[f"{name}_mask.nii.gz"], np.asarray(stored.dataobj) > 0, stored.affine)


def test_a_scan_that_is_cut_anew_for_the_other_one_is_written_as_it_was_stored():
    coronal, shape = (60, 14, 60), (56, 56, 56)
    first = image(coronal, centred(coronal, (2.0, 6.0, 2.0)))
    second = image(shape, centred(shape, (2.0, 2.0, 2.0)), ORIENTATIONS[29])  # alone it would be cut axially
    found = predicted(scan_of(first), scan_of(second))
    for name, stored in (("A", first), ("B", second)):
        check(found[f"{name}_mask.nii.gz"], np.asarray(stored.dataobj) > 0, stored.affine)


@pytest.mark.parametrize(
    "directions",
    [
        [(-1, 0, 0), (0, -1, 0), (0, 0, 1)],  # head first, supine: columns to Left, rows to Posterior
        [(1, 0, 0), (0, 1, 0), (0, 0, 1)],  # head first, prone
        [(1, 0, 0), (0, -1, 0), (0, 0, -1)],  # feet first, supine
        [(-1, 0, 0), (0, 1, 0), (0, 0, -1)],  # feet first, prone
        [(0, -1, 0), (0, 0, -1), (-1, 0, 0)],  # sagittal
        [(-1, 0, 0), (0, 0, -1), (0, 1, 0)],  # coronal
    ],
)
def test_a_mask_of_a_dicom_series_lies_on_the_structure(tmp_path, directions):
    affine = centred(SHAPE, SPACING, np.array(directions, float).T)
    folder = series(tmp_path / "series", affine, SHAPE)
    found = predicted(read(*sorted(folder.iterdir())))["A_mask.nii.gz"]
    labels, stated = np.asarray(opened(found).dataobj) == 1, opened(found).affine
    truth = body(SHAPE, affine)
    assert labels.shape[:2] == SHAPE[:2]  # columns, rows, slices in either direction
    assert dice(labels, body(labels.shape, stated)) > 0.9
    assert np.linalg.norm(centre_of(labels, stated) - centre_of(truth, affine)) < 1


def test_without_a_position_voxels_stay_in_the_order_of_the_file_and_the_result_says_so():
    volume = nibabel.Nifti1Image(body(SHAPE, centred(SHAPE, SPACING)).astype(np.float32), None)
    volume.header.set_zooms(SPACING)
    content = predicted(scan_of(volume))
    mask = opened(content["A_mask.nii.gz"])
    assert (int(mask.header["sform_code"]), int(mask.header["qform_code"])) == (0, 0)
    assert np.allclose(mask.header.get_zooms(), SPACING)
    assert dice(np.asarray(mask.dataobj) == 1, np.asarray(volume.dataobj) > 0) > 0.9
    assert "does not say where it lies" in content["prediction.json"].decode()


class Known(Bright):
    """Gives the mask that belongs to each image."""

    classes = ("background", "liver", "right kidney", "left kidney", "spleen")

    def __init__(self, stacks):
        super().__init__("T1", "T2")
        pairs = [(stack.images[0, k], stack.mask[k]) for stack in stacks for k in range(len(stack.mask))]
        self.masks = {image.tobytes(): mask for image, mask in pairs}

    def predict(self, given):
        masks = [self.masks[np.ascontiguousarray(x[0]).tobytes()] for x in given.images]
        return Estimate(tuple(PredictedMask("single", n, None, mask) for n, mask in enumerate(masks)))


@pytest.mark.parametrize("subject", ["1", "10", "22"])
def test_masks_of_real_chaos_subjects_lie_on_their_labels_in_the_patient(real_data, subject):
    """Labels as the PNGs have them, put into the patient by pydicom's tags alone."""
    import pydicom
    from PIL import Image

    root = real_data / "chaos_mr" / "CHAOS_Train_Sets" / "Train_Sets" / "MR"
    if not (root / subject).is_dir():
        pytest.skip(f"subject {subject} of CHAOS is not in DAFNET_TEST_DATA")
    preparation = Preparation(192, 192, 1.89)
    stacks = ChaosInPhase(root).stacks(subject, preparation)
    found = predict_subject(Known(stacks), subject, dict(enumerate(stacks)), preparation)
    written = dict(files(found, {}))
    for name, part in (("T1", "T1DUAL/DICOM_anon/InPhase"), ("T2", "T2SPIR/DICOM_anon")):
        mask = opened(written[f"{name}_mask.nii.gz"])
        labels, inverse, seen, truth = np.asarray(mask.dataobj), np.linalg.inv(mask.affine), [], []
        folder = root / subject / part
        pictures = sorted((root / subject / part.partition("/")[0] / "Ground").glob("*.png"))
        for path, picture in zip(sorted(folder.glob("*.dcm")), pictures, strict=True):
            tags, picture = pydicom.dcmread(path), np.asarray(Image.open(picture))
            row, column = np.array(tags.PixelSpacing, float)
            along, down = np.array(tags.ImageOrientationPatient, float).reshape(2, 3)
            r, c = np.indices(picture.shape)
            lps = c[..., None] * column * along + r[..., None] * row * down + np.array(tags.ImagePositionPatient, float)
            voxels = (lps * [-1, -1, 1]) @ inverse[:3, :3].T + inverse[:3, 3]
            nearest = np.rint(voxels).astype(int)
            assert np.abs(voxels - nearest)[..., :2].max() < 0.01
            assert np.abs(voxels - nearest)[..., 2].max() < 0.2
            seen.append(labels[tuple(np.moveaxis(nearest, -1, 0))])
            truth.append(picture // 63)
        assert sorted(np.unique(truth)) == [0, 1, 2, 3, 4]
        for label in range(1, 5):
            assert dice(np.array(seen) == label, np.array(truth) == label) > 0.9, (name, label)


def test_files_are_compressed_reproducibly():
    stored = image(SHAPE, centred(SHAPE, SPACING))
    first, second = (predicted(scan_of(stored))["A_mask.nii.gz"] for _ in range(2))
    assert first == second
    assert gzip.decompress(first)[:4] == (348).to_bytes(4, "little")

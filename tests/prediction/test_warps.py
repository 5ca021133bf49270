"""Displacement fields as ITK reads them: resampling the moving file gives the deformed image on the fixed one."""

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from dafnet_core.data.prepare import Preparation
from dafnet_core.data.readers import read
from dafnet_core.data.studies import prepare_stacks
from dafnet_core.prediction.record import files
from dafnet_core.prediction.slices import predict_subject
from tests.helpers.bodies import ORIENTATIONS, Bending, centred, opened, turn_about, world

PREPARATION = Preparation(96, 96, 1.5, (0, 100))
FIRST = (64, 60, 6), (1.5, 1.7, 6.0)
SECOND = (70, 66, 7), (1.4, 1.6, 5.0)


def smooth(shape, affine, orientation=None, seed=0):
    """A smooth NIfTI image whose slices across k all range from -1 to 1, so that preparation keeps its values."""
    at = world(shape, affine)
    waves = np.random.default_rng(seed).normal(0, 0.1, (4, 3))
    values = sum(np.sin(at @ wave + 2 * n) for n, wave in enumerate(waves))
    low, high = (f(values, axis=(0, 1), keepdims=True) for f in (np.min, np.max))
    made = nibabel.Nifti1Image((2 * (values - low) / (high - low) - 1).astype(np.float32), affine)
    return made if orientation is None else made.as_reoriented(orientation)


def by_scipy(folder, moving, field):
    """Resample an image by a field, read by nibabel alone."""
    there = world(field.shape[:3], field.affine) + np.asarray(field.dataobj)[:, :, :, 0] * [-1, -1, 1]
    inverse = np.linalg.inv(moving.affine)
    at = np.moveaxis(there @ inverse[:3, :3].T + inverse[:3, 3], -1, 0)
    return ndimage.map_coordinates(np.asarray(moving.dataobj), at, order=1, cval=np.nan)


def by_itk(folder, moving, field):
    sitk = pytest.importorskip("SimpleITK")
    for name, made in (("moving", moving), ("field", field)):
        nibabel.save(made, folder / f"{name}.nii.gz")
    transform = sitk.ReadImage(str(folder / "field.nii.gz"), sitk.sitkVectorFloat64)
    reference = sitk.VectorIndexSelectionCast(transform, 0)
    transform = sitk.DisplacementFieldTransform(transform)
    image = sitk.ReadImage(str(folder / "moving.nii.gz"))
    resampled = sitk.Resample(image, reference, transform, sitk.sitkLinear, float("nan"), sitk.sitkFloat32)
    return sitk.GetArrayFromImage(resampled).T


@pytest.mark.parametrize("resample", [by_scipy, by_itk])
@pytest.mark.parametrize(("one", "two"), [(None, None), (3, 30), (17, 8), (44, 21)])
@pytest.mark.parametrize("turned", [0, 15])
def test_resampling_by_the_field_gives_the_deformed_image(tmp_path, resample, one, two, turned):
    first = smooth(FIRST[0], centred(*FIRST), None if one is None else ORIENTATIONS[one], 1)
    affine = centred(*SECOND, turn_about(2, turned), (3, -2, 1))
    second = smooth(SECOND[0], affine, None if two is None else ORIENTATIONS[two], 2)
    scans = [read((f"{n}.nii", made.to_bytes())) for n, made in enumerate((first, second))]
    stacks = dict(enumerate(prepare_stacks(scans, [None, None], PREPARATION, {})))
    found = predict_subject(Bending("A", "B"), "a", stacks, PREPARATION)
    written = dict(files(found, {}))
    for fixed, moving, mine, other in (("A", "B", first, second), ("B", "A", second, first)):
        field = opened(written[f"{fixed}_warp_from_{moving}.nii.gz"])
        assert (int(field.header["intent_code"]), field.shape) == (1007, (*mine.shape, 1, 3))
        assert np.allclose(field.affine, mine.affine, atol=1e-4)
        expected = opened(written[f"{fixed}_reconstruction_cross_from_{moving}.nii.gz"]).get_fdata()
        resampled = resample(tmp_path, other, field)
        alone = found.alone("AB".index(fixed))
        inside = (expected > -1) & np.isfinite(resampled)
        if alone:  # these slices have no partner, and so no field
            turned_inside = scans["AB".index(fixed)].stored.as_stored(inside_slices(scans["AB".index(fixed)], alone))
            inside &= turned_inside.transpose(2, 1, 0)
        assert inside.mean() > 0.3
        error = np.abs(resampled - expected)[inside]
        assert np.median(error) < 0.02
        assert np.mean(error) < 0.04  # the model's grid is interpolated twice, and cut off at the border
        unmoved = np.abs(resample(tmp_path, other, still(field)) - expected)[inside]
        assert np.nanmean(unmoved) > 4 * np.mean(error)


def inside_slices(scan, alone):
    """(slices, rows, columns) bool: the slices that have a partner."""
    kept = np.ones(scan.values.shape[1:], bool)
    kept[alone] = False
    return kept


def still(field):
    """The field without displacement."""
    made = nibabel.Nifti1Image(np.zeros(field.shape, np.float32), field.affine)
    made.header.set_intent(1007)
    return made


def test_a_field_without_a_position_fits_what_itk_makes_of_such_files(tmp_path):
    scans = []
    for n in range(2):
        made = nibabel.Nifti1Image(np.asarray(smooth(FIRST[0], centred(*FIRST), None, n).dataobj), None)
        made.header.set_zooms(FIRST[1])
        scans.append(made)
    read_scans = [read(("a.nii", made.to_bytes())) for made in scans]
    stacks = dict(enumerate(prepare_stacks(read_scans, [None, None], PREPARATION, {})))
    written = dict(files(predict_subject(Bending("A", "B"), "a", stacks, PREPARATION), {}))
    field = opened(written["A_warp_from_B.nii.gz"])
    expected = opened(written["A_reconstruction_cross_from_B.nii.gz"]).get_fdata()
    resampled = by_itk(tmp_path, scans[1], field)
    inside = (expected > -1) & np.isfinite(resampled)
    assert inside.mean() > 0.3
    assert np.median(np.abs(resampled - expected)[inside]) < 0.02

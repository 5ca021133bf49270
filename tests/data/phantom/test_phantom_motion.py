"""Displacements between the modalities: their size, their smoothness, and the sampling that undoes them."""

import numpy as np
import pytest
from phantom_measures import dice, nearest
from scipy import ndimage

from dafnet_core.data.phantom import CINE, LGE, generate


def test_copying_the_other_mask_scores_0_65_to_0_75_and_the_true_sampling_over_0_9(cohort):
    copied, sampled = [], []
    for slices in cohort:
        for pair in slices:
            for fixed, moving in ((CINE, LGE), (LGE, CINE)):
                copied.append(dice(pair.masks[fixed], pair.masks[moving]))
                moved = nearest(pair.masks[moving], pair.sampling(fixed, moving))
                sampled.append(dice(pair.masks[fixed], moved))
    assert 0.65 < np.mean(copied) < 0.75
    assert np.mean(sampled) > 0.9


def test_sampling_solves_its_equation_and_its_two_directions_undo_each_other():
    pair = generate(1, 2, 3, size=64)
    rows, columns = np.indices((64, 64))
    here = np.stack([columns, rows], -1)
    there = pair.sampling(0, 1)
    where = [there[..., 1], there[..., 0]]
    returned = pair.sampling(1, 0)
    back = np.stack([ndimage.map_coordinates(returned[..., axis], where, order=1) for axis in (0, 1)], -1)
    inner = (slice(12, -12), slice(12, -12))
    assert np.abs(back - here)[inner].max() < 0.05  # linear interpolation between pixels
    assert np.abs(pair.sampling(0, 0) - here)[inner].max() < 1e-3


def test_motion_is_drawn_alike_for_both_modalities_and_never_folds():
    fields = np.stack([generate(4, s, k, size=32).displacement for s in range(20) for k in (0, 3, 6)])
    spread = fields.std(axis=(0, 2, 3, 4))
    assert spread[0] == pytest.approx(spread[1], rel=0.15)
    steps = np.abs(np.diff(fields, axis=2)).max(), np.abs(np.diff(fields, axis=3)).max()
    assert max(steps) < 0.6  # under 1 pixel a pixel: the fixed-point iteration converges


def test_a_5x5_spline_follows_the_relative_displacement(cohort):
    basis = spline_basis(96)
    rows, columns = np.indices((96, 96))
    before, after = [], []
    for slices in cohort:
        for pair in slices[::3]:
            shift = (pair.sampling(0, 1) - np.stack([columns, rows], -1)).reshape(-1, 2)
            fit = basis @ np.linalg.lstsq(basis, shift, rcond=None)[0]
            before.append(np.linalg.norm(shift, axis=1).mean())
            after.append(np.linalg.norm(shift - fit, axis=1).mean())
    assert 2.0 < np.mean(before) < 4.0
    assert np.mean(after) < 0.4


def spline_basis(size):
    """Thin-plate spline through 5 x 5 control points on [-1, 1]: (size * size, 25), values to pixels."""
    knots = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, 5)]), -1).reshape(-1, 2)
    pixels = np.stack(np.meshgrid(*2 * [(np.arange(size) + 0.5) / size * 2 - 1]), -1).reshape(-1, 2)

    def kernel(points):
        squared = ((points[:, None] - knots) ** 2).sum(-1)
        bending = squared * np.log(np.maximum(squared, 1e-12))
        return np.hstack([bending, np.ones((len(points), 1)), points])

    affine = np.hstack([np.ones((25, 1)), knots])
    system = np.vstack([kernel(knots), np.hstack([affine.T, np.zeros((3, 3))])])
    return kernel(pixels) @ np.linalg.inv(system)[:, :25]

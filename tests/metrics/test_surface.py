"""HD95 and ASSD: known geometry, bounds, and a brute-force implementation."""

import itertools

import numpy as np
import pytest

from dafnet_core.metrics.surface import distances_per_class, surface_distances

RNG = np.random.default_rng(0)
NOWHERE = np.zeros((12, 16), bool)


def disc(row, column, radius=10.0, side=64):
    y, x = np.mgrid[:side, :side]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def blob(shape):
    """Random and not empty; sparse ones have single pixels, dense ones touch the border."""
    mask = RNG.random(shape) < RNG.choice([0.05, 0.4, 0.8])
    mask[tuple(RNG.integers(0, shape))] = True
    return mask


def surface_points(mask):
    """Pixels of a mask of whose four neighbours one is outside of it, or of the picture."""

    def inside(row, column):
        return 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and mask[row, column]

    around = ((-1, 0), (1, 0), (0, -1), (0, 1))
    return np.array(
        [(r, c) for r, c in np.argwhere(mask) if not all(inside(r + down, c + right) for down, right in around)]
    )


def directed(pred, truth, spacing):
    """Distances from the surface of each mask to that of the other, mm."""
    a, b = (surface_points(mask) * np.array(spacing) for mask in (pred, truth))
    between = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return between.min(1), between.min(0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.5, 1.5), (3.0, 0.7)])
def test_distances_are_those_of_a_brute_force_search(spacing):
    for _ in range(60):
        shape = tuple(RNG.integers(3, 14, 2))
        pred, truth = blob(shape), blob(shape)
        there, back = directed(pred, truth, spacing)
        hd95, assd = surface_distances(pred, truth, spacing)
        assert hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
        assert assd == pytest.approx(np.concatenate([there, back]).mean())


def test_distances_are_symmetric_and_the_mean_is_no_larger_than_the_hausdorff_distance():
    for _ in range(60):
        pred, truth = blob((10, 13)), blob((10, 13))
        found = surface_distances(pred, truth, (2.0, 1.0))
        assert found == pytest.approx(surface_distances(truth, pred, (2.0, 1.0)))
        hausdorff = max(distances.max() for distances in directed(pred, truth, (2.0, 1.0)))
        assert max(found) <= hausdorff + 1e-9


def test_a_shifted_disc_is_as_far_away_as_its_shift():
    hd95, assd = surface_distances(disc(32, 35), disc(32, 32), (1.5, 1.5))
    assert hd95 == pytest.approx(3 * 1.5, rel=0.05)
    # the outline of a circle shifted by d is |d cos| away: on average 2 d / pi
    assert assd == pytest.approx(2 / np.pi * 3 * 1.5, rel=0.1)
    assert surface_distances(disc(32, 32), disc(32, 32), (1.5, 1.5)) == (0, 0)


def test_rows_and_columns_have_spacings_of_their_own():
    truth = np.zeros((60, 60), bool)
    truth[20:40, 20:40] = True
    for shift, spacing in itertools.product(((3, 0), (0, 3)), ((2.0, 0.5), (0.5, 2.0))):
        moved = np.roll(truth, shift, (0, 1))
        # more than 5 % of the outline lie as far away as the whole shift
        assert surface_distances(moved, truth, spacing)[0] == 3 * spacing[int(shift[1] > 0)]


def test_the_border_of_the_picture_is_surface():
    everything, middle = np.ones((41, 41), bool), np.zeros((41, 41), bool)
    middle[1:-1, 1:-1] = True  # a pixel away, but for the corners, which are fewer than 5 %
    assert surface_distances(middle, everything, (2.0, 2.0))[0] == 2


def test_a_missing_class_costs_the_diagonal_and_an_absent_one_is_unknown():
    one = NOWHERE.copy()
    one[4, 4] = True
    assert surface_distances(NOWHERE, one, (1.0, 1.0)) == (20, 20)  # 12 and 16
    assert surface_distances(NOWHERE, one, (2.0, 1.5)) == pytest.approx((24 * 2**0.5,) * 2)
    assert np.isnan(surface_distances(one, NOWHERE, (1.0, 1.0))).all()
    assert np.isnan(surface_distances(NOWHERE, NOWHERE, (1.0, 1.0))).all()


def test_nothing_is_worse_than_a_missing_class():
    far, corner = NOWHERE.copy(), NOWHERE.copy()
    far[0, 0], corner[-1, -1] = True, True
    assert max(surface_distances(far, corner, (1.0, 1.5))) < surface_distances(NOWHERE, corner, (1.0, 1.5))[0]


def test_each_class_but_the_background_has_its_distances():
    truth = np.zeros((12, 16), np.uint8)
    truth[2:5, 2:6], truth[8:11, 2:6] = 1, 2
    pred = np.where(truth == 1, 1, 0)
    pred[0, 0] = 3
    found = distances_per_class(pred, truth, 4, (1.0, 1.0))
    assert found[0].tolist() == [0, 0]
    assert found[1].tolist() == [20, 20]
    assert np.isnan(found[2]).all()
    assert distances_per_class(pred, truth, 1, (1.0, 1.0)).shape == (0, 2)


def test_shapes_and_spacings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"prediction is \(12, 16\), truth is \(12, 15\)"):
        surface_distances(NOWHERE, NOWHERE[:, :15], (1.0, 1.0))
    for wrong in ((0.0, 1.0), (1.0, -2.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="two positive numbers, mm between rows and columns"):
            surface_distances(NOWHERE, NOWHERE, wrong)

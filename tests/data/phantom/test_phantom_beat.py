"""The heart's cycle: phases of the cine, the volume curve, and what moves with it."""

import math

import numpy as np
import pytest
from phantom_measures import areas, same
from scipy import ndimage

from dafnet_core.data.phantom import CINE, TISSUES, generate, generator
from dafnet_core.data.phantom.motion import draw_beat


@pytest.mark.parametrize("phases", [1, 2, 5])
def test_the_first_phase_is_the_pair_however_many_there_are(phases):
    one, many = generate(5, 2, 3, size=64), generate(5, 2, 3, size=64, phases=phases)
    assert same(one, many)
    assert (many.frames.shape, many.frames.dtype) == ((phases, 64, 64), np.float32)
    assert (many.frame_masks.shape, many.frame_masks.dtype) == ((phases, 64, 64), np.uint8)
    assert np.array_equal(many.frames[0], one.images[CINE])
    assert np.array_equal(many.frame_masks[0], one.masks[CINE])
    rest = {key: value for key, value in many.parameters.items() if key != "cycle"}
    assert rest == one.parameters


def test_phases_are_the_same_again_and_at_the_same_position_in_any_number_of_them():
    first, second = (generate(5, 2, 3, size=64, phases=4) for _ in range(2))
    finer = generate(5, 2, 3, size=64, phases=8)
    assert np.array_equal(first.frames, second.frames)
    assert np.array_equal(first.frame_masks, second.frame_masks)
    assert np.array_equal(first.frame_masks, finer.frame_masks[::2])


def test_the_volume_curve_starts_full_empties_at_end_systole_and_returns_without_a_jump():
    for subject in range(20):
        beat = draw_beat(0, subject)
        assert 0.45 <= beat.ejection_fraction <= 0.70
        assert 0.35 <= beat.end_systole <= 0.40
        assert beat.lv_volume(0.0) == beat.lv_volume(1.0) == 1.0
        assert beat.lv_volume(beat.end_systole) == pytest.approx(1 - beat.ejection_fraction)
        curve = np.array([beat.lv_volume(position) for position in np.linspace(0, 1, 1001)])
        assert curve.min() == pytest.approx(1 - beat.ejection_fraction, abs=1e-4)
        assert np.abs(np.diff(curve)).max() < 0.005  # per thousandth of the cycle
        assert np.abs(np.diff(curve, 2)).max() < 1e-4  # nor does its slope jump
        # Before the atria contract the ventricle has 80 % of what it will be filled with.
        assert curve[800] == pytest.approx(1 - 0.2 * beat.ejection_fraction)


def test_the_left_ventricle_empties_by_the_drawn_ejection_fraction_and_fills_again(beating):
    drawn, seen = [], []
    for pairs in beating:
        cycle = pairs[0].parameters["cycle"]
        volume = areas(pairs)[:, 1] / areas(pairs)[0, 1]
        assert 0.25 <= volume.argmin() / 20 <= 0.5
        assert np.all(np.diff(volume[: volume.argmin() + 1]) < 0)
        assert volume[-1] > 0.9
        # One volume is 4,000 pixels and more, its outline jagged: a point or two.
        assert volume == pytest.approx(cycle["lv_volume"], abs=0.02)
        drawn.append(cycle["beat"]["ejection_fraction"])
        seen.append(1 - volume.min())
    assert seen == pytest.approx(drawn, abs=0.03)  # 20 phases pass end systole by up to a fortieth of the cycle
    assert len({round(value, 3) for value in drawn}) == len(drawn)


def test_the_wall_thickens_and_keeps_its_area_in_every_slice(beating):
    for pairs in beating:
        systole = areas(pairs)[:, 1].argmin()
        for pair in pairs:
            rest, tight = (pair.frame_masks[phase] for phase in (0, systole))
            assert np.sum(tight == 2) == pytest.approx(np.sum(rest == 2), rel=0.12)
            # A wall's thickness is about twice the mean depth of its pixels.
            rest_depth, tight_depth = (
                ndimage.distance_transform_edt(mask == 2)[mask == 2].mean() for mask in (rest, tight)
            )
            assert tight_depth > 1.15 * rest_depth


def test_the_right_ventricle_empties_with_the_left_one(beating):
    for pairs in beating:
        _, left, _, right = areas(pairs).T
        assert abs(int(right.argmin()) - int(left.argmin())) <= 1
        assert 0.35 < 1 - right.min() / right[0] < 0.7


def test_without_noise_only_the_heart_and_its_fat_differ_between_phases(monkeypatch):
    monkeypatch.setattr(generator, "rician_magnitude", lambda signal, sigma, rng: np.abs(signal))
    for subject, position in ((0, 1), (1, 3), (2, 6)):
        pair = generate(11, subject, position, size=96, phases=8)
        away = ndimage.distance_transform_edt(pair.masks[CINE] == 0) * pair.spacing
        # Right wall 3 mm, fat up to 8 mm, half a blurred edge 1.3 mm; the heart is largest in the first phase.
        around = pair.frames[:, away > 14]
        assert around.shape[1] > 0.5 * away.size
        assert np.array_equal(around, np.broadcast_to(around[0], around.shape))
        thicker = (pair.frame_masks[0] == 1) & (pair.frame_masks[3] == 2)
        assert pair.frames[3, thicker].mean() < 0.75 * pair.frames[0, thicker].mean()  # blood, then wall


def test_every_phase_has_noise_of_its_own_and_of_the_same_strength():
    pair = generate(2, 0, 0, size=128, phases=3)
    air = pair.frames[:, :16, :16].reshape(3, -1)  # 256 pixels
    assert pair.tissue[:16, :16].max() == TISSUES.index("air")
    off_diagonal = np.corrcoef(air)[~np.eye(3, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.25  # four standard errors
    sigma = pair.parameters["sequence"]["noise"][CINE]
    assert air.mean(axis=1) == pytest.approx(3 * [sigma * math.sqrt(math.pi / 2)], rel=0.13)

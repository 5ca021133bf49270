"""Strokes, and channels that grow, shrink and move: exactly what was asked for, and each pixel in one channel."""

import numpy as np
import pytest
from scipy import ndimage

from dafnet_core.analysis.editing import one_hot
from dafnet_core.analysis.painting import ERASE, MAX_GROWTH, MAX_MOVE, Reset, Reshape, Stroke, paint


@pytest.fixture
def organ():
    """A square of channel 2, 8 x 6 pixels, between the channels 0 at the left and 1 at the right."""
    labels = np.zeros((24, 32), np.uint8)
    labels[:, 16:] = 1
    labels[8:14, 12:20] = 2
    return labels


def test_strokes_paint_discs_and_erase_back_to_what_was_there():
    labels = np.zeros((20, 30), np.uint8)
    labels[:, 15:] = 3
    painted = paint(labels, [Stroke(2, 3, ((15, 10),))], 4)
    rows, columns = np.nonzero(painted == 2)
    assert len(rows) == 29  # lattice points of a disc of radius 3
    assert ((rows - 10) ** 2 + (columns - 15) ** 2 <= 9).all()
    erased = paint(labels, [Stroke(2, 3, ((15, 10),)), Stroke(ERASE, 6, ((15, 10),))], 4)
    assert np.array_equal(erased, labels)
    assert np.array_equal(paint(labels, [], 4), labels)


def test_painting_keeps_one_hot_and_stays_inside():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 5, (16, 24)).astype(np.uint8)
    strokes = [
        Stroke(int(rng.integers(-1, 5)), int(rng.integers(0, 9)), tuple(map(tuple, rng.integers(-9, 33, (4, 2)))))
        for _ in range(50)
    ]
    s = one_hot(paint(labels, strokes, 5), 5)
    assert s.shape == (5, 16, 24)
    assert np.array_equal(np.unique(s), [0, 1])
    assert np.array_equal(s.sum(0), np.ones((16, 24)))


@pytest.mark.parametrize(("channel", "radius"), [(4, 1), (-2, 1), (0, -1)])
def test_a_stroke_that_no_model_can_take_is_refused(channel, radius):
    with pytest.raises(ValueError, match="expected a channel from 0 to 3"):
        paint(np.zeros((4, 4), np.uint8), [Stroke(channel, radius, ((0, 0),))], 4)


def test_an_organ_grows_and_shrinks_by_so_many_pixels(organ):
    """Against Euclidean distances, which are the definition."""
    for pixels in (1, 3):
        grown = paint(organ, [Reshape(2, grow=pixels)], 3)
        assert np.array_equal(grown == 2, ndimage.distance_transform_edt(organ != 2) <= pixels)
        assert np.array_equal(grown[grown != 2], organ[grown != 2])
        shrunk = paint(organ, [Reshape(2, grow=-pixels)], 3)
        assert np.array_equal(shrunk == 2, ndimage.distance_transform_edt(organ == 2) > pixels)
        assert (shrunk[:, :12] == 0).all()
        assert (shrunk[9:13, 12 : 12 + pixels] == 0).all()  # what it leaves belongs to its nearest neighbour
        assert (shrunk[9:13, 20 - pixels : 20] == 1).all()
    gone = paint(organ, [Reshape(2, grow=-MAX_GROWTH)], 3)
    assert np.array_equal(gone, np.where(np.arange(32) < 16, 0, 1)[None].repeat(24, 0))


def test_an_organ_moves_as_it_is(organ):
    moved = paint(organ, [Reshape(2, dx=3, dy=-2)], 3)
    assert np.array_equal(np.argwhere(moved == 2), np.argwhere(organ == 2) + np.array([-2, 3]))
    assert (moved[:, :15] == 0).all()
    assert (moved[:, 23:] == 1).all()
    out = paint(organ, [Reshape(2, dx=-20)], 3)
    assert not (out == 2).any()
    back = paint(organ, [Reshape(2, dx=3, dy=-2), Reshape(2, dx=-3, dy=2)], 3)
    assert np.array_equal(back == 2, organ == 2)


def test_an_organ_that_the_border_cuts_off_grows_back_when_it_moves_inwards(organ):
    cut = np.zeros_like(organ)
    cut[18:, 4:10] = 2
    moved = paint(cut, [Reshape(2, dy=-5)], 3)
    assert (moved[13:, 4:10] == 2).all()
    assert (moved == 2).sum() == 11 * 6
    assert (paint(cut, [Reshape(2, grow=-1)], 3)[19:, 5:9] == 2).all()  # nor does it shrink from the border


def test_a_channel_that_is_everywhere_or_nowhere_stays(organ):
    for change in (Reshape(2, grow=-3), Reshape(2, grow=3), Reshape(2, dx=4), Reshape(2)):
        assert (paint(np.full_like(organ, 2), [change], 3) == 2).all()
        assert (paint(np.zeros_like(organ), [change], 3) == 0).all()


def test_a_reset_brings_back_what_was_there_and_what_follows_it_counts(organ):
    actions = [Stroke(0, 3, ((15, 10),)), Reshape(2, grow=2), Reset()]
    assert np.array_equal(paint(organ, actions, 3), organ)
    assert not np.array_equal(paint(organ, actions[:-1], 3), organ)  # undone
    assert np.array_equal(paint(organ, [*actions, Reshape(2, dx=1)], 3), paint(organ, [Reshape(2, dx=1)], 3))


@pytest.mark.parametrize(
    "change", [Reshape(3, 1), Reshape(-1, 1), Reshape(0, MAX_GROWTH + 1), Reshape(0, dx=MAX_MOVE + 1)]
)
def test_a_change_of_shape_that_no_model_can_take_is_refused(organ, change):
    with pytest.raises(ValueError, match="expected a channel from 0 to 2, a growth of at most 16"):
        paint(organ, [change], 3)

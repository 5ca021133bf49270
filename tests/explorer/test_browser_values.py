"""Values from a browser are validated; descriptions of warps and edits are correct."""

import numpy as np
import pytest

from dafnet_core.analysis.editing import Edit
from dafnet_core.analysis.misregistration import Range
from dafnet_core.analysis.painting import ERASE, MAX_GROWTH, MAX_MOVE, Reset, Reshape, Stroke
from dafnet_core.drawing import rgb
from dafnet_core.geometry import identity_pixels
from dafnet_explorer import components
from dafnet_explorer.figures.align import FOLD, breaking_points, jacobian_pixels
from dafnet_explorer.figures.edit import edit_rows
from dafnet_explorer.figures.texts import channel_titles

GOOD = {"kind": "stroke", "channel": 2, "radius": 3, "points": [[1, 2], [3, 4]]}
MOVED = {"kind": "reshape", "channel": 1, "grow": -2, "dx": 3, "dy": -4}


def test_actions_come_as_they_were_made():
    state = {"owner": "x", "actions": [GOOD, GOOD | {"channel": ERASE}, MOVED, {"kind": "reset"}], "undone": []}
    assert components.actions_of(state, 4) == (
        Stroke(2, 3, ((1, 2), (3, 4))),
        Stroke(ERASE, 3, ((1, 2), (3, 4))),
        Reshape(1, -2, 3, -4),
        Reset(),
    )


@pytest.mark.parametrize(
    "actions",
    [
        None,
        7,
        "text",
        [None],
        [{}],
        [GOOD | {"channel": 4}],
        [GOOD | {"channel": -2}],
        [GOOD | {"radius": -1}],
        [GOOD | {"radius": 10**9}],
        [GOOD | {"points": [[1]]}],
        [GOOD | {"points": "ab"}],
        [GOOD | {"points": [[1, 2]] * (components.MAX_POINTS + 1)}],
        [MOVED | {"channel": 4}],
        [MOVED | {"channel": ERASE}],
        [MOVED | {"grow": MAX_GROWTH + 1}],
        [MOVED | {"dx": -MAX_MOVE - 1}],
        [MOVED | {"dy": None}],
        [{"kind": "reshape", "channel": 1}],
        [MOVED] * 201,  # each takes as long as a hundred points
    ],
)
def test_actions_that_no_canvas_of_ours_sends_are_none(actions):
    assert components.actions_of({"actions": actions}, 4) == ()


@pytest.mark.parametrize(
    "now", [None, "text", [[1, 2]], [[float("nan"), 0]] * 25, [[float("inf"), 0]] * 25, [["a", "b"]] * 25, {"a": 1}]
)
def test_offsets_that_cannot_be_used_leave_those_of_the_beginning(now):
    begin = np.full((25, 2), 0.25)
    assert np.array_equal(components._offsets({"now": now}, begin), begin)
    assert np.array_equal(components._offsets({"now": (begin * 2).tolist()}, begin), begin * 2)


def test_the_jacobian_s_colours_tell_folds_from_everything_else():
    still = identity_pixels(8, 8)
    assert not (jacobian_pixels(still) == rgb(FOLD)).all(-1).any()
    assert (jacobian_pixels(still * [-1, 1]) == rgb(FOLD)).all()


def test_channels_of_one_class_are_distinguished_by_their_number():
    titles = channel_titles((1, None, 1, 2), ("background", "LV", "RV"))
    assert titles == ["LV (channel 1)", "channel 2", "LV (channel 3)", "RV"]


def test_breaking_points_are_described():
    amounts, flat = np.array([0.0, 10]), np.full((2, 1), 0.9)
    steep = np.array([[0.9], [0.4]])
    said = breaking_points(Range(amounts, flat, flat, flat, steep))
    assert said.startswith("Aligned masks hold up to 10, unaligned masks break at 2.0 pixels")


def test_an_edit_s_table_leaves_out_channels_that_were_never_there():
    pixels = np.array([[10, 4], [0, 0], [0, 6]])
    nothing = np.zeros((2, 2))
    made = Edit(pixels, nothing > 0, nothing[None], nothing[None], (1.0, 1.0), 0.1, 0.0)
    rows = edit_rows(made, ["a", "b", "c"])
    assert [(row["channel"], row["change (pixels)"]) for row in rows] == [("a", -6), ("c", 6)]

"""Positions of slices: mm in one frame of reference, or relative where headers are silent."""

import numpy as np
import pytest
from PIL import Image

from dafnet_core.data.studies import DataError
from tests.helpers.nnunet_folder import COLUMNS, ROWS, Folder, affine_of, marked, shown_by


def positions_of(folder, *stacks):
    """Positions of a case whose channels are given as (slices, affine)."""
    for channel, (slices, affine) in enumerate(stacks):
        folder.image(f"a_{channel:04d}", shown_by(marked(slices)), affine)
    return [p.tolist() for p in folder.read().studies[0].positions]


def test_positions_are_mm_along_the_first_stack_in_one_frame_of_reference(folder):
    found = positions_of(folder, (3, affine_of(z=-4, between=4)), (2, affine_of(z=-2, between=3)))
    assert found == [[-4, 0, 4], [-2, 1]]


def test_a_tilted_stack_is_placed_where_it_crosses_the_middle_of_the_first(folder):
    tilted = affine_of(between=5)
    angle = np.deg2rad(10)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    tilted[:3, :3] = turn @ tilted[:3, :3]
    x, y, _, _ = affine_of() @ np.array([(COLUMNS - 1) / 2, (ROWS - 1) / 2, 0, 1])
    found = positions_of(folder, (3, affine_of()), (3, tilted))
    normal = turn @ [0, 0, 1]
    origins = [tilted[:3, 3] + k * tilted[:3, 2] for k in range(3)]
    expected = [(normal @ o - normal[0] * x - normal[1] * y) / normal[2] for o in origins]
    assert found[1] == pytest.approx(expected, abs=1e-4)  # headers hold float32


@pytest.mark.parametrize(("other", "says"), [("far away", "490 mm away"), ("another plane", "axial.*coronal.*90 deg")])
def test_stacks_that_show_different_places_or_planes_are_refused(folder, other, says):
    affine = affine_of(z=500)
    if other == "another plane":
        affine = affine_of(z=-72.5)[:, [0, 2, 1, 3]]  # coronal, its middle as high as the first stack's
    with pytest.raises(DataError, match=says):
        positions_of(folder, (3, affine_of()), (5, affine))


def test_pictures_without_headers_have_relative_positions_and_a_lone_slice_is_in_the_middle(tmp_path):
    folder = Folder(tmp_path, file_ending=".png")
    (tmp_path / "imagesTr").mkdir()
    for channel in range(2):
        Image.fromarray(shown_by(marked(1))[0].astype(np.uint8)).save(tmp_path / "imagesTr" / f"a_000{channel}.png")
    assert [p.tolist() for p in folder.read(spacing=None).studies[0].positions] == [[0.5], [0.5]]

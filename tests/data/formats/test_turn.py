"""Stacks without a header that are turned by hand, and the way back to the file's own axes."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from dafnet_core.data.formats.orientation import StoredGrid, Turn
from dafnet_core.data.formats.scan import ReadError
from dafnet_core.data.readers import read
from tests.helpers.valid_files import nifti_bytes, npy_bytes

VALUES = np.arange(2 * 9 * 10 * 11, dtype=np.float32).reshape(2, 9, 10, 11)


@pytest.fixture(scope="module")
def scan():
    return read(("a.npy", npy_bytes(VALUES)))


@pytest.mark.parametrize(("across", "quarters", "mirrored"), [*product(range(3), range(4), (False, True))])
def test_every_turn_is_that_of_numpy_and_leads_back_to_the_file(scan, across, quarters, mirrored):
    turned = scan.turned(Turn(across, quarters, mirrored))
    expected = np.rot90(np.moveaxis(VALUES, 1 + across, 1), -quarters, axes=(2, 3))
    expected = expected[..., ::-1] if mirrored else expected
    assert np.array_equal(turned.values, expected)
    stored = turned.stored or StoredGrid((11, 10, 9))
    assert np.array_equal(stored.back(turned.values), VALUES.transpose(0, 3, 2, 1))
    assert (turned is scan) == (across == quarters == 0 and not mirrored)


def test_the_turn_is_noted_and_turns_the_spacing_too(scan):
    scan = replace(scan, spacing=(3.0, 2.0), slice_spacing=4.0)  # as of DICOM files without a position
    turned = scan.turned(Turn(1, 1, True))
    assert turned.notes[-1] == "Turned by hand: cut along axis 2, rotated by 90 degrees clockwise, mirrored."
    before = dict(zip(scan.values.shape[1:], (scan.slice_spacing, *scan.spacing), strict=True))
    after = dict(zip(turned.values.shape[1:], (turned.slice_spacing, *turned.spacing), strict=True))
    assert before == after == {9: 4, 10: 3, 11: 2}


def test_a_header_that_says_how_a_stack_lies_is_believed():
    scan = read(("a.nii", nifti_bytes(np.ones((9, 10, 11), np.float32), np.diag([2.0, 2, 2, 1]))))
    assert scan.turned(Turn(1, 1, True)) is scan


def test_slices_that_would_be_strips_are_refused():
    scan = read(("a.npy", npy_bytes(np.ones((3, 20, 20)))))
    with pytest.raises(ReadError, match="too small"):
        scan.turned(Turn(across=1))

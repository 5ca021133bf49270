"""NumPy arrays and archives."""

import io
import zipfile

import numpy as np
import pytest

from dafnet_core.data.readers import read
from tests.helpers.reading import refusal
from tests.helpers.valid_files import (
    nifti_bytes,
    npy_bytes,
)


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<u4", ">i8", "<f2", ">f4", "<f8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_type_and_order_give_the_same_values(dtype, order, pixels):
    array = np.asarray(np.stack([pixels % 120, pixels % 7]), dtype=dtype, order=order)
    assert np.array_equal(read(("a.npy", npy_bytes(array))).values[0], array.astype(np.float32))


def test_large_arrays_are_converted_in_parts_without_mixing_them():
    array = np.random.default_rng(0).integers(0, 60000, (3, 1100, 1000)).astype(np.uint16)
    for stored in (array, np.asfortranarray(array)):
        assert np.array_equal(read(("a.npy", npy_bytes(stored))).values[0], array)
    turned = np.ascontiguousarray(array.transpose(1, 2, 0)[::-1, ::-1])
    image = nifti_bytes(turned, np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    assert np.array_equal(read(("a.nii", image)).values[0], array)


def test_complex_values_give_their_magnitude(pixels):
    scan = read(("c.npy", npy_bytes(pixels * (3 + 4j))))
    assert np.allclose(scan.values[0, 0], 5.0 * pixels)
    assert any("magnitude" in note for note in scan.notes)


def test_constant_arrays_load_with_a_note_and_all_nan_is_refused():
    assert any("the same" in note for note in read(("c.npy", npy_bytes(np.full((9, 9), 5)))).notes)
    assert "not one of its values" in refusal(("n.npy", npy_bytes(np.full((9, 9), np.nan))))


def test_values_beyond_float32_become_its_finite_range():
    array = np.ones((9, 9))
    array[0, 0] = 1e300
    scan = read(("h.npy", npy_bytes(array)))
    assert np.isfinite(scan.values).all()
    assert scan.notes


def test_pickles_are_never_opened():
    array = np.empty((9, 9), object)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    assert "can run code" in refusal(("o.npy", buffer.getvalue()))
    assert "pickle" in refusal(("model.pt", b"\x80\x04\x95\x0a\0\0\0\0\0\0\0}\x94."))


def test_an_archive_needs_one_array_or_one_with_the_usual_name(pixels):
    def archive(**arrays):
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        return ("a.npz", buffer.getvalue())

    assert np.array_equal(read(archive(anything=pixels)).values[0, 0], pixels)
    both = archive(image=pixels, mask=pixels % 2)
    assert read(both).values.max() == 479
    assert read(both, mask=True).values.max() == 1
    assert "`t1`, `t2`" in refusal(archive(t1=pixels, t2=pixels))
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as other:
        other.writestr("word/document.xml", "x")
    assert "without NumPy arrays" in refusal(("letter.docx", buffer.getvalue()))


def test_lying_and_cut_arrays_are_refused(pixels):
    good = npy_bytes(pixels)
    assert "cut short" in refusal(("a.npy", good[:-1]))
    assert "at most 8192" in refusal(("a.npy", good.replace(b"(24, 20)", b"(99999, 99999)")[:128]))
    assert "empty" in refusal(("a.npy", npy_bytes(np.zeros((0, 20)))))
    assert "plain numbers" in refusal(("a.npy", npy_bytes(np.zeros((9, 9), [("a", "f4")]))))
    assert "3 or 4 are needed" in refusal(("a.npy", npy_bytes(np.zeros(99))))

"""Any array, any bytes and any name: loaded as they are, or refused in words."""

import io

import nibabel
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dafnet_core.data.formats.scan import MAX_NAME, clean_name, quoted
from dafnet_core.data.readers import ReadError, read
from tests.helpers.valid_files import FILES, npy_bytes, picture_bytes

pytestmark = pytest.mark.trust
# the same examples every time, so that a failure is seen by whoever caused it
bounded = settings(derandomize=True, database=None, deadline=None, max_examples=200)
DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")
side = st.one_of(st.integers(0, 9), st.integers(7, 24))


@st.composite
def arrays(draw, dtypes=DTYPES, most=5):
    """Any array of up to 100,000 values: shape, byte order, strides, and what is in it."""
    shape = tuple(draw(st.lists(side, max_size=most)))
    assume(np.prod(shape, dtype=int) <= 100_000)
    dtype = np.dtype(draw(st.sampled_from(dtypes))).newbyteorder(draw(st.sampled_from("<>")))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    wide = tuple(2 * n for n in shape)
    kind = draw(st.sampled_from(["bytes", "small", "constant", "special"]))
    if kind == "bytes":  # every number that there is, NaN and subnormal ones among them
        array = np.frombuffer(rng.bytes(int(np.prod(wide, dtype=int)) * dtype.itemsize), dtype).reshape(wide)
    else:
        array = rng.integers(0, 1 if kind == "constant" else 100, wide).astype(dtype)
    if kind == "special" and dtype.kind == "f":
        array = np.where(rng.random(wide) < 0.5, array, rng.choice([np.nan, np.inf, -np.inf], wide)).astype(dtype)
    steps = draw(st.lists(st.sampled_from([1, -1, 2, -2]), min_size=len(shape), max_size=len(shape)))
    array = array[tuple(slice(None, n * s if s > 0 else None, s) for n, s in zip(shape, steps, strict=True))]
    array = array[tuple(slice(None, n) for n in shape)]
    return array.T if draw(st.booleans()) else array


def as_pictures(array):
    """What a reader makes of numbers: float32, finite; None where not one of them is finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = array.astype(np.float32)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    return np.nan_to_num(values, nan=finite.min(), neginf=finite.min(), posinf=finite.max())


def check(files, expected):
    """Loaded with these values, or refused where there are none to expect."""
    if expected is None:
        with pytest.raises(ReadError):
            read(*files)
    else:
        assert np.array_equal(read(*files).values.reshape(expected.shape), expected)


def savez(array):
    np.savez_compressed(buffer := io.BytesIO(), array)
    return buffer.getvalue()


@bounded
@given(arrays(), st.sampled_from([npy_bytes, savez]))
def test_any_array_is_loaded_as_it_is_or_refused(array, save):
    shape = array.shape
    colour = array.dtype == np.uint8 and array.ndim == 3 and shape[-1] in (3, 4)
    rows_and_columns = shape[:2] if colour else shape[-2:]
    legible = 2 <= array.ndim <= 4 and min(shape) > 0 and min(rows_and_columns) >= 8
    if colour and legible:
        weighed = array[..., :3] @ np.array([0.299, 0.587, 0.114])
        assert np.allclose(read(("a", save(array))).values[0, 0], weighed, atol=1e-3)
    else:
        check([("a", save(array))], as_pictures(array) if legible else None)


@bounded
@given(arrays())
def test_any_array_is_a_mask_of_its_labels_or_refused(array):
    legible = 2 <= array.ndim <= 4 and min(array.shape) > 0 and min(array.shape[-2:]) >= 8
    assume(not (array.dtype == np.uint8 and array.ndim == 3 and array.shape[-1] in (3, 4)))
    with np.errstate(invalid="ignore"):
        numbers = array.astype(float)
        labels = legible and np.isfinite(numbers).all() and (np.abs(numbers - np.rint(numbers)) <= 1e-4).all()
    if labels and numbers.min() >= 0 and numbers.max() < 2**31 and len(np.unique(np.rint(numbers))) <= 32:
        found = read(("a", npy_bytes(array)), mask=True).values
        assert found.dtype == np.int32
        assert np.array_equal(found.reshape(array.shape), np.rint(numbers))
    else:
        with pytest.raises(ReadError):
            read(("a", npy_bytes(array)), mask=True)


@bounded
@given(arrays([d for d in DTYPES if d != "f2"]), st.sampled_from([nibabel.Nifti1Image, nibabel.Nifti2Image]))
def test_any_array_in_a_nifti_is_loaded_as_it_is_or_refused(array, kind):
    assume(array.ndim > 0 and 1 not in array.shape[:2])  # a stack one voxel wide is one slice across it
    header = kind.header_class(endianness=">" if array.dtype.byteorder == ">" else "<")
    data = kind(array, np.diag([-1.0, -1, 2, 1]), header, dtype=array.dtype.newbyteorder("=")).to_bytes()
    legible = array.ndim > 1 and min(array.shape) > 0 and min(array.shape[:2]) >= 8 and set(array.shape[4:]) <= {1}
    check([("a", data)], as_pictures(array.T) if legible else None)  # stored x first, shown rows (y) and columns (x)


@bounded
@given(arrays(["u1", "u2", "i4", "f4"], most=3))
def test_any_array_in_a_tiff_is_loaded_as_it_is_or_refused(array):
    assume(array.ndim in (2, 3) and min(array.shape) > 0)
    pages = list(array) if array.ndim == 3 else [array]
    data = picture_bytes("TIFF", *(np.ascontiguousarray(page, page.dtype.newbyteorder("<")) for page in pages))
    check([("a", data)], as_pictures(array) if min(array.shape[-2:]) >= 8 else None)


HEADS = (b"", *(valid.whole()[0][1][:140] for valid in FILES.values()))


@bounded
@given(st.sampled_from(HEADS), st.binary(max_size=1500), st.text(max_size=60), st.booleans())
@pytest.mark.filterwarnings("ignore")  # Pillow's, which quote numbers of broken headers
def test_any_bytes_under_any_name_are_loaded_or_refused(head, rest, name, mask):
    try:
        found = read((name, head + rest), mask=mask)
    except ReadError as error:
        found = str(error)
    if isinstance(found, str):
        shown = f"{quoted(name)}: "
        assert found.startswith(shown)
        assert "in the decoder" not in found.removeprefix(shown)
    else:
        assert np.isfinite(found.values).all()


WORST = (
    "**x** [a](http://evil.example) www.evil.example a@evil.example :material/lock: :smile: $x$ `y` ~~z~~ <img src=x>"
)


@bounded
@given(st.one_of(st.text(max_size=300), st.text(st.sampled_from("*_[]()!`<>:$~#|\\/.-&;@wW \u202e\u0300\0\ud800é脑"))))
@example(WORST)
@example("-- --> 1. ")
@example("\udcff.png")
def test_any_name_is_shown_short_and_without_what_means_something_to_markdown(name):
    shown = clean_name(name)
    assert 0 < len(shown) <= MAX_NAME
    assert shown.isprintable()
    assert not set("`*[]<>$:~#|\\/!&;\u202e") & set(shown)
    shown.encode()  # no half of a surrogate pair

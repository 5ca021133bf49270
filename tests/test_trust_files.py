"""Bad files: what is read is what was stored, and all else is refused in words, by the reader and through the app."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest
from test_readers import LOADED, REFUSED, read_as_mask
from valid_files import FILES, NAME, PATIENT, PIXELS, dicom_bytes, npy_bytes, picture_bytes

from benchmarks import fuzz_readers
from dafnet_core.analysis.decompose import channel_classes, decompose
from dafnet_core.checkpoints.file import load
from dafnet_core.data import reader_process
from dafnet_core.data.formats.scan import MAX_NAME, PRIVACY_NOTE, clean_name, quoted
from dafnet_core.data.readers import ReadError, read
from dafnet_explorer import figures, session, subjects, uploads
from dafnet_explorer.report import report

pytestmark = pytest.mark.trust
ROOT = Path(__file__).resolve().parent.parent
DATA = os.environ.get("DAFNET_TEST_DATA")
AWKWARD = Path(DATA or ".", "awkward")
needs_data = pytest.mark.skipif(not DATA, reason="DAFNET_TEST_DATA does not name the folder with test files")

# the same examples every time, so that a failure is seen by whoever caused it
bounded = settings(derandomize=True, database=None, deadline=None, max_examples=200)


# ---- any array -------------------------------------------------------------------------------------------

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
    assume(array.ndim > 0)
    header = kind.header_class(endianness=">" if array.dtype.byteorder == ">" else "<")
    data = kind(array, np.diag([-1.0, -1, 1, 1]), header, dtype=array.dtype.newbyteorder("=")).to_bytes()
    legible = array.ndim > 1 and min(array.shape) > 0 and min(array.shape[:2]) >= 8 and set(array.shape[4:]) <= {1}
    check([("a", data)], as_pictures(array.T) if legible else None)  # stored x first, shown rows (y) and columns (x)


@bounded
@given(arrays(["u1", "u2", "i4", "f4"], most=3))
def test_any_array_in_a_tiff_is_loaded_as_it_is_or_refused(array):
    assume(array.ndim in (2, 3) and min(array.shape) > 0)
    pages = list(array) if array.ndim == 3 else [array]
    data = picture_bytes("TIFF", *(np.ascontiguousarray(page, page.dtype.newbyteorder("<")) for page in pages))
    check([("a", data)], as_pictures(array) if min(array.shape[-2:]) >= 8 else None)


# ---- any bytes, any name ---------------------------------------------------------------------------------

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
        assert found.startswith(f"{quoted(name)}: ")
        assert "in the decoder" not in found
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


# ---- a process apart -------------------------------------------------------------------------------------

SICK = """
import os, signal, time
from dafnet_core.data import reader_process, readers

healthy = readers._decode

def decode(blobs, mask):
    content = blobs[0].data
    if content.startswith(b"crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if content.startswith(b"hang"):
        time.sleep(600)
    if content.startswith(b"eat"):
        eaten = [bytes(64 << 20) for _ in range(1000)]
    if content.startswith(b"print"):
        print("{}", flush=True)
    return healthy(blobs, mask)

readers._decode = decode
reader_process.serve()
"""


@pytest.fixture(scope="module")
def sick():
    """Readers whose decoder crashes, hangs and eats memory as the file says."""
    return reader_process.Readers(count=1, seconds=3, program=SICK)


def test_a_reader_apart_gives_what_the_reader_gives():
    reader = reader_process.Reader()
    for kind, valid in FILES.items():
        here, there = read(*valid.whole()), reader.read(*valid.whole())
        assert np.array_equal(here.values, there.values), kind
        assert np.array_equal(here.affine, there.affine), kind
        for part in ("spacing", "slice_spacing", "name", "kind", "notes"):
            assert getattr(here, part) == getattr(there, part), (kind, part)
    labels = reader.read(("m.npy", npy_bytes(PIXELS % 3)), mask=True).values
    assert labels.dtype == np.int32
    assert np.array_equal(labels[0, 0], PIXELS % 3)
    with pytest.raises(ReadError, match=r"`bad\.npy`: it is a text file"):
        reader.read(("bad.npy", b"no picture"))
    reader.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"crash", "crashed the decoder"),
        (b"hang", "took longer than 3 s"),
        (b"eat", "more memory"),
        (b"print", "text file"),
    ],
)
def test_a_decoder_that_fails_is_told_in_a_sentence_and_the_next_file_is_read(sick, content, words):
    start = time.monotonic()
    with pytest.raises(ReadError, match=words):
        sick.read((f"{content.decode()}.png", content))
    assert time.monotonic() - start < 6
    assert np.array_equal(sick.read(("good.npy", npy_bytes(PIXELS))).values[0, 0], PIXELS)


def test_a_reader_that_died_while_it_was_idle_is_replaced():
    reader = reader_process.Reader()
    reader.read(("a", npy_bytes(PIXELS)))
    reader._process.kill()
    reader._process.wait()
    assert reader.read(("a", npy_bytes(PIXELS))).slices == 1
    reader.close()


def test_readers_apart_end_with_the_process_that_asked_them():
    code = "from dafnet_core.data.reader_process import Reader; r = Reader(); print(r.pid, flush=True); "
    code += "import os; os._exit(9)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    pid, deadline = int(done.stdout), time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_fuzzer_counts_crashes_and_hangs_and_is_not_stopped_by_them(monkeypatch):
    reader, row = reader_process.Reader(seconds=1, program=SICK), fuzz_readers.Row()
    for content in (b"crash", b"hang", b"neither", npy_bytes(PIXELS)):
        row.note(reader, (("a", content),), "a file")
    reader.close()
    assert (row.loaded, row.refused, row.crashed, row.hung) == (1, 1, 1, 1)
    assert len(row.defects) == 2
    assert row.worst_wait > 1


# ---- the command line ------------------------------------------------------------------------------------


def test_the_command_line_answers_for_names_that_no_terminal_can_show(tmp_path):
    bad = os.fsencode(tmp_path) + b"/\xff\xfe.npy"
    np.save(tmp_path / "\u8111.npy", PIXELS)
    Path(os.fsdecode(bad)).write_bytes(b"x")
    for encoding in ("utf-8", "ascii"):
        done = subprocess.run(
            [sys.executable, "-m", "dafnet_core.data.readers", bad, tmp_path / "\u8111.npy"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONIOENCODING": encoding},
        )
        assert (done.returncode, done.stderr) == (2, "")
        refused, loaded = map(json.loads, done.stdout.splitlines())
        assert "text file" in refused["error"]
        assert loaded["shape"] == [24, 20]


# ---- the app ---------------------------------------------------------------------------------------------


@pytest.fixture
def app():
    found = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    found.sidebar.button_group(key="source").set_value("My files")
    return found.run()


def give(app, files, slot="file-cine"):
    """Upload files, (name, content) each; the seconds until the page is there."""
    app.sidebar.file_uploader(key=slot).set_value([(name, data, "application/octet-stream") for name, data in files])
    start = time.monotonic()
    app.run()
    return time.monotonic() - start


def texts(app):
    """All that the page says."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "warning", "info", "error", "success", "metric")
    return " ".join(str(e.value) for kind in kinds for e in getattr(app, kind))


@pytest.fixture(scope="module")
def visitor():
    """One session that is given every awkward file, one after the other."""
    found = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    found.sidebar.button_group(key="source").set_value("My files")
    found.run()
    give(found, FILES["npy"].whole())  # warm
    return found


def awkward(entry):
    names = [entry, entry.removesuffix("hdr") + "img"] if entry == "nifti/t1_analyze.hdr" else [entry]
    return [(Path(name).name, (AWKWARD / name).read_bytes()) for name in names]


@pytest.fixture
def desk(visitor):
    """The visitor without the mask that it was given last."""
    for uploader in visitor.sidebar.file_uploader:
        if uploader.key == "mask-cine":
            uploader.clear()
    return visitor


@needs_data
@pytest.mark.parametrize("entry", LOADED)
def test_the_app_shows_an_awkward_file_that_holds_a_picture(entry, desk):
    files, mask = awkward(entry), read_as_mask(entry)
    expected = read(*files, mask=mask)
    if mask:
        give(desk, [("image.npy", npy_bytes(np.zeros(expected.values.shape[1:]) + PIXELS[0, :1]))])
    seconds = give(desk, files, "mask-cine" if mask else "file-cine")
    assert not desk.exception
    assert not desk.error
    assert seconds < 5
    kept = desk.session_state["labels-cine" if mask else "scan-cine"][1]
    assert np.array_equal(kept.values, expected.values)
    assert (kept.spacing, kept.notes) == (expected.spacing, expected.notes)
    assert "image.npy" if mask else expected.name in texts(desk)
    assert (PRIVACY_NOTE in [e.value for e in desk.sidebar.info]) == (PRIVACY_NOTE in expected.notes)


@needs_data
@pytest.mark.parametrize("entry", REFUSED)
def test_the_app_refuses_an_awkward_file_that_holds_none_in_a_sentence(entry, desk):
    mask = read_as_mask(entry)
    give(desk, FILES["npy"].whole())
    seconds = give(desk, awkward(entry), "mask-cine" if mask else "file-cine")
    assert not desk.exception
    assert seconds < 5
    [error] = [e.value for e in desk.sidebar.error]
    assert error.startswith(f"`{Path(entry).name}`: ")
    assert error.endswith(".")
    assert "/" not in error.replace("or", "")


def test_a_file_that_names_a_patient_is_met_with_a_hint_and_what_it_names_is_nowhere(app, capfd, caplog):
    data = dicom_bytes(PIXELS, InstitutionName="Secret Hospital", PatientComments="Secret comment")
    give(app, [("x.dcm", data)])
    assert [e.value for e in app.sidebar.info] == [PRIVACY_NOTE]  # at once, in no expander
    for page in ("decompose", "report"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        assert [e.value for e in app.sidebar.info] == [PRIVACY_NOTE]
        for part in (NAME, PATIENT, "Secret"):
            assert part not in texts(app)
    broken = data[:-100]
    give(app, [("x.dcm", broken)])
    assert "cut short" in app.sidebar.error[0].value
    heard = capfd.readouterr()
    for place in (heard.out, heard.err, caplog.text, texts(app)):
        assert "Secret" not in place
        assert PATIENT not in place


def test_exports_of_a_file_that_names_a_patient_do_not(tmp_path):
    checkpoint = load(ROOT / "checkpoints" / "cardiac-film.safetensors")
    subject = subjects.uploaded(checkpoint, {0: read(("Secret.dcm", dicom_bytes(PIXELS))).slice()}, {})
    found = decompose(checkpoint.model, subject.images, subject.modalities)
    facts = session.about(checkpoint, session.data_name(subject), checkpoint_file="x", modalities=found.names)
    kinds = channel_classes(found, len(checkpoint.config.classes))
    exports = [
        figures.numbers(found, subject.truth, subject.native, facts),
        report(checkpoint, subject, found, kinds, {}, None, facts, None),
    ]
    for export in exports:
        with zipfile.ZipFile(io.BytesIO(export)) as archive:
            for member in archive.namelist():
                content = archive.read(member)
                for part in (b"Secret", PATIENT.encode()):
                    assert part not in content, member


@pytest.mark.parametrize("content", [b"crash", b"hang", b"eat"])
def test_the_app_outlives_a_decoder_that_fails(app, sick, monkeypatch, content):
    monkeypatch.setattr(uploads, "_readers", lambda: sick)
    give(app, [("bad.png", content)])
    assert not app.exception
    [error] = [e.value for e in app.sidebar.error]
    assert error.startswith("`bad.png`: ")
    give(app, [("good.npy", npy_bytes(PIXELS))])
    assert not app.exception
    assert not app.error
    assert "good.npy" in texts(app)

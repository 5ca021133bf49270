"""Bad files through the app: shown or refused, and no patient is named anywhere."""

import io
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dafnet_core.analysis.decompose import channel_classes
from dafnet_core.checkpoints.file import load
from dafnet_core.data.formats.scan import PRIVACY_NOTE
from dafnet_core.data.readers import read
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import provenance, subjects, uploads
from dafnet_explorer.figures.decompose import numbers
from dafnet_explorer.report.archive import report
from tests.helpers.awkward_files import AWKWARD, LOADED, REFUSED, needs_data, read_as_mask
from tests.helpers.paths import ROOT
from tests.helpers.valid_files import FILES, NAME, PATIENT, PIXELS, dicom_bytes, npy_bytes

pytestmark = pytest.mark.trust


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


@pytest.mark.slow
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


@pytest.mark.slow
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
    facts = provenance.about(checkpoint, provenance.data_name(subject), checkpoint_file="x", modalities=found.names)
    kinds = channel_classes(found, len(checkpoint.config.classes))
    exports = [
        numbers(found, subject.truth, subject.native, facts),
        report(checkpoint, subject, found, kinds, {}, None, facts, None),
    ]
    for export in exports:
        with zipfile.ZipFile(io.BytesIO(export)) as archive:
            for member in archive.namelist():
                content = archive.read(member)
                for part in (b"Secret", PATIENT.encode()):
                    assert part not in content, member


@pytest.mark.slow
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

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


def give(app, files, role="cine", *, more=False):
    """Drop files, (name, content) each, in place of earlier ones, or as more; the seconds until the page is there."""
    if not more:
        app.session_state["uploads"] = []
    app.main.file_uploader[0].set_value([(name, data, "application/octet-stream") for name, data in files])
    start = time.monotonic()
    app.run()
    seconds = time.monotonic() - start
    upload = app.session_state["uploads"][-1]
    if str(upload.role) != role and (upload.scan or role != "cine"):
        app.selectbox(key=f"shows-{upload.number}").set_value(role)
        app.run()
    return seconds


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


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize("entry", LOADED)
def test_the_app_shows_an_awkward_file_that_holds_a_picture(entry, visitor):
    files, mask = awkward(entry), read_as_mask(entry)
    expected = read(*files, mask=mask)
    if mask:
        give(visitor, [("image.npy", npy_bytes(np.zeros(expected.values.shape[1:]) + PIXELS[0, :1]))])
    seconds = give(visitor, files, "mask of cine" if mask else "cine", more=mask)
    assert not visitor.exception
    assert not visitor.error
    assert seconds < 5
    kept = visitor.session_state["uploads"][-1].scan
    assert np.array_equal(kept.values, expected.values)
    assert (kept.spacing, kept.notes) == (expected.spacing, expected.notes)
    assert "image.npy" if mask else expected.name in texts(visitor)
    assert (PRIVACY_NOTE in [e.value for e in visitor.main.info]) == (PRIVACY_NOTE in expected.notes)


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize("entry", REFUSED)
def test_the_app_refuses_an_awkward_file_that_holds_none_in_a_sentence(entry, visitor):
    mask = read_as_mask(entry)
    give(visitor, FILES["npy"].whole())
    seconds = give(visitor, awkward(entry), "mask of cine" if mask else "cine", more=True)
    assert not visitor.exception
    assert seconds < 5
    [error] = [e.value for e in visitor.main.error]
    assert error.startswith(f"`{Path(entry).name}`: ")
    assert error.endswith(".")
    assert "/" not in error.replace("or", "")


def test_a_file_that_names_a_patient_is_met_with_a_hint_and_what_it_names_is_nowhere(app, capfd, caplog):
    data = dicom_bytes(PIXELS, InstitutionName="Secret Hospital", PatientComments="Secret comment")
    give(app, [("x.dcm", data)])
    assert PRIVACY_NOTE in [e.value for e in app.main.info]
    assert not app.main.expander[0].info  # at once, in no expander
    for page in ("decompose", "report"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        assert PRIVACY_NOTE in [e.value for e in app.main.info]
        for part in (NAME, PATIENT, "Secret"):
            assert part not in texts(app)
    broken = data[:-100]
    give(app, [("x.dcm", broken)])
    assert "cut short" in app.main.error[0].value
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
    [error] = [e.value for e in app.main.error]
    assert error.startswith("`bad.png`: ")
    give(app, [("good.npy", npy_bytes(PIXELS))])
    assert not app.exception
    assert not app.error
    assert "good.npy" in texts(app)

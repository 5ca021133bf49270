"""Uploads of bad checkpoints on the page."""

import pickle

import pytest
from streamlit.testing.v1 import AppTest

from tests.helpers.checkpoint_bytes import edited
from tests.helpers.paths import ROOT, SHIPPED

pytestmark = pytest.mark.trust


def test_a_bad_upload_leaves_the_chosen_model_and_the_pages_as_they_were(good):
    nan = bytearray(SHIPPED.read_bytes())
    nan[-4:] = b"\xff" * 4
    real = SHIPPED.read_bytes()
    bad = {
        "cut.safetensors": real[: len(real) // 2],
        "pickle.safetensors": pickle.dumps({"a": 1}),
        "![x](http://example.org/x.png).safetensors": b"",
        "nan.safetensors": bytes(nan),
        "huge.safetensors": edited(real, model=lambda m: m | {"width": 10**6}),
        "html.safetensors": edited(real, training=lambda t: t | {"data": "<script>alert(1)</script>"}),
        "metrics.safetensors": edited(real, metrics={"x": {"probe": 5}}),
        "version.safetensors": edited(real, dafnet_format=2),
    }
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.switch_page("pages/checkpoints.py").run()
    app.file_uploader(key="bring").upload("mine.safetensors", good, "application/octet-stream")
    app.run()
    assert not app.error
    assert "mine (uploaded)" in app.sidebar.selectbox(key="checkpoint").options
    before = app.sidebar.selectbox(key="checkpoint").value, app.metric[1].value, app.caption[-1].value
    for name, data in bad.items():
        app.file_uploader(key="bring").upload(name, data, "application/octet-stream")
        app.run()
        assert not app.exception, name
        (error,) = [e.value for e in app.error]
        assert "](" not in error
        assert "<" not in error
        assert app.sidebar.selectbox(key="checkpoint").options.count("mine (uploaded)") == 1
        assert (app.sidebar.selectbox(key="checkpoint").value, app.metric[1].value, app.caption[-1].value) == before
    app.switch_page("pages/start.py").run()
    assert not app.exception
    assert not app.error

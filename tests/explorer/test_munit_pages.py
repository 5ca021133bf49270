"""Checkpoints of MUNIT: Decompose shows its content code, and pages of anatomy channels say that there are none."""

import pytest
from page_visits import page_text

from dafnet_explorer import catalogue
from tests.helpers import untrained


@pytest.mark.slow
def test_content_is_shown_and_edit_declines(app, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "CHECKPOINTS", tmp_path)
    untrained.write(tmp_path / "munit.safetensors", "translation")
    app.query_params["checkpoint"] = "munit"
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    assert "The content of Translation is continuous, 48 numbers for every 4 x 4 pixels" in page_text(app)
    app.switch_page("pages/edit.py").run()
    assert not app.exception
    assert "Translation has no anatomy and modality factors" in page_text(app)

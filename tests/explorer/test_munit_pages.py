"""Checkpoints of MUNIT: pages show its content and style codes, and those of channels say that there are none."""

import pytest
from page_visits import page_text, wait_for_jobs

from dafnet_explorer import catalogue
from tests.helpers import untrained


@pytest.mark.slow
def test_content_and_style_are_shown_and_edit_declines(app, few, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "CHECKPOINTS", tmp_path)
    untrained.write(tmp_path / "munit.safetensors", "translation")
    app.query_params["checkpoint"] = "munit"
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    assert "The content of Translation is continuous, 48 numbers for every 4 x 4 pixels" in page_text(app)
    app.switch_page("pages/traverse.py").run()
    assert not app.exception
    assert "Encoded again, that of the image's reconstruction differs by" in page_text(app)
    app.switch_page("pages/mix.py").run()
    assert not app.exception
    assert "Mean over cells: kept" in page_text(app)
    app.switch_page("pages/probe.py").run()
    wait_for_jobs(app)
    assert not app.exception
    assert "has a style code in place of z" in page_text(app)
    assert [m.label for m in app.metric] == ["Accuracy, all of z", "Best dimension alone"]
    app.switch_page("pages/edit.py").run()
    assert not app.exception
    assert "Translation has no anatomy and modality factors" in page_text(app)

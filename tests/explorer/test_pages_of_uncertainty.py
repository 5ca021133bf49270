"""Probabilities, entropy and samples on Decompose, against the core."""

import io
import json

import numpy as np
import pytest
import streamlit as st
from page_visits import page_text

from dafnet_core.analysis.uncertainty import entropy, sample_factors
from dafnet_core.drawing import LIGHT
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import subjects
from dafnet_explorer.figures.uncertainty import probability_sheet, uncertainty_sheet
from tests.helpers import untrained


@pytest.fixture
def downloads(monkeypatch):
    """What the page would give to a browser, by file name."""
    kept = {}
    monkeypatch.setattr(st, "download_button", lambda label, data, name, *rest, **more: kept.update({name: data}))
    return kept


@pytest.mark.slow
def test_decompose_shows_and_gives_what_the_core_computes(app, checkpoint, downloads):
    app.query_params["subject"], app.query_params["slice"] = "1", "4"
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    (name,) = (n for n in downloads if n.endswith("uncertainty.npz"))
    assert name.startswith("dafnet-decompose-cardiac-film-Phantom-subject-1-slice-4")
    found = decompose(checkpoint.model, subjects.sample(checkpoint, 0, 3, "standard").images)
    with np.load(io.BytesIO(downloads[name]())) as file:
        assert np.allclose(file["probabilities"], found.probabilities, atol=1e-3)
        assert np.allclose(file["entropy"], entropy(file["probabilities"]), atol=1e-5)
        assert not any(n.startswith("sampled") for n in file)
    app.toggle(key="sampled").set_value(True)
    app.run()
    app.button_group(key="samples").set_value(8)
    app.run()
    assert not app.exception
    assert "Samples disagree" in page_text(app)
    expected = sample_factors(checkpoint.model, found.images, (0, 1), samples=8)
    with np.load(io.BytesIO(downloads[name]())) as file:
        assert np.allclose(file["sampled_disagreement"], expected.disagreement, atol=1e-3)
        about = json.loads(str(file["about"]))
        assert (about["samples"], about["checkpoint_digest"]) == (8, checkpoint.digest)
        assert "slice 4" in about["data"]


def test_only_modalities_that_are_served_have_maps(tmp_path, checkpoint):
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    single = untrained.write(tmp_path / "single.safetensors", "sdnet-single")
    both = []
    for made in (single, checkpoint):
        found = decompose(made.model, subject.images, subject.modalities)
        spread = sample_factors(made.model, found.images, subject.modalities, samples=2)
        classes = made.config.classes
        both.append([probability_sheet(found, classes, LIGHT).height, uncertainty_sheet(found, spread, LIGHT).height])
    assert all(1.5 * one < two for one, two in zip(*both, strict=True))

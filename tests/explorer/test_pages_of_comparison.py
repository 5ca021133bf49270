"""The page Compare, by Streamlit's own test client and in a browser."""

import json
from dataclasses import replace

import numpy as np
import pytest
from browser_visits import expect_picture
from page_visits import page_text, wait_for_jobs

from dafnet_core.checkpoints.file import load
from dafnet_core.checkpoints.weights import weight_differences
from dafnet_core.evaluate import evaluate_checkpoint
from dafnet_core.evaluation.comparison import compare
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import background_evaluation, subjects
from dafnet_explorer.figures.compare import pictures
from dafnet_explorer.figures.comparison import verdict
from tests.helpers.paths import ROOT

SPEC = "phantom:subjects=3,difficulty=standard"


@pytest.fixture(scope="module")
def other():
    return load(ROOT / "checkpoints" / "cardiac-spade.safetensors")


def numbers_table(app):
    return next(d.value for d in app.dataframe if "number" in d.value).set_index("number")


@pytest.mark.slow
def test_compare_has_every_number_of_both_with_paired_differences(app, few, checkpoint, other):
    app.run().switch_page("pages/compare.py").run()
    wait_for_jobs(app)
    assert not app.exception
    ours, theirs = (evaluate_checkpoint(c, SPEC) for c in (checkpoint, other))
    found, table = compare(ours.with_subjects(), theirs.with_subjects()), numbers_table(app)
    fused = table.loc["segmentation.LGE.fused.dice_mean"]
    assert fused["chosen"] == pytest.approx(ours.result.segmentation["LGE"]["fused"].dice_mean)
    assert fused["difference"] == pytest.approx(fused["chosen"] - fused["beside"])
    assert fused["in words"] == "LGE, fused masks, Dice per slice"
    volume = table.loc["segmentation.LGE.fused.dice_volume_mean"]
    expected = found["segmentation.LGE.fused.dice_volume"].paired
    assert (volume["low"], volume["high"]) == pytest.approx(expected.ci95)
    assert volume["p"] == pytest.approx(expected.p_value)
    assert np.isnan(table.loc["dependence.dcor", "difference"])
    assert verdict(found) in page_text(app)
    forest = next(c for c in app.get("plotly_chart") if "A minus B" in c.proto.spec)
    drawn = {point["y"][0]: point["x"][0] for point in json.loads(forest.proto.spec)["data"]}
    assert drawn["LGE, fused masks, Dice per volume"] == pytest.approx(expected.difference)
    assert "Dice: A minus B, A better" in forest.proto.spec


def test_compare_shows_the_cards_of_both_and_their_weights_at_once(app, monkeypatch, checkpoint, other):
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (24,))
    app.run().switch_page("pages/compare.py").run()
    assert not app.exception
    table, stored = numbers_table(app), background_evaluation.stored_on_the_same(checkpoint, other)
    assert len({(r.data, r.n_subjects) for r in stored}) == 1
    name = "segmentation.cine.fused.dice_mean"
    assert tuple(table.loc[name, ["chosen", "beside"]]) == tuple(
        r.segmentation["cine"]["fused"].dice_mean for r in stored
    )
    differs = table.loc[name, "chosen"] - table.loc[name, "beside"]
    assert table.loc[name, "difference"] == pytest.approx(differs, abs=1e-6)  # these cards keep numbers of subjects
    assert "from the cards of both" in page_text(app)
    weights = app.dataframe[-1].value.set_index("module")
    (segmentor,) = (d for d in weight_differences(checkpoint, other) if d.module == "segmentor")
    assert weights.loc["segmentor", "relative difference"] == f"{segmentor.relative:.3f}"
    for button in [b for b in app.button if b.label == "Cancel"]:
        button.click()
    app.run()


def test_cards_that_keep_numbers_of_subjects_give_a_verdict_at_once(app, monkeypatch, checkpoint, other):
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (24,))
    name = "segmentation.LGE.fused.dice_mean"
    stored = [
        replace(result, subjects="same", by_subject={name: tuple(np.linspace(low, low + 0.05, 24))})
        for result, low in zip(background_evaluation.stored_on_the_same(checkpoint, other), (0.8, 0.7), strict=True)
    ]
    monkeypatch.setattr(background_evaluation, "stored_on_the_same", lambda *both: stored)
    app.run().switch_page("pages/compare.py").run()
    assert not app.exception
    assert "**A segments better** on 24 subjects: Dice of LGE +0.1000" in page_text(app)
    assert "A minus B" in next(c.proto.spec for c in app.get("plotly_chart"))
    for button in [b for b in app.button if b.label == "Cancel"]:
        button.click()
    app.run()


def test_pictures_to_lay_over_each_other_show_errors_where_there_is_a_truth(checkpoint, other):
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    both = tuple(decompose(c.model, subject.images, subject.modalities) for c in (checkpoint, other))
    shown = pictures(both, 1, subject.truth, checkpoint.colours)
    assert {p.shape for p in shown.values()} == {(*subject.images.shape[1:], 3)}
    assert {"true mask", "A: mask against truth", "B: with z of cine"} <= set(shown)
    assert not any("truth" in name or "true" in name for name in pictures(both, 1, {}, checkpoint.colours))


def test_two_pictures_lie_over_each_other(server, page):
    page.goto(f"{server[0]}/compare?left=A:+mask&right=true+mask")
    expect_picture(page, "Factors, masks, their errors", timeout=60_000)
    canvas, line = page.locator(".compare canvas"), page.locator(".compare input")
    shown = []
    for key in ("Home", "End"):
        line.focus()
        page.keyboard.press(key)
        shown.append(canvas.evaluate("e => e.toDataURL()"))
    assert shown[0] != shown[1]
    assert page.locator(".compare .ends span").all_inner_texts() == ["A: mask", "true mask"]

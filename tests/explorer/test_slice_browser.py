"""Slices in the order of their numbers, thumbnails of the scatter plot, and the way from a slice to its page."""

import numpy as np
import pytest
from page_visits import page_text, wait_for_jobs

from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.data.sources import open_source
from dafnet_core.drawing import LIGHT
from dafnet_core.evaluate import evaluate_checkpoint
from dafnet_core.evaluation.slices import DICE, DISAGREEMENT, ERROR, JudgedSlice
from dafnet_explorer import background_evaluation, slice_browser, state
from dafnet_explorer.background_evaluation import EvaluationRequest
from dafnet_explorer.figures.probe import scatter, spread, thumbnail_sheet
from dafnet_explorer.figures.slices import browser_sheet, order, slice_sheet

SPEC = "phantom:subjects=3,difficulty=standard"


def judged(subject="phantom_s9000_0002", number=3, modality=0, n=0):
    return JudgedSlice(subject, number, n, number, modality, 0.9, 0.1, None, np.full((8, 8), 9, np.uint8))


def test_the_worst_come_first_and_unknown_ones_not_at_all():
    values, every = np.array([0.9, np.nan, 0.2, 0.5, 0.5]), np.ones(5, bool)
    assert order(values, every, worst_high=False, worst_first=True).tolist() == [2, 3, 4, 0]  # such as Dice
    assert order(values, every, worst_high=False, worst_first=False).tolist() == [0, 3, 4, 2]
    assert order(values, every, worst_high=True, worst_first=True).tolist() == [0, 3, 4, 2]  # such as an error
    assert order(values, values > 0.3, worst_high=True, worst_first=False).tolist() == [3, 4, 0]


def test_sheets_show_every_slice_with_its_tile():
    slices = [judged(f"s{n:02d}", n % 8, n % 2, n) for n in range(11)]
    made = browser_sheet(slices, range(11), np.linspace(0, 1, 11), ("cine", "LGE"), LIGHT)
    assert [tuple(tile[:2]) for tile in made.info["tiles"]] == [divmod(n, 8) for n in range(11)]
    colours = ("#000000", "#D55E00")
    assert slice_sheet({"a": slices[0]}, None, None, colours, LIGHT).info["tiles"][-1][:2] == (0, 0)
    image, mask = np.zeros((8, 8), np.float32), np.ones((8, 8), np.uint8)
    one = JudgedSlice("s", 0, 0, 0, 0, 0.5, 0.1, mask, np.zeros((8, 8), np.uint8))
    assert len(slice_sheet({"a": one, "b": one}, image, mask, colours, LIGHT).info["tiles"]) == 4


def test_a_slice_is_selected_where_the_sidebar_offers_it(checkpoint):
    request = EvaluationRequest(SPEC)
    assert slice_browser.selection(checkpoint, request, judged()) == {
        state.SOURCE: "Samples",
        state.SUBJECT: 3,
        state.SLICE: 4,
        state.DIFFICULTY: "standard",
    }
    more = EvaluationRequest("phantom:subjects=24,difficulty=hard")
    assert slice_browser.selection(checkpoint, more, judged("phantom_s9000_0023")) == {}
    elsewhere = EvaluationRequest("phantom:seed=9500,subjects=8,difficulty=hard")
    assert slice_browser.selection(checkpoint, elsewhere, judged(open_source(elsewhere.data).names()[0])) == {}
    assert slice_browser.selection(checkpoint, EvaluationRequest("chaos:/no/where"), judged()) == {}


def test_pictures_of_the_scatter_plot_lie_far_from_each_other():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 0.01, (20, 2)), [[5, 5], [-5, 5], [5, -5], [-5, -5]]])
    assert set(spread(points, 5)) >= {20, 21, 22, 23}
    assert len(spread(points, 100)) == 24
    assert len(spread(np.zeros((4, 2)), 3)) == 1
    z = rng.normal(size=(6, 2, 8)).astype(np.float32)
    images = rng.uniform(-1, 1, (2, 70, 70)).astype(np.float32)
    parts = [Encoded(f"case_{n}", 0, images, np.zeros((2, 70, 70), np.uint8), z[n], z[n]) for n in range(6)]
    e = Encodings(("cine", "LGE"), ("background", "one"), 8, parts)
    plain, figure = (scatter(e, "z1", "z2", "modality", False, **more) for more in ({}, dict(pictures=[3], marked=7)))
    assert not plain.layout.images
    assert (figure.layout.images[0].x, figure.layout.images[0].y) == pytest.approx(tuple(e.z[3, :2]))
    ring = figure.data[-1]
    assert (ring.x[0], ring.y[0]) == pytest.approx(tuple(e.z[7, :2]))
    assert len(thumbnail_sheet(e, range(12), LIGHT).info["tiles"]) == 12


@pytest.mark.slow
def test_compare_sorts_slices_by_disagreement_and_selects_one(app, few, checkpoint):
    app.run().switch_page("pages/compare.py").run()
    wait_for_jobs(app)
    assert not app.exception
    assert app.selectbox(key="browsed-by").options == [DICE, ERROR, "leakage (probability)", DISAGREEMENT]
    assert app.selectbox(key="browsed-by").value == DISAGREEMENT
    found = evaluate_checkpoint(checkpoint, SPEC, measures="brief")
    app.selectbox(key="browsed-by").set_value(DICE)
    worst = found.slices[order(found.of_slices()[DICE], np.ones(48, bool), worst_high=False, worst_first=True)[0]]
    app.session_state[slice_browser.CHOSEN] = worst.place
    app.run()
    assert not app.exception
    name = checkpoint.config.modalities[worst.modality]
    assert f"**{worst.subject}, slice {worst.number + 1}, {name}**" in page_text(app)
    app.button(key="select-browsed").click()
    app.run()
    assert not app.exception
    number = int(worst.subject.rpartition("_")[2]) + 1
    assert (app.selectbox(key="subject").value, app.slider(key="slice").value) == (number, worst.number + 1)
    assert f"slice {worst.number + 1} of 8" in page_text(app)  # the sheet on top is of it
    assert "select-browsed" not in [button.key for button in app.button]


@pytest.mark.slow
def test_probe_marks_the_same_image_in_plot_and_thumbnails(app, few):
    app.run().switch_page("pages/probe.py").run()
    wait_for_jobs(app)
    assert "Select a point, or a thumbnail (subject, slice)" in page_text(app)
    app.session_state["probed-row"] = 5
    app.toggle(key="pictured").set_value(True)
    app.run()
    assert not app.exception
    assert "**subject phantom_s9000_0000, slice 3, LGE**" in page_text(app)
    spec = next(c.proto.spec for c in app.get("plotly_chart") if "principal axis" in c.proto.spec)
    assert "shown below" in spec
    assert "png;base64" in spec
    assert background_evaluation.POPULATIONS == (3, 4)

"""Checkpoints of methods without factors: every page says what is missing, and shows what there is."""

import json

import pytest
from page_visits import ROOT, page_text, wait_for_jobs

from dafnet_core.evaluate import evaluate_checkpoint
from dafnet_explorer import catalogue
from dafnet_explorer.figures.comparison import comparison
from dafnet_explorer.figures.downloads import as_json
from dafnet_explorer.figures.independence import with_nulls
from dafnet_explorer.report.tables import evaluate_rows
from tests.helpers import masks_only

FACTORS = (
    *("start", "tour", "decompose", "traverse", "align", "edit", "mix"),
    *("probe", "independence", "truth", "quiz", "compare", "report"),
)


@pytest.fixture
def other(tmp_path, monkeypatch):
    """A checkpoint without factors in the catalogue, and two with them."""
    for name in ("cardiac-film", "cardiac-spade"):
        (tmp_path / f"{name}.safetensors").symlink_to(ROOT / "checkpoints" / f"{name}.safetensors")
    made = masks_only.write(tmp_path / "masks-only.safetensors", monkeypatch)
    monkeypatch.setattr(catalogue, "CHECKPOINTS", tmp_path)
    return made


def test_every_page_of_factors_says_that_there_are_none(app, other):
    app.query_params["checkpoint"] = "masks-only"
    app.run()
    for page in FACTORS:
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, page
        assert "Masks only has no anatomy and modality factors" in page_text(app), page
    app.switch_page("pages/checkpoints.py").run()
    assert not app.exception
    assert app.metric[0].value == "Masks only"
    app.switch_page("pages/benchmark.py").run()
    assert not app.exception


@pytest.mark.slow
def test_it_is_offered_where_factors_are_not_needed_only(app, few, other):
    app.query_params["checkpoint"] = "cardiac-film"
    app.run().switch_page("pages/edit.py").run()
    assert app.selectbox(key="painted-with").options == ["cardiac-spade"]
    app.switch_page("pages/compare.py").run()
    app.selectbox(key="against").set_value("masks-only")
    app.run()
    wait_for_jobs(app)
    assert not app.exception
    assert "no anatomy and modality factors to compare" in page_text(app)
    numbers = set(next(d.value for d in app.dataframe if "number" in d.value)["number"])
    assert "segmentation.LGE.single.dice_mean" in numbers
    assert "probe.accuracy" not in numbers


@pytest.mark.slow
def test_tables_and_downloads_hold_what_was_measured(checkpoint, other):
    spec = "phantom:subjects=2,difficulty=standard"
    mine, theirs = (evaluate_checkpoint(c, spec) for c in (checkpoint, other))
    assert theirs.statistics is None
    assert {row["measure"] for row in evaluate_rows(theirs.result)} == {"Segmentation", "Surface distances"}
    assert json.loads(as_json(with_nulls(theirs), {}))["nulls"] == {}
    assert json.loads(as_json(theirs.result.to_json(), {}))["why"]["probe"] == "Masks only has no modality factor"
    assert "copy.LGE.dice_mean" in {row["number"] for row in comparison(mine.result, theirs.result, {})}

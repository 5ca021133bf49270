"""Pages that evaluate a checkpoint on a data set, by Streamlit's own test client."""

import json
from dataclasses import replace

import numpy as np
import pytest
from page_visits import page_text, wait_for_jobs

from dafnet_core.checkpoints.card import options
from dafnet_core.evaluate import evaluate_checkpoint
from dafnet_core.evaluation.measures.prior import PriorSummary
from dafnet_core.evaluation.measures.style import R2Summary, ReadingSummary, StyleSummary
from dafnet_explorer import background_evaluation, catalogue, data_sets
from dafnet_explorer.background_evaluation import EvaluationRequest
from dafnet_explorer.figures.downloads import as_json
from dafnet_explorer.figures.independence import with_nulls

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def evaluation(checkpoint):
    return evaluate_checkpoint(checkpoint, "phantom:subjects=3,difficulty=standard")


def test_probe_shows_the_numbers_of_evaluate(app, few, evaluation):
    app.run().switch_page("pages/probe.py").run()
    wait_for_jobs(app)
    assert not app.exception
    shown = {m.label: m.value for m in app.metric}
    assert shown["Accuracy, all of z"] == f"{evaluation.result.probe.accuracy:.3f}"
    assert shown["cine → LGE"] == f"{evaluation.result.swap['cine_to_LGE'].accuracy:.3f}"
    leak = evaluation.result.leakage.occupancies
    assert app.dataframe[0].value["accuracy from s"][0].startswith(f"{leak.accuracy:.3f}")
    assert f"**{evaluation.result.leakage.cnn.excess_nats:.3f} nats**" in page_text(app)
    stability = app.dataframe[1].value.set_index("modality")
    kept, changed = evaluation.result.invariance.intensity, evaluation.result.sensitivity
    assert stability.loc["LGE", "pixels that keep their channel"] == f"{kept['LGE']:.3f}"
    assert stability.loc["cine", "change of the image, 5 % flipped"] == f"{changed['cine'].p05:.3f}"
    assert {"scar", "LGE noise"} <= set(app.dataframe[-1].value["known"])
    app.selectbox(key="colour").set_value("heart radius (mm)")
    app.selectbox(key="across").set_value("z2")
    app.run()
    assert not app.exception


def test_independence_never_shows_a_statistic_without_its_null_and_n(app, few, evaluation):
    app.run().switch_page("pages/independence.py").run()
    assert app.selectbox(key="other").value == "cardiac-spade"  # FiLM's partner comes first
    wait_for_jobs(app)
    assert not app.exception
    assert [h.value for h in app.subheader][:2] == ["FiLM", "SPADE"]
    table, found = app.dataframe[0].value, evaluation.result.dependence
    assert table["dCor"][0].startswith(f"{found.dcor:.3f}")
    assert table["subjects permuted"][0] == f"{found.null_dcor_mean:.3f}"
    assert table["subjects"][0] == "3"
    assert set(table["between"]) == {
        "s and z",
        "s and z, cine alone",
        "s and z, LGE alone",
        "image and s",
        "image and z",
    }
    nulls = json.loads(as_json(with_nulls(evaluation), {}))["nulls"]["s_z"]["dcor"]
    assert len(nulls) == 999
    assert np.mean(nulls) == pytest.approx(found.null_dcor_mean)


def test_mix_scores_every_cell_and_compares_with_another_decoder(app, few):
    app.run().switch_page("pages/mix.py").run()
    wait_for_jobs(app)
    assert not app.exception
    assert "with z of other images: kept" in page_text(app)
    app.multiselect(key="mix-rows").set_value(["subject 2, slice 1, LGE"])
    app.multiselect(key="mix-columns").set_value(["subject 1, slice 8, cine", "random z 2"])
    app.selectbox(key="mixed-with").set_value("cardiac-spade")
    app.run()
    wait_for_jobs(app)
    assert not app.exception
    assert [h.value for h in app.subheader][:2] == ["FiLM (checkpoint A)", "SPADE (cardiac-spade)"]
    assert len([c for c in app.caption if c.value.startswith("Mean over ")]) == 2
    app.multiselect(key="mix-rows").set_value([])
    app.run()
    assert "Choose at least one anatomy" in page_text(app)


def test_truth_begins_with_most_subjects_whatever_was_evaluated_before(app, monkeypatch):
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (3, 4))
    for page, first in (("probe", 3), ("truth", 4)):
        app.run().switch_page(f"pages/{page}.py").run()
        wait_for_jobs(app)
        assert next(c.value for c in app.button_group if c.label == "Phantom subjects") == first


def test_truth_shows_its_matrix_the_dci_scores_and_how_clean_s_is(app, checkpoint, monkeypatch):
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (4,))
    app.run().switch_page("pages/truth.py").run()
    wait_for_jobs(app)
    assert not app.exception
    shown = {m.label: m.value for m in app.metric}
    assert list(shown)[:3] == ["Disentanglement", "Completeness", "Informativeness"]
    assert "intervals under the cursor" in page_text(app)
    finished = background_evaluation.finished_evaluations(checkpoint)
    result = finished[EvaluationRequest("phantom:subjects=4,difficulty=standard", brief=True)].result
    assert result.leakage is None
    assert result.dependence is None
    assert shown["Same channel in both modalities"] == f"{result.invariance.modality.agreement:.3f}"
    assert shown["Same true tissue in both: the bound"] == f"{result.invariance.modality.bound:.3f}"
    speckle, found = app.dataframe[0].value.set_index("modality").loc["LGE"], result.speckle["LGE"]
    assert list(speckle) == [f"{found.share:.3f}", f"{found.truth_share:.3f}", f"{found.boundary_ratio:.2f}"]


@pytest.fixture
def truth_of(app, checkpoint, monkeypatch):
    """The page Truth of a checkpoint whose card holds some numbers, before anything was evaluated."""
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (24,))

    def shown(**numbers):
        stored = {"standard": replace(checkpoint.metrics["standard"], **numbers)}
        monkeypatch.setattr(catalogue, "load_entry", lambda entry: replace(checkpoint, metrics=stored))
        app.run().switch_page("pages/truth.py").run()
        assert not app.exception
        return app, options(stored["standard"])

    yield shown
    next(b for b in app.button if b.label == "Cancel").click()
    app.run()


def test_truth_shows_what_the_card_holds_of_styles_and_of_s_at_once(truth_of, checkpoint):
    def reading(flip, nulling):
        r2 = {"cine flip angle (degrees)": flip, "LGE inversion time / nulling time": nulling}
        return ReadingSummary(R2Summary((flip + nulling) / 2, r2))

    style = StyleSummary(reading(0.7, 0.5), reading(0.1, 0.2), reading(0.9, 0.8))
    app, command = truth_of(style=style, prior=PriorSummary(0.987, 0.9, 0.1))
    assert f"CHECKPOINT {command}" in page_text(app)
    shown = {m.label: m.value for m in app.metric}
    stored = checkpoint.metrics["standard"]
    assert shown["Masks kept under random styles"] == "0.987"
    assert shown["Same channel in both modalities"] == f"{stored.invariance.modality.agreement:.3f}"
    assert app.dataframe[0].value["speckle of s"][0] == f"{stored.speckle['cine'].share:.3f}"
    (chart,) = app.get("plotly_chart")
    bars = {bar["name"]: bar["y"] for bar in json.loads(chart.proto.spec)["data"]}
    assert bars == {
        "z": pytest.approx([0.6, 0.7, 0.5]),
        "s": pytest.approx([0.15, 0.1, 0.2]),
        "true intensities (oracle)": pytest.approx([0.85, 0.9, 0.8]),
    }


def test_truth_names_the_command_where_no_styles_are_stored(truth_of):
    app, _ = truth_of()
    assert "--data phantom:subjects=96,difficulty=standard --measures slow" in page_text(app)
    assert not any(m.label == "Masks kept under random styles" for m in app.metric)
    assert not app.get("plotly_chart")


def test_mix_shows_the_selected_slice_and_the_card_at_once(app, checkpoint, monkeypatch):
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (24,))
    app.run().switch_page("pages/mix.py").run()
    assert not app.exception
    stored = checkpoint.metrics["standard"].swap["cine_to_LGE"]
    assert {m.label: m.value for m in app.metric}["s of cine with z of LGE"] == f"{stored.accuracy:.3f}"
    assert "Until the evaluation has run: phantom" in page_text(app).replace("Phantom", "phantom")
    next(b for b in app.button if b.label == "Cancel").click()
    app.run()


def test_a_running_evaluation_names_its_checkpoint_and_the_time_left():
    left = background_evaluation.time_left
    assert [left(None), left(33.1), left(90), left(200)] == [
        "",
        ", about 35 s left",
        ", about 90 s left",
        ", about 4 min left",
    ]


def test_work_that_is_cancelled_ends_and_can_be_started_again(app, monkeypatch):
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (24,))
    app.run().switch_page("pages/probe.py").run()
    assert "Until then, from the checkpoint's card" in page_text(app)  # at once
    (progress,) = app.get("progress")
    assert progress.proto.text.startswith(("Evaluating cardiac-film: ", "cardiac-film: waiting for "))
    next(b for b in app.button if b.label == "Cancel").click()
    app.run()
    assert not app.exception
    assert any(b.label == "Start again" for b in app.button)
    assert app.metric  # numbers of the card stay


def test_a_checkpoint_without_data_shows_its_card_s_numbers(app):
    app.query_params["checkpoint"] = "brain-film"
    app.run().switch_page("pages/probe.py").run()
    assert not app.exception
    assert "-- --data FOLDER" in page_text(app)
    assert app.metric[0].label == "Accuracy, all of z"
    app.switch_page("pages/independence.py").run()
    assert not app.exception
    app.switch_page("pages/checkpoints.py").run()
    assert not app.exception
    assert "CC BY-NC-SA" in page_text(app)


def test_data_named_at_the_start_can_be_chosen_by_the_name_of_their_folder(app, few, monkeypatch):
    monkeypatch.setattr(data_sets, "named", lambda: ("/no/such/hearts", "chaos:/no/such/chaos"))
    app.run().switch_page("pages/probe.py").run()
    wait_for_jobs(app)
    assert app.selectbox(key="data-set").options == ["phantom", "hearts", "chaos:chaos"]
    app.selectbox(key="data-set").set_value("chaos:/no/such/chaos")
    app.run()
    wait_for_jobs(app)
    assert not app.exception
    assert "These data cannot be used" in app.error[0].value
    assert "no/such" not in page_text(app)

"""Every page by Streamlit's own test client: no exception, and the same numbers as the core's."""

import ast
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dafnet_core.analysis.decompose import decompose, overlaps
from dafnet_core.checkpoints.file import load
from dafnet_core.drawing import LIGHT, Tile, channel, class_colours, coloured, grey, overlay, png, sheet, warp_lines
from dafnet_core.evaluate import evaluate_checkpoint
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean
from dafnet_explorer import background_evaluation, evaluation_figures, figures, session, subjects

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "checkpoints" / "cardiac-film.safetensors"


@pytest.fixture
def app():
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


@pytest.fixture(scope="module")
def checkpoint():
    return load(SHIPPED)


def png_file(name, seed=0, size=(100, 80), mask=False):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 3, size) if mask else rng.integers(0, 255, size)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return name, buffer.getvalue(), "image/png"


def said(app):
    return " ".join(e.value for kind in ("markdown", "caption", "warning", "info", "error") for e in getattr(app, kind))


@pytest.mark.parametrize(
    "page", ["start", "tour", "decompose", "traverse", "align", "edit", "quiz", "compare", "report"]
)
def test_every_page_shows_the_first_subject_without_a_click(app, few, page):
    app.run().switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert not app.error
    assert "Phantom subject 1, slice 4 of 8" in said(app)


def test_the_page_shows_the_core_s_dice(app, checkpoint):
    app.run().switch_page("pages/decompose.py").run()
    table = app.dataframe[0].value
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    found = decompose(checkpoint.model, subject.images)
    for kind, i, j, counts in overlaps(found, subject.truth, 4):
        name = {"deformed": "deformed from", "copy": "truth, unmoved, of"}.get(kind, kind)
        name += "" if j is None else f" {found.names[j]}"
        row = table[(table["modality"] == found.names[i]) & (table["mask"] == name)].iloc[0]
        assert row["mean"] == f"{nanmean(dice_from_counts(counts)):.3f}"


def test_traverse_moves_the_image_s_own_z_and_stands_beside_another_decoder(app, checkpoint):
    app.run().switch_page("pages/traverse.py").run()
    found = decompose(checkpoint.model, subjects.sample(checkpoint, 0, 3, "standard").images)
    shown = [app.slider(key=f"z-{k}").value for k in range(8)]
    assert shown == pytest.approx(np.clip(found.z_mean[0], -3, 3), abs=1e-6)
    app.button_group(key="moved").set_value("LGE")
    app.selectbox(key="beside").set_value("cardiac-spade")
    app.run()
    assert not app.exception
    assert [h.value for h in app.subheader][:2] == ["FiLM (chosen at the left)", "SPADE (cardiac-spade)"]
    next(b for b in app.button if b.label == "z of cine").click()
    app.run()
    shown = [app.slider(key=f"z-{k}").value for k in range(8)]
    assert shown == pytest.approx(np.clip(found.z_mean[0], -3, 3), abs=1e-6)


def test_a_checkpoint_without_samples_asks_for_files_and_takes_them(app):
    app.query_params["checkpoint"] = "brain-film"
    app.run()
    assert not app.exception
    assert "choose one file of T1 and one of FLAIR" in said(app)
    app.sidebar.file_uploader(key="file-FLAIR").upload(*png_file("flair.png", 1))
    app.run().switch_page("pages/traverse.py").run()
    assert not app.exception
    assert "flair.png" in said(app)


def wait_for_jobs(app):
    """Run the page again until nothing that was asked for is still being worked on."""
    for _ in range(240):
        if not any(b.label == "Cancel" for b in app.button):
            return
        time.sleep(0.5)
        app.run()
    raise AssertionError("a judgement did not end within two minutes")


@pytest.fixture(scope="module")
def judged(checkpoint):
    return evaluate_checkpoint(checkpoint, "phantom:subjects=3,difficulty=standard")


@pytest.fixture
def few(monkeypatch):
    """Pages judge three subjects; what they found is kept for the next test."""
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (3, 4))


def test_probe_shows_the_numbers_of_evaluate(app, few, judged):
    app.run().switch_page("pages/probe.py").run()
    wait_for_jobs(app)
    assert not app.exception
    shown = {m.label: m.value for m in app.metric}
    assert shown["Accuracy, all of z"] == f"{judged.found['probe']['accuracy']:.3f}"
    assert shown["cine → LGE"] == f"{judged.found['swap']['cine_to_LGE']['accuracy']:.3f}"
    leak = judged.found["leakage"]["occupancies"]
    assert app.dataframe[0].value["accuracy from s"][0].startswith(f"{leak['accuracy']:.3f}")
    assert {"scar", "LGE noise"} <= set(app.dataframe[-1].value["known"])
    app.selectbox(key="colour").set_value("heart radius (mm)")
    app.selectbox(key="across").set_value("z2")
    app.run()
    assert not app.exception


def test_independence_never_shows_a_statistic_without_its_null_and_n(app, few, judged):
    app.run().switch_page("pages/independence.py").run()
    assert app.selectbox(key="other").value == "cardiac-spade"  # FiLM's partner comes first
    wait_for_jobs(app)
    assert not app.exception
    assert [h.value for h in app.subheader][:2] == ["FiLM", "SPADE"]
    table, found = app.dataframe[0].value, judged.found["dependence"]
    assert table["dCor"][0].startswith(f"{found['dcor']:.3f}")
    assert table["subjects permuted"][0] == f"{found['null_dcor_mean']:.3f}"
    assert table["subjects"][0] == "3"
    assert set(table["between"]) == {
        "s and z",
        "s and z, cine alone",
        "s and z, LGE alone",
        "image and s",
        "image and z",
    }
    nulls = json.loads(evaluation_figures.as_json(evaluation_figures.with_nulls(judged), {}))["nulls"]["s_z"]["dcor"]
    assert len(nulls) == 999
    assert np.mean(nulls) == pytest.approx(found["null_dcor_mean"])


def test_compare_has_every_number_of_both_with_paired_differences(app, few, judged):
    app.run().switch_page("pages/compare.py").run()
    wait_for_jobs(app)
    assert not app.exception
    table = app.dataframe[-1].value.set_index("number")
    fused = table.loc["segmentation.LGE.fused.dice_mean"]
    assert fused["chosen"] == pytest.approx(judged.found["segmentation"]["LGE"]["fused"]["dice_mean"])
    assert fused["difference"] == pytest.approx(fused["chosen"] - fused["beside"])
    assert 0 < fused["p"] <= 1
    assert table.loc["dependence.dcor", "difference"] is None or np.isnan(table.loc["dependence.dcor", "difference"])


def test_mix_judges_every_cell_and_stands_beside_another_decoder(app, few):
    app.run().switch_page("pages/mix.py").run()
    wait_for_jobs(app)
    assert not app.exception
    assert "Mean over cells: kept" in said(app)
    app.multiselect(key="mix-rows").set_value(["subject 2, slice 1, LGE"])
    app.multiselect(key="mix-columns").set_value(["subject 1, slice 8, cine", "random z 2"])
    app.selectbox(key="mixed-with").set_value("cardiac-spade")
    app.run()
    wait_for_jobs(app)
    assert not app.exception
    assert [h.value for h in app.subheader][:2] == ["FiLM (chosen at the left)", "SPADE (cardiac-spade)"]
    assert len([c for c in app.caption if "Mean over cells" in c.value]) == 2
    app.multiselect(key="mix-rows").set_value([])
    app.run()
    assert "Choose at least one anatomy" in said(app)


def test_truth_begins_with_most_subjects_whatever_was_judged_before(app, monkeypatch):
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (3, 4))
    for page, first in (("probe", 3), ("truth", 4)):
        app.run().switch_page(f"pages/{page}.py").run()
        wait_for_jobs(app)
        assert next(c.value for c in app.button_group if c.label == "Phantom subjects") == first


def test_truth_shows_its_matrix_and_z_in_three_numbers(app, monkeypatch):
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (4,))
    app.run().switch_page("pages/truth.py").run()
    wait_for_jobs(app)
    assert not app.exception
    assert [m.label for m in app.metric] == ["Disentanglement", "Completeness", "Informativeness"]
    assert "intervals under the cursor" in said(app)


def test_work_that_is_cancelled_ends_and_can_be_started_again(app, monkeypatch):
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (24,))
    app.run().switch_page("pages/probe.py").run()
    assert "Until then, from the checkpoint's card" in said(app)  # at once
    next(b for b in app.button if b.label == "Cancel").click()
    app.run()
    assert not app.exception
    assert any(b.label == "Start again" for b in app.button)
    assert app.metric  # numbers of the card stay


def test_a_checkpoint_without_data_shows_its_card_s_numbers(app):
    app.query_params["checkpoint"] = "brain-film"
    app.run().switch_page("pages/probe.py").run()
    assert not app.exception
    assert "-- --data FOLDER" in said(app)
    assert app.metric[0].label == "Accuracy, all of z"
    app.switch_page("pages/independence.py").run()
    assert not app.exception
    app.switch_page("pages/checkpoints.py").run()
    assert not app.exception
    assert "CC BY-NC-SA" in said(app)


def test_an_uploaded_checkpoint_can_be_chosen_and_a_bad_one_changes_nothing(app):
    app.run().switch_page("pages/checkpoints.py").run()
    app.file_uploader(key="bring").upload("bad.safetensors", b"\x08" + bytes(20), "application/octet-stream")
    app.run()
    assert "bad.safetensors" in app.error[0].value
    assert "uploaded" not in " ".join(app.sidebar.selectbox(key="checkpoint").options)
    shipped = (ROOT / "checkpoints" / "cardiac-spade.safetensors").read_bytes()
    app.file_uploader(key="bring").upload("mine.safetensors", shipped, "application/octet-stream")
    app.run()
    assert not app.error
    app.sidebar.selectbox(key="checkpoint").set_value("mine (uploaded)")
    app.run()
    assert not app.exception
    assert app.metric[0].value == "SPADE"


def test_a_run_at_hand_can_be_chosen_and_shows_its_curves(app, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "best.safetensors").write_bytes(SHIPPED.read_bytes())
    (tmp_path / "mine" / "log.csv").write_text("step,epoch,sup,rec\n0,0,2.0,0.9\n1,0,1.5,0.8\n")
    monkeypatch.setattr(session, "RUNS", tmp_path)
    app.run().switch_page("pages/checkpoints.py").run()
    assert "choose runs/NAME" in said(app)
    app.sidebar.selectbox(key="checkpoint").set_value("runs/mine")
    app.run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1
    found = evaluation_figures.log_figure(session.run_logs("runs/mine")["Loss terms of training"], "title", dark=False)
    assert [(t.name, t.x, t.y) for t in found.data] == [("sup", (0, 1), (2.0, 1.5)), ("rec", (0, 1), (0.9, 0.8))]


def test_tables_and_pictures_say_what_made_them():
    about = {"checkpoint_digest": "abc", "data": "upload", "steps": 7}
    text = evaluation_figures.table_csv([{"x": 1, "y": 2}, {"x": 3, "z": 4}], about).decode().splitlines()
    assert text == ['# checkpoint_digest: "abc"', '# data: "upload"', "# steps: 7", "x,y,z", "1,2,", "3,,4"]
    picture = Image.open(io.BytesIO(png(sheet([[Tile(np.zeros((8, 8, 3), np.uint8))]]), about)))
    assert (picture.text["checkpoint_digest"], picture.text["steps"]) == ("abc", "7")
    assert evaluation_figures.chart("z", about)["toImageButtonOptions"] == {"format": "svg", "filename": "dafnet-z-abc"}


def test_choices_of_the_sidebar_change_the_subject(app):
    app.run()
    app.sidebar.selectbox(key="subject").set_value(3)
    app.sidebar.slider(key="slice").set_value(2)
    app.run()
    assert "Phantom subject 3, slice 2 of 8" in said(app)
    assert not app.exception


def test_uploads_are_taken_apart_and_say_what_the_model_was_trained_for(app):
    app.run()
    app.sidebar.button_group(key="source").set_value("My files")
    app.run()
    assert "Drop one file per modality" in said(app)
    app.sidebar.file_uploader(key="file-cine").upload(*png_file("left.png", 1))
    app.sidebar.file_uploader(key="file-LGE").upload(*png_file("right.png", 2))
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    assert "trained on cardiac phantom" in said(app)
    assert "left.png" in said(app)
    assert "no mask was uploaded" in app.dataframe[0].value["mean"].iloc[0]


@pytest.mark.parametrize("name", ["cardiac-film", "cardiac-spade", "brain-spade"])
@pytest.mark.parametrize("files", [1, 2])
def test_every_page_takes_uploads_without_truth_by_both_decoders(app, few, name, files):
    app.query_params["checkpoint"] = name
    app.run()
    if name.startswith("cardiac"):
        app.sidebar.button_group(key="source").set_value("My files")
        app.run()
    for n, modality in list(enumerate(load(ROOT / "checkpoints" / f"{name}.safetensors").config.modalities))[:files]:
        app.sidebar.file_uploader(key=f"file-{modality}").upload(*png_file(f"{modality}.png", n))
    app.run()
    for page in ("start", "decompose", "traverse", "compare"):
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, page
        assert not app.error, page
        assert ".png" in said(app), page


def test_one_file_alone_is_enough(app):
    app.run()
    app.sidebar.button_group(key="source").set_value("My files")
    app.run()
    app.sidebar.file_uploader(key="file-LGE").upload(*png_file("only.png", 2))
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    assert "Only one modality is given" in said(app)


def test_a_mask_is_mapped_by_a_table_that_the_user_sees(app):
    app.run()
    app.sidebar.button_group(key="source").set_value("My files")
    app.run()
    app.sidebar.file_uploader(key="file-cine").upload(*png_file("image.png", 1))
    app.run()
    app.sidebar.file_uploader(key="mask-cine").upload(*png_file("mask.png", 3, mask=True))
    app.run().switch_page("pages/decompose.py").run()
    assert not app.exception
    assert {"Label 1 means", "Label 2 means"} <= {box.label for box in app.sidebar.selectbox}
    table = app.dataframe[0].value
    assert table["myocardium"].iloc[0][0].isdigit()
    assert "not in this slice" in table["RV blood pool"].iloc[0]


def test_a_refused_file_says_why_and_loses_nothing(app):
    app.run()
    app.sidebar.button_group(key="source").set_value("My files")
    app.run()
    app.sidebar.file_uploader(key="file-cine").upload(*png_file("good.png", 1))
    app.sidebar.file_uploader(key="file-LGE").upload("bad.png", b"this is no picture at all, sorry", "image/png")
    app.run()
    assert not app.exception
    assert len(app.error) == 1
    assert "bad.png" in app.error[0].value
    assert "good.png" in said(app)


def test_the_download_holds_every_array_and_opens_without_pickles(checkpoint):
    subject = subjects.sample(checkpoint, 1, 3, "hard")
    found = decompose(checkpoint.model, subject.images)
    with np.load(io.BytesIO(figures.numbers(found, subject.truth, (), {"classes": checkpoint.config.classes}))) as file:
        assert np.array_equal(file["fused_masks"], found.fused_masks)
        assert np.array_equal(file["truth_LGE"], subject.truth[1])
        assert file["positions"].shape == (2, *found.images.shape[1:], 2)
        assert json.loads(str(file["about"]))["pairs_fixed_moving"] == [[0, 1], [1, 0]]


def test_sheets_draw_what_they_are_given():
    plain = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    assert grey(plain)[0, 0].tolist() == [0, 0, 0]
    assert grey(plain)[7, 7].tolist() == [255, 255, 255]
    assert coloured(plain, -1, 1)[0, 0].tolist() != coloured(plain, -1, 1)[7, 7].tolist()
    labels = np.zeros((8, 8), np.uint8)
    labels[2, 3] = 1
    painted = overlay(grey(plain), labels, class_colours(2), opacity=1)
    assert painted[2, 3].tolist() == [0xD5, 0x5E, 0x00]
    assert np.array_equal(painted[labels == 0], grey(plain)[labels == 0])
    assert channel(labels.astype(float), "#ffffff")[2, 3].tolist() == [255, 255, 255]
    picture = sheet([[Tile(painted, "title", "caption"), None], [Tile(painted)]], ["row"], theme=LIGHT)
    again = Image.open(io.BytesIO(png(picture)))
    assert again.size == picture.size
    y, x = np.mgrid[:8, :8].astype(float)
    assert warp_lines(grey(plain), np.stack([x, y], -1), every=4, factor=3).shape == (24, 24, 3)


def test_uploaded_pixels_get_their_masks_back_at_their_own_size(checkpoint):
    from dafnet_core.data.readers import read

    scan = read(png_file("a.png", 1, (90, 150))[:2])
    subject = subjects.uploaded(checkpoint, {0: scan.slice()}, {})
    found = decompose(checkpoint.model, subject.images, subject.modalities)
    assert subject.native[0].placement.back(found.fused_masks[0], labels=True).shape == (90, 150)


def test_every_control_has_one_sentence_of_help():
    """Of every widget in the sources, but those whose help is the page's own parameter."""
    widgets = {
        "selectbox",
        "slider",
        "select_slider",
        "segmented_control",
        "number_input",
        "toggle",
        "multiselect",
        "radio",
        "file_uploader",
        "button",
        "download_button",
    }
    seen = 0
    for file in (*ROOT.glob("pages/*.py"), *ROOT.glob("dafnet_explorer/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in widgets:
                seen += 1
                assert "help" in {k.arg for k in node.keywords}, f"{file.name}, line {node.lineno}"
    assert seen > 50


def test_what_is_chosen_is_in_the_link():
    """Every choice but those of uploads, whose link could not be opened again, and answers to the quiz."""
    choices = {"selectbox", "slider", "select_slider", "segmented_control", "number_input", "toggle", "multiselect"}
    without = [
        ast.unparse(node.args[0])
        for file in (*ROOT.glob("pages/*.py"), *ROOT.glob("dafnet_explorer/*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in choices
        and "bind" not in {k.arg for k in node.keywords}
    ]
    assert sorted(without) == sorted(
        [
            "'Subject'",
            "'Data'",
            "f'Volume of {name}'",
            "f'Slice of {name}'",
            "f'Label {label} means'",
            "'Numbers of evaluate'",
        ]
    )


def test_pictures_are_shown_as_they_are():
    """No page lets Streamlit make a lossy JPEG of a sheet."""
    for file in (*ROOT.glob("pages/*.py"), *ROOT.glob("dafnet_explorer/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "st.image":
                assert "output_format='PNG'" in ast.unparse(node), f"{file.name}, line {node.lineno}"


def test_a_download_holds_no_path_of_the_server():
    found = json.loads(
        evaluation_figures.as_json({"data": "/home/somebody/hearts", "n_subjects": 3}, {"data": "hearts"})
    )
    assert found == {"data": "hearts", "n_subjects": 3}


@pytest.mark.parametrize("page", ["align", "edit", "quiz", "traverse"])
def test_one_modality_alone_can_be_taken_in_hand(app, page):
    app.run().sidebar.button_group(key="source").set_value("My files")
    app.run()
    app.sidebar.file_uploader(key="file-LGE").upload(*png_file("image.png", 1))
    app.run().switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert not app.error
    assert ("nothing to align" in said(app)) == (page == "align")


def test_align_gives_the_core_s_dice(app, checkpoint):
    app.run().switch_page("pages/align.py").run()
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    found = decompose(checkpoint.model, subject.images)
    counts = {(k, i): c for k, i, j, c in overlaps(found, subject.truth, 4) if k in ("deformed", "fused")}
    shown = {m.label: m.value for m in app.metric}
    for kind in ("deformed", "fused"):
        assert shown[f"Dice, {kind} mask"] == f"{nanmean(dice_from_counts(counts[kind, 0])):.3f}"

"""Every page by Streamlit's own test client: no exception, and the same numbers as the core's."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dafnet_core.analysis.decompose import decompose, overlaps
from dafnet_core.analysis.segmentation import dice_from_counts, nanmean
from dafnet_core.checkpoint import load
from explorer import figures, subjects
from explorer.sheets import LIGHT, Tile, channel, class_colours, coloured, grey, overlay, png, sheet, warp_lines

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


@pytest.mark.parametrize("page", ["pages/start.py", "pages/decompose.py", "pages/traverse.py"])
def test_every_page_shows_the_first_subject_without_a_click(app, page):
    app.run().switch_page(page).run()
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

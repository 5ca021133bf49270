"""Every page by Streamlit's own test client: no exception, and the same numbers as the core's."""

import io
import pickle

import numpy as np
import pytest
import torch
from page_visits import ROOT, SHIPPED, page_text
from safetensors.torch import save as to_safetensors

from dafnet_core.analysis.decompose import overlaps
from dafnet_core.methods.decomposition import decompose
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean
from dafnet_explorer import catalogue, subjects
from dafnet_explorer.figures.checkpoints import log_figure
from dafnet_explorer.figures.texts import weights_licence
from tests.helpers.checkpoint_bytes import edited


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", ["start", "tour", "decompose", "traverse", "align", "edit", "quiz", "compare", "report"]
)
def test_every_page_shows_the_first_subject_without_a_click(app, few, page):
    app.run().switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert not app.error
    assert "Phantom subject 1, slice 4 of 8" in page_text(app)


def test_the_page_shows_the_core_s_dice(app, checkpoint):
    app.run().switch_page("pages/decompose.py").run()
    table = app.dataframe[0].value
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    found = decompose(checkpoint.model, subject.images)
    for kind, i, j, counts in overlaps(found, subject.truth, 4):
        name = {"deformed": "deformed from", "copy": "truth, undeformed, of"}.get(kind, kind)
        name += "" if j is None else f" {found.names[j]}"
        row = table[(table["modality"] == found.names[i]) & (table["mask"] == name)].iloc[0]
        assert row["mean"] == f"{nanmean(dice_from_counts(counts)):.3f}"


def test_align_gives_the_core_s_dice(app, checkpoint):
    app.run().switch_page("pages/align.py").run()
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    found = decompose(checkpoint.model, subject.images)
    counts = {(k, i): c for k, i, j, c in overlaps(found, subject.truth, 4) if k in ("deformed", "fused")}
    shown = {m.label: m.value for m in app.metric}
    for kind in ("deformed", "fused"):
        assert shown[f"Dice, {kind} mask"] == f"{nanmean(dice_from_counts(counts[kind, 0])):.3f}"


@pytest.mark.slow
def test_traverse_moves_the_image_s_own_z_and_compares_with_another_decoder(app, checkpoint):
    app.run().switch_page("pages/traverse.py").run()
    found = decompose(checkpoint.model, subjects.sample(checkpoint, 0, 3, "standard").images)
    shown = [app.slider(key=f"z-{k}").value for k in range(8)]
    assert shown == pytest.approx(np.clip(found.z_mean[0], -3, 3), abs=1e-6)
    app.button_group(key="moved").set_value("LGE")
    app.selectbox(key="beside").set_value("cardiac-spade")
    app.run()
    assert not app.exception
    assert [h.value for h in app.subheader][:2] == ["FiLM (checkpoint A)", "SPADE (cardiac-spade)"]
    next(b for b in app.button if b.label == "z of cine").click()
    app.run()
    shown = [app.slider(key=f"z-{k}").value for k in range(8)]
    assert shown == pytest.approx(np.clip(found.z_mean[0], -3, 3), abs=1e-6)


def test_choices_of_the_sidebar_change_the_subject(app):
    app.run()
    app.sidebar.selectbox(key="subject").set_value(3)
    app.sidebar.slider(key="slice").set_value(2)
    app.run()
    assert "Phantom subject 3, slice 2 of 8" in page_text(app)
    assert not app.exception


@pytest.mark.parametrize(
    ("name", "licence"), [("cardiac-film", "MIT"), ("cardiac-spade", "MIT"), ("brain-film", "CC BY-NC-SA 4.0")]
)
def test_the_licence_of_the_weights_stands_below_the_checkpoint(app, name, licence):
    app.query_params["checkpoint"] = name
    app.run()
    assert f"Weights: {licence}" in [c.value for c in app.sidebar.caption]
    terms = (ROOT / "checkpoints" / "LICENSE.md").read_text()
    assert f"| `{name}.safetensors` |" in terms
    assert licence in next(line for line in terms.splitlines() if f"`{name}.safetensors`" in line)


def test_a_licence_that_is_not_known_is_shown_as_it_is_recorded():
    for record in ("see the data's own terms", "PERMIT 7", "CC BY-NC-XX"):
        assert weights_licence(record) == record
    assert weights_licence("") == "no licence is recorded"
    assert weights_licence("CC-BY 4.0") == "CC-BY 4.0"


def test_a_valid_uploaded_checkpoint_is_selected_at_once_and_a_bad_one_changes_nothing(app):
    app.run().switch_page("pages/checkpoints.py").run()
    app.file_uploader(key="bring").upload("bad.safetensors", b"\x08" + bytes(20), "application/octet-stream")
    app.run()
    assert "bad.safetensors" in app.error[0].value
    assert "uploaded" not in " ".join(app.sidebar.selectbox(key="checkpoint").options)
    shipped = (ROOT / "checkpoints" / "brain-spade.safetensors").read_bytes()
    app.file_uploader(key="bring").upload("mine.safetensors", shipped, "application/octet-stream")
    app.run()
    assert not app.error
    assert not app.exception
    assert app.sidebar.selectbox(key="checkpoint").value == "mine (uploaded)"
    assert app.metric[0].value == "SPADE"
    assert "mine (uploaded) is selected." in [s.value for s in app.success]
    app.sidebar.selectbox(key="checkpoint").set_value("cardiac-film")
    app.run()  # it is not selected again
    assert app.sidebar.selectbox(key="checkpoint").value == "cardiac-film"
    assert "mine (uploaded): select it in the sidebar." in [s.value for s in app.success]


def other_files():
    """Files that are taken for checkpoints: their names, contents, and what is said of them."""
    torch.save({"model": torch.zeros(3)}, whole := io.BytesIO())
    weights = to_safetensors({"unet.weight": torch.zeros(2, 2)}, {"format": "pt"})
    shipped = SHIPPED.read_bytes()
    export = "`python train.py --out RUN --resume --export FILE.safetensors`"
    return [
        ("best.pt", whole.getvalue(), "pickled Python objects", f"or export it: {export}"),
        ("epoch=3.ckpt", pickle.dumps({"state_dict": {}}), "pickled Python objects", f"or export it: {export}"),
        ("weights.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file, as Keras writes", export),
        ("diffusion.safetensors", weights, "of another program", f"that this program trained: {export}"),
        ("old.safetensors", edited(shipped, dafnet_format=0), "format 0, expected 1: another version", export),
    ]


@pytest.mark.parametrize(("name", "data", "what", "remedy"), other_files(), ids=lambda v: v if type(v) is str else "")
def test_other_kinds_of_checkpoints_are_refused_with_a_remedy(app, name, data, what, remedy):
    app.run().switch_page("pages/checkpoints.py").run()
    app.file_uploader(key="bring").upload(name, data, "application/octet-stream")
    app.run()
    assert not app.exception
    (error,) = app.error
    assert error.value.startswith(f"{name}: ")
    assert what in error.value
    assert remedy in error.value


def test_a_run_can_be_selected_and_shows_its_curves(app, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "best.safetensors").write_bytes(SHIPPED.read_bytes())
    (tmp_path / "mine" / "log.csv").write_text("step,epoch,sup,rec\n0,0,2.0,0.9\n1,0,1.5,0.8\n")
    monkeypatch.setattr(catalogue, "RUNS", tmp_path)
    app.run().switch_page("pages/checkpoints.py").run()
    assert "choose runs/NAME" in page_text(app)
    app.sidebar.selectbox(key="checkpoint").set_value("runs/mine")
    app.run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1
    found = log_figure(catalogue.run_logs("runs/mine")["Loss terms of training"], "title", dark=False)
    assert [(t.name, t.x, t.y) for t in found.data] == [("sup", (0, 1), (2.0, 1.5)), ("rec", (0, 1), (0.9, 0.8))]

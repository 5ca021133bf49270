"""Checkpoints of which the app has no images: every page says what is missing, and offers a next step."""

import pytest
from page_visits import choose_own_files, drop, page_text, png_file

SLICE = "start", "tour", "decompose", "traverse", "align", "edit", "quiz", "compare", "report"


@pytest.fixture
def brain(app):
    app.query_params["checkpoint"] = "brain-film"
    return app.run()


def links(app):
    return [link.proto.label for link in app.main.get("page_link")]


@pytest.mark.parametrize("page", SLICE)
def test_pages_of_one_slice_have_the_area_for_files_open_and_offer_more(brain, page):
    brain.switch_page(f"pages/{page}.py").run()
    assert not brain.exception
    assert not brain.error
    assert len(brain.main.file_uploader) == 1
    assert "No images of it are part of the app: drop a file of T1 and one of FLAIR" in page_text(brain)
    assert "streamlit run app.py -- --data FOLDER" in page_text(brain)
    assert links(brain) == ["Its stored results (test): the card on the page Checkpoints →"]
    brain.session_state["your-data"] = False
    brain.run()
    brain.button(key="offer-own-data").click().run()
    assert brain.session_state["your-data"]
    brain.button(key="offer-checkpoint").click().run()
    assert brain.sidebar.selectbox(key="checkpoint").value == "cardiac-film"
    assert not brain.exception


def test_mix_shows_what_was_measured_and_takes_the_user_s_slice(brain):
    brain.switch_page("pages/mix.py").run()
    assert not brain.exception
    assert "No images are there whose factors could be mixed" in page_text(brain)
    shown = {metric.label: metric.value for metric in brain.metric}
    assert shown["T1 with z of FLAIR: reached"] == "1.000"
    assert links(brain)
    drop(brain, png_file("T1.png", 1), png_file("FLAIR.png", 2))
    assert not brain.exception
    assert brain.multiselect(key="mix-rows").value == ["T1", "FLAIR"]
    assert len(brain.get("download_button")) == 2


def test_probe_and_independence_show_what_is_stored(brain):
    brain.switch_page("pages/probe.py").run()
    assert not brain.exception
    assert "From the checkpoint's card: 10 subjects" in page_text(brain)
    assert "Accuracy, all of z" in [metric.label for metric in brain.metric]
    assert "Its stored results (test): the card on the page Checkpoints →" in links(brain)
    brain.switch_page("pages/independence.py").run()
    assert not brain.exception
    assert [header.value for header in brain.subheader][:2] == ["FiLM", "SPADE"]  # of both cards
    assert "From the checkpoint's card: 10 subjects" in page_text(brain)
    drop(brain, png_file("T1.png", 1))  # the page stays, and the file is there for others
    assert not brain.exception
    assert "From the checkpoint's card: 10 subjects" in page_text(brain)


def test_truth_offers_a_checkpoint_whose_images_are_known(brain):
    brain.switch_page("pages/truth.py").run()
    assert not brain.exception
    assert "nobody knows them" in page_text(brain)
    assert links(brain)[0].startswith("The modality predicted from z and from s")
    brain.button(key="offer-checkpoint").click().run()
    assert brain.sidebar.selectbox(key="checkpoint").value == "cardiac-film"


def test_the_checkpoint_of_samples_offers_the_user_s_own_images_on_the_first_page(app):
    app.run()
    app.button(key="offer-own-data").click().run()
    assert not app.exception
    assert app.sidebar.button_group(key="source").value == "My files"
    assert app.session_state["your-data"]
    choose_own_files(app)
    assert "offer-own-data" not in [button.key for button in app.button]

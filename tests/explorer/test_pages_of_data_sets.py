"""Subjects of data sets named at the app's start, on every page, by Streamlit's own test client."""

import io
import json
import zipfile

import numpy as np
import pytest
from page_visits import open_app, page_text, wait_for_jobs

from dafnet_core.checkpoints.file import load
from dafnet_core.data.dataset import PairedSlices
from dafnet_core.data.sources import open_source
from dafnet_explorer import controls, data_sets
from tests.helpers.nnunet_folder import Folder, marked
from tests.helpers.paths import ROOT

BRAIN = ROOT / "checkpoints" / "brain-film.safetensors"
PAGES = ["start", "tour", "decompose", "traverse", "align", "edit", "mix", "probe", "independence"]
PAGES += ["truth", "benchmark", "quiz", "compare", "report", "checkpoints"]
TRAINED, TESTED = "TCGA_CS_4941_19960909", "TCGA_CS_4942_19970222"  # of brain-film


def write_folder(root, channels=("T1", "FLAIR"), labels=("background", "abnormality"), name="Two heads"):
    """Four cases with 3, 4, 5 and 6 slices; two of them have names of brain-film's data."""
    folder = Folder(root, channels, labels, name=name, licence="CC BY-NC-SA 4.0, ask first")
    for slices, case in enumerate((TRAINED, TESTED, "one", "two"), 3):
        folder.case(case, marked(slices, rows=64, columns=64), channels=len(channels))
    return str(folder.root)


@pytest.fixture
def started(monkeypatch):
    """Start the app with these data sets."""

    def start(*specs, **query):
        monkeypatch.setattr(data_sets, "named", lambda: specs)
        app = open_app()
        app.query_params.update({"checkpoint": "brain-film"} | query)
        return app.run()

    return start


def sidebar_text(app):
    return " ".join(e.value for kind in ("caption", "warning", "error") for e in getattr(app.sidebar, kind))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("heads"))


def test_a_checkpoint_without_built_in_samples_begins_with_the_data_set(started, folder):
    app = started(folder)
    assert not app.exception
    assert app.sidebar.button_group(key="source").options == ["Two heads", "My files"]
    box = app.sidebar.selectbox(key="subject")
    assert box.options == [TESTED, "one", "two", TRAINED]  # what was trained on comes last
    assert f"Two heads, subject {TESTED}, slice 3 of 4" in page_text(app)
    assert "Licence: CC BY-NC-SA 4.0, ask first" in sidebar_text(app)
    assert "never saw a subject of this name" in sidebar_text(app)
    assert "it is one of its test subjects" in sidebar_text(app)
    box.set_value(TRAINED)
    app.run()
    assert "The checkpoint was trained on a subject of this name" in sidebar_text(app)
    assert app.sidebar.slider(key="slice").max == 3
    assert "slice 2 of 3" in page_text(app)
    app.sidebar.slider(key="slice").set_value(3)
    app.run()
    assert "slice 3 of 3" in page_text(app)
    assert not app.exception


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_page_works_with_a_data_set(started, folder, page):
    app = started(folder)
    app.switch_page(f"pages/{page}.py").run()
    wait_for_jobs(app)
    assert not app.exception
    assert not app.error
    text = page_text(app)
    assert "Drop your" not in text
    if page == "benchmark":  # whose results are not of the selected data
        return
    for word in ("phantom", "Phantom", "heart", "hard*"):
        assert word not in text, word
    if page == "truth":
        assert app.button(key="offer-checkpoint").label == "Select cardiac-film"
    elif page in ("mix", "probe", "independence", "compare"):
        assert "the 3 that the checkpoint was not trained or validated on, of 4" in text
    elif page != "checkpoints":
        assert f"subject {TESTED}" in text


@pytest.mark.slow
@pytest.mark.parametrize("station", range(1, 11))
def test_every_station_of_the_tour_but_the_last_has_its_picture(started, folder, station):
    app = started(folder, station=str(station)).switch_page("pages/tour.py").run()
    assert not app.exception
    assert "not available" not in page_text(app)
    assert f"subject {TESTED}" in page_text(app)


def test_the_last_station_of_the_tour_offers_a_phantom_heart_instead(started, folder):
    app = started(folder, station="11").switch_page("pages/tour.py").run()
    assert not app.exception
    assert "trained for T1 and FLAIR, not for them" in page_text(app)
    app.button(key="phantom").click().run()
    assert not app.exception
    assert "Phantom subject 1, slice 4 of 8" in page_text(app)
    assert app.sidebar.selectbox(key="checkpoint").value == "cardiac-film"


def test_pictures_and_masks_are_those_that_are_evaluated(started, folder):
    checkpoint = load(BRAIN)
    source = open_source(folder, checkpoint.config.modalities)
    subject = data_sets.subject(checkpoint, source, "two", 4)
    study = source.study("two", checkpoint.preparation)
    known = PairedSlices(source.modalities, source.classes, checkpoint.preparation, [study])[4]
    assert np.array_equal(subject.images, known.images[:, 0])
    assert all(np.array_equal(subject.truth[i], known.masks[i]) for i in range(2))
    assert subject.neighbour_images().shape == (2, 3, 128, 128)


def test_other_images_of_a_patient_that_was_trained_on_are_known_as_such(folder):
    checkpoint = load(BRAIN)
    source = open_source(folder, checkpoint.config.modalities)
    source.patients = {TRAINED: "Ann", "one": "Ann", TESTED: "Bob", "two": "Bob"}
    assert data_sets.ordered(checkpoint, source) == (TESTED, "two", TRAINED, "one")
    assert "was trained on other images of this patient" in data_sets.role(checkpoint, source, "one")
    assert "never saw other images of this patient" in data_sets.role(checkpoint, source, "two")


def test_masks_of_other_classes_are_not_shown(started, tmp_path):
    app = started(write_folder(tmp_path, labels=("background", "ventricle", "bone")))
    app.switch_page("pages/decompose.py").run()
    assert not app.exception
    assert "masks are of ventricle, bone" in sidebar_text(app)
    assert set(app.dataframe[0].value["mean"]) == {"n/a: the masks are of ventricle, bone"}


def test_data_sets_are_offered_beside_built_in_samples_if_they_have_the_modalities(started, tmp_path, folder):
    hearts = write_folder(tmp_path, ("lge", "CINE", "T1"), ("background", "scar"), "Samples")
    app = started(folder, hearts, checkpoint="cardiac-film", subject="3", slice="2")
    kinds = app.sidebar.button_group(key="source")
    assert kinds.options == ["Samples", f"Samples ({tmp_path.name})", "My files"]
    assert "Phantom subject 3, slice 2 of 8" in page_text(app)
    kinds.set_value(kinds.options[1])
    app.run()
    assert not app.exception
    assert f"Samples, subject {TRAINED}, slice 2 of 3" in page_text(app)
    assert "The checkpoint was not trained on this subject" in sidebar_text(app)
    app.sidebar.button_group(key="source").set_value("Samples")
    app.run()
    assert not app.exception
    assert "Phantom subject 1, slice 2 of 8" in page_text(app)
    app.sidebar.button_group(key="source").set_value("My files")
    app.run()
    assert "Until then a built-in sample is shown" in page_text(app)


def test_a_data_set_that_is_named_twice_is_offered_once(started, folder):
    app = started(folder, f"{folder}/", f"nnunet:{folder}", "phantom:subjects=3")
    assert app.sidebar.button_group(key="source").options == ["Two heads", "My files"]
    app.switch_page("pages/probe.py").run()
    assert app.selectbox(key="data-set").options == ["Two heads", "phantom:subjects=3"]
    assert not app.exception


def test_the_user_s_files_are_an_alternative_to_a_data_set(started, folder):
    app = started(folder)
    app.sidebar.button_group(key="source").set_value("My files")
    app.run()
    assert not app.exception
    assert "Until then a subject of a data set is shown" in page_text(app)
    assert "source" not in app.query_params


def test_links_open_the_same_slice_and_say_what_is_not_here(started, folder):
    app = started(folder, source="Two heads", subject="two", slice="5")
    assert "Two heads, subject two, slice 5 of 6" in page_text(app)
    assert "This link" not in page_text(app)
    app = started(folder, source="Two heads", subject="three")
    assert "This link shows subject three of Two heads, which this server does not have" in page_text(app)
    assert f"subject {TESTED}" in page_text(app)
    app.sidebar.selectbox(key="subject").set_value("one")
    app.run()
    assert "This link" not in page_text(app)
    app = started(folder, source="Three *heads*", subject="one")
    assert "This link shows a subject of the data set Three _heads_, which" in page_text(app)
    assert "subject one, slice 3 of 5" in page_text(app)
    app = started(source="Two heads", subject="one")
    assert "This link shows a subject of the data set Two heads" in page_text(app)
    assert not app.exception


def test_a_data_set_that_cannot_be_read_is_said_once_and_the_app_works(started, folder, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "dataset.json").write_text("{")
    app = started(str(tmp_path / "broken"), folder)
    assert not app.exception
    (warning,) = app.sidebar.warning
    assert warning.value.startswith("The data set broken cannot be shown. ")
    assert str(tmp_path) not in sidebar_text(app)
    assert f"subject {TESTED}" in page_text(app)


def test_a_subject_that_cannot_be_read_says_why_and_others_work(started, tmp_path):
    root = write_folder(tmp_path / "mine")
    (tmp_path / "mine" / "imagesTr" / "one_0000.nii.gz").write_bytes(b"no picture")
    app = started(root, subject="one")
    app.switch_page("pages/decompose.py").run()
    assert not app.exception
    assert "one_0000.nii.gz" in app.sidebar.error[0].value
    assert str(tmp_path) not in app.sidebar.error[0].value
    assert "The selected subject cannot be shown" in page_text(app)
    app.sidebar.selectbox(key="subject").set_value("two")
    app.run()
    assert "subject two, slice" in page_text(app)
    assert not app.error


def test_nothing_is_read_until_a_subject_is_shown(started, folder, monkeypatch):
    from dafnet_core.data import nnunet

    monkeypatch.setattr(nnunet, "read_finite", lambda *_, **__: pytest.fail("an image was read"))
    app = started(folder, checkpoint="cardiac-film")
    assert not app.exception
    assert "Phantom subject 1" in page_text(app)


def test_thumbnails_fill_one_by_one(folder):
    checkpoint = load(BRAIN)
    source = open_source(folder, checkpoint.config.modalities)
    source.spec += "/."  # nothing of it is cached yet
    names = data_sets.ordered(checkpoint, source)
    assert data_sets.thumbnails(checkpoint, source, names) == [None] * 4
    assert data_sets.add_thumbnail(checkpoint, source, names)
    first, *rest = data_sets.thumbnails(checkpoint, source, names)
    assert np.array_equal(first, source.sample_slices(1, "", checkpoint.preparation, ("T1", "FLAIR"))[2].images[0])
    assert rest == [None] * 3
    for _ in range(3):
        assert data_sets.add_thumbnail(checkpoint, source, names)
    assert not data_sets.add_thumbnail(checkpoint, source, names)


def test_a_report_names_data_set_licence_and_link(started, folder, monkeypatch):
    made = []
    monkeypatch.setattr(controls, "download", lambda label, data, name, **_: made.append(data))
    app = started(folder, subject="two", slice="2").switch_page("pages/report.py").run()
    assert not app.exception
    with zipfile.ZipFile(io.BytesIO(made[-1]())) as file:
        settings, html = json.loads(file.read("settings.json")), file.read("report.html").decode()
    assert settings["data"] == "Two heads, subject two, slice 2 of 6"
    assert settings["licence_of_the_images"] == "CC BY-NC-SA 4.0, ask first"
    assert "source=Two+heads&subject=two&slice=2" in settings["link"]
    assert html.count("CC BY-NC-SA 4.0, ask first") >= 2
    assert "/heads" not in html


def test_samples_of_real_brains_are_shown(started, real_data):
    app = started(str(real_data / "lgg_mri"))
    assert not app.exception
    assert f"lgg_mri, subject {TESTED}, slice" in page_text(app)
    assert "never saw this subject in training" in sidebar_text(app)

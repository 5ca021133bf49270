"""The report: one ZIP that says everything about a slice, the same each time, and no name of a user's file."""

import csv
import io
import json
import re
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import streamlit as st
import torch
from page_visits import ROOT, assert_numbers, drop, open_app
from PIL import Image

from dafnet_core.analysis.decompose import channel_classes
from dafnet_core.analysis.traversal import steps_between, traverse
from dafnet_core.checkpoints.file import load
from dafnet_core.data.readers import read
from dafnet_core.evaluation.measures.registration import RegistrationSummary
from dafnet_core.evaluation.measures.surface_distance import SurfaceSummary
from dafnet_core.evaluation.run import Evaluation
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import background_evaluation, provenance, subjects
from dafnet_explorer.figures.masks import dice_table
from dafnet_explorer.jobs import Job, Jobs
from dafnet_explorer.report.archive import report
from dafnet_explorer.report.page import CONTENTS
from dafnet_explorer.report.tables import MEASURES, evaluate_csv_rows, evaluate_rows

LINK = "https://hearts.example/app/report?checkpoint=cardiac-film&subject=1&slice=4&difficulty=standard"
VOID = {"meta", "img", "input"}

NEW = {"Speckle", "Invariance", "Surface distances"}  # results of earlier versions lack them


class Reader(HTMLParser):
    """Proves that tags are balanced, and keeps their attributes and the text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], set(), [], ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def made(checkpoint, subject, traversed=(0,), link=LINK, metrics=None):
    """A new report from nothing but its settings."""
    found = decompose(checkpoint.model, subject.images, subject.modalities)
    moved = {
        found.names[i]: traverse(checkpoint.model, found.s[i], found.z_mean[i], steps_between(count=3))
        for i in traversed
    }
    facts = provenance.about(checkpoint, provenance.data_name(subject), checkpoint_file="checkpoints/x.safetensors")
    kinds = channel_classes(found, len(checkpoint.config.classes))
    return report(checkpoint, subject, found, kinds, moved, metrics, facts, link)


def opened(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


@pytest.fixture(scope="module")
def whole(checkpoint):
    return made(checkpoint, subjects.sample(checkpoint, 0, 3, "standard"), (0, 1))


@pytest.fixture(scope="module")
def members(whole):
    return opened(whole)


@pytest.fixture(scope="module")
def page(members):
    return Reader(members["report.html"].decode())


def upload(checkpoint, slots=(0, 1)):
    """The user's own files, whose names must stay with the user; base64 has no hyphen, so none is there by chance."""
    slices = {}
    for m in slots:
        buffer = io.BytesIO()
        pixels = np.random.default_rng(m).integers(0, 255, (100, 80)).astype(np.uint8)
        Image.fromarray(pixels).save(buffer, "PNG")
        slices[m] = read((f"Jane-Doe-{m}.png", buffer.getvalue())).slice()
    return subjects.uploaded(checkpoint, slices, {})


@pytest.mark.slow
def test_the_same_settings_give_the_same_bytes(checkpoint, whole):
    assert made(checkpoint, subjects.sample(checkpoint, 0, 3, "standard"), (0, 1)) == whole


def test_members_are_those_that_the_page_lists_and_carry_no_clock(whole, members, page):
    expected = [n.replace("MODALITY", m) for n in CONTENTS for m in (("cine", "LGE") if "MODALITY" in n else ("",))]
    assert list(members) == expected
    assert all(name in page.text for name in CONTENTS)
    with zipfile.ZipFile(io.BytesIO(whole)) as file:
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in file.infolist()} == {0o644}  # else unzip makes unreadable files


def test_the_page_needs_nothing_outside_it(checkpoint, page):
    assert not page.tags & {"script", "link", "iframe", "object", "base", "form"}
    sources = [value for name, value in page.attributes if name in ("src", "srcset", "href", "action")]
    frames = 2 * checkpoint.config.z_dim * 3  # three steps of each dimension, to be scrubbed
    assert len(sources) == 7 + frames  # start, channels, warp, masks, reconstructions, two traversals
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert any("default-src 'none'" in (value or "") for _, value in page.attributes)
    assert "url(" not in page.text
    assert "@import" not in page.text


def test_the_page_says_what_made_it_and_shows_its_numbers(checkpoint, members, page):
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    found = decompose(checkpoint.model, subject.images)
    for row in dice_table(found, subject.truth, checkpoint.config.classes, ""):
        for value in row.values():
            assert value in page.text
    for said in (checkpoint.digest, subject.title, LINK, "Not a medical device", torch.__version__):
        assert said in page.text
    shown = {title: numbers for title, numbers in checkpoint.metrics.items() if numbers.segmentation}
    assert "standard, more subjects" in checkpoint.metrics.keys() - shown.keys()
    assert "standard, more subjects" not in page.text
    for title, numbers in shown.items():
        assert f"{title}: {numbers.n_subjects} subjects" in page.text
        assert f"evaluate checkpoints/x.safetensors --data {numbers.data}" in page.text
        for row in evaluate_rows(numbers):
            assert row["value"] in page.text
    assert {row["measure"] for row in evaluate_rows(numbers)} >= {t for t, *_ in MEASURES.values()} - NEW
    settings = json.loads(members["settings.json"])
    assert settings["checkpoint_digest"] == checkpoint.digest
    assert settings["data"] == subject.title
    assert settings["versions"] == {"numpy": np.__version__, "torch": torch.__version__}
    assert settings["threads"] == torch.get_num_threads()


def test_arrays_tables_and_numbers_are_the_core_s(checkpoint, members):
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    found = decompose(checkpoint.model, subject.images)
    with np.load(io.BytesIO(members["decompose.npz"])) as file:
        assert np.array_equal(file["fused_masks"], found.fused_masks)
        assert json.loads(str(file["about"]))["checkpoint_digest"] == checkpoint.digest
    with np.load(io.BytesIO(members["traverse-LGE.npz"])) as file:
        again = traverse(checkpoint.model, found.s[1], found.z_mean[1], steps_between(count=3))
        assert np.array_equal(file["images"], again.images)
        assert json.loads(str(file["about"]))["modality"] == "LGE"
    assert json.loads(members["evaluate.json"]) == {t: r.to_json() for t, r in checkpoint.metrics.items()}
    for name in ("dice.csv", "reconstruction.csv", "z.csv", "evaluate.csv"):
        assert members[name].decode().startswith(f'# checkpoint_digest: "{checkpoint.digest}"\n')
    fused = checkpoint.metrics["hard"].segmentation["LGE"]["fused"].dice_mean
    assert f'hard,Segmentation,"LGE, fused, slices",,{fused},,,' in members["evaluate.csv"].decode()


def test_pictures_come_first_and_settings_last(members):
    html = members["report.html"].decode()
    assert html.index("<img") < html.index("<table")
    assert html.index("<h2>Settings</h2>") > html.rindex("<img")


def test_surface_distances_are_in_its_tables(checkpoint):
    measured = replace(
        checkpoint.metrics["standard"],
        surface={"LGE": {"fused": SurfaceSummary(1.5, 0.25, 8), "copy": SurfaceSummary()}},
    )
    rows = {row["of"]: row for row in evaluate_csv_rows(measured) if row["measure"] == "Surface distances"}
    assert rows["LGE, fused, HD95"]["value"] == 1.5
    assert rows["LGE, fused, ASSD"]["unit"] == "mm"
    assert rows["LGE, undeformed, ASSD"]["value"] is None
    texts = {row["of"]: row["value"] for row in evaluate_rows(measured)}
    assert texts["LGE, fused, HD95, mm"] == "1.500"


def test_cells_of_its_tables_are_numbers(members):
    for name in ("dice.csv", "reconstruction.csv", "z.csv", "evaluate.csv"):
        lines = [line for line in members[name].decode().splitlines() if not line.startswith("# ")]
        assert_numbers(list(csv.DictReader(lines)))
    assert "L1 (intensity)" in members["reconstruction.csv"].decode()


def test_its_traversals_are_scrubbed_without_a_script(browser, members, checkpoint, tmp_path):
    html = members["report.html"].decode()
    assert "script" not in Reader(html).tags
    (tmp_path / "report.html").write_text(html)
    page = browser.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    scrubbers = page.locator(".scrub")
    assert scrubbers.count() == 2 * checkpoint.config.z_dim
    first = scrubbers.first
    shown = [first.locator("output:visible").inner_text()]
    first.locator("input:checked").focus()
    for key in ("ArrowRight", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
        assert first.locator("img:visible").count() == 1
        shown.append(first.locator("output:visible").inner_text())
    page.close()
    assert shown == ["+0.00", "+3.00", "+0.00", "-3.00"]


def test_a_hostile_title_and_a_hostile_checkpoint_stay_text(checkpoint):
    evil = "</title><script src='http://x'>alert(1)</script>\"&"
    subject = replace(subjects.sample(checkpoint, 0, 3, "standard"), title=evil)
    colours = tuple(f"{colour};x:{evil}" for colour in checkpoint.colours)
    worse = replace(checkpoint, training=replace(checkpoint.training, data=evil), colours=colours)
    page = Reader(opened(made(worse, subject, (), link=f"/report?{evil}"))["report.html"].decode())
    assert "script" not in page.tags
    assert evil in page.text
    assert {value for name, value in page.attributes if name == "style"} == {
        f"color: {colour}" for colour in checkpoint.colours[1:]
    }
    strange = replace(checkpoint.metrics["hard"], data=evil)
    assert (
        "script" not in Reader(opened(made(worse, subject, (), metrics={evil: strange}))["report.html"].decode()).tags
    )


def test_an_upload_is_named_nowhere_and_linked_never(checkpoint):
    subject = upload(checkpoint)
    assert "Jane-Doe" in subject.title
    found = opened(made(checkpoint, subject, (1,), link=None))
    assert json.loads(found["settings.json"])["data"] == "upload"
    for name, data in found.items():
        assert b"Jane-" not in data, name
        if name.endswith(".npz"):
            assert all(b"Jane-" not in inner for inner in opened(data).values()), name
    text = Reader(found["report.html"].decode()).text
    assert "On the uploaded pixels" in text
    assert "/report?" not in text
    assert "n/a: no mask was uploaded for it" in text
    with pytest.raises(ValueError, match="no link"):
        made(checkpoint, subject, (), link=LINK)


def test_one_modality_without_truth_or_numbers_is_enough(checkpoint):
    alone = replace(checkpoint, metrics={})
    found = opened(made(alone, upload(checkpoint, (1,)), link=None))
    text = Reader(found["report.html"].decode()).text
    assert "Alignment and fusion" not in text
    assert "it was not evaluated yet" in text
    assert json.loads(found["evaluate.json"]) == {}
    assert "traverse-LGE.npz" in found
    subject = subjects.sample(checkpoint, 0, 3, "standard")
    one = replace(subject, modalities=(0,), images=subject.images[:1], truth={})
    found = decompose(checkpoint.model, one.images, one.modalities)
    with pytest.raises(ValueError, match="traversal of LGE; the subject has cine"):
        report(checkpoint, one, found, (None,) * 8, {"LGE": None}, None, {}, None)


@pytest.mark.parametrize("name", ["brain-film", "cardiac-film-zero"])
def test_cards_of_older_checkpoints_have_their_numbers_too(name):
    results = load(ROOT / "checkpoints" / f"{name}.safetensors").metrics.values()
    shown = [rows for numbers in results if (rows := evaluate_rows(numbers))]  # not the slow measures alone
    assert shown
    for rows in shown:
        assert {row["measure"] for row in rows} >= {title for title, *_ in MEASURES.values()} - NEW


def test_a_missing_number_says_why(checkpoint):
    numbers = replace(
        checkpoint.metrics["standard"],
        registration=RegistrationSummary(None, None),
        why={"registration.error_before_px": "nobody knows"},
    )
    rows = [row["value"] for row in evaluate_rows(numbers) if row["measure"] == "Registration"]
    assert rows == ["n/a: nobody knows", "n/a"]


@pytest.fixture
def downloads(monkeypatch):
    """What the page would give to a browser."""
    kept = []
    monkeypatch.setattr(st, "download_button", lambda label, data, *rest, **more: kept.append(data))
    return kept


def shown(query=""):
    app = open_app()
    for key, values in parse_qs(query, keep_blank_values=True).items():
        app.query_params[key] = values
    app.run().switch_page("pages/report.py").run()
    assert not app.exception
    assert not app.error
    return app


@pytest.mark.slow
@pytest.mark.parametrize("traversed", [["LGE"], []])
def test_the_page_gives_a_report_whose_link_gives_it_again(downloads, traversed, monkeypatch):
    monkeypatch.setattr(type(st.context), "url", property(lambda context: "https://hearts.example/app/report"))
    app = shown("subject=3&slice=2&difficulty=hard&checkpoint=cardiac-spade")
    app.button_group(key="traversed").set_value(traversed)
    app.button_group(key="report-steps").set_value(5)
    app.run()
    assert not app.exception
    first = downloads[-1]()
    link = json.loads(opened(first)["settings.json"])["link"]
    assert link.startswith("https://hearts.example/app/report?")  # absolute: it opens from anywhere
    assert [name for name in opened(first) if "traverse" in name] == [f"traverse-{name}.npz" for name in traversed]
    shown(urlsplit(link).query)
    assert downloads[-1]() == first


def test_the_page_takes_evaluations_and_hides_their_folder(checkpoint, downloads, monkeypatch):
    request, job = background_evaluation.EvaluationRequest("/home/me/hearts", 7), Job()
    job.future.set_result(Evaluation(replace(checkpoint.metrics["hard"], data=request.data)))
    jobs = Jobs()
    jobs._jobs[checkpoint.digest, request] = job
    monkeypatch.setattr(background_evaluation, "_jobs", lambda: jobs)
    shown()
    found = opened(downloads[-1]())
    assert json.loads(found["evaluate.json"]) == {
        "--data hearts --sample-z 7": replace(checkpoint.metrics["hard"], data="hearts").to_json()
    }
    text = Reader(found["report.html"].decode()).text
    assert "Numbers of an evaluation in the app" in text
    assert "evaluate checkpoints/cardiac-film.safetensors --data hearts --sample-z 7" in text
    assert "/home" not in text
    jobs.close()


@pytest.mark.slow
def test_the_page_takes_uploads_and_uploaded_checkpoints(downloads):
    app = shown("checkpoint=brain-film")
    assert not downloads
    buffer = io.BytesIO()
    Image.fromarray(np.arange(8000, dtype=np.uint8).reshape(100, 80)).save(buffer, "PNG")
    drop(app, ("Jane-Doe-FLAIR.png", buffer.getvalue(), "image/png"))
    assert not app.exception
    found = opened(downloads[-1]())
    assert json.loads(found["settings.json"])["link"] is None
    assert not any(b"Jane-" in data for data in found.values())
    app = shown()
    shipped = (ROOT / "checkpoints" / "cardiac-film.safetensors").read_bytes()
    app.switch_page("pages/checkpoints.py").run()
    app.file_uploader(key="bring").upload("Jane-s.safetensors", shipped, "application/octet-stream")
    app.run()
    app.switch_page("pages/report.py").run()
    assert not app.exception
    found = opened(downloads[-1]())
    assert json.loads(found["settings.json"])["link"] is None
    assert re.search(r"evaluate CHECKPOINT --data", found["report.html"].decode())
    assert not any(b"Jane-" in data for data in found.values())

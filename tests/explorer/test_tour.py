"""The tour by Streamlit's own test client, and the lesson's links, minutes and quotations by its text."""

import ast
import re
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from page_visits import ROOT, choose_own_files, drop, png_file

from dafnet_explorer import catalogue, state
from dafnet_explorer.figures.halftone import KINDS

LESSON = (ROOT / "docs" / "lesson.md").read_text()
LINKS = sorted(set(re.findall(r"\(http://localhost:8501(/[^)]*)\)", LESSON)))
SECTIONS = {
    1: "Sec. I, III-A",
    2: "Sec. III-A",
    3: "Sec. III-A",
    4: "Sec. III-D",
    5: "Sec. III-D, III-E",
    6: "Sec. III-B",
    7: "Sec. III-B",
    8: "Sec. III-C, IV-A",
    9: "Sec. V-H.2, Fig. 9",
    10: "Sec. V-H.1, V-H.3",
    11: "Not in the paper",
}


@pytest.fixture
def tour(app):
    return app.run().switch_page("pages/tour.py")


def go(app, station):
    app.button_group(key="station").set_value(station)
    app.run()
    assert not app.exception
    assert not app.error


def page_text(app):
    return " ".join(e.value for kind in ("markdown", "caption", "info") for e in getattr(app, kind))


def take(app, names):
    """Noise as the files of some modalities."""
    drop(choose_own_files(app), *(png_file(f"{name}.png", n) for n, name in enumerate(names)))
    app.switch_page("pages/tour.py").run()


def sheets(app):
    """Pictures of the page, without thumbnails of files."""
    return [image for image in app.main.get("image") if not image.proto.imgs[0].alt.startswith("The middle slice of")]


def test_every_station_has_its_section_its_equation_and_its_picture(tour):
    tour.run()
    for n, section in SECTIONS.items():
        go(tour, n)
        assert tour.header[0].value.startswith(f"{n}. ")
        assert len(tour.latex) == 1
        assert len(sheets(tour)) == 1
        assert section in page_text(tour)
        assert "What to look for" in page_text(tour)
        assert "Phantom subject 1, slice 4 of 8" in page_text(tour)


def test_the_other_decoder_shows_its_own_modulation_and_its_card(app):
    app.query_params["checkpoint"] = "cardiac-spade"
    app.run().switch_page("pages/tour.py").run()
    go(app, 4)
    assert "SPADE" in app.latex[0].value
    assert "FiLM" not in app.latex[0].value
    go(app, 10)
    assert "24 held-out subjects" in page_text(app)


def test_a_link_opens_its_station_and_the_buttons_go_on_and_back(tour):
    tour.query_params["station"] = "10"
    tour.run()
    assert tour.header[0].value.startswith("10. ")
    tour.button(key="next").click().run()
    assert tour.header[0].value.startswith("11. ")
    assert tour.button(key="next").disabled
    tour.button(key="back").click().run()
    assert tour.button_group(key="station").value == 10
    go(tour, 1)
    assert tour.button(key="back").disabled


def test_stations_that_need_two_modalities_say_so_for_one(app):
    take(app.run(), ["LGE"])
    for n in SECTIONS:
        go(app, n)
        assert len(app.latex) == 1
        two = n in (1, 5, 6, 7)
        assert ("This station needs two modalities" in page_text(app)) == two
        assert len(sheets(app)) == (0 if two or n in (10, 11) else 1)
        assert len(app.get("plotly_chart")) == (n == 10)  # one subject has no distances: the card's probe


def test_a_pair_of_files_without_truth_goes_through_every_station(app):
    app.query_params["checkpoint"] = "brain-spade"
    app.run()
    take(app, ["T1", "FLAIR"])
    for n in SECTIONS:
        go(app, n)
        assert "T1.png" in page_text(app) or n in (10, 11)


def test_the_last_station_decodes_every_kind_of_anatomy_of_both_images(app):
    app.query_params["checkpoint"] = "cardiac-film-zero"
    app.query_params["station"] = "11"
    app.run().switch_page("pages/tour.py").run()
    verdicts, seen = set(), set()
    for name in ("cine", "LGE"):
        app.button_group(key="halftone-of").set_value(name)
        for kind in KINDS:
            app.button_group(key="halftone").set_value(kind)
            app.run()
            assert not app.exception
            (picture,) = sheets(app)
            seen.add(picture.proto.imgs[0].url)
            assert "cardiac-film-leaky is the counter-example" in page_text(app)
            verdicts |= {m.value for m in app.markdown if m.value.startswith("**Verdict.**")}
    assert len(seen) == 6
    assert len(verdicts) == 2  # an image's, whatever is shown of it
    assert all("**cardiac-film-leaky**" in text and "**cardiac-film-zero**" in text for text in verdicts)
    assert any("Shuffling raises the error of **cardiac-film-leaky**" in text for text in verdicts)


def test_the_counter_example_is_compared_with_the_default_checkpoint(app):
    app.query_params["checkpoint"] = "cardiac-film-leaky"
    app.query_params["station"] = "11"
    app.run().switch_page("pages/tour.py").run()
    assert not app.exception
    verdict = next(m.value for m in app.markdown if m.value.startswith("**Verdict.**"))
    assert verdict.index("**cardiac-film-leaky**") < verdict.index("**cardiac-film**")
    assert "nothing to compare with" not in verdict


def test_without_the_counter_example_the_last_station_says_what_is_missing(app, tmp_path, monkeypatch):
    (tmp_path / "cardiac-film.safetensors").symlink_to(ROOT / "checkpoints" / "cardiac-film.safetensors")
    monkeypatch.setattr(catalogue, "CHECKPOINTS", tmp_path)
    app.query_params["station"] = "11"
    app.run().switch_page("pages/tour.py").run()
    assert not app.exception
    assert len(sheets(app)) == 1
    assert "the counter-example, cardiac-film-leaky, is missing or not valid" in page_text(app)
    assert "is the counter-example, kept" not in page_text(app)


@pytest.mark.parametrize(("checkpoint", "names"), [("cardiac-film", ["cine", "LGE"]), ("brain-film", ["T1", "FLAIR"])])
def test_the_last_station_offers_a_phantom_heart_for_files_of_which_no_tissue_is_known(app, checkpoint, names):
    app.query_params["checkpoint"] = checkpoint
    take(app.run(), names)
    go(app, 11)
    assert sheets(app) == []
    assert "only those of the built-in artificial hearts are known" in page_text(app)
    app.button(key="phantom").click().run()
    assert not app.exception
    assert not app.error
    assert app.sidebar.selectbox(key="checkpoint").value == "cardiac-film"
    assert app.header[0].value == "11. How a model cheats"
    assert len(sheets(app)) == 1
    assert "Phantom subject 1, slice 4 of 8" in page_text(app)


def calls(path):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def registered():
    """Pages of app.py by the path of their address."""
    paths = [c.args[0].value for c in calls(ROOT / "app.py") if getattr(c.func, "attr", "") == "Page"]
    return {"" if path == "pages/start.py" else Path(path).stem: ROOT / path for path in paths}


def bound(path):
    """Names of the query parameters that a file's widgets are bound to."""
    found = set()
    for call in calls(path):
        words = {k.arg: k.value for k in call.keywords}
        keys = [words["key"]] if "bind" in words else []
        if getattr(call.func, "attr", "") in ("pick_other", "pick_data"):
            keys.append(call.args[1])
        for key in keys:
            if isinstance(key, ast.Constant):
                found.add(key.value)
            elif isinstance(key, ast.Attribute):
                assert ast.unparse(key.value) == "state"
                found.add(getattr(state, key.attr))
    return found


@pytest.mark.parametrize("link", LINKS)
def test_a_link_of_the_lesson_opens_a_page_and_sets_what_a_widget_is_bound_to(link):
    parts = urlparse(link)
    pages = registered()
    assert parts.path[1:] in pages
    chosen = parse_qs(parts.query, strict_parsing=bool(parts.query))
    shared = ("sidebar", "subject_picker", "background_evaluation")
    everywhere = set().union(*(bound(ROOT / "dafnet_explorer" / f"{name}.py") for name in shared))
    assert chosen.keys() <= bound(pages[parts.path[1:]]) | everywhere
    allowed = {"station": range(1, 12), "subject": range(1, 9), "slice": range(1, 9), "population": (8, 16, 24)}
    for name, (value,) in chosen.items():
        if name in ("checkpoint", "beside"):
            assert (ROOT / "checkpoints" / f"{value}.safetensors").is_file()
        elif name == "difficulty":
            assert value in ("standard", "hard")
        elif name == "halftone":
            assert value in KINDS
        else:
            assert int(value) in allowed[name]


def test_the_lesson_visits_every_station_in_45_minutes():
    assert sum(int(minutes) for minutes in re.findall(r"^\| (\d+) \|", LESSON, re.MULTILINE)) == 45
    assert {int(n) for n in re.findall(r"station=(\d+)", LESSON)} == set(SECTIONS)
    assert len(re.findall(r"^### \d\.", LESSON, re.MULTILINE)) == LESSON.count("<summary>Answer") == 4


def test_what_the_lesson_quotes_stands_in_the_cards():
    quotes = re.findall(r"```\n(checkpoints/\S+\.md), (\w+)\n(.*?)```", LESSON, re.DOTALL)
    assert len(quotes) == 7
    for file, data, lines in quotes:
        card = (ROOT / file).read_text().split(f"## Subjects never trained on: {data}\n")[1].split("\n## ")[0]
        assert set(lines.splitlines()) <= set(card.splitlines()), file

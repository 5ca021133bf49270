"""Groups of pages, the bar above each page, and what is on the screen before the model is there."""

import ast
import asyncio
import subprocess
import sys

import numpy as np
import pytest
from page_visits import ROOT, choose_own_files, drop, npy_file, page_text
from starlette.responses import HTMLResponse, PlainTextResponse

from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import subjects, traversals
from dafnet_explorer.figures.start import between_labels, model_blocks
from dafnet_explorer.style import STYLE, Styled
from tools.screenshots import GROUPS, PAGES


def calls(path, name):
    """Calls of a name in a source, in their order."""
    tree = ast.parse((ROOT / path).read_text())
    return [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func).split(".")[-1] == name]


def test_pages_stand_in_groups_from_learning_to_models():
    (pages,) = (f for f in ast.parse((ROOT / "app.py").read_text()).body if getattr(f, "name", "") == "_pages")
    groups = next(n for n in ast.walk(pages) if isinstance(n, ast.Dict))
    titles = [tuple(k.value.value for c in v.elts for k in c.keywords if k.arg == "title") for v in groups.values]
    assert dict(zip([k.value for k in groups.keys], titles, strict=True)) == GROUPS
    assert {title.lower() for titles in GROUPS.values() for title in titles} == set(PAGES)
    assert next(iter(GROUPS)) == "Learn"
    assert next(iter(GROUPS["Learn"])) == "Start"


# ---- the bar ----


def shown_in_bar(app):
    return [m.value for m in app.main.markdown if m.value.startswith(("Subject ", "Slice "))]


def test_the_bar_steps_through_subjects_and_slices_as_the_pickers_do(app):
    app.run().switch_page("pages/decompose.py").run()
    assert shown_in_bar(app) == ["Subject 1 of 8", "Slice 4 of 8"]
    assert next(m.value for m in app.main.markdown) == "`cardiac-film`"
    assert app.button(key="subject-previous").disabled
    app.button(key="slice-next").click().run()
    app.button(key="subject-next").click().run()
    assert "Phantom subject 2, slice 5 of 8" in page_text(app)
    assert app.sidebar.slider(key="slice").value == 5
    assert app.sidebar.selectbox(key="subject").value == 2
    app.sidebar.slider(key="slice").set_value(8).run()
    assert shown_in_bar(app)[1] == "Slice 8 of 8"
    assert app.button(key="slice-next").disabled
    app.button(key="slice-previous").click().run()
    assert "Phantom subject 2, slice 7 of 8" in page_text(app)
    assert not app.exception


def test_the_bar_steps_through_slices_of_the_user_s_stacks_and_has_none_for_a_single_image(app):
    choose_own_files(app.run())
    drop(app, npy_file("cine.npy", (60, 60)))
    assert shown_in_bar(app) == []
    drop(app, npy_file("cine.npy", (7, 60, 60)))
    assert shown_in_bar(app) == ["Slice of cine 4 of 7"]
    app.button(key="slice-of-cine-7-next").click().run()
    assert "`cine.npy`, slice 5 of 7" in page_text(app)
    assert not app.exception


@pytest.mark.parametrize(("link", "large"), [(None, False), ("true", True)])
def test_a_link_of_the_lecture_mode_has_large_type_from_the_first_run(app, link, large):
    if link:
        app.query_params["lecture"] = link
    app.run()
    assert app.toggle(key="lecture").value is large
    assert any("font-size: 22px" in h.proto.body for h in app.get("html")) is large
    app.toggle(key="lecture").set_value(not large).run()
    assert any("font-size: 22px" in h.proto.body for h in app.get("html")) is not large


def test_every_page_has_pickers_and_the_bar():
    drawing = "current", "current_selection", "current_checkpoint", "current_subject"
    pages = [f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py")]
    assert [page for page in pages if not any(calls(page, name) for name in drawing)] == []


# ---- Start ----

FIRST_PAINT = """
import sys
from streamlit.testing.v1 import AppTest
import streamlit as st
from dafnet_explorer import loading
loading.load = st.stop  # all that comes after it is not run
app = AppTest.from_file("app.py").run()
print(app.title[0].value, "torch" in sys.modules, sum("<div>" in h.proto.body for h in app.get("html")), sep="|")
print(app.markdown[0].value)
"""


def test_start_shows_name_sentence_and_skeleton_before_anything_slow_is_imported():
    done = subprocess.run([sys.executable, "-c", FIRST_PAINT], cwd=ROOT, capture_output=True, text=True, check=True)
    first, sentence = done.stdout.splitlines()[:2]
    assert first == "DAFNet Explorer|False|3"
    assert sentence.startswith("Find out in this app how a neural network, DAFNet, separates")
    assert sentence.count(". ") == 0  # one sentence


FIRST_PICTURE = """
import sys
from streamlit.testing.v1 import AppTest
AppTest.from_file("app.py", default_timeout=120).run()
print(*sorted({"pandas", "sklearn", "scipy.stats", "torch._dynamo", "dcor", "nibabel", "pydicom"} & set(sys.modules)))
"""


def test_start_imports_nothing_that_its_pictures_do_not_need():
    command = [sys.executable, "-c", FIRST_PICTURE]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == ""


def test_start_s_slider_goes_from_one_reconstruction_to_the_swap(checkpoint):
    found = decompose(checkpoint.model, subjects.sample(checkpoint, 0, 3, "standard").images)
    images = traversals.between(checkpoint, found.s[0], *found.z_mean[:2], 5)
    assert images.shape == (5, 128, 128)
    np.testing.assert_allclose(images[0], found.own[0], atol=1e-4)
    np.testing.assert_allclose(images[-1], found.swapped[found.pairs.index((0, 1))], atol=1e-4)
    steps = [np.abs(image - images[0]).mean() for image in images]
    assert steps == sorted(steps)
    assert between_labels("a", "b", 5)[1] == "z: 75 % a, 25 % b"


def test_blocks_of_the_model_carry_shapes_and_open_the_station_that_explains_them(checkpoint):
    found = decompose(checkpoint.model, subjects.sample(checkpoint, 0, 3, "standard").images)
    blocks = model_blocks(found, checkpoint.config.classes)
    titles = [call.args[0].value for call in calls("pages/tour.py", "Station")]
    told = {
        "image x": "Two images",
        "anatomy s": "anatomy s",
        "modality factor z": "modality factor z",
        "align": "Align",
        "fuse": "Fuse",
        "mask h(s)": "Segment",
        "image g(s, z)": "Reconstruct",
    }
    assert [b.name for b in blocks] == list(told)
    for block in blocks:
        assert told[block.name] in titles[block.station - 1]
    shapes = {b.name: b.shape for b in blocks}
    assert shapes["anatomy s"].startswith("8 x 128 x 128")
    assert shapes["modality factor z"] == "8 numbers"
    assert shapes["align"] == "5 x 5 offsets"
    assert shapes["mask h(s)"] == "4 x 128 x 128"


# ---- the style ----


def answer(app, accept):
    """Headers and body of what an ASGI app answers, and the headers of the request as it sees them."""
    sent, seen = [], {}

    async def send(message):
        sent.append(message)

    async def spy(scope, receive, send):
        seen.update(scope["headers"])
        await app(scope, receive, send)

    asked = [(b"accept", accept), (b"accept-encoding", b"gzip")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": asked}
    asyncio.run(Styled(spy)(scope, None, send))
    return dict(sent[0]["headers"]), b"".join(m["body"] for m in sent[1:]), seen


def test_our_style_is_part_of_every_page_and_of_nothing_else():
    page = "<html><head><title>ä</title></head><body></body></html>"
    marks = {"etag": "x", "last-modified": "y"}
    headers, body, seen = answer(HTMLResponse(page, headers=marks), b"text/html,*/*")
    assert body == page.encode().replace(b"</head>", STYLE + b"</head>")
    assert int(headers[b"content-length"]) == len(body)
    assert b"etag" not in headers  # or a browser would keep an older style
    assert b"accept-encoding" not in seen  # or Streamlit would compress it
    headers, body, seen = answer(PlainTextResponse(page, headers=marks), b"*/*")
    assert body == page.encode()
    assert headers[b"etag"] == b"x"
    assert seen[b"accept-encoding"] == b"gzip"

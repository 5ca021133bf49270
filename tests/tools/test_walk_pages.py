"""The walk through all pages finds each kind of fault on a small page that has it, and none on pages of the app."""

import os
import shutil

import plotly.graph_objects as go
import pytest

from tools.screenshots import serve
from tools.walk_pages import Watched, largest_shift, walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM and not os.environ.get("DAFNET_REQUIRE_BROWSER"):
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def chart(*, title=None, showscale=True):
    """A map as a page of its own, with the given titles of its axes."""
    figure = go.Figure(go.Heatmap(z=[[1, 2], [3, 4]], showscale=showscale))
    figure.update_layout(xaxis_title=title, yaxis_title="y, pixels")
    return figure.to_html(include_plotlyjs=True)


JUMP = (
    "<p style='height: 300px'>text</p><script>setTimeout(() => document.body.prepend(Object.assign("
    "document.createElement('div'), {style: 'height: 500px'})), 200)</script>"
)
SHADOW = (
    "<div id=host style='background: #fff'></div><script>host.attachShadow({mode: 'open'}).innerHTML = "
    "'<p style=\"color: #999\">pale</p>'</script>"
)
FAULTS = {
    "axis": (chart(), "xaxis has no title"),
    "colour bar": (chart(title="x, pixels", showscale=False), "a map without colour bar"),
    "alt text": (
        "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=' width=50 height=50>",
        "an image without alt text",
    ),
    "contrast": ("<p style='color: #777; background: #fff'>pale</p>", 'contrast 4.5 of "pale"'),
    "opacity": ("<div style='opacity: 0.5'><p style='color: #000'>pale</p></div>", 'contrast 4.0 of "pale"'),
    "component": (SHADOW, 'contrast 2.8 of "pale"'),
    "disabled": ("<button disabled style='color: #fff; background: #eee'>gone</button>", 'contrast 1.2 of "gone"'),
    "layout shift": (JUMP, "the layout shifts by"),
    "error": ("<script>setTimeout(() => missing(), 10)</script>", "error of the page: missing is not defined"),
    "outside request": ("<img alt=a src='http://192.0.2.1/a.png'>", "outside request: http://192.0.2.1/a.png"),
}


def faults_of(browser, tmp_path, html):
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><meta charset=utf-8><body>{html}")
    watched = Watched(browser, file.as_uri())
    watched.page.goto(file.as_uri(), wait_until="domcontentloaded")
    watched.page.wait_for_timeout(700)
    found = watched.faults()
    watched.page.close()
    return found


@pytest.mark.parametrize("kind", FAULTS)
def test_each_kind_of_fault_is_found(browser, tmp_path, kind):
    html, said = FAULTS[kind]
    (found,) = faults_of(browser, tmp_path, html)
    assert said in found


def test_a_page_without_fault_has_none(browser, tmp_path):
    fine = (
        "<p style='color: #767676; background: #fff'>just enough</p>"
        "<p style='color: #F0E442; background: #fff'>■</p>"
        "<button disabled style='color: #ccc'>disabled</button><p style='display: none; color: #fff'>hidden</p>"
        "<div style='background: #000'><p style='color: rgb(255 255 255 / 60%)'>light on dark</p></div>"
    )
    assert faults_of(browser, tmp_path, fine + chart(title="x, pixels")) == []


def test_shifts_add_up_within_a_burst_and_not_over_several():
    assert largest_shift([]) == 0
    assert largest_shift([(0, 0.06), (500, 0.06), (5000, 0.06)]) == pytest.approx(0.12)
    assert largest_shift([(n * 900, 0.01) for n in range(20)]) == pytest.approx(0.06)  # 5 s at most


def test_pages_of_the_app_have_no_fault(browser):
    with serve() as (url, _):
        visits = [("light", 1400, ["start", "align"]), ("dark", 400, ["decompose"])]
        for scheme, width, names in visits:
            for what, faults in walk(browser, url, names, [scheme], [width]):
                assert faults == [], what

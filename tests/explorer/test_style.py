"""Streamlit's page with our style: scripts that are loaded from the start, and the space of pictures to come."""

from contextlib import nullcontext

import pytest

from dafnet_explorer import controls, style

HEIGHTS = """
window.heights = {};
const look = () => {
  for (const held of document.querySelectorAll("[class*='st-key-held']"))
    (window.heights[held.className.match(/st-key-(\\S+)/)[1]] ??= []).push(held.getBoundingClientRect().height);
  requestAnimationFrame(look);
};
look();
"""
NEAR = 16  # pixels: a line of a component's text may be a little lower or higher than style.css says


@pytest.mark.parametrize("name", style.ELEMENTS.split())
def test_streamlit_has_a_script_for_each_element_that_is_loaded_from_the_start(name):
    assert len(list(style.SCRIPTS.glob(f"{name}.*.js"))) == 1
    assert f"./static/js/{name}." in style.preloads()


@pytest.mark.parametrize("count", [1, 19, 300])
def test_a_table_is_as_high_as_its_space(monkeypatch, count):
    heights = []
    monkeypatch.setattr(controls.components, "room", lambda kind, size, key: heights.append(size[1]) or nullcontext())
    monkeypatch.setattr(controls.st, "dataframe", lambda rows, **options: heights.append(options["height"]))
    controls.table([{"number": n} for n in range(count)], "numbers")
    assert heights[0] == heights[1] == 35 * (min(count, 24) + 1) + 2


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize(
    ("page", "kinds"),
    [
        ("quiz", {"picture"}),
        ("traverse", {"picture", "scrub", "tiles"}),
        ("align", {"picture", "drag"}),
        ("edit", {"picture", "compare", "paint"}),
        ("independence", {"table"}),
    ],
)
def test_a_picture_has_its_space_before_it_comes(server, browser, page, kinds, width):
    view = browser.new_page(viewport={"width": width, "height": 900})
    view.add_init_script(HEIGHTS)
    view.goto(f"{server[0]}/{page}")
    view.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=120_000)
    view.locator("[data-testid=stSkeleton]").first.wait_for(state="detached")
    view.wait_for_timeout(1500)
    heights = view.evaluate("window.heights")
    assert {name.split("-")[1] for name in heights} == kinds
    for name, seen in heights.items():
        assert max(seen) - min(seen) <= NEAR, (name, seen[0], seen[-1])
    view.close()

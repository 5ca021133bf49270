"""Tiles, scrubbing, control points and the brush in a real browser."""

import numpy as np
import pytest
from browser_visits import expect_another, expect_picture, source

from dafnet_core.geometry import jacobian, positions_of
from dafnet_explorer import components

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def _imported(server, browser):
    """The server has imported everything before the first test, whose time is not that of a first visit."""
    page = browser.new_page()
    page.goto(f"{server[0]}/traverse")
    expect_picture(page, "Rows of images of cine", timeout=90_000)
    page.close()


def test_the_canvas_s_spline_is_the_core_s(page):
    page.goto("about:blank")
    page.add_script_tag(content=components.source("spline"))
    offsets = np.random.default_rng(0).normal(0, 0.15, (25, 2))
    at = "positions(splineMatrix(w, h, 5), offsets, w, h)"
    found = page.evaluate(f"([offsets, w, h]) => Array.from({at})", [offsets.tolist(), 48, 40])
    assert np.abs(np.reshape(found, (40, 48, 2)) - positions_of(offsets, 40, 48)).max() < 5e-4  # pixels
    crossed = np.zeros((25, 2))
    crossed[[11, 12, 13], 0] = 0.9, 0, -0.9
    folded = page.evaluate(f"([offsets, w, h]) => Array.from(folds({at}, w, h))", [crossed.tolist(), 48, 40])
    assert sum(folded) > 0
    assert np.array_equal(np.reshape(folded, (40, 48)) > 0, jacobian(positions_of(crossed, 40, 48)) <= 0)


def test_a_dimension_is_scrubbed_through_with_the_keyboard(server, page):
    page.goto(f"{server[0]}/traverse")
    canvas = page.locator("canvas[data-frame]")
    canvas.wait_for()
    assert canvas.get_attribute("data-frame") == "16"
    before = canvas.evaluate("e => e.toDataURL()")
    page.locator(".scrub input").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.locator('canvas[data-frame="19"]').wait_for()
    page.locator(".scrub output").get_by_text("= +0.56").wait_for()
    assert canvas.evaluate("e => e.toDataURL()") != before


def test_a_clicked_tile_is_looked_at_closer(server, page):
    page.goto(f"{server[0]}/traverse")
    expect_picture(page, "Rows of images of cine")
    page.locator(".tiles button").nth(2 * 9 + 1).click()  # third row, second step
    page.get_by_text("z3 = -2.0").or_(page.get_by_text("= -2.0")).first.wait_for()
    page.locator('.tiles button[aria-pressed="true"]').wait_for()


def test_a_dragged_control_point_changes_the_dice_until_it_is_undone(server, page):
    from playwright.sync_api import expect

    page.goto(f"{server[0]}/align")
    alt = "Deformed and fused anatomy"
    before = source(page, alt)
    shown, point = page.locator(".st-key-dice"), page.locator(".point").nth(12)
    shown.get_by_test_id("stMetricValue").nth(1).wait_for()
    dice = shown.inner_text()
    point.hover()
    box = point.bounding_box()
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 30, steps=5)
    page.mouse.up()
    expect_another(page, alt, before)
    shown.get_by_text("vs. predicted").first.wait_for()
    assert shown.inner_text() != dice
    page.get_by_role("button", name="Undo").click()
    expect(shown).to_have_text(dice, use_inner_text=True, timeout=20_000)


def test_painting_answers_and_undoing_gives_the_identical_picture(server, page):
    page.goto(f"{server[0]}/edit?painted-with=cardiac-spade")
    alt = "The painted anatomy, the image before and after"
    before = source(page, alt)
    canvas = page.locator(".paint canvas")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.55, steps=8)
    page.mouse.up()
    painted = expect_another(page, alt, before)
    said = page.locator(".paint output").inner_text()
    pixels = int(said.split()[0])
    assert pixels > 0
    metric = page.get_by_test_id("stMetric").filter(has_text="pixels painted")
    metric.get_by_text(str(pixels), exact=True).wait_for()  # the browser and Python paint the same
    page.get_by_test_id("stSidebarNav").get_by_text("Decompose").click()
    expect_picture(page, "Each modality's image and its anatomy channels")
    page.get_by_test_id("stSidebarNav").get_by_text("Edit", exact=True).click()
    assert source(page, alt) == painted  # strokes survive a change of page
    page.locator(".paint [data-undo]").click()
    assert expect_another(page, alt, painted) == before
    canvas.focus()  # and by the keyboard alone
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    expect_another(page, alt, before)


def test_a_finger_paints_as_well(server, browser):
    context = browser.new_context(viewport={"width": 400, "height": 900}, has_touch=True)
    page = context.new_page()
    page.goto(f"{server[0]}/edit")
    alt = "The painted anatomy, the image before and after"
    before = source(page, alt)
    canvas = page.locator(".paint canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.3)
    expect_another(page, alt, before)
    context.close()

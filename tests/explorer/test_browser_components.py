"""Tiles, scrubbing, control points and the brush in a real browser."""

import numpy as np
import pytest
from browser_visits import download, expect_another, expect_picture, source

from dafnet_core.analysis.painting import Reshape, paint
from dafnet_core.geometry import jacobian, positions_of
from dafnet_explorer import components
from tools.screenshots import go_to

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


def test_the_canvas_reshapes_channels_as_the_core_does(page):
    page.goto("about:blank")
    page.add_script_tag(content=components.source("reshape"))
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 4, (5, 6)), np.ones((8, 8))).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.03] = 1
    for change in (
        Reshape(1, 3),
        Reshape(1, -2),
        Reshape(2, -16),
        Reshape(0, dx=5, dy=-3),
        Reshape(3, dx=-32, dy=32),
        Reshape(1, 2, 4, 1),
        Reshape(7, 4, 1, 1),
    ):
        action = {name: getattr(change, name) for name in ("channel", "grow", "dx", "dy")}
        found = page.evaluate(
            "([labels, change, w, h]) => Array.from(reshaped(Uint8Array.from(labels), change, w, h))",
            [labels.ravel().tolist(), action, 48, 40],
        )
        assert np.array_equal(np.reshape(found, (40, 48)), paint(labels, [change], 8)), change


def chart_title(page, text):
    """The title of the first linked view."""
    return page.locator(".st-key-closer .annotation-text").get_by_text(text)


def test_the_scrubber_moves_without_the_server_and_the_maps_follow_where_it_stops(server, page):
    page.goto(f"{server[0]}/traverse")
    canvas = page.locator("canvas[data-frame]")
    canvas.wait_for()
    assert canvas.get_attribute("data-frame") == "24"
    chart_title(page, "= +3.00").wait_for()
    before = canvas.evaluate("e => e.toDataURL()")
    page.locator(".scrub input").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.locator('canvas[data-frame="21"]').wait_for()
    page.locator(".scrub output").get_by_text("= +2.25").wait_for()
    assert canvas.evaluate("e => e.toDataURL()") != before
    chart_title(page, "= +2.25").wait_for()
    page.wait_for_url("**at=2.25**")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()  # and by the pointer
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20, steps=4)
    page.mouse.up()
    chart_title(page, "= +0.00").wait_for()
    assert canvas.get_attribute("data-frame") == "12"


def test_a_clicked_tile_moves_the_scrubber_and_a_link_opens_it_again(server, browser, page):
    page.goto(f"{server[0]}/traverse?sort=number")
    expect_picture(page, "Rows of images of cine")
    page.locator(".tiles button").nth(2 * 9 + 1).click()  # third row, second step
    page.locator('canvas[data-frame="4"]').wait_for()
    page.locator(".scrub output").get_by_text("z3 = -2.00").wait_for()
    chart_title(page, "z3 = -2.00").wait_for()
    page.locator('.tiles button[aria-pressed="true"]').wait_for()
    page.wait_for_url("**dimension=z3**")
    context = browser.new_context()
    fresh = context.new_page()
    fresh.goto(page.url)
    fresh.locator(".scrub output").get_by_text("z3 = -2.00").wait_for()
    context.close()
    page.locator(".scrub input").focus()
    page.keyboard.press("ArrowRight")
    chart_title(page, "z3 = -1.75").wait_for()
    page.locator(".tiles button").nth(2 * 9 + 1).click()  # the same tile again
    page.locator('canvas[data-frame="4"]').wait_for()


def test_a_traversal_is_downloaded_as_an_animation(server, page, tmp_path):
    from PIL import Image

    page.goto(f"{server[0]}/traverse?dimension=z2")
    page.locator(".scrub output").get_by_text("z2 = ").wait_for()
    got = download(page, "Animation (GIF)")
    assert got.suggested_filename == "dafnet-traverse-cardiac-film-Phantom-subject-1-slice-4-of-8-standard-cine-z2.gif"
    got.save_as(tmp_path / "z2.gif")
    with Image.open(tmp_path / "z2.gif") as file:
        assert file.n_frames == 48


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
    changed = shown.inner_text()
    page.keyboard.press("Control+z")
    expect(shown).to_have_text(dice, use_inner_text=True, timeout=20_000)
    page.keyboard.press("Control+Shift+Z")
    expect(shown).to_have_text(changed, use_inner_text=True, timeout=20_000)
    page.get_by_role("button", name="Undo").click()
    expect(shown).to_have_text(dice, use_inner_text=True, timeout=20_000)
    got = download(page, "Your warp (GIF)")
    assert got.suggested_filename.startswith("dafnet-align-cardiac-film-Phantom-subject-1-slice-4")
    assert got.suggested_filename.endswith("-LGE-onto-cine.gif")


def test_painting_answers_and_undoing_gives_the_identical_picture(server, page):
    page.goto(f"{server[0]}/edit?painted-with=cardiac-spade")
    alt = "The painted anatomy, the image before and after"
    before = source(page, alt)
    canvas = page.locator(".paint canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.55, steps=8)
    page.mouse.up()
    painted = expect_another(page, alt, before)
    said = page.locator(".paint output").inner_text()
    pixels = int(said.split()[0])
    assert pixels > 0
    metric = page.get_by_test_id("stMetric").filter(has_text="pixels changed")
    metric.get_by_text(str(pixels), exact=True).wait_for()  # the browser and Python paint the same
    go_to(page, "Decompose")
    expect_picture(page, "Each modality's image and its anatomy channels")
    go_to(page, "Edit")
    assert source(page, alt) == painted  # strokes survive a change of page
    page.locator(".paint [data-undo]").click()
    assert expect_another(page, alt, painted) == before
    canvas.focus()  # and by the keyboard alone
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    expect_another(page, alt, before)


def test_an_organ_grows_and_moves_and_every_edit_is_undone_by_the_keyboard_also_a_reset(server, page):
    from playwright.sync_api import expect

    page.goto(f"{server[0]}/edit")
    alt = "The painted anatomy, the image before and after"
    pictures = [source(page, alt)]
    metric = page.get_by_test_id("stMetric").filter(has_text="pixels changed").get_by_test_id("stMetricValue")
    page.get_by_role("radio", name="LV blood pool").click()
    for button in ("Grow", "Move", "Reset"):
        page.locator(".paint").get_by_role("button", name=button).click()
        pictures.append(expect_another(page, alt, pictures[-1]))
        said = page.locator(".paint output").inner_text()
        if button == "Grow":
            expect(metric).to_have_text(said.split()[-3])  # the browser and Python change the same pixels
    assert pictures[3] == pictures[0]
    expect(metric).to_have_text("0")
    page.get_by_role("heading", name="Edit").click()  # the focus is not on the canvas
    for n in (2, 1, 0):
        page.keyboard.press("Control+z")
        assert expect_another(page, alt, pictures[n + 1]) == pictures[n]
    expect(page.locator(".paint [data-undo]")).to_be_disabled()
    page.keyboard.press("Control+Shift+Z")
    assert expect_another(page, alt, pictures[0]) == pictures[1]
    number = page.locator(".paint [data-pixels]")  # a field of text has its own undo
    number.fill("7")
    number.press("Control+z")
    expect(page.locator(".paint [data-undo]")).to_be_enabled()


def test_before_and_after_share_a_picture_whose_line_is_moved(server, page):
    page.goto(f"{server[0]}/edit")
    source(page, "The painted anatomy, the image before and after")
    page.get_by_role("radio", name="LV blood pool").click()
    page.locator(".paint").get_by_role("button", name="Grow").click()
    page.get_by_test_id("stMetricValue").first.wait_for()
    canvas, line = page.locator(".compare canvas"), page.locator(".compare input")
    line.focus()
    shown = []
    for key in ("Home", "End"):
        page.keyboard.press(key)
        shown.append(canvas.evaluate("e => e.toDataURL()"))
    assert shown[0] != shown[1]
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 0.25, "y": box["height"] / 2})
    assert float(line.input_value()) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("name", ["traverse", "align", "edit"])
def test_on_a_narrow_screen_wide_sheets_say_that_they_scroll(server, browser, name):
    context = browser.new_context(viewport={"width": 400, "height": 900})
    page = context.new_page()
    page.goto(f"{server[0]}/{name}")
    alt = {"traverse": "Images over z", "align": "Deformed and fused", "edit": "The painted anatomy"}[name]
    expect_picture(page, alt)
    sheet = page.locator("[class*=st-key-sheet]", has=page.get_by_alt_text(alt)).first
    assert sheet.evaluate("e => e.scrollWidth > e.clientWidth")
    assert "scroll sideways" in sheet.evaluate("e => getComputedStyle(e, '::before').content")
    if name == "traverse":
        page.locator(".hint").first.get_by_text("scroll sideways").wait_for()
    page.set_viewport_size({"width": 1400, "height": 900})
    assert sheet.evaluate("e => getComputedStyle(e, '::before').content") == "none"
    context.close()


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

"""The first minute in a real browser: Start, the model, the bar, and type for lectures."""

import pytest
from browser_visits import expect_picture

from tools.screenshots import go_to
from tools.walk_pages import MAX_SHIFT, Watched, largest_shift

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def levels(page):
    return page.locator(".scrub canvas").evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )


def test_start_is_there_before_its_pictures_and_does_not_jump(server, browser):
    watched = Watched(browser, server[0])
    page = watched.page
    page.goto(server[0])
    page.get_by_role("heading", name="DAFNet Explorer").wait_for()
    held = page.locator(".st-key-held-slider, .st-key-held-model, .st-key-held-sheet")
    held.nth(2).wait_for()
    before = [e["y"] for e in held.evaluate_all("all => all.map(e => e.getBoundingClientRect().toJSON())")]
    expect_picture(page, "For each modality: the image", timeout=60_000)
    page.locator(".scrub canvas").wait_for()
    page.get_by_text("fuse", exact=True).wait_for()
    page.wait_for_timeout(500)
    after = [e["y"] for e in held.evaluate_all("all => all.map(e => e.getBoundingClientRect().toJSON())")]
    assert after == pytest.approx(before, abs=40)  # of the sentence, which may break into other lines
    assert largest_shift(page.evaluate("window.layoutShifts")) < MAX_SHIFT
    page.close()


def test_the_slider_is_animated_in_the_browser_and_a_block_opens_its_station(server, page):
    page.goto(f"{server[0]}/?subject=2")
    expect_picture(page, "For each modality: the image", timeout=60_000)
    first = levels(page)
    page.get_by_text("z of cine", exact=True).wait_for()
    slider = page.locator(".scrub input")
    slider.focus()
    page.keyboard.press("End")
    page.get_by_text("z of LGE", exact=True).wait_for()
    assert levels(page) != first
    page.wait_for_timeout(600)
    assert page.locator("[data-testid=stApp][data-test-script-state=notRunning]").count() == 1  # no run for it
    link = page.get_by_role("link", name="fuse, 8 x 128 x 128: station 7 of the tour")
    assert "/tour?" in link.get_attribute("href")
    assert "station=7" in link.get_attribute("href")
    link.click()
    page.get_by_role("heading", name="7. Fuse").wait_for()
    page.get_by_text("Subject 2 of 8", exact=True).wait_for()  # the same session
    go_to(page, "Start")
    page.get_by_role("link", name="align, ").click()
    page.get_by_role("heading", name="6. Align").wait_for()


def test_the_bar_steps_copies_the_link_and_enlarges_type(server, page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{server[0]}/decompose")
    expect_picture(page, "Each modality's image and its anatomy channels", timeout=60_000)
    page.locator(".st-key-slice-next button:visible").click()
    page.get_by_text("Phantom subject 1, slice 5 of 8").first.wait_for()
    page.wait_for_url("**slice=5**")
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    size = "parseFloat(getComputedStyle(document.querySelector('h1')).fontSize)"
    before, larger = page.evaluate(size), f"before => {size} > 1.3 * before"
    page.get_by_text("Lecture mode").click()
    page.wait_for_url("**lecture=true**")
    page.wait_for_function(larger, arg=before)
    go_to(page, "Align")  # it stays on other pages
    page.get_by_role("heading", name="Align").first.wait_for()
    page.get_by_text("Slice 5 of 8", exact=True).wait_for()
    page.wait_for_function(larger, arg=before)


@pytest.mark.parametrize("width", [400, 2560])
def test_a_sheet_uses_the_width_and_says_that_it_scrolls(server, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(server[0])
    expect_picture(page, "For each modality: the image", timeout=60_000)
    sheet = page.locator(".st-key-sheet_start")
    shown = sheet.locator("img").evaluate("e => e.getBoundingClientRect().width")
    hint = sheet.evaluate("e => getComputedStyle(e, '::before').content")
    assert page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 0
    if width == 400:
        assert shown == pytest.approx(820, abs=1)
        assert "scroll sideways" in hint
        assert sheet.evaluate("e => e.scrollWidth > e.clientWidth")
    else:
        assert shown > 1900  # of a sheet with 1,308 pixels
        assert hint == "none"
    page.close()

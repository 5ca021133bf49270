"""Subjects of a data set named at the app's start, in a real browser."""

import pytest
from browser_visits import expect_another, expect_picture, source
from test_pages_of_data_sets import TESTED, write_folder

from tools.screenshots import serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]
DRAWN = "[data-testid=stApp][data-test-script-state=notRunning]"
SHEET = "For each modality: the image"


def test_a_subject_of_a_data_set_is_chosen_and_its_link_opens_it(browser, page, tmp_path):
    with serve("--", "--data", write_folder(tmp_path)) as (url, _):
        page.goto(f"{url}/?checkpoint=brain-film")
        expect_picture(page, SHEET)
        page.get_by_test_id("stMain").get_by_text(f"Two heads, subject {TESTED}, slice 3 of 4").wait_for()
        expect_picture(page, "The middle slice of subjects of this data set")
        page.locator(DRAWN).wait_for()
        page.locator(".st-key-subject input").click()
        page.get_by_role("option", name="two", exact=True).click()
        page.get_by_test_id("stMain").get_by_text("Two heads, subject two, slice 4 of 6").wait_for()
        page.locator(DRAWN).wait_for()
        before = source(page, SHEET)
        page.locator(".st-key-slice input[type=range]").focus()
        page.keyboard.press("End")
        page.get_by_test_id("stMain").get_by_text("Two heads, subject two, slice 6 of 6").wait_for()
        shown = expect_another(page, SHEET, before)
        page.wait_for_url("**slice=6**")
        assert "source=Two" in page.url
        assert "subject=two" in page.url
        context = browser.new_context()
        fresh = context.new_page()
        fresh.goto(page.url)
        fresh.get_by_test_id("stMain").get_by_text("Two heads, subject two, slice 6 of 6").wait_for()
        assert source(fresh, SHEET).split("/")[-1] == shown.split("/")[-1]
        context.close()

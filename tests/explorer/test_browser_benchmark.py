"""The page Benchmark in a real browser: a cell is opened with the keyboard alone, and its link shows it again."""

import pytest
from browser_visits import download, expect_another, expect_picture, source
from test_pages_of_benchmark import write_results

from tools.screenshots import serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]
DRAWN = "[data-testid=stApp][data-test-script-state=notRunning]"
SHEET = "Masks of every method"


def choose(page, key, text):
    """Type into a select box and take what it then offers first."""
    page.locator(DRAWN).wait_for()
    page.locator(f".st-key-{key} input").focus()
    page.keyboard.type(text)
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("Enter")


def test_a_cell_is_opened_by_keyboard_and_its_table_is_downloaded(browser, page, tmp_path):
    write_results(tmp_path)
    with serve("--", "--results", str(tmp_path)) as (url, _):
        page.goto(f"{url}/benchmark?results=phantom-hard-smoke")
        main = page.get_by_test_id("stMain")
        main.get_by_text("Dice per slice of 85.0 ± 7.1 %").wait_for(timeout=60_000)
        main.locator("td strong", has_text="85.0 ± 7.1").first.wait_for()
        choose(page, "row", "UNet-multi")
        main.get_by_text("Dice per slice of 75.0 ± 7.1 %").wait_for()
        expect_picture(page, SHEET)
        page.locator(DRAWN).wait_for()
        before = source(page, SHEET)
        choose(page, "slice-of-masks", "0001, slice 5")
        shown = expect_another(page, SHEET, before)
        page.wait_for_url("**slice-of-masks=**")
        path = tmp_path / "table.tex"
        download(page, "This table (LaTeX)").save_as(path)
        assert r"UNet-multi & 75.0 $\pm$ 7.1" in path.read_text()
        context = browser.new_context()
        fresh = context.new_page()
        fresh.goto(page.url)
        fresh.get_by_test_id("stMain").get_by_text("Dice per slice of 75.0 ± 7.1 %").wait_for(timeout=60_000)
        assert source(fresh, SHEET).split("/")[-1] == shown.split("/")[-1]
        context.close()

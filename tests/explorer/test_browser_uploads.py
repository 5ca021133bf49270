"""What only a browser shows of the user's files: names after a reload, and files that the browser itself refuses."""

import pytest
from browser_visits import expect_picture, upload
from page_visits import png_file

from tools.screenshots import go_to

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def written(folder, *names):
    """Pictures on disk."""
    for n, name in enumerate(names):
        (folder / name).write_bytes(png_file(name, n)[1])
    return [folder / name for name in names]


def test_after_a_reload_the_page_says_which_files_to_drop_again_and_no_address_does(server, page, tmp_path):
    from playwright.sync_api import expect

    files = written(tmp_path, "secret-cine.png", "secret-LGE.png")
    page.goto(f"{server[0]}/decompose")
    upload(page, files)
    main = page.get_by_test_id("stMain")
    main.get_by_text("secret-cine.png; secret-LGE.png").wait_for()
    go_to(page, "Traverse")
    expect_picture(page, "Rows of images of cine")
    assert "secret" not in page.url
    page.reload()
    asked = main.get_by_text("drop secret-cine.png, secret-LGE.png again")
    asked.wait_for()
    assert "secret" not in page.url
    page.locator(".st-key-drop input[type=file]").set_input_files([str(file) for file in files])
    expect(asked).to_have_count(0, timeout=60_000)
    main.get_by_text("secret-cine.png; secret-LGE.png").wait_for()
    for number in (0, 1):
        page.locator(f".st-key-remove-{number}").get_by_role("button").locator("visible=true").first.click()
        expect(page.locator(f".st-key-file-{number}")).to_have_count(0, timeout=60_000)
    main.get_by_text("Until then a built-in sample is shown").wait_for()
    page.reload()
    expect_picture(page, "Rows of images of cine")  # nothing is remembered of files that were removed
    assert page.evaluate("sessionStorage.getItem('dafnet-files')") is None


def test_names_are_remembered_by_one_tab_alone(server, browser, tmp_path):
    context = browser.new_context()
    first, second = context.new_page(), context.new_page()
    first.goto(server[0])
    upload(first, written(tmp_path, "cine.png"))
    first.get_by_test_id("stMain").get_by_text("This checkpoint was trained on").wait_for()
    second.goto(server[0])
    expect_picture(second, "For each modality: the image")
    assert second.evaluate("sessionStorage.getItem('dafnet-files')") is None
    assert "cine.png" in first.evaluate("sessionStorage.getItem('dafnet-files')")
    context.close()


def test_a_file_that_the_browser_refuses_is_said_beside_those_that_were_taken(server, page, tmp_path):
    (big := tmp_path / "LGE.nii").touch()
    with open(big, "r+b") as file:
        file.truncate(65 << 20)
    page.goto(server[0])
    page.get_by_role("radio", name="My files").click()
    zone = page.locator(".st-key-drop")
    zone.locator("input[type=file]").set_input_files([str(big), *map(str, written(tmp_path, "cine.png"))])
    page.locator(".st-key-file-0").get_by_text("cine.png").first.wait_for()
    zone.get_by_text("File must be 64").wait_for()
    assert zone.get_by_text("File must be 64").bounding_box()["width"] > 100  # not for screen readers alone
    assert zone.locator("[data-testid=stFileChip]:visible").count() == 1  # the other one has its row

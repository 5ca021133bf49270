"""Helpers of browser tests: the path of Chromium, and waiting for pictures."""

import shutil
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def expect_picture(page, alt, timeout=20_000):
    from playwright.sync_api import expect

    picture = page.get_by_alt_text(alt)
    expect(picture.first).to_be_visible(timeout=timeout)
    page.wait_for_function("e => e.naturalWidth > 100", arg=picture.first.element_handle(), timeout=timeout)


def download(page, button, tries=3):
    """What a button downloads. One that an earlier run of the page drew has no file any more: it is clicked again."""
    from playwright.sync_api import TimeoutError as Timeout

    for n in range(tries):
        page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=60_000)
        try:
            with page.expect_download(timeout=20_000) as waiting:
                page.get_by_role("button", name=button).click()
            return waiting.value
        except Timeout:
            if n == tries - 1:
                raise
    return None


def source(page, alt):
    """Address of a picture once it is drawn; the same bytes have the same address."""
    expect_picture(page, alt)
    return page.get_by_alt_text(alt).first.get_attribute("src")


def expect_another(page, alt, before):
    page.wait_for_function(
        "([alt, before]) => [...document.images].some("
        "e => e.alt.startsWith(alt) && e.src && !e.src.endsWith(before) && e.complete && e.naturalWidth > 0)",
        arg=[alt, before],
    )
    return page.get_by_alt_text(alt).first.get_attribute("src")


def upload(page, files):
    """Drop files, whose names say what they show, all at once."""
    page.get_by_role("radio", name="My files").click()
    page.locator(".st-key-drop input[type=file]").set_input_files([str(file) for file in files])
    for n, file in enumerate(files):
        page.locator(f".st-key-file-{n}").get_by_text(Path(file).name).first.wait_for()

"""From a slider's release to the new image on the screen, and from page to page: python -m benchmarks.latency

A headless Chromium opens the app with its first checkpoint and subject. On Traverse, a slider of z is moved by one
step with the keyboard, 20 times, and the clock stops when a new picture has been drawn.
Pages are changed by the menu above them until their first picture has been drawn. Needs Chromium.
"""

from __future__ import annotations

import shutil
import statistics
import time

from playwright.sync_api import Page, sync_playwright

from benchmarks.machine import by_rounds
from tools.screenshots import go_to, serve, settle

YOURS = "The image, its reconstruction, and with your z"
PAGES = {"Decompose": "Each modality's image and its anatomy channels", "Start": "For each modality: the image"}


def shown(page: Page, alt: str, before: str = "") -> str:
    """Wait until the picture of this text is drawn and another one than `before`; its address."""
    page.wait_for_function(
        "([alt, before]) => [...document.images].some(e => e.alt.startsWith(alt) && e.src != before"
        " && e.complete && e.naturalWidth > 0)",
        arg=[alt, before],
        polling="raf",
    )
    return page.evaluate("alt => [...document.images].find(e => e.alt.startsWith(alt)).src", alt)


def main(rounds: int) -> dict[str, object]:
    sliders, changes = [], []
    with serve() as (url, _), sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        settle(page, url, "traverse")
        picture = shown(page, YOURS)
        thumb = page.locator(".st-key-z-0 input[type=range]")
        thumb.focus()
        for n in range(rounds + 1):
            start = time.perf_counter()
            page.keyboard.press("ArrowRight" if n % 2 else "ArrowLeft")
            picture = shown(page, YOURS, picture)
            sliders.append(time.perf_counter() - start)
        for n in range(rounds + 1):
            title = list(PAGES)[n % 2]
            start = time.perf_counter()
            go_to(page, title)
            shown(page, PAGES[title])
            changes.append(time.perf_counter() - start)
        chromium.close()
    return {
        "rounds": rounds,
        "slider_median_ms": round(1000 * statistics.median(sliders[1:])),
        "slider_worst_ms": round(1000 * max(sliders[1:])),
        "page_median_ms": round(1000 * statistics.median(changes[1:])),
        "page_worst_ms": round(1000 * max(changes[1:])),
    }


if __name__ == "__main__":
    by_rounds(__doc__, main, 20)

"""What a visitor waits for, from action to picture on the screen: python -m benchmarks.latency [--rounds 20]

A headless Chromium is the first visitor of a server that has just started: until title and first picture of Start. On
Traverse, a slider of z is moved by one step with the keyboard, and the clock stops when a new picture has been drawn.
Pages are changed by the menu above them, and on Traverse the checkpoint in the sidebar, from the click in the open menu
until the picture has been drawn; what was shown before may be shown again without computation. Needs Chromium.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial

from playwright.sync_api import Page, sync_playwright

from benchmarks.machine import by_rounds
from tools.screenshots import open_group, serve, settle

YOURS = "The image, its reconstruction, and with your z"
PAGES = {"Decompose": "Each modality's image and its anatomy channels", "Start": "For each modality: the image"}
CHECKPOINTS = "cardiac-spade", "cardiac-film"


def shown(page: Page, alt: str, before: str = "") -> str:
    """Wait until the picture of this text is drawn and another one than `before`; its address."""
    page.wait_for_function(
        "([alt, before]) => [...document.images].some(e => e.alt.startsWith(alt) && e.src != before"
        " && e.complete && e.naturalWidth > 0)",
        arg=[alt, before],
        polling="raf",
    )
    return page.evaluate("alt => [...document.images].find(e => e.alt.startsWith(alt)).src", alt)


def first_visit(page: Page, url: str) -> tuple[float, float]:
    """Seconds from opening the app until its title is there, and until its first picture is."""
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.get_by_role("heading", name="DAFNet Explorer").wait_for()
    title = time.perf_counter() - start
    shown(page, PAGES["Start"])
    return title, time.perf_counter() - start


def waits(page: Page, actions: Iterable[tuple[Callable[[], Callable[[], object]], str]]) -> list[float]:
    """Seconds from each action until the picture of its text has changed, or is there.

    Args:
        actions: each is prepared by a call, which returns it.
    """
    taken = []
    for prepare, alt in actions:
        act = prepare()
        before = page.evaluate("alt => [...document.images].find(e => e.alt.startsWith(alt))?.src ?? ''", alt)
        start = time.perf_counter()
        act()
        shown(page, alt, before)
        taken.append(time.perf_counter() - start)
    return taken


def slide(page: Page, key: str) -> Callable[[], object]:
    return partial(page.keyboard.press, key)


def to_checkpoint(page: Page, name: str) -> Callable[[], object]:
    page.locator(".st-key-checkpoint input").click()
    option = page.get_by_role("option", name=name, exact=True)
    option.wait_for()
    return option.click


def to_page(page: Page, title: str) -> Callable[[], object]:
    link = open_group(page, title)
    link.wait_for()
    return link.click


def main(rounds: int) -> dict[str, object]:
    with serve() as (url, _), sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        title, picture = first_visit(page, url)
        settle(page, url, "traverse")
        page.locator(".st-key-z-0 input[type=range]").focus()
        turns = [n % 2 for n in range(rounds + 1)]  # the first of each kind is not counted
        keys = "ArrowRight", "ArrowLeft"
        sliders = waits(page, [(partial(slide, page, keys[n]), YOURS) for n in turns])
        checkpoints = waits(page, [(partial(to_checkpoint, page, CHECKPOINTS[n]), YOURS) for n in turns])
        titles = list(PAGES)
        pages = waits(page, [(partial(to_page, page, titles[n]), PAGES[titles[n]]) for n in turns])
        chromium.close()
    found: dict[str, object] = {"rounds": rounds, "title_s": round(title, 2), "first_picture_s": round(picture, 2)}
    for name, taken in (("slider", sliders), ("checkpoint", checkpoints), ("page", pages)):
        found[f"{name}_median_ms"] = round(1000 * statistics.median(taken[1:]))
        found[f"{name}_worst_ms"] = round(1000 * max(taken[1:]))
    return found


if __name__ == "__main__":
    by_rounds(__doc__, main, 20)

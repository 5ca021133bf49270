"""Walk all pages of the app and fail on what no page may have: python -m tools.walk_pages [--url URL] [--pages NAME]

Each page is opened in a headless Chromium, light and dark, 1400 and 400 pixels wide. Found are: an axis of a chart
without title, a map without colour bar, an image without alternative text, text whose contrast is below 4.5:1 (below
1.5:1 on a disabled control), a layout that shifts by more than 0.1 while the page is drawn, an error of a page, and a
request that leaves the server. Starts the app by itself unless --url names one that runs; needs Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tools.screenshots import PAGES, serve, settle

SCHEMES, WIDTHS = ("light", "dark"), (1400, 400)
MIN_CONTRAST = 4.5  # of text and its background, as WCAG 2 defines it
MIN_DISABLED = 1.5  # of that of disabled controls, for which WCAG asks nothing
MAX_SHIFT = 0.1  # of the layout, as browsers measure it
SCRIPT = Path(__file__).with_suffix(".js").read_text()
WATCH = """
window.layoutShifts = [];
new PerformanceObserver((list) => {
  for (const { value, startTime, hadRecentInput } of list.getEntries())
    if (!hadRecentInput) window.layoutShifts.push([startTime, value]);
}).observe({ type: "layout-shift", buffered: true });
"""


class Watched:
    """A page of a browser that is watched from before it is opened.

    Attributes:
        page: to be opened.
        events: errors of the page, and requests that left the server, so far.
    """

    def __init__(self, browser: Browser, server: str, width: int = 1400, scheme: str = "light") -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page.add_init_script(WATCH)
        self.events: list[str] = []
        allowed = server, server.replace("http", "ws", 1), "data:", "blob:", "about:"
        self.page.on("pageerror", lambda error: self.events.append(f"error of the page: {error}"))
        self.page.on(
            "request",
            lambda request: (
                None if request.url.startswith(allowed) else self.events.append(f"outside request: {request.url}")
            ),
        )

    def faults(self) -> list[str]:
        """Everything that is wrong with the page as it is now, and what has been since it was opened."""
        found = self.events + self.page.evaluate(SCRIPT, [MIN_CONTRAST, MIN_DISABLED])
        shift = largest_shift(self.page.evaluate("window.layoutShifts"))
        return found + ([f"the layout shifts by {shift:.2f}, more than {MAX_SHIFT}"] if shift > MAX_SHIFT else [])


def largest_shift(shifts: Sequence[tuple[float, float]]) -> float:
    """Cumulative layout shift: the largest sum of a burst, in which shifts follow within 1 s, of 5 s at most.

    Args:
        shifts: milliseconds and value of each, in their order.

    >>> largest_shift([(0, 0.04), (900, 0.04), (3000, 0.05)])
    0.08
    """
    largest = total = began = last = 0.0
    for at, value in shifts:
        if at - last > 1000 or at - began > 5000:
            total, began = 0.0, at
        total, last = total + value, at
        largest = max(largest, total)
    return largest


def walk(
    browser: Browser, url: str, names: Sequence[str], schemes: Sequence[str] = SCHEMES, widths: Sequence[int] = WIDTHS
) -> Iterator[tuple[str, list[str]]]:
    """Open pages in turn; yields what was opened, in words, and its faults."""
    for scheme in schemes:
        for width in widths:
            for name in names:
                watched = Watched(browser, url, width, scheme)
                settle(watched.page, url, name)
                yield f"{name}, {scheme}, {width} pixels", watched.faults()
                watched.page.close()


def main() -> int:
    """Command line; returns 1 if a page has a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="of an app that runs, such as http://127.0.0.1:8501")
    parser.add_argument("--pages", nargs="+", default=list(PAGES), choices=list(PAGES), metavar="NAME")
    options = parser.parse_args()
    server = nullcontext((options.url.rstrip("/"), None)) if options.url else serve()
    count = 0
    with server as (url, _), sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for what, faults in walk(chromium, url, options.pages):
            print(f"{what}: {'; '.join(faults) or 'no fault'}", flush=True)
            count += len(faults)
        chromium.close()
    print(f"{count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())

"""Pictures of every page, light and dark, wide and narrow: python -m tools.screenshots OUT [--readme]

Starts the app by itself; needs Chromium. --readme also renews the pictures in docs/. With --before-after it only makes
before-after.png: the picture of the page Start with the counter-example, and with the checkpoint that replaced it.
"""

from __future__ import annotations

import argparse
import io
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from dafnet_core.drawing import stack

ROOT = Path(__file__).resolve().parent.parent
SHOTS = ROOT / "docs" / "screenshots"
BEST = "align", "edit", "traverse"  # whose tops README shows
BEFORE_AFTER = {"before": "cardiac-film-leaky", "after": "cardiac-film"}  # checkpoints by their titles
KEPT = "light-1400", "dark-400"  # of each page, in few colours
PAGES = {
    "start": "For each modality: the image",
    "tour": "Two images of one subject: what",
    "decompose": "Own and crosswise reconstructions",
    "traverse": "Rows of images of",
    "align": "Candidates with their overlaps",
    "edit": "The painted anatomy",
    "mix": "Images of every selected anatomy",
    "probe": "z of every image (CSV)",
    "independence": "Effect of the number of subjects",
    "truth": "This matrix (CSV)",
    "benchmark": "python -m experiments",
    "quiz": "An image before and after",
    "compare": "All slices (CSV)",
    "checkpoints": "Upload a checkpoint",
    "report": "Report (ZIP)",
}

GROUPS = {  # of the navigation
    "Learn": ("Start", "Tour", "Quiz"),
    "Look": ("Decompose", "Traverse", "Align"),
    "Edit": ("Edit", "Mix"),
    "Measure": ("Probe", "Independence", "Truth", "Benchmark"),
    "Models": ("Compare", "Checkpoints", "Report"),
}


def serve(*options: str, script: str = "app.py") -> AbstractContextManager[tuple[str, int]]:
    """A fresh server of this repository's app, as `run_server` gives it.

    Args:
        options: further ones of `streamlit run`.
    """
    return run_server([sys.executable, "-m", "streamlit", "run", script], *options)


@contextmanager
def run_server(
    command: Sequence[str], *options: str, folder: Path = ROOT, env: Mapping[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """A fresh server process on a free port: its address and process number, from the moment that it is healthy.

    Args:
        command: what starts the server, without options.
        folder: where it is started; env: its environment, by default this one.
    """
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    words = [*command, "--server.headless=true", f"--server.port={port}", *options]
    process = subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not _healthy(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the app did not become healthy within 60 s; try `streamlit run app.py`")
            time.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(10)


def _healthy(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).read() == b"ok"
    except OSError:
        return False


def open_group(page: Page, title: str) -> Locator:
    """Open the menu of a page's group, on a wide screen; the page's link in it."""
    group = next(name for name, titles in GROUPS.items() if title in titles)
    page.get_by_test_id("stTopNavSection").get_by_text(group, exact=True).click()
    return page.get_by_test_id("stTopNavDropdownLink").get_by_text(title, exact=True)


def go_to(page: Page, title: str) -> None:
    """Open a page by the menu of its group, on a wide screen."""
    open_group(page, title).click()


def settle(page: Page, url: str, name: str) -> None:
    page.goto(url if name == "start" else f"{url}/{name}")
    # Streamlit draws a button with help twice, once for narrow screens, and hides one of them
    last = page.get_by_alt_text(PAGES[name]).or_(page.get_by_text(PAGES[name])).locator("visible=true").first
    last.wait_for(timeout=240_000)  # evaluation takes a while
    page.get_by_test_id("stProgress").first.wait_for(state="hidden", timeout=240_000)  # also that of the other column
    page.wait_for_function("e => e.tagName != 'IMG' || e.naturalWidth > 100", arg=last.element_handle())
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=60_000)
    page.get_by_test_id("stSkeleton").first.wait_for(state="hidden", timeout=60_000)
    page.wait_for_timeout(1500)  # charts draw themselves after the last picture


def before_after(chromium: Browser, url: str) -> Image.Image:
    """The picture of the page Start with two checkpoints, side by side and in its own pixels."""
    page, sheets = chromium.new_page(viewport={"width": 1400, "height": 900}), []
    for title, name in BEFORE_AFTER.items():
        settle(page, f"{url}/?checkpoint={name}", "start")
        source = page.locator(".st-key-sheet_start img").evaluate("e => e.src")
        sheet = Image.open(io.BytesIO(page.request.get(source).body())).convert("RGB")
        sheets.append(stack([sheet], [f"{title}: {name}"]))
    page.close()
    both = Image.new("RGB", (sum(sheet.width for sheet in sheets), max(sheet.height for sheet in sheets)), "white")
    both.paste(sheets[0], (0, 0))
    both.paste(sheets[1], (sheets[0].width, 0))
    return both


def take_all(chromium: Browser, url: str, out: Path) -> None:
    """Every page in both colour schemes and both widths, as NAME-SCHEME-WIDTH.png."""
    for scheme in ("light", "dark"):
        for width in (1400, 400):
            context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            for name in PAGES:
                settle(page, url, name)
                height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
                page.set_viewport_size({"width": width, "height": height})
                page.wait_for_timeout(500)
                page.screenshot(path=out / f"{name}-{scheme}-{width}.png")
                page.set_viewport_size({"width": width, "height": 900})
            context.close()


def renew_docs(chromium: Browser, url: str, out: Path) -> None:
    """The pictures in docs/, but for before-after.png, from those of `take_all`."""
    page = chromium.new_page(viewport={"width": 1400, "height": 900})
    settle(page, url, "start")
    page.screenshot(path=ROOT / "docs" / "start.png")
    for name in BEST:
        whole = Image.open(out / f"{name}-light-1400.png").convert("RGB")
        _save_small(whole.crop((0, 0, 1400, 1150)), ROOT / "docs" / f"{name}.png")
    SHOTS.mkdir(exist_ok=True)
    for kind in KEPT:
        for name in PAGES:
            file = f"{name}-{kind}.png"
            _save_small(Image.open(out / file).convert("RGB"), SHOTS / file)


def _save_small(picture: Image.Image, path: Path) -> None:
    # a median cut would give small coloured areas, such as classes, the colours of others
    picture.quantize(256, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--readme", action="store_true", help="also renew these pictures in docs/")
    parser.add_argument(
        "--before-after",
        action="store_true",
        help=f"instead, only before-after.png: the page Start with {' and '.join(BEFORE_AFTER.values())}",
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with serve() as (url, _), sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        if options.before_after:
            for folder in (options.out, *([ROOT / "docs"] if options.readme else [])):
                _save_small(before_after(chromium, url), folder / "before-after.png")
        else:
            take_all(chromium, url, options.out)
            if options.readme:
                renew_docs(chromium, url, options.out)
        chromium.close()


if __name__ == "__main__":
    main()

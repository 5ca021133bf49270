"""Pictures of every page, light and dark, wide and narrow: python -m tools.screenshots OUT [--readme]

Starts the app by itself; needs Chromium. --readme also renews the pictures in docs/.
"""

from __future__ import annotations

import argparse
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
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SHOTS = ROOT / "docs" / "screenshots"
BEST = "align", "edit", "traverse"  # whose tops README shows
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
    "quiz": "An image before and after",
    "compare": "This table (CSV)",
    "checkpoints": "Upload a checkpoint",
    "report": "Report (ZIP)",
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


def settle(page: Page, url: str, name: str) -> None:
    page.goto(url if name == "start" else f"{url}/{name}")
    # Streamlit draws a button with help twice, once for narrow screens, and hides one of them
    last = page.get_by_alt_text(PAGES[name]).or_(page.get_by_text(PAGES[name])).locator("visible=true").first
    last.wait_for(timeout=240_000)  # evaluation takes a while
    page.get_by_test_id("stProgress").first.wait_for(state="hidden", timeout=240_000)  # also that of the other column
    page.wait_for_function("e => e.tagName != 'IMG' || e.naturalWidth > 100", arg=last.element_handle())
    page.wait_for_timeout(1500)  # charts draw themselves after the last picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--readme", action="store_true", help="also renew the pictures in docs/")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    SHOTS.mkdir(exist_ok=True)
    with serve() as (url, _), sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width in (1400, 400):
                context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page = context.new_page()
                for name in PAGES:
                    settle(page, url, name)
                    height = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
                    page.set_viewport_size({"width": width, "height": height})
                    page.wait_for_timeout(500)
                    page.screenshot(path=options.out / f"{name}-{scheme}-{width}.png")
                    page.set_viewport_size({"width": width, "height": 900})
                context.close()
        if options.readme:
            page = chromium.new_page(viewport={"width": 1400, "height": 900})
            settle(page, url, "start")
            page.screenshot(path=ROOT / "docs" / "start.png")
            for name in BEST:
                whole = Image.open(options.out / f"{name}-light-1400.png").convert("RGB")
                whole.crop((0, 0, 1400, 1150)).quantize(128).save(ROOT / "docs" / f"{name}.png", optimize=True)
            for kind in KEPT:
                for name in PAGES:
                    file = f"{name}-{kind}.png"
                    Image.open(options.out / file).convert("RGB").quantize(128).save(SHOTS / file, optimize=True)
        chromium.close()


if __name__ == "__main__":
    main()

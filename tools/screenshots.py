"""Pictures of every page, light and dark, wide and narrow: python tools/screenshots.py OUT [--readme]

Starts the app by itself; needs Chromium. --readme also renews docs/start.png.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"start": "For each modality: the image", "decompose": "Own and crosswise reconstructions"}


def serve() -> tuple[subprocess.Popen, str]:
    """The app on a free port of this machine, healthy."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true", f"--server.port={port}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            if urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).read() == b"ok":
                return process, url
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the app did not start")


def settle(page: Page, url: str, name: str) -> None:
    page.goto(url if name == "start" else f"{url}/{name}")
    picture = page.get_by_alt_text(PAGES[name]).first
    picture.wait_for(timeout=30_000)
    page.wait_for_function("e => e.complete && e.naturalWidth > 100", arg=picture.element_handle())
    page.wait_for_timeout(1500)  # charts draw themselves after the last picture


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--readme", action="store_true", help="also renew docs/start.png")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    process, url = serve()
    try:
        with sync_playwright() as p:
            chromium = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            for scheme in ("light", "dark"):
                for width in (1400, 400):
                    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                    page = context.new_page()
                    for name in PAGES:
                        settle(page, url, name)
                        height = page.evaluate(
                            "Math.max(...[...document.querySelectorAll('section, main, div')].map(e => e.scrollHeight))"
                        )
                        page.set_viewport_size({"width": width, "height": min(height + 100, 6000)})
                        page.wait_for_timeout(500)
                        page.screenshot(path=options.out / f"{name}-{scheme}-{width}.png")
                        page.set_viewport_size({"width": width, "height": 900})
                    context.close()
            if options.readme:
                page = chromium.new_page(viewport={"width": 1400, "height": 900})
                settle(page, url, "start")
                page.screenshot(path=ROOT / "docs" / "start.png")
            chromium.close()
    finally:
        process.terminate()


if __name__ == "__main__":
    main()

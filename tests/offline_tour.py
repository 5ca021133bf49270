"""Every page in a browser, as a program of its own that can be put into a network namespace without any route out.

Run as `python tests/offline_tour.py OUT` with the repository on PYTHONPATH. Writes OUT/outside.log: where the server
tried to go; OUT/net.json: the browser's own log of its network; OUT/messages.bin: all that came through the websocket.
Prints the errors on each page, as JSON.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.screenshots import PAGES, serve

ROOT = Path(__file__).resolve().parent.parent


def main(out):
    from playwright.sync_api import sync_playwright

    if os.geteuid() == 0:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.environ["PYTHONPATH"] = str(ROOT / "tests" / "helpers" / "outside")
    os.environ["DAFNET_OUTSIDE"] = str(out / "outside.log")
    (out / "outside.log").touch()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    seen = {}
    with serve() as (url, _), sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=[*quiet, f"--log-net-log={out / 'net.json'}"])
        page = browser.new_page()
        page.set_default_timeout(60_000)
        messages = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: messages.append(data)))
        for name in PAGES:
            # by its address and not by a click: nothing of the page before can then be taken for this one
            page.goto(url if name == "start" else f"{url}/{name}")
            own = page.get_by_alt_text(PAGES[name]).or_(page.get_by_text(PAGES[name]))
            # pages that evaluate a checkpoint take a while: what they show meanwhile is enough here
            own.or_(page.get_by_test_id("stProgress")).locator("visible=true").first.wait_for()
            page.wait_for_timeout(300)
            seen[name] = page.get_by_test_id("stException").count() + page.get_by_text("Unexpected error").count()
        browser.close()
    (out / "messages.bin").write_bytes(b"".join(messages))
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

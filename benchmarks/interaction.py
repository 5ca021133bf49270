"""From the hand to the picture: python -m benchmarks.interaction

In a headless Chromium, with the first checkpoint and subject: an arrow key on a scrubbed dimension until its new frame
is there, a control point that is let go until masks and their Dice are, and a brush that is lifted until the image is.
Needs Chromium.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable

from playwright.sync_api import Page, sync_playwright

from benchmarks.latency import shown
from benchmarks.machine import by_rounds
from tools.screenshots import serve, settle

MASKS = "Deformed and fused anatomy"
PAINTED = "The painted anatomy"


def scrub(page: Page, n: int) -> float:
    """Seconds from an arrow key to the next frame; timed inside the browser."""
    frame = int(page.locator("canvas[data-frame]").get_attribute("data-frame"))
    way = 1 if n % 2 else -1
    return page.locator("canvas[data-frame]").evaluate(
        """(canvas, [wanted, value]) => new Promise((done) => {
            const range = canvas.parentElement.querySelector("input"), start = performance.now();
            const look = () => canvas.dataset.frame === wanted ? done((performance.now() - start) / 1000)
                : requestAnimationFrame(look);
            range.value = value;
            range.dispatchEvent(new Event("input"));
            requestAnimationFrame(look);
        })""",
        [str(frame + way), frame + way],
    )


def drag(page: Page, n: int) -> float:
    """Seconds from a control point's release to the new masks."""
    before, point = shown(page, MASKS), page.locator(".point").nth(12)
    point.evaluate("e => e.scrollIntoView({ block: 'center' })")  # away from the menu
    point.hover()
    box, way = point.bounding_box(), 25 if n % 2 else -25
    page.mouse.down()
    page.mouse.move(box["x"] + 11 + way, box["y"] + 12 + way / 2, steps=3)  # a pixel lower each time: a new warp
    start = time.perf_counter()
    page.mouse.up()
    shown(page, MASKS, before)
    return time.perf_counter() - start


def paint(page: Page, n: int) -> float:
    """Seconds from the brush's lifting to the new image."""
    before, box = shown(page, PAINTED), page.locator(".paint canvas").bounding_box()
    x, y = box["x"] + box["width"] * (0.3 + 0.02 * n), box["y"] + box["height"] * 0.4
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 10, y + 40, steps=4)
    start = time.perf_counter()
    page.mouse.up()
    shown(page, PAINTED, before)
    return time.perf_counter() - start


def main(rounds: int) -> dict[str, object]:
    found: dict[str, object] = {"rounds": rounds}
    acts: dict[str, tuple[str, Callable[[Page, int], float]]] = {
        "scrub": ("traverse", scrub),
        "drag": ("align", drag),
        "paint": ("edit", paint),
    }
    with serve() as (url, _), sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (where, act) in acts.items():
            page = chromium.new_page(viewport={"width": 1400, "height": 1000})
            settle(page, url, where)
            taken = [1000 * act(page, n) for n in range(rounds + 1)][1:]
            found[f"{name}_median_ms"] = round(statistics.median(taken))
            found[f"{name}_p95_ms"] = round(statistics.quantiles(taken, n=20)[-1])
            page.close()
        chromium.close()
    return found


if __name__ == "__main__":
    by_rounds(__doc__, main, 20)

"""Many users at once: python -m benchmarks.load [--sessions 20] [--seconds 120] [--browsers 2] [--json FILE]

Every session uploads a picture with a name and a pattern of its own, changes checkpoints, moves sliders of z, a second
or three apart, starts an evaluation once and leaves. A few are real Chromiums, the others speak the app's own
websocket. Before them, one session alone on a server of its own does the same with every picture: its pictures and
numbers are what each of the many has to get, bit for bit. Only this machine is talked to.

Ends with 1 where a promise is broken: an error, anything of another session, other numbers, a slow answer, memory kept.
"""

from __future__ import annotations

import argparse
import io
import random
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, Request, sync_playwright

from benchmarks.latency import YOURS, shown
from benchmarks.machine import add_json_option, machine, write_json
from dafnet_explorer.session_lifetime import CLEANUP_DELAY, RECONNECT_SECONDS
from tools.screenshots import go_to, serve
from tools.visitor import MARK, Visitor

CHECKPOINTS = "cardiac-film", "cardiac-spade", "cardiac-film-zero"
DIFFICULTIES = "standard", "hard"  # six different evaluations, so they have to queue
PAUSE = 1.0, 3.0  # seconds between one picture and the next movement of a hand
MEDIAN = 2.0  # seconds that a light action may take
MEMORY = 300  # MB that may be kept after everybody left
PATIENCE = 60  # seconds that memory may take to come back, after those in which a session may return

Numbers = dict[str, np.ndarray]


def name_of(k: int) -> str:
    return f"mark-{k * 7919 + 1:016x}.png"


def picture_of(k: int) -> bytes:
    """A picture that no other session has: blobs of its own over a chessboard of its own."""
    rng = np.random.default_rng(k)
    y, x = np.mgrid[:112, :112]
    pixels = 40.0 * ((x // (5 + k % 7) + y // (4 + k % 5)) % 2)
    for _ in range(6):
        (a, b), size = rng.uniform(20, 90, 2), rng.uniform(5, 20)
        pixels += 120 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * size**2))
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def numbers(visitor: Visitor) -> tuple[dict[str, str], Numbers]:
    """What Decompose shows: pictures, by hash, and every array."""
    with np.load(io.BytesIO(visitor.download("All numbers (NPZ)"))) as found:
        return visitor.pictures, {name: found[name] for name in found.files}


def begin(url: str, k: int, page: str = "decompose") -> Visitor:
    """A session that has uploaded its own picture."""
    visitor = Visitor(url, page)
    visitor.set("source", "My files")
    visitor.upload("drop-0", name_of(k), picture_of(k))
    visitor.set("shows-0", "cine")
    return visitor


def alone(url: str, sessions: int) -> list[list[tuple[dict[str, str], Numbers]]]:
    """What one session after the other gets for its picture, of its first and its last checkpoint."""
    found = []
    for k in range(sessions):
        visitor = begin(url, k)
        found.append([numbers(visitor)])
        visitor.set("checkpoint", last_of(k))
        found[-1].append(numbers(visitor))
        visitor.close()
        if visitor.problems:
            raise RuntimeError(f"a single session already has problems: {visitor.problems[0]}")
    return found


def last_of(k: int) -> str:
    return CHECKPOINTS[k % len(CHECKPOINTS)]


@dataclass
class Life:
    """What happened to one session.

    Attributes:
        sliders, checkpoints, pages: seconds until the new picture, or page, was there.
        common: addresses of pictures from before its upload, which all may see.
        ahead: the most evaluations it had to wait for.
        moved: the slider that was moved last, and where to.
        seen: addresses, which are hashes, of every picture that it got while it showed its upload.
        wrong: in words, everything that should not have been.
    """

    sliders: list[float] = field(default_factory=list)
    checkpoints: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    ahead: int = -1
    moved: tuple[str, float] = ("", 0.0)
    seen: set[str] = field(default_factory=set)
    common: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def visit(url: str, k: int, seconds: float, expected: list[tuple[dict[str, str], Numbers]]) -> Life:
    """One session through the websocket."""
    life, rng = Life(), random.Random(k)
    at: dict[str, float] = {}  # where sliders were put

    def timed(taken: list[float], act: str, *what: object) -> None:
        start = time.monotonic()
        getattr(visitor, act)(*what)
        for address in (now := set(visitor.pictures.values())) - life.seen:
            visitor.fetch(address)  # a browser would
        life.seen.update(now)
        taken.append(time.monotonic() - start)

    def compare(which: int) -> None:
        pictures, arrays = numbers(visitor)
        life.seen.update(pictures.values())
        wanted, exact = expected[which]
        if pictures != wanted:
            life.wrong.append(f"{sum(wanted.get(a) != p for a, p in pictures.items())} pictures differ from one alone")
        if arrays.keys() != exact.keys() or any(not np.array_equal(arrays[n], exact[n]) for n in exact):
            life.wrong.append("numbers differ from those of one alone")

    def evaluate() -> None:
        timed(life.pages, "open", "probe")
        visitor.set("judged-difficulty", DIFFICULTIES[k // len(CHECKPOINTS) % len(DIFFICULTIES)])
        visitor.wait(lambda: "waiting for" in visitor.said, min(3, seconds / 10))
        for bar in visitor.elements("progress"):
            waiting = re.search(r"waiting for (\d+) other", bar.text)
            life.ahead = max(life.ahead, int(waiting[1]) if waiting else 0)
        visitor.wait(lambda: not visitor.elements("progress"), seconds * rng.uniform(0.02, 0.1))

    visitor = begin(url, k)
    compare(0)
    end = time.monotonic() + seconds
    heavy = time.monotonic() + rng.uniform(0.2, 0.7) * seconds
    timed(life.pages, "open", "traverse")
    while time.monotonic() < end or not life.sliders:
        time.sleep(rng.uniform(*PAUSE))
        if time.monotonic() > heavy:
            heavy = float("inf")
            evaluate()
            timed(life.pages, "open", "traverse")
        elif rng.random() < 0.1:
            timed(life.checkpoints, "set", "checkpoint", rng.choice(CHECKPOINTS))
        else:
            before = visitor.pictures[YOURS]
            key, value = f"z-{rng.randrange(8)}", round(rng.uniform(-3, 3), 2)
            if abs(value - at.get(key, 9.0)) < 0.1:
                continue  # where it stands already nothing has to change
            life.moved, at[key] = (key, value), value
            timed(life.sliders, "set", *life.moved)
            if visitor.pictures[YOURS] == before:
                life.wrong.append(f"{life.moved} moved, and the picture did not change")
    timed(life.pages, "open", "decompose")
    visitor.set("checkpoint", last_of(k))
    compare(1)
    visitor.close()
    life.wrong += visitor.problems + [f"got {mark} of another session" for mark in visitor.marks - {name_of(k)[:-4]}]
    return life


def browse(url: str, k: int, seconds: float) -> Life:
    """One session in a Chromium: the same, without evaluation and checkpoints."""
    life, rng, marks = Life(), random.Random(k), set()

    def asked(request: Request) -> None:
        if "/media/" in request.url:
            (life.seen if uploaded else life.common).add(request.url.removeprefix(url))

    def heard(data: str | bytes) -> None:
        marks.update(m.decode() for m in MARK.findall(data if isinstance(data, bytes) else data.encode()))

    def change(page: Page, name: str, alt: str) -> None:
        start = time.monotonic()
        go_to(page, name)
        shown(page, alt)
        life.pages.append(time.monotonic() - start)

    uploaded = False
    with sync_playwright() as p, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name_of(k)
        file.write_bytes(picture_of(k))
        chromium = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda e: life.wrong.append(str(e)))
        page.on("request", asked)
        page.on("websocket", lambda socket: socket.on("framereceived", heard))
        page.goto(f"{url}/decompose")
        page.get_by_role("radio", name="My files").click()
        page.locator(".st-key-drop input[type=file]").set_input_files(str(file))
        page.locator(".st-key-shows-0 input").click()
        page.get_by_role("option", name="cine", exact=True).click()
        shown(page, "Fused masks on the uploaded")
        page.get_by_text(file.name).first.wait_for()
        uploaded, end = True, time.monotonic() + seconds
        change(page, "Traverse", YOURS)
        while time.monotonic() < end:
            time.sleep(rng.uniform(*PAUSE))
            if rng.random() < 0.1:
                change(page, "Decompose", "Fused masks on the uploaded")
                change(page, "Traverse", YOURS)
            before = shown(page, YOURS)
            page.locator(f".st-key-z-{rng.randrange(8)} input[type=range]").focus()
            start = time.monotonic()
            page.keyboard.press(rng.choice(["ArrowRight", "ArrowLeft"]))
            shown(page, YOURS, before)
            life.sliders.append(time.monotonic() - start)
        if page.get_by_test_id("stException").count() or page.get_by_test_id("stAlertContentError").count():
            life.wrong.append("the page shows an error")
        chromium.close()
    life.wrong += [f"got {mark} of another session" for mark in marks - {name_of(k)[:-4]}]
    return life


def resident(pid: int) -> float:
    """MB that a process and its children hold."""
    status = Path(f"/proc/{pid}/status").read_text()
    mine = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return mine + sum(resident(int(child)) for child in children)


def busy(pid: int, seconds: float = 3.0) -> float:
    """Share of one core that a process takes."""

    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    before = used()
    time.sleep(seconds)
    return (used() - before) / seconds


def warm_up(url: str) -> None:
    """One session that does all of it once, its evaluation to the end."""
    visitor = begin(url, 0, "traverse")
    for name in CHECKPOINTS:
        visitor.set("checkpoint", name)
    visitor.open("probe")
    visitor.wait(lambda: not visitor.elements("progress"), 180)
    visitor.close()


def together(url: str, options: argparse.Namespace, expected: list) -> list[Life]:
    """All sessions at once."""
    lives: dict[int, Life] = {}

    def live(k: int) -> None:
        try:
            lives[k] = (
                browse(url, k, options.seconds)
                if k < options.browsers
                else (visit(url, k, options.seconds, expected[k]))
            )
        except Exception as error:  # a session that ends early is a finding like others
            lives[k] = Life(wrong=[f"{type(error).__name__}: {error}"])

    threads = [threading.Thread(target=live, args=(k,), daemon=True) for k in range(options.sessions)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + options.seconds + 300
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return [lives.get(k, Life(wrong=["did not end"])) for k in range(options.sessions)]


def main(options: argparse.Namespace) -> dict[str, object]:
    with serve() as (url, _):
        expected = alone(url, options.sessions)
        slides = visit(url, 0, min(20, options.seconds), expected[0]).sliders
    with serve() as (url, pid):
        warm_up(url)
        time.sleep(RECONNECT_SECONDS + 10)  # until it is closed
        start = resident(pid)
        lives = together(url, options, expected)
        most = resident(pid)
        left = time.monotonic()
        time.sleep(RECONNECT_SECONDS)
        while (now := resident(pid)) > start + MEMORY and time.monotonic() < left + RECONNECT_SECONDS + PATIENCE:
            time.sleep(1)
        back = time.monotonic() - left
        time.sleep(2 * CLEANUP_DELAY)  # until it is tidied up
        idle = busy(pid)
    wrong = [f"session {k}: {what}" for k, life in enumerate(lives) for what in life.wrong]
    own = [set().union(*(pictures.values() for pictures, _ in both)) for both in expected]
    common = set().union(*(life.common for life in lives)) - set().union(*own)
    for a, one in enumerate(lives):
        wrong += [
            f"session {a} got a picture of session {b}'s upload"
            for b, theirs in enumerate(own)
            if a != b and theirs & (one.seen | one.common)
        ]
        same = [b for b in range(a) if (one.seen & lives[b].seen) - common]
        wrong += [f"sessions {a} and {b} got the same picture" for b in same]
    sliders = [t for life in lives for t in life.sliders]
    found: dict[str, object] = {
        "date": date.today().isoformat(),
        "machine": machine(),
        "sessions": options.sessions,
        "browsers": options.browsers,
        "seconds": options.seconds,
        "actions": {
            "sliders": len(sliders),
            "checkpoints": sum(len(life.checkpoints) for life in lives),
            "pages": sum(len(life.pages) for life in lives),
            "evaluations": sum(life.ahead >= 0 for life in lives),
        },
        "slider_alone_median_s": _median(slides),
        "slider_median_s": _median(sliders),
        "slider_p95_s": _p95(sliders),
        "checkpoint_median_s": _median([t for life in lives for t in life.checkpoints]),
        "page_median_s": _median([t for life in lives for t in life.pages]),
        "most_evaluations_ahead": max(life.ahead for life in lives),
        "pictures_compared": sum(len(life.seen) for life in lives),
        "memory_mb": {"begin": round(start), "with_all": round(most), "after": round(now)},
        "seconds_until_memory_was_back": round(back),
        "cores_busy_after": round(idle, 2),
        "wrong": wrong,
    }
    return found


def broken(found: dict) -> list[str]:
    """Promises that were not kept, in words."""
    kept = found["memory_mb"]["after"] - found["memory_mb"]["begin"]
    return found["wrong"] + [
        text
        for text, bad in (
            (
                f"half of the light actions took {found['slider_median_s']} s or more; {MEDIAN:g} are promised",
                found["slider_median_s"] >= MEDIAN,
            ),
            (f"{kept} MB were kept; {MEMORY} are promised", kept > MEMORY),
            (f"{found['cores_busy_after']} cores worked on with no session left", found["cores_busy_after"] > 0.2),
        )
        if bad
    ]


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3) if values else float("nan")


def _p95(values: list[float]) -> float:
    return round(statistics.quantiles(values, n=20)[-1], 3) if len(values) > 1 else float("nan")


def table(found: dict) -> str:
    """The short one that is printed."""
    memory, actions = found["memory_mb"], found["actions"]
    rows = [
        (f"{found['date']}, {found['machine']}", ""),
        ("sessions at once, of them in Chromium", f"{found['sessions']}, {found['browsers']}"),
        (
            "seconds; sliders, checkpoints, pages, evaluations",
            f"{found['seconds']}; {', '.join(str(n) for n in actions.values())}",
        ),
        ("slider to picture, one alone: median", f"{found['slider_alone_median_s']:.2f} s"),
        ("slider to picture: median, 95 %", f"{found['slider_median_s']:.2f} s, {found['slider_p95_s']:.2f} s"),
        (
            "other checkpoint, other page: median",
            f"{found['checkpoint_median_s']:.2f} s, {found['page_median_s']:.2f} s",
        ),
        ("most evaluations to wait for", str(found["most_evaluations_ahead"])),
        ("memory: begin, with all, after", f"{memory['begin']}, {memory['with_all']}, {memory['after']} MB"),
        ("anything wrong", "; ".join(found["wrong"][:5]) or "nothing"),
    ]
    return "\n".join(f"{what:52} {value}" for what, value in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20, choices=range(1, 41), metavar="N", help="1 to 40")
    parser.add_argument("--seconds", type=int, default=120, choices=range(5, 601), metavar="S", help="5 to 600")
    parser.add_argument("--browsers", type=int, default=2, help="how many of the sessions are in Chromium")
    add_json_option(parser)
    options = parser.parse_args()
    result = main(options)
    print(table(result))
    write_json(result, options.json)
    for sentence in (bad := broken(result)):
        print(f"BROKEN: {sentence}", file=sys.stderr)
    sys.exit(bool(bad))

"""Many users: nothing of one reaches another, and nothing stays when they leave."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error

import pytest

from benchmarks import load as crowd
from tests.helpers.paths import ROOT
from tools.visitor import Visitor

pytestmark = [pytest.mark.trust, pytest.mark.slow]
# The server, with short times for those who leave, which writes down at a signal what it still holds of uploads
SPY = """
import collections, gc, json, os, re, signal, sys
from dafnet_explorer import session_lifetime
session_lifetime.RECONNECT_SECONDS, session_lifetime.CLEANUP_DELAY = 1.0, 0.1

def look(*_):
    gc.unfreeze()  # what is spared from collection is not listed
    found, seen = collections.Counter(), set()
    for holder in gc.get_objects():
        for o in [holder, *gc.get_referents(holder)]:
            if id(o) in seen:
                continue
            seen.add(id(o))
            kind = type(o).__name__
            if kind in ("str", "bytes", "bytearray"):
                if re.search("mark-[0-9a-f]{16}" if kind == "str" else b"mark-[0-9a-f]{16}", o):
                    found["texts with its name"] += 1
            elif kind in ("Scan", "Upload", "UploadedFile", "UploadedFileRec"):
                found[kind] += 1
            elif kind == "Subject" and o.uploaded or kind == "Decomposition" and len(o.images) == 1:
                found[kind] += 1
    with open(os.environ["SPIED"] + ".part", "w") as file:
        json.dump(found, file)
    os.rename(os.environ["SPIED"] + ".part", os.environ["SPIED"])

signal.signal(signal.SIGUSR1, look)
from streamlit.web import cli
sys.argv = ["streamlit", "run", "app.py", "--server.headless=true", "--server.port=" + os.environ["PORT"]]
cli.main()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a server that is spied on, and a function that says what it holds of uploads."""
    spied = tmp_path_factory.mktemp("spy") / "found.json"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-c", SPY],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PORT": port, "SPIED": str(spied), "PYTHONPATH": str(ROOT)},
    )

    def held():
        spied.unlink(missing_ok=True)
        process.send_signal(signal.SIGUSR1)
        until(spied.is_file, 20)
        return json.loads(spied.read_text())

    try:
        with socket.socket() as s:
            until(lambda: s.connect_ex(("127.0.0.1", int(port))) == 0 or process.poll() is not None, 60)
        yield f"http://127.0.0.1:{port}", held
    finally:
        process.terminate()
        process.wait(10)


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen within {seconds} s"
        time.sleep(0.1)


def test_nothing_of_an_upload_is_left_when_its_session_has_ended(server):
    url, held = server
    visitor = crowd.begin(url, 1)
    pictures = [visitor.pictures["Fused masks on the uploaded pixels"]]
    visitor.download("All numbers (NPZ)")
    for page in ("traverse", "align", "edit", "quiz", "report", "tour"):
        visitor.open(page)
        pictures += visitor.pictures.values()
    visitor.set("checkpoint", "cardiac-spade")
    assert not visitor.problems
    before = held()
    assert min(before[kind] for kind in ("texts with its name", "Scan", "Upload", "Subject", "Decomposition")) > 0
    visitor.close()
    end = time.monotonic() + 60
    while (after := held()) and time.monotonic() < end:
        time.sleep(0.5)
    assert after == {}
    other = Visitor(url)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        other.fetch(pictures[0])
    other.close()


def test_a_session_that_lost_its_connection_comes_back_to_its_upload(server):
    url, _ = server
    visitor = crowd.begin(url, 2)
    session_before, shown = visitor.session, visitor.pictures
    for _ in range(3):  # together longer than the time to return
        visitor.close()
        time.sleep(0.6)
        visitor.come_back()
    time.sleep(1.5)
    visitor.set("inspected", "cine")
    assert visitor.session == session_before
    assert visitor.pictures == shown
    assert not visitor.problems
    visitor.close()


def test_a_download_is_there_until_it_is_fetched_whatever_others_do(server):
    url, _ = server
    one, other = Visitor(url, "decompose"), Visitor(url, "decompose")
    address = one.make("All numbers (NPZ)")
    for name in ("LGE", "cine", "LGE"):
        other.set("inspected", name)
    assert one.fetch(address)[:2] == b"PK"
    one.close()
    other.close()


def test_work_of_a_browser_that_is_closed_gives_way_to_others(server):
    url, _ = server
    first = Visitor(url, "probe", "population=24")  # minutes of work
    assert first.wait(lambda: "Evaluating" in first.said, 30)
    second = Visitor(url, "probe")
    assert second.wait(lambda: "waiting for 1 other evaluation(s)" in second.said, 30)
    first.close()
    assert second.wait(lambda: "Evaluating" in second.said, 60)
    second.close()


def test_sessions_at_once_get_their_own_pictures_and_the_numbers_of_one_alone(server, monkeypatch):
    url, _ = server
    monkeypatch.setattr(crowd, "PAUSE", (0.1, 0.3))
    expected = crowd.alone(url, 3)
    lives = crowd.together(url, argparse.Namespace(sessions=3, seconds=6, browsers=0), expected)
    assert [life.wrong for life in lives] == [[], [], []]
    assert all(life.sliders for life in lives)
    assert all(len(life.seen) > 4 for life in lives)
    assert not any(a.seen & b.seen for a, b in zip(lives, lives[1:] + lives[:1], strict=True))
    mistaken = crowd.visit(url, 1, 1, expected[0])  # had it got what another one gets, this is what would be said
    assert any("pictures differ" in what for what in mistaken.wrong)
    assert "numbers differ from those of one alone" in mistaken.wrong

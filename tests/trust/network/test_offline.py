"""No way out: every page works in a network namespace without a route."""

import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from tests.helpers.network import CHROMIUM, OUTSIDE, SECRETS
from tests.helpers.paths import ROOT
from tools.screenshots import PAGES

pytestmark = [pytest.mark.trust, pytest.mark.slow]


@pytest.fixture(scope="session")
def cut_off():
    """A command prefix for a network namespace with nothing but a loopback."""
    prefix = ["unshare", "-rn"]
    try:
        subprocess.run([*prefix, "ip", "link", "set", "lo", "up"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no network namespace can be made here (Linux, as root: unshare -rn)")
    return prefix


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import socket; socket.getaddrinfo('example.org', 443)",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.1', 53))",
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1', timeout=1)",
        "from streamlit import net_util; net_util.get_external_ip()",
    ],
)
def test_the_guard_sees_whoever_goes_outside(code, cut_off, tmp_path):
    log = tmp_path / "log"
    environment = os.environ | {"PYTHONPATH": str(OUTSIDE), "DAFNET_OUTSIDE": str(log)}
    subprocess.run([*cut_off, sys.executable, "-c", code], env=environment, capture_output=True)
    assert log.read_text()


def test_the_guard_lets_loopback_pass(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(OUTSIDE), "DAFNET_OUTSIDE": str(tmp_path / "log")}
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not (tmp_path / "log").exists()


def requested(log):
    """What pages asked for, from a log of Chromium's network; what the browser asks for by itself is not ours."""
    started = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [e["params"] for e in log["events"] if e["type"] == started and "url" in e.get("params", {})]
    return [p["url"] for p in asked if p.get("initiator", "").startswith("http")]


@pytest.mark.browser
def test_every_page_works_in_a_namespace_without_a_way_out_and_asks_for_nothing(cut_off, tmp_path):
    if not CHROMIUM and not os.environ.get("DAFNET_REQUIRE_BROWSER"):
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    command = [*cut_off, sys.executable, str(ROOT / "tests" / "offline_tour.py"), str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    seen = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=240, env=env).stdout)
    assert seen == dict.fromkeys(PAGES, 0)
    assert (tmp_path / "outside.log").read_text() == ""
    urls = requested(json.loads((tmp_path / "net.json").read_text()))
    assert any(url.startswith("ws://") for url in urls)
    assert len(urls) > 100
    assert {urlsplit(url).hostname for url in urls} == {"127.0.0.1"}
    messages = (tmp_path / "messages.bin").read_bytes()
    assert len(messages) > 1 << 20
    assert not any(secret in messages for secret in SECRETS)


def test_the_browser_s_log_would_tell_of_a_request_outside():
    events = [
        {"type": 2, "params": {"url": "https://fonts.example/a", "initiator": "http://127.0.0.1:8501"}},
        {"type": 2, "params": {"url": "https://update.example/", "initiator": "not an origin"}},
        {"type": 2},
    ]
    log = {"constants": {"logEventTypes": {"URL_REQUEST_START_JOB": 2}}, "events": events}
    assert requested(log) == ["https://fonts.example/a"]

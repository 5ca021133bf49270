"""What a stranger on the network gets from the app: nothing of this machine, and no way for it to go outside."""

import http.client
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.pages_manager import PagesManager
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from dafnet_core.data.formats.scan import MAX_FILE_BYTES
from dafnet_explorer.server import lose_nothing
from tools.screenshots import PAGES, serve
from tools.visitor import Visitor

pytestmark = pytest.mark.trust
ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = ROOT / "tests" / "outside"
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
LIMIT = CONFIG["server"]["maxUploadSize"] << 20
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Listener(Visitor):
    """A visitor that keeps every message as it came."""

    def _take(self, message):
        self.raw = [*getattr(self, "raw", []), message]
        super()._take(message)


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """Where the guarded server writes what it tried to reach off this machine."""
    path = tmp_path_factory.mktemp("outside") / "outside.log"
    path.touch()
    return path


@pytest.fixture(scope="module")
def server(outside):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(OUTSIDE))
        patch.setenv("DAFNET_OUTSIDE", str(outside))
        with serve() as found:
            yield found


@pytest.fixture
def visitor(server):
    found = Visitor(server[0])
    yield found
    found.close()


def ask(url, path, method="GET", headers=None, body=None):
    """Status, headers and body of a request whose path is sent as it stands."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found = answer.status, str(answer.headers), answer.read()
    connection.close()
    return found


# who may speak to it


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's list of sockets")
def test_the_server_listens_on_loopback_alone(server):
    own = {os.readlink(f) for f in Path(f"/proc/{server[1]}/fd").iterdir() if f.is_symlink()}
    rows = [r.split() for name in ("tcp", "tcp6") for r in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own]
    assert listening == ["0100007F"]


def knock(url, **headers):
    """Open the app's websocket as a page of some origin and host would; the status that it gets."""
    host = headers.pop("Host", None)
    name, port = urlsplit(url).netloc.split(":")
    target = f"ws://{host or name}:{port}/_stcore/stream"
    try:
        with connect(target, sock=socket.create_connection((name, int(port))), **headers):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def test_a_page_from_elsewhere_opens_no_websocket(server, outside):
    assert knock(server[0], origin=server[0]) == 101
    assert knock(server[0], origin="https://example.org") == 403
    assert outside.read_text() == ""  # Streamlit would ask a public service who we are, to compare


def test_a_page_that_renames_itself_to_this_machine_opens_no_websocket(server):
    assert knock(server[0], origin=server[0].replace("127.0.0.1", "rebound.example"), Host="rebound.example") == 403
    assert knock(server[0], origin=server[0].replace("127.0.0.1", "localhost"), Host="localhost") == 101


def put(visitor, length, *, chunked=False, token=True, pause=None):
    """PUT so many bytes to the uploader's address; the status, and how many bytes were sent when it came."""
    connection = http.client.HTTPConnection(urlsplit(visitor.url).netloc, timeout=20)
    connection.putrequest("PUT", f"/_stcore/upload_file/{visitor.session}/a-file")
    line = "the-line"
    head = f'--{line}\r\nContent-Disposition: form-data; name="a"; filename="a.npy"\r\n\r\n'.encode()
    tail = f"\r\n--{line}--\r\n".encode()
    for name, value in visitor._cookie.items():
        connection.putheader(name, value)
    if token:
        connection.putheader("X-Xsrftoken", visitor._token)
    connection.putheader("Content-Type", f"multipart/form-data; boundary={line}")
    if chunked:
        connection.putheader("Transfer-Encoding", "chunked")
    else:
        connection.putheader("Content-Length", str(length + len(head) + len(tail)))
    connection.endheaders()
    sent, answered, piece = 0, None, bytes(1 << 20)

    def send(data):
        connection.send(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)

    send(head)
    time.sleep(0.3)
    while sent < length:  # also after the answer, as who wants to do harm would
        if answered is None and select.select([connection.sock], [], [], 0)[0]:
            answered = sent
        send(piece[: length - sent])
        sent += min(len(piece), length - sent)
    if pause:
        pause()
    send(tail)
    if chunked:
        connection.send(b"0\r\n\r\n")
    status = connection.getresponse().status
    connection.close()
    return status, sent if answered is None else answered


def peak(pid):
    """The most memory that a process ever had, in bytes."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) << 10


def test_browser_server_and_reader_agree_on_the_largest_file(visitor):
    visitor.set("source", "My files")
    uploaders = visitor.elements("file_uploader")
    assert {u.max_upload_size_mb << 20 for u in uploaders} == {LIMIT}
    assert LIMIT == MAX_FILE_BYTES


def test_an_upload_needs_the_token_of_its_page(visitor):
    assert put(visitor, 1000)[0] == 204
    assert put(visitor, 1000, token=False)[0] == 403


def test_an_upload_that_says_it_is_too_large_is_refused_before_its_first_byte(server, visitor):
    before = peak(server[1])
    assert put(visitor, 3 * LIMIT) == (413, 0)
    assert peak(server[1]) < before + LIMIT / 4


def test_an_upload_that_hides_its_size_is_cut_off_at_the_limit(server, visitor):
    before = peak(server[1])
    status, answered = put(visitor, 3 * LIMIT, chunked=True)
    assert status == 413
    assert answered < 2 * LIMIT  # the limit, and what lay in the sockets
    assert peak(server[1]) < before + 2 * LIMIT


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's list of open files")
def test_an_upload_touches_no_disk(server, visitor):
    def files():
        time.sleep(0.3)
        opened = [os.readlink(f) for f in Path(f"/proc/{server[1]}/fd").iterdir() if f.is_symlink()]
        return {name for name in opened if "socket" not in name}

    before, during = files(), set()
    assert put(visitor, 20 << 20, pause=lambda: during.update(files()))[0] == 204
    assert during <= before


# what it tells


SECRETS = str(ROOT).encode(), str(Path.home()).encode(), sys.prefix.encode(), b"root:x:0", b"session.pick_checkpoint"


@pytest.mark.parametrize(
    "base",
    [
        "",
        "/static",
        "/media",
        "/app/static",
        "/component/dafnet_tiles",
        "/_stcore/bidi-components/dafnet_tiles",
        "/_stcore/upload_file",
    ],
)
def test_no_path_leads_out_of_what_is_served(server, base):
    for up in ("..", "%2e%2e", "..%2f..", "..%5c..", "%252e%252e", "/"):
        for file in ("etc/passwd", "app.py", ".streamlit/config.toml"):
            status, _, body = ask(server[0], f"{base}/" + f"{up}/" * 6 + file)
            assert not any(secret in body for secret in SECRETS)
            assert "maxUploadSize" not in body.decode("utf-8", "replace")
            assert status in (200, 400, 403, 404, 405)
            if status == 200:
                assert b"<title>Streamlit</title>" in body  # the app's own page, as for every unknown address


def test_endpoints_name_no_path_and_the_agent_s_are_off(server):
    for name in ("health", "metrics", "host-config", "script-health-check", "agent/openapi.json"):
        found = ask(server[0], f"/_stcore/{name}")[2]
        assert not any(secret in found for secret in SECRETS), name
    assert json.loads(ask(server[0], "/_stcore/host-config")[2])["allowedOrigins"] == []
    assert ask(server[0], "/_stcore/agent/interact", "POST", {"Content-Type": "application/json"}, b"{}")[0] >= 400


def test_every_answer_carries_the_headers_that_keep_a_browser_inside(server):
    for path in ("/", "/decompose", "/_stcore/health", "/static/nothing", "/media/nothing"):
        headers = ask(server[0], path)[1].lower()
        assert "content-security-policy: default-src 'self'" in headers
        assert "frame-ancestors 'self'" in headers
        assert "x-content-type-options: nosniff" in headers
        assert "access-control-allow-origin" not in headers
    assert "access-control-allow-origin" not in ask(server[0], "/_stcore/health", headers={"Origin": "https://a.b"})[1]


def test_the_first_messages_name_no_path_and_ask_for_no_telemetry(server):
    seen = Listener(server[0], "checkpoints")
    seen.close()
    started = next(m.new_session for m in seen.raw if m.WhichOneof("type") == "new_session")
    assert started.main_script_path == "app.py"
    assert not started.config.gather_usage_stats
    everything = b" ".join(message.SerializeToString() for message in seen.raw)
    assert not any(secret in everything for secret in SECRETS)


BROKEN = """
import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.scriptrunner import get_script_run_ctx
from dafnet_explorer import server

def main():
    st.navigation([st.Page("raises.py", default=True), st.Page("unreadable.py")]).run()

if get_script_run_ctx(suppress_warning=True) is None:
    guard = Middleware(server.Guard, script=__file__)
    app = st.App(__file__, middleware=[guard], on_script_error=server.say_error)
else:
    main()
"""


def test_a_page_that_breaks_tells_the_browser_no_path_and_no_message(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "raises.py").write_text('raise FileNotFoundError(f"no such file as {__file__}")')
    (tmp_path / "unreadable.py").write_text("def f(:")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with serve(script=str(tmp_path / "broken.py")) as (url, _):
        for page, kind in (("", "FileNotFoundError"), ("unreadable", "SyntaxError")):
            seen = Listener(url, page)
            seen.close()
            assert kind in " ".join(seen.problems)
            everything = b" ".join(message.SerializeToString() for message in seen.raw)
            for secret in (str(tmp_path).encode(), str(ROOT).encode(), b"no such file", b"Traceback"):
                assert secret not in everything


def test_no_visitor_empties_the_caches_of_all_or_lists_the_files_of_the_repository(server):
    seen = Listener(server[0])
    hits = re.compile(rb'_decomposition",cache_type="st_cache_resource",result="miss"} (\d+)')
    before = hits.search(ask(server[0], "/_stcore/metrics")[2])[1]
    for field in ("clear_cache", "load_git_info", "set_run_on_save"):
        message = BackMsg()
        setattr(message, field, True)
        seen._send(message)
    message = BackMsg()
    message.backend_operation_request.install_skills.SetInParent()
    seen._send(message)
    seen._run()
    seen.close()
    assert hits.search(ask(server[0], "/_stcore/metrics")[2])[1] == before
    assert {m.WhichOneof("type") for m in seen.raw}.isdisjoint({"git_info_changed", "backend_operation_response"})


# nothing is lost


def test_where_to_send_a_file_outlives_a_run_that_begins(monkeypatch):
    monkeypatch.setattr(ForwardMsgQueue, "clear", ForwardMsgQueue.clear)
    monkeypatch.setattr(PagesManager, "uses_pages_directory", PagesManager.uses_pages_directory)
    lose_nothing()
    queue = ForwardMsgQueue()
    for name in ("one", "two"):
        queue.enqueue(message := ForwardMsg())
        message.file_urls_response.response_id = name
        queue.enqueue(picture := ForwardMsg())
        picture.delta.new_element.text.body = name
    for fragments in (None, ["some"]):
        queue.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=fragments)
        kept = [m.file_urls_response.response_id for m in queue._queue if m.HasField("file_urls_response")]
        assert kept == ["one", "two"]
    assert len(queue._queue) == 2


# no way out


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
    seen = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=240).stdout)
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


# what it stands on


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the lock is of Python 3.11")
def test_the_list_of_licences_is_that_of_the_lock():
    subprocess.run([sys.executable, str(ROOT / "tools" / "third_party.py"), "--check"], check=True)

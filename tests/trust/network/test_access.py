"""Who may speak to the server, and how large uploads may be."""

import http.client
import os
import re
import select
import socket
import time
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.pages_manager import PagesManager
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from dafnet_core.data.formats.scan import MAX_FILE_BYTES
from dafnet_explorer.server import patch_lost_input
from tests.helpers.paths import ROOT

pytestmark = [pytest.mark.trust, pytest.mark.slow]
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
LIMIT = CONFIG["server"]["maxUploadSize"] << 20


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
    assert uploaders
    assert {u.max_upload_size_mb << 20 for u in uploaders} == {MAX_FILE_BYTES}
    assert LIMIT >= MAX_FILE_BYTES


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


def test_where_to_send_a_file_outlives_a_run_that_begins(monkeypatch):
    monkeypatch.setattr(ForwardMsgQueue, "clear", ForwardMsgQueue.clear)
    monkeypatch.setattr(PagesManager, "uses_pages_directory", PagesManager.uses_pages_directory)
    patch_lost_input()
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

"""Hardening of Streamlit's server: security headers, refused messages, no outgoing requests.

Also patches two defects by which Streamlit loses a visitor's input.

`streamlit run app.py` imports app.py once before it listens, and finds the App there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import streamlit as st
from google.protobuf.message import DecodeError
from starlette.datastructures import MutableHeaders
from starlette.formparsers import MultiPartParser
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import cli_util, config, net_util
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web.server import server_util

from dafnet_explorer import loading

# The hash is that of the inline script in Streamlit's page
POLICY = (
    "default-src 'self'; script-src 'self' blob: 'sha256-THxz9J9+wf7rhwR2YkXJoSZ13UCmYyC+3lNDv2+8ugA='; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: "
    "blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,  # the browser refuses requests to other servers
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# For developers only: clear the caches of all sessions, list the repository's files, rerun on save
REFUSED = "clear_cache", "load_git_info", "set_run_on_save", "debug_disconnect_websocket", "debug_shutdown_runtime"


class Guard:
    """ASGI middleware: security headers on every response, and a websocket without developer messages or paths.

    Args:
        script: path of the app's script, which is removed from messages.
    """

    def __init__(self, app: ASGIApp, script: str) -> None:
        self.app, self.script = app, script

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            elif message["type"] == "websocket.send":
                message = _without_path(message, self.script)
            await send(message)

        async def receive_allowed() -> Message:
            while _is_refused(message := await receive()):
                pass
            return message

        await self.app(scope, receive_allowed if scope["type"] == "websocket" else receive, send_guarded)


def _without_path(message: Message, script: str) -> Message:
    """Shorten the script's path in the first message of each run to the file name, which a browser needs."""
    data = message.get("bytes")
    if not data or script.encode() not in data:
        return message
    parsed = ForwardMsg.FromString(data)
    if parsed.WhichOneof("type") != "new_session":
        return message
    parsed.new_session.main_script_path = Path(script).name
    return message | {"bytes": parsed.SerializeToString()}


def _is_refused(message: Message) -> bool:
    parsed = BackMsg()
    try:
        parsed.ParseFromString(message.get("bytes") or b"")
    except DecodeError:
        return False  # Streamlit closes the connection
    return parsed.WhichOneof("type") in REFUSED or parsed.backend_operation_request.HasField("install_skills")


def keep_data_local() -> None:
    """Keep Streamlit from outgoing requests and from writing uploads to disk.

    A websocket from a foreign page makes Streamlit query a public service for this machine's address, to compare the
    two, which blocks the event loop. Forms with more than 1 MB go through a temporary file.
    """
    net_util._external_ip = net_util._internal_ip = "127.0.0.1"
    MultiPartParser.spool_max_size = (config.get_option("server.maxUploadSize") + 1) << 20


def patch_lost_input() -> None:
    """Patch two defects by which Streamlit loses a visitor's input.

    Its old discovery of pages/ runs the first visited page without app.py, if that visit is a link to a page.
    And a new run discards queued messages to the browser, including upload addresses: of two files selected in a row
    the second would be lost silently.
    """
    PagesManager.uses_pages_directory = False
    clear = ForwardMsgQueue.clear

    def keep_addresses(queue: ForwardMsgQueue, *args: Any, **kwargs: Any) -> None:
        addresses = [m for m in queue._queue if m.WhichOneof("type") == "file_urls_response"]
        clear(queue, *args, **kwargs)
        queue._queue += [m for m in addresses if m not in queue._queue]

    ForwardMsgQueue.clear = keep_addresses


def show_error(error: Exception) -> bool:
    """Message of a page for an unexpected error; Streamlit has logged the details."""
    st.error(
        f"Unexpected error ({type(error).__name__}). The server's log has the details: please report them. "
        "Select another page, or reload this one."
    )
    return True


@asynccontextmanager
async def begin(app: st.App) -> AsyncIterator[None]:
    """Import libraries while the first browser starts, and open it, as Streamlit does for a script; not if headless."""
    Thread(target=loading.load, daemon=True).start()
    if not config.get_option("server.headless"):
        address = config.get_option("server.address") or "localhost"
        asyncio.get_running_loop().call_soon(cli_util.open_browser, server_util.get_url(address))
    yield

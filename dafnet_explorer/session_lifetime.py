"""Lifetime of sessions: a disconnected session is closed, and its uploads, jobs and memory are released.

Streamlit keeps a session for two minutes after its connection has ended, and then until another one ends. Here it is
closed after RECONNECT_SECONDS, and its memory is released at once.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import streamlit as st
from streamlit import runtime
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx

RECONNECT_SECONDS = 30.0  # seconds in which a disconnected session may reconnect
CLEANUP_DELAY = 5.0  # seconds in which closed sessions are collected for one clean-up, which takes 0.3 s


@dataclass(frozen=True)
class _Connection:
    session: str
    on_disconnect: Callable[[], None]


_disconnected: dict[str, _Connection] = {}  # latest connection of each session that may reconnect


def _mark_disconnected(connection: _Connection) -> None:
    connection.on_disconnect()
    with suppress(RuntimeError):  # without a server, as in tests, there is no loop and no session to close
        asyncio.get_running_loop().call_later(RECONNECT_SECONDS, _close, connection)
        _disconnected[connection.session] = connection


@st.cache_resource(scope="session", max_entries=1, show_spinner=False, on_release=_mark_disconnected)
def _connection(session: str, _on_connect: Callable[[], None], _on_disconnect: Callable[[], None]) -> _Connection:
    _on_connect()
    return _Connection(session, _on_disconnect)


def register(on_connect: Callable[[], None], on_disconnect: Callable[[], None]) -> None:
    """Register this session: `on_connect` is called when its connection begins, `on_disconnect` when it ends."""
    _connection(get_script_run_ctx().session_id, on_connect, on_disconnect)


class _NullClient:
    """A client without output. Streamlit's loop references the session it served last; this one replaces it."""

    client_context = None

    def write_forward_msg(self, message: ForwardMsg) -> None:
        pass


_cleanup_scheduled = False


def _close(connection: _Connection) -> None:
    """Close a session that did not reconnect; runs on the server's event loop."""
    global _cleanup_scheduled
    server = runtime.get_instance()
    if _disconnected.get(connection.session) is not connection:
        return  # it reconnected, and a later disconnection has its own timer
    del _disconnected[connection.session]
    if server.is_active_session(connection.session):
        return
    server.close_session(connection.session)
    if not _cleanup_scheduled:
        _cleanup_scheduled = True
        null_session = server.connect_session(_NullClient(), {})
        server.handle_backmsg(null_session, BackMsg(app_heartbeat=True))
        asyncio.get_running_loop().call_later(CLEANUP_DELAY, _release_memory, null_session)


def _release_memory(null_session: str) -> None:
    """Collect garbage and return freed memory to the system."""
    global _cleanup_scheduled
    _cleanup_scheduled = False
    runtime.get_instance().close_session(null_session)
    gc.unfreeze()  # `freeze_imports` also froze objects of sessions
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # glibc only, which otherwise keeps most freed memory
        ctypes.CDLL(None).malloc_trim(0)


@st.cache_resource(max_entries=64, show_spinner=False)
def _freeze(modules: int) -> None:
    gc.collect()
    gc.freeze()


def freeze_imports() -> None:
    """Exclude imported modules from garbage collection.

    Streamlit collects after every run and traverses all of them each time, which delays pictures by 0.2 s.
    """
    _freeze(len(sys.modules))

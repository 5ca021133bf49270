"""Lifetime of sessions: a disconnected session is closed, and its uploads, jobs and memory are released.

Streamlit keeps a session for two minutes after its connection has ended, and then until another one ends. Here it is
closed after RETURN seconds, and its memory is released at once.
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

RETURN = 30.0  # seconds in which a disconnected session may reconnect
TOGETHER = 5.0  # seconds in which closed sessions are collected for one clean-up, which takes 0.3 s


@dataclass(frozen=True)
class _Visit:
    session: str
    leave: Callable[[], None]


_ended: dict[str, _Visit] = {}  # latest connection of each session that may reconnect


def _left(visit: _Visit) -> None:
    visit.leave()
    with suppress(RuntimeError):  # without a server, as in tests, there is no loop and no session to close
        asyncio.get_running_loop().call_later(RETURN, _close, visit)
        _ended[visit.session] = visit


@st.cache_resource(scope="session", max_entries=1, show_spinner=False, on_release=_left)
def _visit(session: str, _come: Callable[[], None], _leave: Callable[[], None]) -> _Visit:
    _come()
    return _Visit(session, _leave)


def here(come: Callable[[], None], leave: Callable[[], None]) -> None:
    """Register this session: `come` is called when its connection begins, `leave` when it ends."""
    _visit(get_script_run_ctx().session_id, come, leave)


class _Nobody:
    """A client without output. Streamlit's loop references the session it served last; this one replaces it."""

    client_context = None

    def write_forward_msg(self, message: ForwardMsg) -> None:
        pass


_tidying = False


def _close(visit: _Visit) -> None:
    """Close a session that did not reconnect; runs on the server's event loop."""
    global _tidying
    server = runtime.get_instance()
    if _ended.get(visit.session) is not visit:
        return  # it reconnected, and a later disconnection has its own timer
    del _ended[visit.session]
    if server.is_active_session(visit.session):
        return
    server.close_session(visit.session)
    if not _tidying:
        _tidying = True
        nobody = server.connect_session(_Nobody(), {})
        server.handle_backmsg(nobody, BackMsg(app_heartbeat=True))
        asyncio.get_running_loop().call_later(TOGETHER, _tidy, nobody)


def _tidy(nobody: str) -> None:
    """Collect garbage and return freed memory to the system."""
    global _tidying
    _tidying = False
    runtime.get_instance().close_session(nobody)
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

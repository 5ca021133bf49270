"""Who is here, and what ends when they leave: uploads, work that nobody waits for, memory.

Streamlit keeps a session for two minutes after its connection has ended, for those who come back, and then until
somebody else's ends. Here it is closed after RETURN seconds, and what it held is given back at once.
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

RETURN = 30.0  # seconds in which a session that lost its connection may come back
TOGETHER = 5.0  # seconds in which those who are closed, and their work, are tidied up after at once: it takes 0.3 s


@dataclass(frozen=True)
class _Visit:
    session: str
    leave: Callable[[], None]


_ended: dict[str, _Visit] = {}  # the latest visit of each session that may still come back


def _left(visit: _Visit) -> None:
    visit.leave()
    with suppress(RuntimeError):  # without a server, as in tests, there is neither a loop nor a session to close
        asyncio.get_running_loop().call_later(RETURN, _close, visit)
        _ended[visit.session] = visit


@st.cache_resource(scope="session", max_entries=1, show_spinner=False, on_release=_left)
def _visit(session: str, _come: Callable[[], None], _leave: Callable[[], None]) -> _Visit:
    _come()
    return _Visit(session, _leave)


def here(come: Callable[[], None], leave: Callable[[], None]) -> None:
    """Say that this session is here: `come` is called when its connection has begun, `leave` when it has ended."""
    _visit(get_script_run_ctx().session_id, come, leave)


class _Nobody:
    """A client that nothing is drawn for. Streamlit's loop holds the session that it served last: it gets another."""

    client_context = None

    def write_forward_msg(self, message: ForwardMsg) -> None:
        pass


_tidying = False


def _close(visit: _Visit) -> None:
    """Close a session that has not come back, and all that it held; on the server's event loop."""
    global _tidying
    server = runtime.get_instance()
    if _ended.get(visit.session) is not visit:
        return  # it was here since, and has its time from then on
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
    """Give back what nothing reaches any more, to the machine too."""
    global _tidying
    _tidying = False
    runtime.get_instance().close_session(nobody)
    gc.unfreeze()  # `freeze_imports` spares everything of that moment, also what a session held
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # only glibc has it, and keeps most of what was freed without it
        ctypes.CDLL(None).malloc_trim(0)


@st.cache_resource(max_entries=64, show_spinner=False)
def _freeze(modules: int) -> None:
    gc.collect()
    gc.freeze()


def freeze_imports() -> None:
    """Spare what modules were imported from garbage collection.

    Streamlit collects after every run, and walks through all of them each time: 0.2 s in which no picture is sent.
    """
    _freeze(len(sys.modules))

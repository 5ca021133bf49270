"""Caches of results: shared between sessions and read-only, or private to one session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np
import streamlit as st

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_explorer import state

PRIVATE_SHARE = 8  # a private cache has an eighth of the entries of the shared one
P, R = ParamSpec("P"), TypeVar("R")


def cached(entries: int, spinner: bool | str = False) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Cache results, read-only, for all sessions; those of a session with uploaded files for that session only.

    Arguments whose names begin with an underscore are not part of the key.
    """

    def keep(work: Callable[P, R]) -> Callable[P, R]:
        @wraps(work)
        def made(*args: P.args, **kwargs: P.kwargs) -> R:
            return _read_only(work(*args, **kwargs))

        shared = st.cache_resource(max_entries=entries, show_spinner=spinner)(made)
        own = st.cache_resource(max_entries=max(2, entries // PRIVATE_SHARE), show_spinner=spinner, scope="session")(
            made
        )

        @wraps(work)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return (own if st.session_state.get(state.PRIVATE) else shared)(*args, **kwargs)

        return call

    return keep


def _read_only(result: R) -> R:
    """Make all arrays of a result read-only, because sessions share them."""
    if isinstance(result, np.ndarray):
        result.flags.writeable = False
    elif isinstance(result, dict):
        _read_only(tuple(result.values()))
    elif isinstance(result, list | tuple):
        for part in result:
            _read_only(part)
    elif is_dataclass(result) and not isinstance(result, Checkpoint):
        for field in fields(result):
            _read_only(getattr(result, field.name))
    return result

"""The libraries behind the pages, PyTorch above all: imported once, while a visitor sees the first of Start."""

from __future__ import annotations

import importlib
from threading import Lock

_importing = Lock()


def load() -> None:
    """Import what all pages need, seconds of work the first time; the server begins with it as soon as it runs.

    Sessions that come meanwhile wait: Python hands half-made modules to threads that import the same ones at once.
    """
    with _importing:
        importlib.import_module("dafnet_explorer.subject_picker")
        importlib.import_module("dafnet_explorer.threads").leave_a_core()

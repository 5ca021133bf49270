"""The libraries behind the pages, PyTorch above all: imported once, after what a visitor sees first."""

from __future__ import annotations

import importlib
from threading import Lock

_importing = Lock()


def load() -> None:
    """Import what all pages need, seconds of work the first time.

    Sessions that come meanwhile wait: Python hands half-made modules to threads that import the same ones at once.
    """
    with _importing:
        importlib.import_module("dafnet_explorer.subject_picker")

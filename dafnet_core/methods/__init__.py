"""Methods by their names on the command line and in checkpoints; to add one, write its file and a line here."""

from __future__ import annotations

from typing import Any

from dafnet_core.methods.copy import Copy
from dafnet_core.methods.dafnet import DAFNetMethod
from dafnet_core.methods.munit import DADR, Translation
from dafnet_core.methods.sdnet import SDNetMulti, SDNetSingle

METHODS: dict[str, Any] = {
    "dafnet": DAFNetMethod,
    "copy": Copy,
    "sdnet-single": SDNetSingle,
    "sdnet-multi": SDNetMulti,
    "translation": Translation,
    "dadr": DADR,
}


def trainable() -> tuple[str, ...]:
    """Names of the methods that learn."""
    return tuple(name for name, method in METHODS.items() if hasattr(method, "for_training"))

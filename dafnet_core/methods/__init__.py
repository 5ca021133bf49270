"""Methods by their names on the command line and in checkpoints; to add one, write its file and a line here."""

from __future__ import annotations

from typing import Any

from dafnet_core.methods.active_contour import ActiveContour
from dafnet_core.methods.copy import Copy
from dafnet_core.methods.dafnet import DAFNetMethod
from dafnet_core.methods.dual_stream import DualStreamMethod
from dafnet_core.methods.munit import DADR, Translation
from dafnet_core.methods.register import Register
from dafnet_core.methods.sdnet import SDNetMulti, SDNetSingle
from dafnet_core.methods.unet import UNetAugmented, UNetMulti, UNetSingle

METHODS: dict[str, Any] = {
    "dafnet": DAFNetMethod,
    "unet-single": UNetSingle,
    "unet-multi": UNetMulti,
    "unet-augmented": UNetAugmented,
    "sdnet-single": SDNetSingle,
    "sdnet-multi": SDNetMulti,
    "dual-stream": DualStreamMethod,
    "translation": Translation,
    "dadr": DADR,
    "copy": Copy,
    "register": Register,
    "active-contour": ActiveContour,
}


def trainable() -> tuple[str, ...]:
    """Names of the methods that learn."""
    return tuple(name for name, method in METHODS.items() if hasattr(method, "for_training"))

"""Table I: all methods, with all annotations of the target modality and with none."""

from __future__ import annotations

from dafnet_core.methods import METHODS
from experiments.paper import TABLE_I
from experiments.table import Row, Table, dafnet

RIVALS = (
    *("copy", "register", "active-contour", "unet-single", "sdnet-single", "unet-multi", "sdnet-multi"),
    *("dual-stream", "translation", "dadr", "unet-augmented"),
)
ROWS = (
    *(Row(METHODS[m].title, m, METHODS[m].kinds[-1], paper=m) for m in RIVALS),
    dafnet("DAFNet, one input", "paper", "dafnet single", "single"),
    dafnet("DAFNet, both inputs", "paper", "dafnet fused"),
    dafnet("DAFNet clean, one input", "clean", "dafnet single", "single"),
    dafnet("DAFNet clean, both inputs", "clean", "dafnet fused"),
)
TABLE = Table(
    "table1",
    "Table I: all and none of the target's annotations",
    "every method, each modality as the target",
    ROWS,
    TABLE_I,
    all_targets=True,
)

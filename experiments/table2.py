"""Table II: all methods, with fewer and fewer annotations of the target modality."""

from __future__ import annotations

from experiments.paper import TABLE_II
from experiments.table import Table
from experiments.table1 import ROWS

TABLE = Table(
    "table2",
    "Table II: a half, a quarter and an eighth of the target's annotations",
    "every method, DAFNet with both inputs",
    tuple(row for row in ROWS if row.method != "dafnet" or row.kind == "fused"),
    TABLE_II,
    (0.5, 0.25, 0.125),
)

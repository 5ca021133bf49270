"""Table III: pairs by position, weighted candidates, and pairs one or two slices off, in training and in test."""

from __future__ import annotations

from experiments.paper import TABLE_III
from experiments.table import Row, Table, dafnet

TABLE = Table(
    "table3",
    "Table III: how images are paired",
    "expert (by position), automated (three candidates, weighted) and shuffled pairs, also in the test",
    (
        Row("Copy, expert", "copy", "copy", "", "copy"),
        Row("Copy, shuffled", "copy", "copy", "shuffled", "copy shuffled"),
        dafnet("DAFNet, expert", "paper", "dafnet"),
        dafnet("DAFNet, automated", "neighbours", "neighbours"),
        dafnet("DAFNet, shuffled", "shuffled", "shuffled"),
    ),
    TABLE_III,
    paper_data="ERI LGE",
)

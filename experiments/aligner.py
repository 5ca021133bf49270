"""Sec. V-D: masks of fused anatomies with and without the aligner (the paper's STN)."""

from __future__ import annotations

from experiments.paper import SECTION_V_D
from experiments.table import Table, dafnet

TABLE = Table(
    "aligner",
    "Sec. V-D: with and without the aligner",
    "DAFNet's masks from both inputs",
    (dafnet("without the aligner", "without-aligner", "without-aligner"), dafnet("with it", "paper", "dafnet")),
    SECTION_V_D,
    paper_data="ERI LGE",
)

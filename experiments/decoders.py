"""Sec. V-G: segmentation with a FiLM and with a SPADE decoder."""

from __future__ import annotations

from experiments.paper import SECTION_V_G
from experiments.table import Table, dafnet

TABLE = Table(
    "decoders",
    "Sec. V-G: FiLM beside SPADE",
    "DAFNet's masks from both inputs, with either decoder",
    (dafnet("FiLM", "paper", "dafnet"), dafnet("SPADE", "spade", "spade")),
    SECTION_V_G,
)

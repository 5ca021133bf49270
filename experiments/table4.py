"""Table IV: DAFNet without some of its cost components, and without a segmentor (footnote 10)."""

from __future__ import annotations

from experiments.paper import TABLE_IV
from experiments.table import Table, dafnet

TABLE = Table(
    "table4",
    "Table IV: without some of the cost components",
    "DAFNet by --without, and without a segmentor (footnote 10)",
    (
        dafnet("L_adv^M alone: without L_KL, L_rec, L_adv^I, L_rec^z", "without-decoding", "without-decoding"),
        dafnet("without L_adv^M", "without-adv_mask", "without-adv_mask"),
        dafnet("without L_adv^I", "without-adv_image", "without-adv_image"),
        dafnet("without L_rec^z", "without-rec_z", "without-rec_z"),
        dafnet("all", "paper", "dafnet"),
        dafnet("without the segmentor", "without-segmentor"),
    ),
    TABLE_IV,
    paper_data="ERI LGE",
)

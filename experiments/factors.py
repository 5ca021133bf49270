"""Sec. V-F: the sizes of the factors, C and n_z, and the posterior variance of each dimension of z."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from experiments.grids import Grid
from experiments.paper import POSTERIOR_VARIANCES, SECTION_V_F
from experiments.record import Record
from experiments.table import Row, Table, dafnet


def posterior_variances(records: Mapping[Row, list[Record]]) -> Grid:
    """The variance of q(z | x, s) of each dimension, ascending; the mean over the trainings of a row."""
    head, body = ["", "lowest to highest", "each dimension, ascending", "paper"], []
    for row, found in records.items():
        known = [r.evaluation["posterior_variance_per_dimension"] for r in found if r.evaluation]
        values = np.sort(np.array(known, float), 1).mean(0) if known else np.array([])
        span = f"{values[0]:.2f} to {values[-1]:.2f}" if len(values) else ""
        paper = POSTERIOR_VARIANCES.get(row.paper, "")
        body.append([row.title, span, " ".join(f"{value:.2f}" for value in values), paper])
    return [head, *body]


TABLE = Table(
    "factors",
    "Sec. V-F: the sizes of the factors",
    "channels C of the anatomy and dimensions n_z of the modality factor",
    (
        dafnet("C = 4, n_z = 8", "C4", "C4"),
        dafnet("C = 8, n_z = 8", "paper", "dafnet"),
        dafnet("C = 16, n_z = 8", "C16", "C16"),
        dafnet("C = 8, n_z = 4", "z4", "z4"),
        dafnet("C = 8, n_z = 16", "z16", "z16"),
    ),
    SECTION_V_F,
    (1.0,),
    second=("Posterior variance of the dimensions of z; small is informative", posterior_variances),
)

"""Files for download: NPZ, CSV and JSON, each with its provenance."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def npz(arrays: Mapping[str, np.ndarray], about: Mapping[str, object]) -> bytes:
    """Arrays as an .npz that opens without pickles; `about` is JSON text in it."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, about=np.array(json.dumps(about)), **arrays)
    return buffer.getvalue()


def table_csv(rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> bytes:
    """Rows as CSV; comments at the top hold `about`, their provenance."""
    text = io.StringIO()
    for key, value in about.items():
        text.write(f"# {key}: {json.dumps(value)}\n")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_json(numbers: Mapping[str, Any], about: Mapping[str, Any]) -> bytes:
    """Numbers of `evaluate` with their provenance, which names the data without a path of this machine."""
    return (json.dumps({**numbers, **about}, indent=1) + "\n").encode()

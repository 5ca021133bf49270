"""Checkpoints as bytes: parsed, changed, read within limits of time and memory, and shown."""

import json
import re
import struct
import time
from pathlib import Path

import pytest

from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import CheckpointError, from_bytes
from dafnet_core.config import sanitize
from dafnet_explorer.figures.downloads import as_json
from dafnet_explorer.figures.independence import dependence_rows
from dafnet_explorer.figures.probe import leakage_rows, probe_figure
from dafnet_explorer.figures.texts import cell
from dafnet_explorer.figures.traverse import probe_accuracies
from dafnet_explorer.report.tables import evaluate_rows


def parts(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def whole(header, weights):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + weights


def edited(data, **changes):
    """The same file with other metadata: by key, or as a function of what stands there."""
    header, weights = parts(data)
    for key, value in changes.items():
        known = json.loads(header["__metadata__"].get(key, "null"))
        header["__metadata__"][key] = json.dumps(value(known) if callable(value) else value)
    return whole(header, weights)


def peak_mb():
    """The most memory that this process had since the last call."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    Path("/proc/self/clear_refs").write_text("5")
    return int(found[1]) / 1024


def refusal(data, name="bad.safetensors"):
    """The sentence with which a file is refused, in less than 5 s and 300 MB."""
    peak_mb()
    before, started = peak_mb(), time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        from_bytes(data, name)
    assert time.monotonic() - started < 5
    assert peak_mb() - before < 300
    said = str(caught.value)
    assert len(said) < 600
    assert "\n" not in said
    assert sanitize(said, 1000) == said
    return said


def shown(found):
    """Everything that cards, pages and reports make of the metrics and facts of a checkpoint."""
    card(found, "a.safetensors")
    probe_accuracies(found.metrics)
    for result in found.metrics.values():
        evaluate_rows(result)
        as_json(result.to_json(), {})
        if result.probe and result.probe.accuracy is not None:
            probe_figure(result.probe, dark=False)
            max(result.probe.per_dimension)
            [f"{way.split('_to_')[1]} {cell(v.accuracy)}" for way, v in (result.swap or {}).items()]
        if result.leakage is not None:
            leakage_rows(result.leakage)
        if result.dependence is not None:
            dependence_rows(result.dependence)

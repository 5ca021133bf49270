"""Available checkpoints, and loading them.

Shipped and trained checkpoints are shared between sessions as read-only; uploaded ones are kept in the memory of one
session and freed with it (`session_lifetime.py`).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dafnet_core.checkpoints.file import Checkpoint, CheckpointError, from_bytes, load
from dafnet_explorer import state
from dafnet_explorer.paths import CHECKPOINTS, RUNS

KEPT = 3  # latest uploaded checkpoints per session


@st.cache_resource(max_entries=8, show_spinner="Loading the model")
def _checkpoint(path: str, changed: int) -> Checkpoint:
    return load(path)


def entries() -> dict[str, Path | Checkpoint]:
    """All checkpoints by name: shipped ones, the best of each run in runs/, and this session's uploads."""
    found: dict[str, Path | Checkpoint] = {path.stem: path for path in sorted(CHECKPOINTS.glob("*.safetensors"))}
    found |= {f"runs/{path.parent.name}": path for path in sorted(RUNS.glob("*/best.safetensors"))}
    return found | st.session_state.get(state.OWN_CHECKPOINTS, {})


def load_entry(entry: Path | Checkpoint) -> Checkpoint:
    """Load an entry of the catalogue; raises CheckpointError."""
    return entry if isinstance(entry, Checkpoint) else _checkpoint(str(entry), entry.stat().st_mtime_ns)


def run_logs(name: str) -> dict[str, list[dict[str, str]]]:
    """Log rows of the run of a checkpoint of the catalogue, by title; {} without a run."""
    found = {}
    if name.startswith("runs/"):
        for title, file in (("Loss terms of training", "log.csv"), ("Validation", "validation.csv")):
            path = RUNS / name.removeprefix("runs/") / file
            if path.is_file():
                with open(path, newline="") as text:
                    found[title] = list(csv.DictReader(text))
    return found


def take_checkpoint(name: str, data: bytes) -> str:
    """Add an uploaded checkpoint to this session's catalogue, which keeps the latest; returns its name there.

    Raises:
        CheckpointError: not a valid checkpoint; the catalogue is unchanged.
    """
    found = from_bytes(data, name)
    st.session_state[state.PRIVATE] = True
    own = st.session_state.setdefault(state.OWN_CHECKPOINTS, {})
    name = f"{name.removesuffix('.safetensors')} (uploaded)"
    own.pop(name, None)
    own[name] = found
    for oldest in list(own)[:-KEPT]:
        del own[oldest]
    return name


def has_factors(checkpoint: Checkpoint) -> bool:
    """Whether its networks encode anatomy and modality factors, as `methods.base.FactorModel` describes them."""
    return hasattr(checkpoint.model, "encode_modality")


@dataclass(frozen=True)
class Kind:
    """Properties of a checkpoint that decide which others it can be compared with."""

    digest: str
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    decoder: str
    data: str
    factors: bool

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Kind:
        config = checkpoint.config
        return cls(
            checkpoint.digest,
            config.modalities,
            config.classes,
            config.decoder,
            checkpoint.training.data,
            has_factors(checkpoint),
        )


@st.cache_resource(max_entries=256, show_spinner="Reading the checkpoints")
def _kind(path: str, changed: int) -> Kind | None:
    try:
        return Kind.of(load(path))
    except CheckpointError:
        return None


def others(checkpoint: Checkpoint) -> dict[str, Kind]:
    """Other checkpoints of the catalogue with the same modalities and classes, by name."""
    found, mine = {}, Kind.of(checkpoint)
    for name, entry in entries().items():
        is_path = isinstance(entry, Path)
        kind = _kind(str(entry), entry.stat().st_mtime_ns) if is_path else Kind.of(entry)
        if kind and (kind.modalities, kind.classes) == (mine.modalities, mine.classes) and kind.digest != mine.digest:
            found[name] = kind
    return found


def counterpart(checkpoint: Checkpoint) -> Checkpoint | None:
    """First checkpoint of the same modalities and classes with the other decoder; the same training data come first.

    Raises:
        CheckpointError: its file is no longer valid.
    """
    known = [
        (name, kind)
        for name, kind in others(checkpoint).items()
        if kind.factors and kind.decoder != checkpoint.config.decoder
    ]
    known.sort(key=lambda entry: entry[1].data != checkpoint.training.data)
    return load_entry(entries()[known[0][0]]) if known else None

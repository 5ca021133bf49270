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
from dafnet_core.networks.translation import MunitNetworks
from dafnet_explorer import state
from dafnet_explorer.paths import CHECKPOINTS, RUNS

MAX_UPLOADED = 3  # latest uploaded checkpoints per session
COUNTER_EXAMPLE = "cardiac-film-leaky"  # kept to show a model whose anatomy encodes intensities


@st.cache_resource(max_entries=8, show_spinner="Loading the model")
def _checkpoint(path: str, modified: int) -> Checkpoint:
    return load(path)


def entries() -> dict[str, Path | Checkpoint]:
    """All checkpoints by name: shipped ones, the best of each run in runs/, and this session's uploads.

    The counter-example is the last of the shipped ones, so that no page begins with it.
    """
    shipped = sorted(CHECKPOINTS.glob("*.safetensors"), key=lambda path: (path.stem == COUNTER_EXAMPLE, path.stem))
    checkpoints: dict[str, Path | Checkpoint] = {path.stem: path for path in shipped}
    checkpoints |= {f"runs/{path.parent.name}": path for path in sorted(RUNS.glob("*/best.safetensors"))}
    return checkpoints | st.session_state.get(state.OWN_CHECKPOINTS, {})


def load_entry(entry: Path | Checkpoint) -> Checkpoint:
    """Load an entry of the catalogue; raises CheckpointError."""
    return entry if isinstance(entry, Checkpoint) else _checkpoint(str(entry), entry.stat().st_mtime_ns)


def run_logs(name: str) -> dict[str, list[dict[str, str]]]:
    """Log rows of the run of a checkpoint of the catalogue, by title; {} without a run."""
    logs = {}
    if name.startswith("runs/"):
        for title, file in (("Loss terms of training", "log.csv"), ("Validation", "validation.csv")):
            path = RUNS / name.removeprefix("runs/") / file
            if path.is_file():
                with open(path, newline="") as text:
                    logs[title] = list(csv.DictReader(text))
    return logs


def add_uploaded_checkpoint(name: str, data: bytes) -> str:
    """Add an uploaded checkpoint to this session's catalogue, which keeps the latest; returns its name there.

    Raises:
        CheckpointError: not a valid checkpoint; the catalogue is unchanged.
    """
    checkpoint = from_bytes(data, name)
    st.session_state[state.PRIVATE] = True
    own = st.session_state.setdefault(state.OWN_CHECKPOINTS, {})
    name = f"{name.removesuffix('.safetensors')}{state.UPLOADED}"
    own.pop(name, None)
    own[name] = checkpoint
    for oldest in list(own)[:-MAX_UPLOADED]:
        del own[oldest]
    return name


def name_of(checkpoint: Checkpoint) -> str:
    """The name of a checkpoint in the catalogue; its digest where it has none any more."""
    names = [name for name, summary in summaries().items() if summary.digest == checkpoint.digest]
    return names[0] if names else checkpoint.digest[:8]


def has_factors(checkpoint: Checkpoint) -> bool:
    """Whether its networks encode anatomy and modality factors, as `methods.base.FactorModel` describes them."""
    return hasattr(checkpoint.model, "encode_modality")


def has_content(checkpoint: Checkpoint) -> bool:
    """Whether its networks have a continuous content code and a style code in place of factors, as MUNIT has."""
    return isinstance(checkpoint.model, MunitNetworks)


@dataclass(frozen=True)
class CheckpointSummary:
    """Properties of a checkpoint that decide which others it can be compared with."""

    digest: str
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    decoder: str
    data: str
    factors: bool
    method: str

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> CheckpointSummary:
        config = checkpoint.config
        return cls(
            checkpoint.digest,
            config.modalities,
            config.classes,
            config.decoder,
            checkpoint.training.data,
            has_factors(checkpoint),
            checkpoint.method_name,
        )


@st.cache_resource(max_entries=256, show_spinner="Reading the checkpoints")
def _summary(path: str, modified: int) -> CheckpointSummary | None:
    try:
        return CheckpointSummary.of(load(path))
    except CheckpointError:
        return None


def summaries() -> dict[str, CheckpointSummary]:
    """What is known of each valid checkpoint of the catalogue, by name."""
    found = {}
    for name, entry in entries().items():
        is_path = isinstance(entry, Path)
        summary = _summary(str(entry), entry.stat().st_mtime_ns) if is_path else CheckpointSummary.of(entry)
        if summary:
            found[name] = summary
    return found


def modalities() -> list[str]:
    """All modalities that any checkpoint of the catalogue was trained for."""
    return list(dict.fromkeys(name for summary in summaries().values() for name in summary.modalities))


def compatible_checkpoints(checkpoint: Checkpoint) -> dict[str, CheckpointSummary]:
    """Other checkpoints of the catalogue with the same modalities and classes, by name."""
    own = CheckpointSummary.of(checkpoint)
    return {
        name: summary
        for name, summary in summaries().items()
        if (summary.modalities, summary.classes) == (own.modalities, own.classes) and summary.digest != own.digest
    }


def counterpart(checkpoint: Checkpoint) -> Checkpoint | None:
    """First checkpoint of the same method, modalities and classes with the other decoder.

    The same training data come first, the counter-example last.

    Raises:
        CheckpointError: its file is no longer valid.
    """
    candidates = [
        (name, summary)
        for name, summary in compatible_checkpoints(checkpoint).items()
        if summary.factors and summary.method == checkpoint.method_name and summary.decoder != checkpoint.config.decoder
    ]
    candidates.sort(key=lambda entry: (entry[0] == COUNTER_EXAMPLE, entry[1].data != checkpoint.training.data))
    return load_entry(entries()[candidates[0][0]]) if candidates else None

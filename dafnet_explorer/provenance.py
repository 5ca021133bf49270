"""What exports say of where their numbers and pictures come from. No streamlit."""

from __future__ import annotations

import dafnet_core
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_explorer.subjects import Subject


def about(checkpoint: Checkpoint, data: str, **settings: object) -> dict[str, object]:
    """What made a number or a picture, for exports: checkpoint, data by a name without paths, settings."""
    return {"checkpoint_digest": checkpoint.digest, "data": data, **settings, "dafnet": dafnet_core.__version__}


def short_digest(checkpoint: Checkpoint) -> str:
    """The first 8 hex digits of a checkpoint's digest, as links carry it."""
    return checkpoint.digest[:8]


def data_name(subject: Subject) -> str:
    """What exports call a subject; never the name of a user's file."""
    return "upload" if subject.uploaded else subject.title

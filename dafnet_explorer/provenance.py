"""Provenance of exported numbers and pictures. No streamlit."""

from __future__ import annotations

import re

import dafnet_core
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_explorer.subjects import Subject


def about(checkpoint: Checkpoint, data: str, **settings: object) -> dict[str, object]:
    """Provenance of a number or a picture: checkpoint, name of the data without paths, settings."""
    return {"checkpoint_digest": checkpoint.digest, "data": data, **settings, "dafnet": dafnet_core.__version__}


def about_subject(checkpoint: Checkpoint, subject: Subject, /, **settings: object) -> dict[str, object]:
    """`about` of what was made of a subject, with the licence of its images; never the name of a user's file."""
    licence = {"licence_of_the_images": subject.licence} if subject.data_set else {}
    return about(checkpoint, data_name(subject), **licence, **settings)


def short_digest(checkpoint: Checkpoint) -> str:
    """First 8 hex digits of a checkpoint's digest, as used in links."""
    return checkpoint.digest[:8]


def data_name(subject: Subject) -> str:
    """Name of a subject in exports; never that of a user's file."""
    return "upload" if subject.uploaded else subject.title


def file_name(page: str, checkpoint: str, shown: Subject | str, suffix: str, *details: str) -> str:
    """Name of a download: page, checkpoint, what is shown, and details, without characters that need care.

    Of a user's files it has the numbers of the slices only, and never their names.

    Args:
        checkpoint: its name in the catalogue.
        shown: a subject with its slice, or the name of data, as `EvaluationRequest.name` has it.
        suffix: of the file, such as csv.
    """
    if isinstance(shown, str):
        what = shown
    elif shown.uploaded:
        slices = dict.fromkeys(re.findall(r"`, slice (\d+) of", shown.title))
        what = "-".join(["upload", *(f"slice-{n}" for n in slices)])
    else:
        what = re.sub(r"\(.*?\)", "", data_name(shown))
    parts = (re.sub(r"[^\w.+]+", "-", part).strip("-.") for part in (page, checkpoint, what, *details))
    return f"dafnet-{'-'.join(filter(None, parts))}.{suffix}"

"""Data sets named when the app was started: which of them fit a checkpoint, and their subjects, read when asked for.

They are the server's own, so what is read of them is shared between sessions. Folders are listed again after a minute.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.config import sanitize
from dafnet_core.data.formats.scan import clean_name
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.samples import SampleSlices
from dafnet_core.data.source import DataSource
from dafnet_core.data.sources import open_source, source_class
from dafnet_core.data.studies import ModalityError
from dafnet_explorer import subjects
from dafnet_explorer.subjects import Subject

TAKEN = "Samples", "My files"  # names of other choices in the sidebar
PARTS = "test", "val", "train"  # of a split, what may be shown without a second thought first
POPULATION = 8  # subjects that are compared with each other


@st.cache_resource(max_entries=1, show_spinner=False)
def named() -> tuple[str, ...]:
    """Data sets named on the command line: streamlit run app.py -- --data FOLDER [--data chaos:FOLDER]."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data", action="append", default=[])
    return tuple(dict.fromkeys(parser.parse_known_args(sys.argv[1:])[0].data))


def folder_name(spec: str) -> str:
    """Name of a data set without its path on this machine: phantom:subjects=4, chaos:MR, my_study."""
    kind, colon, folder = spec.rpartition(":")
    return spec if source_class(spec).built_in else f"{kind}{colon}{Path(folder).name}"


def without_path(spec: str, error: Exception) -> str:
    """The text of an error about a data set, safe to show and without the path of its folder."""
    folder, text = Path(spec.rpartition(":")[2]), str(error)
    for path in (spec.rpartition(":")[2], str(folder), str(folder.resolve())):
        if "/" in path.strip("/."):
            text = text.replace(path.rstrip("/"), folder.name)
    return sanitize(text)


def licence(source: DataSource) -> str:
    """The licence of a data set, safe to show."""
    return sanitize(source.licence)


@st.cache_resource(max_entries=64, ttl=60, show_spinner=False)
def _opened(spec: str, modalities: tuple[str, ...]) -> DataSource | str | None:
    """The source; None if it lacks one of the modalities; the reason if it cannot be used."""
    try:
        source = open_source(spec, modalities)
    except ModalityError:
        return None
    except (ValueError, OSError) as error:
        return without_path(spec, error)
    held = {name.casefold() for name in source.modalities}
    return source if held >= {name.casefold() for name in modalities} else None


def fitting(checkpoint: Checkpoint) -> dict[str, DataSource]:
    """The data sets that hold all modalities of a checkpoint, by readable names that differ."""
    found: dict[str, DataSource] = {}
    for spec in named():
        source = _fitting(checkpoint, spec)
        if source is None or source.spec in [other.spec for other in found.values()]:
            continue
        name = clean_name(source.name)
        if name in (*found, *TAKEN):
            name = f"{name} ({folder_name(spec)})"
        while name in found:
            name += "+"
        found[name] = source
    return found


def _fitting(checkpoint: Checkpoint, spec: str) -> DataSource | None:
    source = _opened(spec, checkpoint.config.modalities)
    return None if source is None or isinstance(source, str) or source.built_in else source


def others(checkpoint: Checkpoint) -> list[str]:
    """The data sets that are not among `fitting`."""
    return [spec for spec in named() if _fitting(checkpoint, spec) is None]


def readable_name(checkpoint: Checkpoint, spec: str) -> str:
    """The name that `fitting` gives a data set; that of its folder if it does not fit."""
    return next((name for name, source in fitting(checkpoint).items() if source.spec == spec), folder_name(spec))


def problems(checkpoint: Checkpoint) -> dict[str, str]:
    """Why data sets cannot be used, by the names of their folders."""
    opened = {folder_name(spec): _opened(spec, checkpoint.config.modalities) for spec in named()}
    return {name: reason for name, reason in opened.items() if isinstance(reason, str)}


def _parts(checkpoint: Checkpoint, source: DataSource) -> dict[str, str]:
    """The part of the checkpoint's split that each subject, or another one of its patient, is in; "" for neither."""
    seen = checkpoint.training.split.seen()
    patients = {**(checkpoint.training.patients or {}), **source.patients}
    of_patients: dict[str, str] = {}
    for name, part in seen.items():
        if name in patients:
            of_patients[patients[name]] = max(part, of_patients.get(patients[name], part), key=PARTS.index)
    return {name: seen.get(name) or of_patients.get(patients.get(name, ""), "") for name in source.names()}


def ordered(checkpoint: Checkpoint, source: DataSource) -> tuple[str, ...]:
    """All subjects, those that the checkpoint was not trained on first; in order where names are numbers."""
    parts = _parts(checkpoint, source)

    def rank(name: str) -> tuple[int, int, str]:
        return PARTS.index(parts[name] or "test"), int(name) if name.isdecimal() else -1, name

    return tuple(sorted(source.names(), key=rank))


def role(checkpoint: Checkpoint, source: DataSource, name: str) -> str:
    """One sentence: whether the checkpoint was trained on a subject."""
    part = _parts(checkpoint, source)[name]
    whose = "this subject" if source.name == checkpoint.training.data else "a subject of this name"
    if name not in checkpoint.training.split.seen():
        whose = "other images of this patient"
    return {
        "train": f"**The checkpoint was trained on {whose}**: its results are better than on others.",
        "val": f"The checkpoint was not trained on {whose}, but its best weights were chosen by results on it.",
        "test": f"The checkpoint never saw {whose} in training: it is one of its test subjects.",
        "": "The checkpoint was not trained on this subject.",
    }[part]


@st.cache_resource(max_entries=6, show_spinner="Reading the subject")
def _slices(
    spec: str, name: str, preparation: Preparation, modalities: tuple[str, ...], _source: DataSource
) -> SampleSlices:
    return _read(_source, name, preparation, modalities)


def _read(source: DataSource, name: str, preparation: Preparation, modalities: tuple[str, ...]) -> SampleSlices:
    return source.sample_slices(source.names().index(name), "", preparation, modalities)


def slices(checkpoint: Checkpoint, source: DataSource, name: str) -> SampleSlices:
    """The slices of one subject, which is read once as long as few others are asked for.

    Raises:
        ValueError: a file cannot be used, or no slice is shown by all modalities; OSError: it cannot be opened.
    """
    read = _slices(source.spec, name, checkpoint.preparation, checkpoint.config.modalities, source)
    return _nonempty(read, name)


def _nonempty(read: SampleSlices, name: str) -> SampleSlices:
    if not len(read):
        raise ValueError(f"subject {clean_name(name)}: its modalities have no slice in common")
    return read


def subject(checkpoint: Checkpoint, source: DataSource, name: str, position: int) -> Subject:
    """One slice of one subject; errors as in `slices`."""
    return subjects.of_sample(checkpoint, source, slices(checkpoint, source, name)[position])


def population(checkpoint: Checkpoint, source: DataSource) -> list[Subject]:
    """The middle slices of the first subjects of `ordered`; errors as in `slices`."""
    found = []
    for name in ordered(checkpoint, source)[:POPULATION]:
        read = _nonempty(_read(source, name, checkpoint.preparation, checkpoint.config.modalities), name)
        found.append(subjects.of_sample(checkpoint, source, read[len(read) // 2]))
    return found


@st.cache_resource(max_entries=256, show_spinner=False)
def _thumbnail(spec: str, name: str, preparation: Preparation, modality: str) -> list[np.ndarray]:
    return []  # filled when its subject is read


def thumbnails(checkpoint: Checkpoint, source: DataSource, names: Sequence[str]) -> list[np.ndarray | None]:
    """Middle slices (H, W) of the first modality of some subjects: None for those that were not read yet."""
    kept = [_kept(checkpoint, source, name) for name in names]
    return [found[0] if found else None for found in kept]


def _kept(checkpoint: Checkpoint, source: DataSource, name: str) -> list[np.ndarray]:
    return _thumbnail(source.spec, name, checkpoint.preparation, checkpoint.config.modalities[0])


def add_thumbnail(checkpoint: Checkpoint, source: DataSource, names: Sequence[str]) -> bool:
    """Read the first of some subjects that has no thumbnail yet; whether there was one."""
    for name in names:
        kept = _kept(checkpoint, source, name)
        if not kept:
            try:
                read = _read(source, name, checkpoint.preparation, checkpoint.config.modalities)
                keep_thumbnail(checkpoint, source, name, read)
            except (ValueError, OSError):
                kept.append(np.full((8, 8), -1.0, np.float32))  # black: the reason is shown when it is selected
            return True
    return False


def keep_thumbnail(checkpoint: Checkpoint, source: DataSource, name: str, read: SampleSlices) -> None:
    """Keep the thumbnail of a subject that was read."""
    kept = _kept(checkpoint, source, name)
    if not kept:
        kept.append(_nonempty(read, name)[len(read) // 2].images[0])

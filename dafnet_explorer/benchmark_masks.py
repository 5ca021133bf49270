"""Masks of several methods on one slice, for the page Benchmark: files of masks, how much two differ, and the images.

A file of masks is an NPZ of uint8 labels (H, W), the key of each `SUBJECT|POSITION|MODALITY|KIND`.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, is_zipfile

import numpy as np
import streamlit as st

from dafnet_core.data.sources import evaluation_data, open_source, public_name, source_class
from dafnet_explorer import benchmark, data_sets
from dafnet_explorer.benchmark import Column, Stamp, Table
from dafnet_explorer.paths import RUNS
from experiments.record import Record
from experiments.table import Row


class Place(NamedTuple):
    """A slice: name of its subject, and its position in the stack of its modality."""

    subject: str
    position: int


@dataclass(frozen=True, eq=False)
class Scene:
    """An image (H, W) in [-1, 1], its true labels where they are known, and the names of the classes."""

    image: np.ndarray
    truth: np.ndarray | None
    classes: tuple[str, ...]


def mask_files(folder: Path, records: Sequence[Record]) -> Stamp:
    """Files with masks of records: beside the records of a folder, or beside their runs."""
    beside = [runs / folder.resolve().name for runs in (RUNS, *benchmark.named_results())]
    found = []
    for record in records:
        places = [folder / "masks" / f"{record.cell}.npz", *(p / f"{record.cell}.masks.npz" for p in (folder, *beside))]
        found += [path for path in places if path.is_file()][:1]
    return benchmark.stamp(found)


def with_masks(folder: Path, table: Table, column: Column) -> dict[Row, Stamp]:
    """Files of masks of the rows of a column that have any."""
    cells = {row: table.cells.get((row, column), ()) for row in table.rows}
    return {row: files for row, records in cells.items() if (files := mask_files(folder, records))}


def read_masks(files: Stamp, target: str, kind: str, only: Place | None = None) -> dict[Place, np.ndarray]:
    """Labels (H, W) of slices of a modality; of several files with the same slice the first counts.

    Args:
        only: a single slice to read, None for all.

    Raises:
        ValueError: a file that is not what is expected, named.
    """
    found: dict[Place, np.ndarray] = {}
    for file, _, _ in files:
        try:
            if not is_zipfile(file):
                raise ValueError("it is no NPZ")
            with np.load(file) as arrays:
                for key in arrays.files:
                    place = _place(key, target, kind)
                    if place and place not in found and only in (None, place):
                        found[place] = _checked(arrays[key], key)
        except (ValueError, OSError, BadZipFile, zlib.error) as error:
            raise ValueError(
                f"{Path(file).name} is no file of masks ({error}); delete it, and run its table again"
            ) from error
    return found


def _place(key: str, target: str, kind: str) -> Place | None:
    parts = key.rsplit("|", 3)
    if len(parts) < 4 or parts[2:] != [target, kind] or not parts[1].isdecimal():
        return None
    return Place(parts[0], int(parts[1]))


def _checked(labels: np.ndarray, key: str) -> np.ndarray:
    if labels.dtype != np.uint8 or labels.ndim != 2:
        raise ValueError(f"{key} is {labels.dtype} {labels.shape}, expected uint8 (H, W)")
    return labels


def disagreement(a: np.ndarray, b: np.ndarray) -> float:
    """1 - Dice of two masks (H, W), all structures together: 0 where they are equal, 1 where they share no pixel."""
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 1 - 2 * np.count_nonzero((a == b) & (a > 0)) / total if total else 0.0


def by_disagreement(
    files: Mapping[Row, Stamp], target: str, row: Row, other: Row | None
) -> tuple[tuple[Place, float | None], ...]:
    """Slices of a row, those first on which its masks differ most from another row's; None without such masks.

    Raises:
        ValueError: a file that is not what is expected, named.
    """
    mine, theirs = files.get(row, ()), files.get(other, ()) if other else ()
    found = _differing(target, mine, row.kind, theirs, other.kind) if other else ()
    return found or tuple((place, None) for place in read_masks(mine, target, row.kind))


@st.cache_resource(max_entries=8, show_spinner="Comparing masks")
def _differing(
    target: str, files: Stamp, kind: str, other_files: Stamp, other_kind: str
) -> tuple[tuple[Place, float], ...]:
    a, b = read_masks(files, target, kind), read_masks(other_files, target, other_kind)
    found = [(place, disagreement(labels, b[place])) for place, labels in a.items() if place in b]
    return tuple(sorted(found, key=lambda pair: -pair[1]))


def masks_of(files: Mapping[Row, Stamp], target: str, place: Place) -> dict[Row, np.ndarray]:
    """The mask (H, W) of a slice of every row that has one; errors as in `read_masks`."""
    found = {row: read_masks(stamps, target, row.kind, place).get(place) for row, stamps in files.items()}
    return {row: labels for row, labels in found.items() if labels is not None}


def scene_of(records: Sequence[Record], target: str, place: Place, shape: tuple[int, int]) -> Scene | str:
    """Image and truth of a slice on the grid (H, W) of its masks; a sentence where they cannot be shown."""
    record = next((r for r in records if place.subject in r.subjects), records[0])
    spec = _data_of(record)
    if spec is None:
        return (
            "The images are not part of the app. To see them below the masks, start it with the data that were judged: "
            f"`streamlit run app.py -- --data {record.data}`."
        )
    modalities = tuple(record.evaluation.get("segmentation") or record.numbers)
    return _scene(spec, modalities, target, place, shape)


def _data_of(record: Record) -> str | None:
    """The data that a record was judged on, as on the command line: built-in, or named when the app was started."""
    judged = str(record.evaluation.get("data") or record.data)
    if source_class(judged).built_in:
        return judged
    known = [spec for spec in data_sets.named() if public_name(spec) == public_name(record.data)]
    return next((spec for spec in known if set(record.subjects) & set(_subjects(spec))), None)


@st.cache_resource(max_entries=8, ttl=60, show_spinner=False)
def _subjects(spec: str) -> tuple[str, ...]:
    """Subjects of a data set, or patients where cases are known to be of one; () for one that cannot be read."""
    try:
        source = open_source(spec)
    except (ValueError, OSError):
        return ()
    return tuple(source.patients.get(name, name) for name in source.names())


@st.cache_resource(max_entries=32, show_spinner="Reading the slice")
def _scene(spec: str, modalities: tuple[str, ...], target: str, place: Place, shape: tuple[int, int]) -> Scene | str:
    try:
        preparation = open_source(spec, modalities).preparation(shape, None)
        source, data = evaluation_data(spec, "all", modalities=modalities, preparation=preparation, only=place.subject)
        i = source.modalities.index(target)
        for sample in (data[index] for index in data.slices_of(i, annotated=False)):
            if sample.slices[i] == place.position:
                return Scene(sample.images[i, 0], sample.masks[i] if sample.annotated[i] else None, source.classes)
    except (ValueError, OSError) as error:
        return f"The images cannot be shown: {data_sets.without_path(spec, error)}."
    return f"The images cannot be shown: {data_sets.folder_name(spec)} has no such slice of {target}."

"""nnU-Net v2 data sets as sources of data.

An nnU-Net v2 folder holds dataset.json, imagesTr/CASE_000i.ENDING for channel i, and labelsTr/CASE.ENDING for all
channels of a case, which lie on one grid. Our extension: labelsTr/CASE_000i.ENDING is the mask of channel i in
that channel's own frame, and then channels may differ in all but the subject.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from dafnet_core.config import EVALUATION_SEED
from dafnet_core.data.config import DataConfig
from dafnet_core.data.formats.scan import Scan
from dafnet_core.data.frame import extent, grid_distance, same_grid
from dafnet_core.data.nnunet_description import chosen_channels, read_dataset
from dafnet_core.data.nnunet_files import (
    Case,
    case_patients,
    count_note,
    find_cases,
    sidecar_path,
    with_sidecar,
)
from dafnet_core.data.patients import guess_note, guessed
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.source import FileSource
from dafnet_core.data.splits import Split, read_folds
from dafnet_core.data.studies import DataError, Stack, Study, join, prepare_stacks, read_finite, read_labels, reading


class NnUNet(FileSource):
    """The training cases of an nnU-Net v2 folder.

    Args:
        folder: the one that holds dataset.json.
        modalities: names of two or more of its channels, in the order wanted; () takes all.
        subject_pattern: finds the patient in the name of a case (`patients.by_pattern`); "" for no pattern.

    Raises:
        DataError: a folder or description that cannot be used; it names the file and the remedy.
    """

    kind: ClassVar[str] = "nnunet"
    help: ClassVar[str] = "an nnU-Net v2 folder"
    own_options: ClassVar[frozenset[str]] = FileSource.own_options | {"modalities", "subject_pattern"}

    def __init__(self, folder: Path, modalities: Sequence[str] = (), subject_pattern: str = "") -> None:
        self._folder = folder = Path(folder)
        dataset = read_dataset(folder / "dataset.json")
        channels = chosen_channels(dataset.channels, modalities, folder / "dataset.json")
        self._cases = {case.name: case for case in find_cases(folder, dataset, channels)}
        self._table = dataset.table
        cases = self._cases.values()
        self.registered = any(case.label for case in cases) and not any(any(case.labels) for case in cases)
        self.licence, self.classes = dataset.licence, dataset.classes
        self.modalities = tuple(dataset.channels[channel] for channel in channels)
        super().__init__(str(folder), dataset.name, read_folds(folder / "splits_final.json", list(self._cases)))
        self.patients = case_patients(dataset, self.names(), subject_pattern, folder / "dataset.json")
        self._guess = guessed(self.names()) if not self.patients else {}
        self._notes = count_note(dataset, list(cases))
        self.phantom_seed = dataset.phantom_seed

    @classmethod
    def open(cls, spec: str, modalities: tuple[str, ...] = (), subject_pattern: str = "") -> Self:
        path = Path(spec.removeprefix(f"{cls.kind}:"))
        if not path.is_dir():
            raise DataError(f"data is {spec!r}; expected phantom, chaos:PATH, chaos-out:PATH, or {cls.help}")
        return cls(path, modalities, subject_pattern)

    @classmethod
    def for_training(cls, config: DataConfig, seed: int) -> Self:
        source = cls.open(config.source, config.modalities, config.subject_pattern)
        if source.phantom_seed is not None and source.phantom_seed >= EVALUATION_SEED:
            raise DataError(
                f"{config.source} holds the phantom of seed {source.phantom_seed}; seeds from {EVALUATION_SEED} on are "
                "for evaluation only. Write a folder of another seed to train on."
            )
        return source

    def names(self) -> tuple[str, ...]:
        return tuple(self._cases)

    def notes(self, split: Split) -> tuple[str, ...]:
        """That names suggest several cases of one patient, or that dataset.json counts other cases."""
        return (*guess_note(split, self._guess), *self._notes)

    def study(self, name: str, preparation: Preparation) -> Study:
        """Read one case; raises DataError for a file that cannot be used, naming it and the remedy."""
        return join(name, self.stacks(name, preparation))

    def stacks(self, name: str, preparation: Preparation) -> list[Stack]:
        """The modalities of one case, with the way back to their files; errors as in `study`."""
        images, labels = _scans(self._cases[name], self._table, self.registered)
        with reading(self._folder, "Correct the files, or take the case away."):
            return prepare_stacks(images, labels, preparation, self._table)

    def ingredients(self, name: str) -> list[Any]:
        case = self._cases[name]
        files = [path for path in (*case.images, *case.labels, case.label) if path]
        beside = sorted({sidecar for path in files if (sidecar := sidecar_path(path, case)).is_file()})
        return [self.registered, list(self._table.items()), case.images, case.labels, case.label, beside]


# --- a case --------------------------------------------------------------------------------------------------


def _scans(case: Case, table: Mapping[int, int], registered: bool) -> tuple[list[Scan], list[Scan | None]]:
    """The images of a case, and the labels of each; on one grid if the data are registered."""
    images = [with_sidecar(read_finite(path), path, case) for path in case.images]
    named = "Correct the labels, or name them in dataset.json."
    by_path = {p: with_sidecar(read_labels(p, table, named), p, case) for p in (case.label, *case.labels) if p}
    paths = [path or case.label for path in case.labels]
    labels = [by_path[path] if path else None for path in paths]
    if case.label or registered:
        remedy = "One label file serves all modalities: bring them to one grid, or label each in a file of its own."
        for path, image in zip(case.images[1:], images[1:], strict=True):
            _check_grid(path, image, case.images[0], images[0], remedy)
    read = [
        (path, scan) for path, scan in zip((*case.images, *paths), (*images, *labels), strict=True) if path and scan
    ]
    _check_headers(read)
    for label_path, label, image_path, image in zip(paths, labels, case.images, images, strict=True):
        if label_path and label:
            _check_label(label_path, label, image_path, image, shared=label_path == case.label)
    return images, labels


def _check_headers(read: Sequence[tuple[Path, Scan]]) -> None:
    """Check that headers whose sform and qform disagree do so alike, so that it does not matter which one is right."""
    first_path, first = read[0]
    for path, scan in read:
        alike = scan.other_affine is None and first.other_affine is None
        if scan.other_affine is not None and first.other_affine is not None:
            alike = same_grid(scan, first) and bool(np.allclose(scan.other_affine, first.other_affine, atol=1e-2))
        if not alike:
            doubtful = path if scan.other_affine is not None else first_path
            raise DataError(
                f"{doubtful}: its sform and its qform place it differently in the patient, not alike in "
                f"{first_path.name} and {path.name}; which one is right is not known. Write the right one into both."
            )


def _check_label(path: Path, label: Scan, image_path: Path, image: Scan, *, shared: bool) -> None:
    if label.volumes > 1:
        raise DataError(f"{path}: it has {label.volumes} volumes; labels are of the first frame alone, keep that.")
    resampled = not shared and label.values.shape[1:] != image.values.shape[1:]
    if not (resampled and label.affine is not None and image.affine is not None):
        remedy = "Labels need the grid of their image: export them on it."
        if shared:
            remedy += " Labels of one channel, CASE_0000, may have a grid of their own."
        _check_grid(path, label, image_path, image, remedy)


def _check_grid(path: Path, scan: Scan, other_path: Path, other: Scan, remedy: str) -> None:
    """Check that two scans lie on the same grid: shape and the whole affine."""
    if scan.values.shape[1:] != other.values.shape[1:]:
        raise DataError(f"{path}: it has {extent(scan)}, {other_path.name} has {extent(other)}. {remedy}")
    if (scan.affine is None) != (other.affine is None):
        silent, placed = (path, other_path) if scan.affine is None else (other_path, path)
        raise DataError(
            f"{path}: the header of {silent.name} does not say where it lies in the patient, that of {placed.name} "
            f"does. {remedy}"
        )
    if not same_grid(scan, other):
        apart = grid_distance(scan, other)
        raise DataError(
            f"{path}: by the headers its corners lie up to {apart:.1f} mm away from those of {other_path.name} (it has "
            f"{extent(scan)}, {other_path.name} {extent(other)}). {remedy}"
        )

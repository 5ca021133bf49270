"""Abdominal MR of the CHAOS challenge, in its original folder structure.

    SUBJECT/T1DUAL/DICOM_anon/InPhase/*.dcm, OutPhase/*.dcm    SUBJECT/T1DUAL/Ground/*.png
    SUBJECT/T2SPIR/DICOM_anon/*.dcm                            SUBJECT/T2SPIR/Ground/*.png

T1 and T2 are separate acquisitions with different numbers of slices and resolutions, and motion between them. Files
are read one by one, so that a label stays with its slice wherever the geometry puts the slice in the stack, and so
that files which an anonymiser put into separate series can be read too.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from dafnet_core.data.config import DataConfig
from dafnet_core.data.formats.orientation import StoredGrid
from dafnet_core.data.formats.scan import Scan
from dafnet_core.data.frame import slice_normal
from dafnet_core.data.prepare import PERCENTILES, Preparation, sides
from dafnet_core.data.source import FileSource
from dafnet_core.data.studies import (
    DataError,
    Stack,
    Study,
    join,
    prepare_stacks,
    read_finite,
    read_labels,
    reading,
)

MODALITIES = ("T1", "T2")
CLASSES = ("background", "liver", "right kidney", "left kidney", "spleen")
PUBLISHED_SIDE, PUBLISHED_SPACING = 192, 1.89  # pixels, and mm per pixel, of the paper's grid
LABELS = {0: 0, 63: 1, 126: 2, 189: 3, 252: 4}  # grey value in the PNGs to class
FOLDS = (  # test, validation; the rest trains (published code of the paper)
    (("10", "22", "34"), ("31", "36", "13")),
    (("5", "15", "39"), ("13", "3", "20")),
    (("1", "19", "32"), ("37", "13", "33")),
)
_SEQUENCES = ("T1DUAL", "T2SPIR")


class ChaosInPhase(FileSource):
    """The MR subjects of CHAOS, T1 in phase and T2.

    Args:
        folder: the one with the numbered subjects, or one that holds it up to three levels down.
    """

    kind: ClassVar[str] = "chaos"
    help: ClassVar[str] = "chaos:PATH (T1 in phase)"
    phase: ClassVar[str] = "InPhase"
    licence = "CC BY-NC-SA 4.0 (as the challenge states it; check the terms that came with your copy)"
    modalities: tuple[str, ...] = MODALITIES
    classes = CLASSES
    registered = False

    def __init__(self, folder: Path) -> None:
        self._subjects = {str(int(path.name)): path for path in _numbered(_find(Path(folder)))}
        super().__init__(f"{self.kind}:{folder}", "CHAOS MR", _folds(sorted(self._subjects)))

    @classmethod
    def open(cls, spec: str, modalities: tuple[str, ...] = ()) -> Self:
        return cls(Path(spec.partition(":")[2]))

    @classmethod
    def for_training(cls, config: DataConfig, seed: int) -> Self:
        return cls.open(config.source)

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._subjects))

    def preparation(
        self, size: int | tuple[int, int], spacing: float | None, percentiles: tuple[float, float] = PERCENTILES
    ) -> Preparation:
        """By default the field of view of the paper, 192 pixels of 1.89 mm along the longer side."""
        return super().preparation(size, spacing or PUBLISHED_SIDE * PUBLISHED_SPACING / max(sides(size)), percentiles)

    def study(self, name: str, preparation: Preparation) -> Study:
        """Read one subject.

        Raises:
            DataError: files missing, or labels that do not fit their images.
        """
        return join(name, self.stacks(name, preparation))

    def stacks(self, name: str, preparation: Preparation) -> list[Stack]:
        """T1 and T2 of one subject, with the way back to their files; errors as in `study`."""
        folder = self._subjects[name]
        phases = dict(zip(_SEQUENCES, (self.phase, ""), strict=True))
        sequences = [_sequence(folder / sequence, phase) for sequence, phase in phases.items()]
        images, labels = zip(*sequences, strict=True)
        with reading(folder, "Take the files as CHAOS has them."):
            return prepare_stacks(images, labels, preparation, LABELS)

    def ingredients(self, name: str) -> list[list[Path] | None]:
        t1, t2 = (self._subjects[name] / sequence for sequence in _SEQUENCES)
        images = [_files(folder, ".dcm") for folder in (t1 / "DICOM_anon" / self.phase, t2 / "DICOM_anon")]
        grounds = t1 / "Ground", t2 / "Ground"
        return [*images, *(_files(ground, ".png") if ground.is_dir() else None for ground in grounds)]


class ChaosOutOfPhase(ChaosInPhase):
    """The MR subjects of CHAOS, T1 out of phase and T2."""

    kind: ClassVar[str] = "chaos-out"
    help: ClassVar[str] = "chaos-out:PATH (T1 out of phase)"
    phase: ClassVar[str] = "OutPhase"


# --- the tree -----------------------------------------------------------------------------------------------


def _numbered(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]


def _find(folder: Path) -> Path:
    """The folder with the subjects: this one, or the only such one up to three levels down."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; give the one that CHAOS was unpacked to.")
    if _has_subjects(folder):
        return folder
    below = sorted(path for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern) if path.is_dir())
    folders = [path for path in below if _has_subjects(path)]
    if len(folders) > 1:
        raise DataError(
            f"{folder}: several folders hold MR subjects, {', '.join(map(str, folders))}; give one of them."
        )
    if folders:
        return folders[0]
    raise DataError(
        f"{folder}: no MR subject of CHAOS here or three levels down; a folder with subjects such as 1/T1DUAL and "
        "1/T2SPIR is needed, Train_Sets/MR in the original."
    )


def _has_subjects(folder: Path) -> bool:
    return any((subject / sequence).is_dir() for subject in _numbered(folder) for sequence in _SEQUENCES)


def _files(folder: Path, ending: str) -> list[Path]:
    """Files by the last number in their name, which counts the slices."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; every subject needs T1DUAL and T2SPIR as CHAOS has them.")
    by_number: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() != ending or path.name.startswith("."):
            continue
        digits = re.findall(r"\d+", path.stem)
        if not digits or int(digits[-1]) in by_number:
            raise DataError(f"{path}: its name needs a slice number that no other has, such as IMG-0004-00002{ending}.")
        by_number[int(digits[-1])] = path
    if not by_number:
        raise DataError(f"{folder}: there is no {ending} file in it; copy the data again.")
    return [by_number[number] for number in sorted(by_number)]


def _folds(names: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], ...]:
    if any(name not in names for fold in FOLDS for part in fold for name in part):
        return ()
    return tuple(
        {"train": tuple(name for name in names if name not in test and name not in val), "val": val, "test": test}
        for test, val in FOLDS
    )


# --- one sequence of one subject ----------------------------------------------------------------------------


def _sequence(folder: Path, phase: str) -> tuple[Scan, Scan | None]:
    """The images and labels of SUBJECT/T1DUAL or SUBJECT/T2SPIR, one slice after the other along the patient."""
    dicom, ground = folder / "DICOM_anon" / phase, folder / "Ground"
    files = _files(dicom, ".dcm")
    pictures = [_one_slice(path) for path in files]
    _check_sizes(files, pictures, files[:1] * len(files), pictures[:1] * len(files))
    order, affine = _order(pictures)
    name = folder.name
    if not ground.is_dir():
        return _stacked(pictures, order, affine, name), None
    # The n-th label belongs to the n-th image, whatever their numbers: the two phases of T1 share one set of
    # labels and number their slices alternately.
    paths = _files(ground, ".png")
    if len(paths) != len(files):
        raise DataError(
            f"{ground}: it holds {len(paths)} labels, {dicom} holds {len(files)} slices; every slice needs its "
            "label. Copy the data again."
        )
    masks = [_one_slice(path, mask=True) for path in paths]
    _check_sizes(paths, masks, files, pictures)
    return _stacked(pictures, order, affine, name), _stacked(masks, order, affine, f"{name} labels")


def _stacked(slices: Sequence[Scan], order: Sequence[int], affine: np.ndarray | None, name: str) -> Scan:
    """Lone slices as one stack, turned upright as a series is."""
    rows, columns = slices[0].values.shape[2:]
    grid = StoredGrid.upright((columns, rows, len(order)), affine)
    values, stored = grid.allocate(1, slices[0].values.dtype.type)
    for at, k in enumerate(order):
        stored[0, at] = slices[k].values[0, 0]
    spacing, between = slices[0].spacing, None
    if grid.turned_affine is not None:
        column, row, between = (float(mm) for mm in np.linalg.norm(grid.turned_affine[:3, :3], axis=0))
        spacing = row, column
    return Scan(values, spacing, between, name, "DICOM", (), grid.turned_affine, grid)


def _one_slice(path: Path, mask: bool = False) -> Scan:
    """A file's picture as stored, since a label says nothing of how its image is turned."""
    scan = read_labels(path, LABELS, "Take the PNGs as CHAOS has them.") if mask else read_finite(path)
    if scan.volumes * scan.slices != 1:
        raise DataError(f"{path}: it holds {scan.volumes * scan.slices} pictures; CHAOS has one slice in a file.")
    if scan.stored is None:
        return scan
    return replace(scan, values=scan.stored.as_stored(scan.values), affine=scan.stored.affine, stored=None)


def _check_sizes(paths: Sequence[Path], scans: Sequence[Scan], others: Sequence[Path], wanted: Sequence[Scan]) -> None:
    for path, scan, other, expected in zip(paths, scans, others, wanted, strict=True):
        sizes = [" x ".join(map(str, item.values.shape[2:])) for item in (scan, expected)]
        if sizes[0] != sizes[1]:
            raise DataError(f"{path}: it has {sizes[0]} pixels, {other} has {sizes[1]}; they need the same.")


def _order(pictures: Sequence[Scan]) -> tuple[list[int], np.ndarray | None]:
    """Order along the patient, as readers.read orders a series, and the affine of the stack.

    Without geometry in the headers, or if slices are not parallel: the order of the file numbers, and None.
    """
    affines = [picture.affine for picture in pictures if picture.affine is not None]
    if len(affines) < len(pictures):
        return list(range(len(pictures))), None
    first = affines[0]
    if any(not np.allclose(affine[:3, :2], first[:3, :2], rtol=0, atol=1e-3) for affine in affines):
        return list(range(len(pictures))), None
    heights = np.array([affine[:3, 3] for affine in affines]) @ slice_normal(first)
    order = [int(k) for k in np.argsort(heights, kind="stable")]
    affine = affines[order[0]].copy()
    if len(order) > 1:
        affine[:, 2] = (affines[order[-1]] - affine)[:, 3] / (len(order) - 1)
    return order, affine

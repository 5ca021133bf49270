"""Abdominal MR of the CHAOS challenge, in its original folder structure.

    SUBJECT/T1DUAL/DICOM_anon/InPhase/*.dcm, OutPhase/*.dcm    SUBJECT/T1DUAL/Ground/*.png
    SUBJECT/T2SPIR/DICOM_anon/*.dcm                            SUBJECT/T2SPIR/Ground/*.png

T1 and T2 are separate acquisitions with different numbers of slices and resolutions, and motion between them. Files
are read one by one, so that a label stays with its slice wherever the geometry puts the slice in the stack, and so
that files which an anonymiser put into separate series can be read too.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from dafnet_core.data.config import DataConfig
from dafnet_core.data.formats.scan import Scan
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.source import FileSource
from dafnet_core.data.studies import (
    DataError,
    Stack,
    Study,
    join,
    prepare_stack,
    read_finite,
    reading,
    slice_normal,
)

MODALITIES = ("T1", "T2")
CLASSES = ("background", "liver", "right kidney", "left kidney", "spleen")
PUBLISHED_SPACING = 1.89  # mm per pixel of the paper's grid
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
        folder: the one with the numbered subjects, or one that holds it up to two levels down.
    """

    kind: ClassVar[str] = "chaos"
    help: ClassVar[str] = "chaos:PATH (T1 in phase)"
    phase: ClassVar[str] = "InPhase"
    licence = "CC BY-NC-SA 4.0 (as the challenge states it; check the terms that came with your copy)"
    modalities = MODALITIES
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

    def study(self, name: str, preparation: Preparation) -> Study:
        """Read one subject.

        Raises:
            DataError: files missing, or labels that do not fit their images.
        """
        t1, t2 = (self._subjects[name] / sequence for sequence in _SEQUENCES)
        stacks = [_stack(t1, self.phase, preparation), _stack(t2, "", preparation)]
        return join(name, stacks, registered=False)


class ChaosOutOfPhase(ChaosInPhase):
    """The MR subjects of CHAOS, T1 out of phase and T2."""

    kind: ClassVar[str] = "chaos-out"
    help: ClassVar[str] = "chaos-out:PATH (T1 out of phase)"
    phase: ClassVar[str] = "OutPhase"


# --- the tree -----------------------------------------------------------------------------------------------


def _numbered(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]


def _find(folder: Path) -> Path:
    """The folder with the subjects: this one, or the only such one up to two levels down."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; give the one that CHAOS was unpacked to.")
    if _has_subjects(folder):
        return folder
    below = sorted(path for pattern in ("*", "*/*") for path in folder.glob(pattern) if path.is_dir())
    folders = [path for path in below if _has_subjects(path)]
    if len(folders) > 1:
        raise DataError(
            f"{folder}: several folders hold MR subjects, {', '.join(map(str, folders))}; give one of them."
        )
    if folders:
        return folders[0]
    raise DataError(
        f"{folder}: no MR subject of CHAOS here or two levels down; a folder with subjects such as 1/T1DUAL and "
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


def _stack(folder: Path, phase: str, preparation: Preparation) -> Stack:
    """Read and prepare folder, SUBJECT/T1DUAL or SUBJECT/T2SPIR."""
    dicom, ground = folder / "DICOM_anon" / phase, folder / "Ground"
    files = _files(dicom, ".dcm")
    pictures = [_one_slice(path) for path in files]
    _check_sizes(files, pictures, files[:1] * len(files), pictures[:1] * len(files))
    order, affine = _order(pictures)
    labels = None
    if ground.is_dir():
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
        labels = [masks[k].slice() for k in order]
    with reading(ground, "Take the PNGs as CHAOS has them."):
        return prepare_stack([[pictures[k].slice() for k in order]], labels, affine, preparation, LABELS)


def _one_slice(path: Path, mask: bool = False) -> Scan:
    scan = read_finite(path, mask=mask)
    if scan.volumes * scan.slices != 1:
        raise DataError(f"{path}: it holds {scan.volumes * scan.slices} pictures; CHAOS has one slice in a file.")
    return scan


def _check_sizes(paths: Sequence[Path], scans: Sequence[Scan], others: Sequence[Path], wanted: Sequence[Scan]) -> None:
    for path, scan, other, expected in zip(paths, scans, others, wanted, strict=True):
        sizes = [" x ".join(map(str, item.values.shape[2:])) for item in (scan, expected)]
        if sizes[0] != sizes[1]:
            raise DataError(f"{path}: it has {sizes[0]} pixels, {other} has {sizes[1]}; they need the same.")


def _order(pictures: Sequence[Scan]) -> tuple[list[int], np.ndarray | None]:
    """Order along the patient, as readers.read orders a series, and the first slice's affine.

    Without geometry in the headers, or if slices are not parallel: the order of the file numbers, and None.
    """
    affines = [picture.affine for picture in pictures if picture.affine is not None]
    if len(affines) < len(pictures):
        return list(range(len(pictures))), None
    first = affines[0]
    if any(not np.allclose(affine[:3, :2], first[:3, :2], rtol=0, atol=1e-3) for affine in affines):
        return list(range(len(pictures))), None
    heights = np.array([picture.slice().centre for picture in pictures]) @ slice_normal(first)
    order = [int(k) for k in np.argsort(heights, kind="stable")]
    return order, affines[order[0]]

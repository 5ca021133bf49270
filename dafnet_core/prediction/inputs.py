"""Subjects to predict, as the command line names them: a data set, or a file for each modality. No mask is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.formats.orientation import StoredGrid
from dafnet_core.data.formats.scan import Scan
from dafnet_core.data.nnunet import NnUNet
from dafnet_core.data.nnunet_images import image_files, read_image
from dafnet_core.data.placement import Placement
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.readers import read
from dafnet_core.data.source import DataSource
from dafnet_core.data.sources import open_source, source_class
from dafnet_core.data.studies import DataError, Stack, StudyLike, prepare_stacks, read_finite, reading

_SKIPPED = {"dicomdir"}  # in folders of a series


@dataclass(frozen=True)
class Inputs:
    """Subjects to predict.

    Attributes:
        about: what a record says of the data: names without folders.
        names: of the subjects.
        stacks: reads one: its prepared stacks by index of the modality in the checkpoint, in one frame; raises
            ValueError.
    """

    about: dict[str, Any]
    names: tuple[str, ...]
    stacks: Callable[[str], dict[int, Stack]]


def open_inputs(
    words: Sequence[str],
    checkpoint: Checkpoint,
    *,
    images: str = "imagesTr",
    split: str = "all",
    subjects: Sequence[str] = (),
) -> Inputs:
    """Subjects named as on the command line.

    Args:
        words: one data set as for `open_source`, or MODALITY=FILE for one or more modalities of the checkpoint; FILE
            may be a folder with the files of one DICOM series.
        images: folder of an nnU-Net folder's images, imagesTr or imagesTs.
        split: train, val, test or all, by the split stored in the checkpoint; subjects that it does not name are test.
        subjects: names of those wanted; () for all.

    Raises:
        ValueError: naming what was found and what was expected.
    """
    files = _files(words, checkpoint.config.modalities)
    if files:
        if split != "all" or images != "imagesTr":
            raise ValueError("--split and --images choose subjects of a data set; leave them out for single files")
        return _single(files, checkpoint, subjects)
    (spec,) = words
    if images != "imagesTr" and source_class(spec) is not NnUNet:
        raise ValueError(f"--images is {images}, which only an nnU-Net folder has; --data is {spec}")
    inputs = _folder(spec, images, checkpoint) if source_class(spec) is NnUNet else _source(spec, checkpoint)
    names = inputs.names
    if missing := [name for name in subjects if name not in names]:
        raise ValueError(f"{spec} has no subject {missing[0]!r}; it has {_some(names)}")
    seen = checkpoint.training.split.seen()
    if split != "all":
        names = tuple(name for name in names if seen.get(name, "test") == split)
    names = tuple(name for name in names if not subjects or name in subjects)
    if not names:
        raise ValueError(f"{spec}: no subject belongs to the checkpoint's {split} part; choose another --split")
    return Inputs({**inputs.about, "split": split}, names, inputs.stacks)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


# --- files ----------------------------------------------------------------------------------------------------


def _files(words: Sequence[str], modalities: Sequence[str]) -> dict[int, Path]:
    """Files by index of the modality; {} if the words name a data set."""
    known = {name.casefold(): n for n, name in enumerate(modalities)}
    found: dict[int, Path] = {}
    for word in words:
        name, separator, path = word.partition("=")
        if not separator or name.casefold() not in known:
            if len(words) == 1 and (not separator or ":" in name or Path(word).exists()):
                return {}
            raise ValueError(
                f"--data is {word!r}; expected one data set, or MODALITY=FILE with MODALITY one of "
                f"{', '.join(modalities)}"
            )
        if known[name.casefold()] in found:
            raise ValueError(f"--data names {name} twice; give one file for each modality")
        found[known[name.casefold()]] = Path(path)
    return dict(sorted(found.items()))


def _single(files: Mapping[int, Path], checkpoint: Checkpoint, subjects: Sequence[str]) -> Inputs:
    first = next(iter(files.values())).resolve()
    name = first.name if first.is_dir() else first.name.partition(".")[0]
    name = (subjects[0] if subjects else name).strip(". ") or "subject"
    if len(subjects) > 1 or "/" in name:
        raise ValueError(f"--subjects is {' '.join(subjects)}; for single files, give one name, of a folder in --out")

    def stacks(_: str) -> dict[int, Stack]:
        scans = {m: _scan(path) for m, path in files.items()}
        return _prepared(scans, first.parent, checkpoint.preparation)

    about = {checkpoint.config.modalities[m]: path.resolve().name for m, path in files.items()}
    return Inputs({"source": "files", "files": about}, (name,), stacks)


def _prepared(scans: Mapping[int, Scan], folder: Path, preparation: Preparation) -> dict[int, Stack]:
    with reading(folder):
        stacks = prepare_stacks(list(scans.values()), [None] * len(scans), preparation, {})
    return dict(zip(scans, stacks, strict=True))


def _scan(path: Path) -> Scan:
    if not path.exists():
        raise DataError(f"{path}: there is no such file; give an image, or a folder with one DICOM series.")
    if not path.is_dir():
        return read_finite(path)
    inside = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    inside = [p for p in inside if p.name.casefold() not in _SKIPPED]
    if not inside:
        raise DataError(f"{path}: there is no file in it; give the folder with the files of one DICOM series.")
    with reading(path):
        return read(*inside)


# --- data sets ------------------------------------------------------------------------------------------------


def _chosen(there: Sequence[str], checkpoint: Checkpoint, where: object) -> dict[int, str]:
    """Those of the modalities there are that the checkpoint knows: their names there by its index."""
    known = {name.casefold(): n for n, name in enumerate(checkpoint.config.modalities)}
    chosen = {known[name.casefold()]: name for name in there if name.casefold() in known}
    if not chosen:
        raise DataError(
            f"{where}: it has {', '.join(there)}; the checkpoint knows {', '.join(checkpoint.config.modalities)}, and "
            "at least one of them is needed."
        )
    return dict(sorted(chosen.items()))


def _folder(spec: str, images: str, checkpoint: Checkpoint) -> Inputs:
    path = Path(spec.removeprefix(f"{NnUNet.kind}:"))
    if not path.is_dir():
        raise DataError(f"data is {spec!r}; expected a data set, or MODALITY=FILE; there is no such folder")
    cases = image_files(path, images)
    _chosen(list(dict.fromkeys(channel for files in cases.values() for channel in files)), checkpoint, path / images)

    def stacks(name: str) -> dict[int, Stack]:
        chosen = _chosen(list(cases[name]), checkpoint, path / images / name)
        scans = {m: read_image(cases[name][channel], name) for m, channel in chosen.items()}
        return _prepared(scans, path / images, checkpoint.preparation)

    return Inputs({"source": NnUNet.kind, "name": path.resolve().name, "images": images}, tuple(cases), stacks)


def _source(spec: str, checkpoint: Checkpoint) -> Inputs:
    source = open_source(spec)
    chosen = _chosen(source.modalities, checkpoint, spec)

    def stacks(name: str) -> dict[int, Stack]:
        read_stacks: Any = getattr(source, "stacks", None)
        made = read_stacks(name, checkpoint.preparation) if read_stacks else _generated(source, name, checkpoint)
        by_name = dict(zip(source.modalities, made, strict=True))
        return {m: by_name[there] for m, there in chosen.items()}

    return Inputs({"source": source.kind, "name": source.public_name}, source.names(), stacks)


def _generated(source: DataSource, name: str, checkpoint: Checkpoint) -> list[Stack]:
    """The stacks of a subject without files, which lies on the model's grid."""
    study, preparation = source.study(name, checkpoint.preparation), checkpoint.preparation
    return [_generated_stack(study, m, source.modalities[m], preparation) for m in range(len(source.modalities))]


def _generated_stack(study: StudyLike, m: int, modality: str, preparation: Preparation) -> Stack:
    frames, slices = study.images[m].shape[:2]
    images = np.stack([np.stack([study.images[m][f, k] for k in range(slices)]) for f in range(frames)])
    grid, heights = (preparation.height, preparation.width), study.positions[m]
    spacing = None if preparation.spacing is None else (preparation.spacing, preparation.spacing)
    between = float(np.diff(heights).mean()) if slices > 1 else None
    scan = Scan(images, spacing, between, modality, "generated", (), None, StoredGrid((grid[1], grid[0], slices)))
    placement = Placement.upright(grid, grid, (1, 1), (0, 0))
    return Stack(images, None, heights, (placement,) * slices, scan)

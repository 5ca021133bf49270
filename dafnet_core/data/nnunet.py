"""nnU-Net v2 data sets as sources of data.

An nnU-Net v2 folder holds dataset.json, imagesTr/CASE_000i.ENDING for channel i, and labelsTr/CASE.ENDING for all
channels of a case, which lie on one grid. Our extension: labelsTr/CASE_000i.ENDING is the mask of channel i in
that channel's own frame, and then channels may differ in all but the subject.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from dafnet_core.data.config import DataConfig
from dafnet_core.data.formats.scan import Scan
from dafnet_core.data.frame import extent, grid_distance, same_grid
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.source import FileSource
from dafnet_core.data.studies import DataError, Stack, Study, join, prepare_stacks, read_finite, read_labels, reading


@dataclass(frozen=True)
class _Dataset:
    """What dataset.json says: channels by number, class of each label value, the files' ending."""

    name: str
    licence: str
    channels: dict[int, str]
    classes: tuple[str, ...]
    table: dict[int, int]
    ending: str


@dataclass(frozen=True)
class _Case:
    """The files of one subject: an image a modality; one label file for all of them, or one each, or none."""

    name: str
    images: tuple[Path, ...]
    labels: tuple[Path | None, ...]
    label: Path | None


class NnUNet(FileSource):
    """The training cases of an nnU-Net v2 folder.

    Args:
        folder: the one that holds dataset.json.
        modalities: names of two or more of its channels, in the order wanted; () takes all.

    Raises:
        DataError: a folder or description that cannot be used; it names the file and the remedy.
    """

    kind: ClassVar[str] = "nnunet"
    help: ClassVar[str] = "an nnU-Net v2 folder"
    own_options: ClassVar[frozenset[str]] = FileSource.own_options | {"modalities"}

    def __init__(self, folder: Path, modalities: Sequence[str] = ()) -> None:
        folder = Path(folder)
        dataset = _dataset(folder / "dataset.json")
        channels = _chosen(dataset.channels, modalities, folder / "dataset.json")
        self._cases = {case.name: case for case in _cases(folder, dataset, channels)}
        self._table = dataset.table
        cases = self._cases.values()
        self.registered = any(case.label for case in cases) and not any(any(case.labels) for case in cases)
        self.licence, self.classes = dataset.licence, dataset.classes
        self.modalities = tuple(dataset.channels[channel] for channel in channels)
        super().__init__(str(folder), dataset.name, _folds(folder / "splits_final.json", list(self._cases)))

    @classmethod
    def open(cls, spec: str, modalities: tuple[str, ...] = ()) -> Self:
        path = Path(spec.removeprefix(f"{cls.kind}:"))
        if not path.is_dir():
            raise DataError(f"data is {spec!r}; expected phantom, chaos:PATH, chaos-out:PATH, or {cls.help}")
        return cls(path, modalities)

    @classmethod
    def for_training(cls, config: DataConfig, seed: int) -> Self:
        return cls.open(config.source, config.modalities)

    def names(self) -> tuple[str, ...]:
        return tuple(self._cases)

    def study(self, name: str, preparation: Preparation) -> Study:
        """Read one case; raises DataError for a file that cannot be used, naming it and the remedy."""
        return join(name, self.stacks(name, preparation))

    def stacks(self, name: str, preparation: Preparation) -> list[Stack]:
        """The modalities of one case, with the way back to their files; errors as in `study`."""
        images, labels = _scans(self._cases[name], self._table, self.registered)
        with reading(self._cases[name].images[0].parents[1], "Correct the files, or take the case away."):
            return prepare_stacks(images, labels, preparation, self._table)

    def ingredients(self, name: str) -> list[Any]:
        case = self._cases[name]
        return [self.registered, list(self._table.items()), case.images, case.labels, case.label]


# --- the description ----------------------------------------------------------------------------------------


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: it cannot be opened ({error.strerror}); give the folder that holds it.") from None
    except ValueError as error:  # broken JSON, or bytes that are no text
        raise DataError(f"{path}: it is not JSON ({error}); correct or write it again.") from None


def _dataset(path: Path) -> _Dataset:
    content = _json(path)
    if not isinstance(content, dict):
        raise DataError(f"{path}: it holds a {type(content).__name__}, an object is needed as nnU-Net v2 has it.")
    wanted = {"channel_names": dict, "labels": dict, "file_ending": str}
    for key, kind in wanted.items():
        if not isinstance(content.get(key), kind) or not content[key]:
            raise DataError(
                f"{path}: {key!r} is {content.get(key)!r}; nnU-Net v2 needs {', '.join(map(repr, wanted))}, such as "
                '{"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "liver": 1}, '
                '"file_ending": ".nii.gz"}.'
            )
    classes, table = _classes(content["labels"], path)
    licence = content.get("licence") or content.get("license") or "not stated"
    return _Dataset(
        name=str(content.get("name") or path.resolve().parent.name),
        licence=str(licence),
        channels=_channels(content["channel_names"], path),
        classes=classes,
        table=table,
        ending=content["file_ending"],
    )


def _channels(names: Mapping[str, Any], path: Path) -> dict[int, str]:
    if not all(re.fullmatch(r"\d{1,4}", key) and isinstance(name, str) for key, name in names.items()):
        raise DataError(f'{path}: channel_names are {dict(names)}; names by number are needed, {{"0": "T1", ...}}.')
    channels = {int(key): name for key, name in sorted(names.items(), key=lambda item: int(item[0]))}
    if len({name.casefold() for name in channels.values()}) < len(names):
        raise DataError(f"{path}: channel_names are {dict(names)}; give each channel a name of its own.")
    return channels


def _classes(labels: Mapping[str, Any], path: Path) -> tuple[tuple[str, ...], dict[int, int]]:
    """Class names in the order of the labels' values, and the class of each value."""
    for name, value in labels.items():
        if isinstance(value, list):
            raise DataError(
                f"{path}: label {name!r} is a region of the values {value}; regions overlap and a pixel has one "
                "class here. Give every value a name of its own."
            )
        if type(value) is not int or value < 0:
            raise DataError(
                f"{path}: label {name!r} has the value {value!r}; values are whole numbers from 0 up, as in "
                '{"background": 0, "liver": 1}.'
            )
        if name == "ignore":
            raise DataError(f"{path}: label 'ignore' marks pixels without truth, which is not supported; relabel them.")
    ordered = sorted(labels, key=labels.__getitem__)
    values = [labels[name] for name in ordered]
    if len(set(values)) < len(values) or len(values) < 2 or values[0] != 0 or ordered[0].lower() != "background":
        raise DataError(
            f"{path}: labels are {dict(labels)}; 'background' with the value 0 is needed, and one or more "
            "others with values of their own."
        )
    return ("background", *ordered[1:]), {value: index for index, value in enumerate(values)}


def _chosen(channels: Mapping[int, str], modalities: Sequence[str], path: Path) -> tuple[int, ...]:
    """Numbers of the wanted channels."""
    known = {name.casefold(): number for number, name in channels.items()}
    there = ", ".join(channels.values())
    for name in modalities:
        if name.casefold() not in known:
            raise DataError(f"{path}: there is no modality {name!r}; choose from {there}.")
    chosen = tuple(known[name.casefold()] for name in modalities) or tuple(channels)
    if len(chosen) < 2 or len(set(chosen)) < len(chosen):
        asked = f"{', '.join(modalities)} asked for" if modalities else "all asked for"
        raise DataError(f"{path}: its modalities are {there}, {asked}; two or more different ones are needed.")
    return chosen


# --- the files ----------------------------------------------------------------------------------------------


def _stems(folder: Path, ending: str) -> list[str]:
    """Names without the ending, sorted; hidden files, such as those that macOS adds, are left out."""
    if not folder.is_dir():
        return []
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    return [name.removesuffix(ending) for name in names if name.endswith(ending)]


def _cases(folder: Path, dataset: _Dataset, channels: Sequence[int]) -> list[_Case]:
    images, labels, ending = folder / "imagesTr", folder / "labelsTr", dataset.ending
    stems = _stems(images, ending)
    for stem in stems:
        if not re.fullmatch(r".+_\d{4}", stem):
            raise DataError(f"{images / (stem + ending)}: no channel number; images are named CASE_0000{ending}.")
    names = sorted({stem[:-5] for stem in stems})
    if not names:
        raise DataError(f"{images}: no case found; images named CASE_0000{ending} are needed there.")

    labelled = set(_stems(labels, ending))
    own = {f"{name}_{channel:04d}" for name in names for channel in dataset.channels} - set(names)
    if orphans := sorted(labelled - own - set(names)):
        raise DataError(
            f"{labels / (orphans[0] + ending)}: labels without an image; imagesTr holds no case of that name. "
            "Add its images or take the labels away."
        )
    return [_case(images, labels, name, ending, channels, set(stems), labelled & (own | {name})) for name in names]


def _case(
    images: Path, labels: Path, name: str, ending: str, channels: Sequence[int], stems: set[str], labelled: set[str]
) -> _Case:
    wanted = [f"{name}_{channel:04d}" for channel in channels]
    for stem in wanted:
        if stem not in stems:
            raise DataError(
                f"{images / (stem + ending)}: there is no such file; every case needs all {len(channels)} modalities. "
                "Add it, take the case away, or choose other modalities."
            )
    each = tuple(labels / (stem + ending) if stem in labelled else None for stem in wanted)
    both = labels / (name + ending) if name in labelled else None
    if both and any(each):
        raise DataError(
            f"{both}: there are labels of single channels as well ({', '.join(path.name for path in each if path)}); "
            "keep one label file for all channels, or one for each."
        )
    return _Case(name, tuple(images / (stem + ending) for stem in wanted), each, both)


# --- a case --------------------------------------------------------------------------------------------------


def _scans(case: _Case, table: Mapping[int, int], registered: bool) -> tuple[list[Scan], list[Scan | None]]:
    """The images of a case, and the labels of each; on one grid if the data are registered."""
    images = [read_finite(path) for path in case.images]
    named = "Correct the labels, or name them in dataset.json."
    shared = read_labels(case.label, table, named) if case.label else None
    labels = [read_labels(path, table, named) if path else shared for path in case.labels]
    paths = [path or case.label for path in case.labels]
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


def _folds(path: Path, names: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], ...]:
    """The splits of splits_final.json; test cases are those that a split names nowhere."""
    if not path.exists():
        return ()
    splits = _json(path)
    if not isinstance(splits, list):
        raise DataError(f"{path}: it holds a {type(splits).__name__}; a list of splits is needed.")
    folds = []
    for number, split in enumerate(splits):
        if not isinstance(split, dict) or not all(isinstance(split.get(part), list) for part in ("train", "val")):
            raise DataError(f'{path}: split {number} is not {{"train": [names], "val": [names]}}; write it so.')
        train, val = split["train"], split["val"]
        if unknown := [name for name in (*train, *val) if name not in names]:
            raise DataError(f"{path}: split {number} names {unknown[0]!r}; there is no such case, correct the split.")
        if twice := sorted({*train} & {*val}):
            raise DataError(f"{path}: split {number} has {twice[0]!r} in train and in val; leave it in one of them.")
        rest = tuple(name for name in names if name not in train and name not in val)
        folds.append({"train": tuple(train), "val": tuple(val), "test": rest})
    return tuple(folds)

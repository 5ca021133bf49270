"""What an nnU-Net v2 folder says and holds: its description, its cases' files and its folds; no image is read."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dafnet_core.data.studies import DataError


@dataclass(frozen=True)
class Dataset:
    """What dataset.json says: channels by number, class of each label value, the files' ending."""

    name: str
    licence: str
    channels: dict[int, str]
    classes: tuple[str, ...]
    table: dict[int, int]
    ending: str


@dataclass(frozen=True)
class Case:
    """The files of one subject: an image a modality; one label file for all of them, or one each, or none."""

    name: str
    images: tuple[Path, ...]
    labels: tuple[Path | None, ...]
    label: Path | None


# --- the description ----------------------------------------------------------------------------------------


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: it cannot be opened ({error.strerror}); give the folder that holds it.") from None
    except ValueError as error:  # broken JSON, or bytes that are no text
        raise DataError(f"{path}: it is not JSON ({error}); correct or write it again.") from None


def read_dataset(path: Path) -> Dataset:
    """What a dataset.json says.

    Raises:
        DataError: it cannot be read or used; the message names the file, the value and the remedy.
    """
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
    return Dataset(
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


def chosen_channels(channels: Mapping[int, str], modalities: Sequence[str], path: Path) -> tuple[int, ...]:
    """Numbers of the wanted channels, by name; all for (). Raises DataError for an unknown one, or fewer than two."""
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


def find_cases(folder: Path, dataset: Dataset, channels: Sequence[int]) -> list[Case]:
    """The cases of imagesTr with the files of the wanted channels, sorted by name.

    Raises:
        DataError: no case, a missing image, or labels that belong to none.
    """
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
) -> Case:
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
    return Case(name, tuple(images / (stem + ending) for stem in wanted), each, both)


def read_folds(path: Path, names: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], ...]:
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

"""What an nnU-Net v2 folder says and holds: its description, its cases' files and its folds; no image is read."""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dafnet_core.data.studies import DataError

_PICTURE_ENDINGS = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".gif")
_VOLUME_ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".dcm", ".npy", ".npz")


@dataclass(frozen=True)
class Dataset:
    """What dataset.json says.

    Attributes:
        name, licence: readable.
        channels: names by number.
        classes: names in the order of their values; table: the class of each label value.
        ending: of the files in imagesTr and labelsTr.
        listed: files by case where they are listed ("dataset"), as they were written; None for imagesTr and labelsTr.
        reader: nnU-Net's reader that the data were written for, such as "NaturalImage2DIO"; "" where it is not said.
        count: how many cases there should be; None where it is not said.
    """

    name: str
    licence: str
    channels: dict[int, str]
    classes: tuple[str, ...]
    table: dict[int, int]
    ending: str
    listed: dict[str, Any] | None = None
    reader: str = ""
    count: Any = None


@dataclass(frozen=True)
class Case:
    """The files of one subject: an image a modality; one label file for all of them, or one each, or none."""

    name: str
    images: tuple[Path, ...]
    labels: tuple[Path | None, ...]
    label: Path | None


# --- the description ----------------------------------------------------------------------------------------


def _json(path: Path) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
            raise DataError(f"{path}: the key {twice!r} appears twice in one object; keep one of them.")
        return found

    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=once)
    except DataError:
        raise
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
    if "channel_names" not in content and "modality" in content:
        raise DataError(
            f"{path}: it has 'modality', as in nnU-Net v1 and the Decathlon, and no 'channel_names'; convert it to "
            'v2 (nnUNetv2_convert_old_nnUNet_dataset), or write "channel_names", "labels" by name and "file_ending".'
        )
    wanted = {"channel_names": dict, "labels": dict} | ({} if content.get("dataset") else {"file_ending": str})
    for key, kind in wanted.items():
        if not isinstance(content.get(key), kind) or not content[key]:
            raise DataError(
                f"{path}: {key!r} is {content.get(key)!r}; nnU-Net v2 needs {', '.join(map(repr, wanted))}, such as "
                '{"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "liver": 1}, '
                '"file_ending": ".nii.gz"}.'
            )
    ending = str(content.get("file_ending", ""))
    if ending and not ending.startswith("."):
        raise DataError(f"{path}: 'file_ending' is {ending!r}; it needs its dot, such as {'.' + ending!r}.")
    classes, table = _classes(content["labels"], path)
    licence = content.get("licence") or content.get("license") or "not stated"
    return Dataset(
        name=str(content.get("name") or path.resolve().parent.name),
        licence=str(licence),
        channels=_channels(content["channel_names"], path),
        classes=classes,
        table=table,
        ending=ending,
        listed=_listed(content["dataset"], path) if "dataset" in content else None,
        reader=str(content.get("overwrite_image_reader_writer") or ""),
        count=content.get("numTraining"),
    )


def _listed(table: Any, path: Path) -> dict[str, Any]:
    """The "dataset" table, checked for its shape but not for its files."""
    example = '{"CASE": {"images": [one path for each channel], "label": path}}'
    if not isinstance(table, dict) or not table:
        raise DataError(f"{path}: 'dataset' is {str(table)[:60]}; {example} is needed, or no such key for imagesTr.")
    for name, files in table.items():
        where = f"{path}: 'dataset' has {name!r}"
        if not name.strip() or re.search(r"[/\\]", name):
            raise DataError(f"{where} as the name of a case; names are shared with a model, so no path: {example}.")
        if not isinstance(files, dict) or not isinstance(files.get("images"), list):
            raise DataError(f"{where} without a list of images; {example} is needed.")
        if unknown := sorted(set(files) - {"images", "label"}):
            raise DataError(f"{where} with the key {unknown[0]!r}, which is not known; {example} is needed.")
        label = files.get("label")
        for file in (*files["images"], *([] if label is None else [label])):
            if not isinstance(file, str) or not file.strip():
                raise DataError(f"{where} with the file {file!r}; a path is needed: {example}.")
    return table


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
    """The cases with the files of the wanted channels, sorted by name: those that dataset.json lists, or of imagesTr.

    Raises:
        DataError: no case, a missing image, or labels that belong to none.
    """
    if dataset.listed is None:
        cases = _cases_of_folders(folder, dataset, channels)
    else:
        cases = _cases_of_table(folder, dataset, dataset.listed, channels)
    folded: dict[str, str] = {}
    for case in cases:
        other = folded.setdefault(case.name.casefold(), case.name)
        if other != case.name:
            raise DataError(
                f"{folder}: the cases {other!r} and {case.name!r} differ in upper and lower case only, which other "
                "file systems do not tell apart; rename one of them."
            )
    return cases


def _cases_of_table(folder: Path, dataset: Dataset, listed: Mapping[str, Any], channels: Sequence[int]) -> list[Case]:
    """The cases of the "dataset" table, whose paths are absolute or begin at the folder of dataset.json."""
    root, path = Path(os.path.abspath(folder)), folder / "dataset.json"
    used: dict[Path, str] = {}

    def found(name: str, file: str) -> Path:
        there = Path(os.path.normpath(root / os.path.expandvars(file.replace("\\", "/"))))
        if not there.is_file():
            raise DataError(
                f"{path}: 'dataset' has the file {file!r} for the case {name!r}, and there is no such file ({there}); "
                "correct the path, which begins at the folder of dataset.json, or take the case away."
            )
        if there in used:
            raise DataError(
                f"{path}: 'dataset' has the file {file!r} for the case {name!r} and already for {used[there]!r}; "
                "give every channel of every case a file of its own."
            )
        used[there] = name
        return there

    cases, numbers = [], list(dataset.channels)
    for name in sorted(listed):
        images, label = listed[name]["images"], listed[name].get("label")
        if len(images) != len(numbers):
            rgb = f" {_RGB}" if len(images) == 1 and _like_colours(dataset, images[0]) else ""
            raise DataError(
                f"{path}: 'dataset' has {len(images)} images for the case {name!r}, and channel_names {len(numbers)}; "
                f"list one image for each channel, in their order.{rgb}"
            )
        files = [found(name, file) for file in images]
        chosen = tuple(files[numbers.index(channel)] for channel in channels)
        cases.append(Case(name, chosen, (None,) * len(channels), None if label is None else found(name, label)))
    return cases


def _cases_of_folders(folder: Path, dataset: Dataset, channels: Sequence[int]) -> list[Case]:
    images, labels, ending = folder / "imagesTr", folder / "labelsTr", dataset.ending
    stems = _stems(images, ending)
    for stem in stems:
        if not re.fullmatch(r".+_\d{4}", stem):
            raise DataError(f"{images / (stem + ending)}: no channel number; images are named CASE_0000{ending}.")
    _check_endings(images, ending, lambda stem: bool(re.fullmatch(r"[^.].*_\d{4}", stem)))
    names = sorted({stem[:-5] for stem in stems})
    if not names:
        raise DataError(f"{images}: no case found; images named CASE_0000{ending} are needed there.{_hint(folder)}")

    labelled = set(_stems(labels, ending))
    own = {f"{name}_{channel:04d}" for name in names for channel in dataset.channels} - set(names)
    _check_endings(labels, ending, (own | set(names)).__contains__)
    if orphans := sorted(labelled - own - set(names)):
        raise DataError(
            f"{labels / (orphans[0] + ending)}: labels without an image; imagesTr holds no case of that name. "
            "Add its images or take the labels away."
        )
    _check_colours(images, dataset, set(stems))
    return [_case(images, labels, name, ending, channels, set(stems), labelled & (own | {name})) for name in names]


def _check_endings(folder: Path, ending: str, belongs: Callable[[str], bool]) -> None:
    """Check that no image or label has another ending than dataset.json says: it would be left out without a word.

    Args:
        belongs: whether a name without its ending is that of an image or a label.
    """
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        other = next((e for e in _VOLUME_ENDINGS + _PICTURE_ENDINGS if path.name.lower().endswith(e)), "")
        if other and not path.name.endswith(ending) and belongs(path.name[: -len(other)]):
            raise DataError(
                f"{path}: file_ending of dataset.json is {ending!r}; give all images and labels that ending, in that "
                "spelling and format, or take this file away."
            )


def _hint(folder: Path) -> str:
    """Where the images may be instead."""
    if inner := sorted(path.name for path in (folder / "imagesTr").glob("*") if path.is_dir()):
        return f" It holds the folder {inner[0]!r}: put the files into imagesTr itself, or list them under 'dataset'."
    if inner := sorted(path.parent.name for path in folder.glob("*/imagesTr")):
        return f" There is one in {inner[0]!r}: put dataset.json there and give that folder."
    return ""


_RGB = (
    "Colour pictures (RGB, as nnU-Net's NaturalImage2DIO reads them) are not supported: save each colour as a grey "
    "picture of its own, CASE_0000, CASE_0001 and so on."
)


def _like_colours(dataset: Dataset, file: str) -> bool:
    """Whether one picture may hold all channels."""
    pictures = file.lower().endswith(_PICTURE_ENDINGS)
    return dataset.reader == "NaturalImage2DIO" or (pictures and len(dataset.channels) in (3, 4))


def _check_colours(images: Path, dataset: Dataset, stems: set[str]) -> None:
    """Check that the channels of a case are not the colours of one picture."""
    if len(dataset.channels) > 1 and all(stem.endswith("_0000") for stem in stems):
        first = images / (min(stems) + dataset.ending)
        if _like_colours(dataset, first.name):
            raise DataError(
                f"{first}: every case has one picture for the channels {', '.join(dataset.channels.values())}. {_RGB}"
            )


def count_note(dataset: Dataset, cases: Sequence[Case]) -> tuple[str, ...]:
    """A sentence where numTraining of dataset.json is not the number of cases."""
    if dataset.count is None or dataset.count == len(cases):
        return ()
    return (
        f"numTraining of dataset.json is {str(dataset.count)[:20]}, but there are {len(cases)} cases; all are used",
    )


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
    if not isinstance(splits, list) or not splits:
        what = "an empty list" if splits == [] else f"a {type(splits).__name__}"
        raise DataError(f"{path}: it holds {what}; a list of splits is needed. Without the file they are drawn.")
    folds = []
    for number, split in enumerate(splits):
        if not isinstance(split, dict) or not all(isinstance(split.get(part), list) for part in ("train", "val")):
            raise DataError(f'{path}: split {number} is not {{"train": [names], "val": [names]}}; write it so.')
        train, val = split["train"], split["val"]
        if unknown := [name for name in (*train, *val) if name not in names]:
            raise DataError(f"{path}: split {number} names {unknown[0]!r}; there is no such case, correct the split.")
        if twice := sorted({*train} & {*val}):
            raise DataError(f"{path}: split {number} has {twice[0]!r} in train and in val; leave it in one of them.")
        for part in ("train", "val"):
            if len(set(split[part])) < len(split[part]):
                twice = sorted(name for name in set(split[part]) if split[part].count(name) > 1)
                raise DataError(f"{path}: split {number} has {twice[0]!r} twice in {part}; name it once.")
        rest = tuple(name for name in names if name not in train and name not in val)
        folds.append({"train": tuple(train), "val": tuple(val), "test": rest})
    return tuple(folds)

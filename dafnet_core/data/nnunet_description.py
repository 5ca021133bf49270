"""What the dataset.json of an nnU-Net v2 folder says: channels, classes, and perhaps the files of each case."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dafnet_core.data.studies import DataError, ModalityError

PHANTOM_GENERATOR = "dafnet_core.data.phantom"  # in dataset.json


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
        patients: of each case ("subjects", our extension), where several are of one patient; {} where it is not said.
        phantom_seed: of the phantom that the folder was generated from; None for other data.
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
    patients: Mapping[str, str] = field(default_factory=dict)
    phantom_seed: int | None = None


def read_json(path: Path) -> Any:
    """The content of a JSON file; raises DataError, also for a key that appears twice in one object."""

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
    content = read_json(path)
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
    seed = content.get("seed")
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
        patients=_patients(content["subjects"], path) if "subjects" in content else {},
        phantom_seed=seed if type(seed) is int and content.get("generator") == PHANTOM_GENERATOR else None,
    )


def _patients(table: Any, path: Path) -> dict[str, str]:
    fits = isinstance(table, dict) and all(isinstance(patient, str) and patient.strip() for patient in table.values())
    if not fits or not table:
        raise DataError(
            f"{path}: 'subjects' is {str(table)[:60]}; the patient of each case is needed, "
            '{"CASE": "PATIENT", ...}, or no such key where every case is a patient of its own.'
        )
    return dict(table)


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
            raise ModalityError(f"{path}: there is no modality {name!r}; choose from {there}.")
    chosen = tuple(known[name.casefold()] for name in modalities) or tuple(channels)
    if len(chosen) < 2 or len(set(chosen)) < len(chosen):
        asked = f"{', '.join(modalities)} asked for" if modalities else "all asked for"
        raise DataError(f"{path}: its modalities are {there}, {asked}; two or more different ones are needed.")
    return chosen

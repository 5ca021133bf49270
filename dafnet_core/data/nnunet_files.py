"""What an nnU-Net v2 folder holds: the files of its cases, spacings beside them, and folds; no image is read."""

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dafnet_core.data.formats.scan import Scan
from dafnet_core.data.nnunet_description import Dataset, read_json
from dafnet_core.data.patients import by_pattern
from dafnet_core.data.studies import DataError

_PICTURE_ENDINGS = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".gif")
_VOLUME_ENDINGS = (".nii.gz", ".nii", ".mha", ".mhd", ".nrrd", ".nhdr", ".dcm", ".npy", ".npz")


@dataclass(frozen=True)
class Case:
    """The files of one subject: an image a modality; one label file for all of them, or one each, or none."""

    name: str
    images: tuple[Path, ...]
    labels: tuple[Path | None, ...]
    label: Path | None


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


def case_patients(dataset: Dataset, names: Sequence[str], pattern: str, path: Path) -> dict[str, str]:
    """The patient of each case by name, from dataset.json or a pattern (`patients.by_pattern`); {} from neither.

    Raises:
        DataError: both are given, or the table lacks a case or names another one.
    """
    if pattern and dataset.patients:
        raise DataError(
            f"{path}: 'subjects' names the patients, and so does subject_pattern {pattern!r}; leave one out."
        )
    if dataset.patients:
        if wrong := sorted(set(names) ^ set(dataset.patients)):
            what = "lacks the case" if wrong[0] in names else "names a case that does not exist,"
            raise DataError(f"{path}: 'subjects' {what} {wrong[0]!r}; give the patient of every case and of no other.")
        return {name: dataset.patients[name] for name in names}
    return by_pattern(names, pattern) if pattern else {}


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


# --- spacing of pictures --------------------------------------------------------------------------------------


def with_sidecar(scan: Scan, path: Path, case: Case) -> Scan:
    """A picture with the spacing that CASE.json beside it gives, as nnU-Net's Tiff3DIO reads it; others unchanged.

    The file's "spacing" has the order of the array: mm between slices, rows and columns. Formats with a spacing of
    their own have other JSON files beside them, such as those of BIDS, which are left alone.

    Args:
        scan, path: an image or a label of the case, and where it was read from.

    Raises:
        DataError: a file that gives no spacing, or labels with another one than their image.
    """
    spacing = None if scan.affine is not None or scan.spacing else _sidecar(path, case)
    if spacing is None:
        return scan
    if path not in case.images:
        image = case.images[case.labels.index(path) if path in case.labels else 0]
        there = _sidecar(image, case)
        if there and not all(math.isclose(a, b, rel_tol=1e-3) for a, b in zip(spacing, there, strict=True)):
            raise DataError(
                f"{sidecar_path(path, case)}: its spacing is {list(spacing)} mm, that of the image {list(there)} mm "
                f"({sidecar_path(image, case)}); labels need the grid of their image, correct one of them."
            )
    return replace(scan, spacing=spacing[1:], slice_spacing=spacing[0], affine=None)


def sidecar_path(path: Path, case: Case) -> Path:
    """Where the spacing of a picture of a case would be: CASE.json beside it."""
    ending = next((e for e in _VOLUME_ENDINGS + _PICTURE_ENDINGS if path.name.lower().endswith(e)), path.suffix)
    stem = path.name[: len(path.name) - len(ending)]
    return path.with_name((stem if stem == case.name else re.sub(r"_\d{4}$", "", stem)) + ".json")


def _sidecar(path: Path, case: Case) -> tuple[float, float, float] | None:
    """mm between slices, rows and columns; None without a file."""
    beside = sidecar_path(path, case)
    if not beside.is_file():
        return None
    content = read_json(beside)
    spacing = content.get("spacing") if isinstance(content, dict) else None
    values = spacing if isinstance(spacing, list) else []
    if len(values) != 3 or not all(type(mm) in (int, float) and 0 < mm < math.inf for mm in values):
        raise DataError(
            f'{beside}: its spacing is {spacing!r}; {{"spacing": [slices, rows, columns]}} is needed, three positive '
            "numbers in mm as nnU-Net's Tiff3DIO reads them. Correct the file or take it away."
        )
    return float(values[0]), float(values[1]), float(values[2])

"""The images of an nnU-Net v2 folder alone, for prediction: of imagesTr or imagesTs, with or without labels."""

import re
from pathlib import Path

from dafnet_core.data.formats.scan import Scan
from dafnet_core.data.nnunet_description import Dataset, read_dataset
from dafnet_core.data.nnunet_files import Case, find_cases, with_sidecar
from dafnet_core.data.studies import DataError, read_finite


def image_files(folder: Path, images: str = "imagesTr") -> dict[str, dict[str, Path]]:
    """The images of every case by its name and the name of the channel; cases may lack channels.

    Args:
        folder: the one that holds dataset.json.
        images: of the images, imagesTr or imagesTs; files that dataset.json lists count as imagesTr.

    Raises:
        DataError: a description that cannot be used, no case, or an image that is not named CASE_000i.
    """
    dataset = read_dataset(folder / "dataset.json")
    if dataset.listed is not None and images == "imagesTr":
        channels = tuple(dataset.channels.values())
        cases = find_cases(folder, dataset, tuple(dataset.channels))
        return {case.name: dict(zip(channels, case.images, strict=True)) for case in cases}
    return _in_folder(folder / images, dataset)


def _in_folder(images: Path, dataset: Dataset) -> dict[str, dict[str, Path]]:
    cases: dict[str, dict[str, Path]] = {}
    ending = dataset.ending
    for path in sorted(images.iterdir()) if images.is_dir() else ():
        if path.name.startswith(".") or not ending or not path.name.endswith(ending):
            continue
        named = re.fullmatch(r"(.+)_(\d{4})", path.name.removesuffix(ending))
        if named is None or int(named[2]) not in dataset.channels:
            numbers = ", ".join(f"{number:04d} {name}" for number, name in dataset.channels.items())
            raise DataError(
                f"{path}: its name has no channel of dataset.json ({numbers}); images are named CASE_0000{ending}."
            )
        cases.setdefault(named[1], {})[dataset.channels[int(named[2])]] = path
    if not cases:
        raise DataError(f"{images}: no case found; images named CASE_0000{ending} are needed there.")
    return cases


def read_image(path: Path, case: str) -> Scan:
    """An image of a case, with the spacing beside it if it is a picture; errors as in `read_finite`."""
    return with_sidecar(read_finite(path), path, Case(case, (path,), (None,), None))

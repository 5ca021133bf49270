"""Make an nnU-Net v2 folder of the LGG segmentation data set: python -m tools.prepare_lgg SOURCE OUT [--all]

SOURCE is the data set's folder kaggle_3m: 110 folders TCGA_XX_YYYY_DATE (XX: the institution) with axial slices
..._N.tif, 256 x 256 pixels of three channels (T1 before contrast, FLAIR, T1 after contrast), and ..._N_mask.tif, the
manual outline of the FLAIR abnormality.

1. A patient of whom a sequence is missing is dropped. The source fills such gaps with a copy of FLAIR: dropped is
   who has a channel equal to FLAIR on more than half of the slices (10 of the 110).
2. Of the others up to 5 slices with at least 60 abnormal pixels are kept, and up to 2 with none that show a head
   (FLAIR above 25 on more than 15 % of the pixels), both spread evenly over their candidates in slice order. Of six
   candidates for five places the third is taken twice; of three for two, the second.
3. Images are halved by the mean of 2 x 2 pixels, rounded to whole grey levels; masks where at least half is abnormal.
   Intensities are not changed otherwise: they differ widely between patients.
4. Every third patient of each institution, in the order of the names that step 1 leaves, is left out, for evaluation by
   data that training never saw; --all keeps them. Of the whole source 68 patients should remain, with 473 slices,
   337 of them abnormal: the part that training uses.

Written without the source at hand, from these steps and from that part: that it repeats slices so, and that a count
of patients per institution allows no other third to be left out, could be checked there; how means are rounded, and
that patients are dropped before every third is left out, could not.

OUT gets imagesTr/CASE_0000 (T1), _0001 (FLAIR), _0002 (T1post) and labelsTr/CASE, uint8, axes (column, row, slice).
The source does not state voxel sizes: 1.8 x 1.8 x 6 mm is nominal, the sides of the patient are unknown, and slices
that follow each other here need not be adjacent in the patient.

Licence of the data: treat it as CC BY-NC-SA 4.0 (name the source, not for commerce, share alike), and say so of what
is trained on it. Cite M. Buda, A. Saha, M. A. Mazurowski, "Association of genomic subtypes of lower-grade gliomas with
shape features automatically extracted by a deep learning algorithm", Computers in Biology and Medicine 2019;109. The
images are of The Cancer Imaging Archive's collection TCGA-LGG, DOI 10.7937/K9/TCIA.2016.L4LTD3TK.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image, UnidentifiedImageError

CHANNELS = ("T1", "FLAIR", "T1post")
FLAIR = CHANNELS.index("FLAIR")
CITATION = "Buda, Saha, Mazurowski, Computers in Biology and Medicine 2019;109; images: TCIA, collection TCGA-LGG"
LICENCE = "treat as CC BY-NC-SA 4.0"
SIDE = 256  # pixels, in the source
SPACING_MM = (1.8, 1.8, 6.0)  # nominal
ABNORMAL_PIXELS = 60  # at least, in a slice taken as abnormal
ABNORMAL_SLICES, CLEAR_SLICES = 5, 2  # at most, of a patient
HEAD_LEVEL, HEAD_SHARE = 25, 0.15  # FLAIR is above this level on more than this share of a slice that shows a head

_PATIENT = re.compile(r"TCGA_([A-Z0-9]{2})_[A-Z0-9]{4}_\d{8}")


@dataclass(frozen=True)
class Case:
    """What is kept of one patient."""

    name: str
    images: np.ndarray  # (3, 128, 128, slices) uint8, axes (channel, column, row, slice)
    label: np.ndarray  # (128, 128, slices) uint8, 1 where abnormal


def find_patients(source: Path) -> list[Path]:
    """The patients' folders in the order of their names.

    Raises:
        ValueError: this is not the data set's folder.
    """
    if not source.is_dir():
        raise ValueError(f"{source} is not a folder; expected the data set's folder kaggle_3m")
    found = sorted(path for path in source.iterdir() if path.is_dir() and _PATIENT.fullmatch(path.name))
    if found:
        return found
    inner = source / "kaggle_3m"
    remedy = f"give {inner}" if inner.is_dir() else "expected the data set's folder kaggle_3m"
    raise ValueError(f"{source} has no folders named like TCGA_CS_4941_19960909; {remedy}")


def read_patient(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """All slices by number: images (N, 256, 256, 3) uint8 and masks (N, 256, 256) bool, rows first.

    Raises:
        ValueError: a slice is missing, has no mask, or is not what the source has; the message names the file.
    """
    pattern = re.compile(rf"{folder.name}_(\d+)\.tif")
    numbers = sorted(int(match[1]) for path in folder.iterdir() if (match := pattern.fullmatch(path.name)))
    if not numbers:
        raise ValueError(f"{folder} has no slices; expected {folder.name}_1.tif and so on")
    images = [_read(folder / f"{folder.name}_{n}.tif", (SIDE, SIDE, len(CHANNELS))) for n in numbers]
    masks = [_read(folder / f"{folder.name}_{n}_mask.tif", (SIDE, SIDE)) for n in numbers]
    return np.stack(images), np.stack(masks) > 0


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        pixels = np.asarray(Image.open(path))
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing; the folder is not complete") from error
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise ValueError(f"{path} is {pixels.shape} {pixels.dtype}; expected {shape} uint8")
    return pixels


def sequence_missing(images: np.ndarray) -> bool:
    """Whether T1 or T1post is a copy of FLAIR on more than half of the slices (N, H, W, 3)."""
    same = (images == images[..., FLAIR : FLAIR + 1]).all(axis=(1, 2))  # (N, 3)
    return bool((np.delete(same, FLAIR, axis=1).mean(axis=0) > 0.5).any())


def choose_slices(images: np.ndarray, masks: np.ndarray) -> list[int]:
    """Which slices to keep, in rising order; one can come twice.

    Args:
        images, masks: (N, 256, 256, 3) uint8 and (N, 256, 256) bool.
    """
    area = masks.sum(axis=(1, 2))
    head = (images[..., FLAIR] > HEAD_LEVEL).mean(axis=(1, 2)) > HEAD_SHARE
    abnormal = spread(np.flatnonzero(area >= ABNORMAL_PIXELS), ABNORMAL_SLICES)
    return sorted(abnormal + spread(np.flatnonzero((area == 0) & head), CLEAR_SLICES))


def spread(candidates: Sequence[int] | np.ndarray, count: int) -> list[int]:
    """At most `count` of the candidates, evenly and away from both ends; all where there are no more."""
    if len(candidates) <= count:
        return [int(candidate) for candidate in candidates]
    # Halves round to the even number, so that places can coincide where there is one candidate more than places.
    places = np.round(np.linspace(0, len(candidates) - 1, count + 2)[1:-1]).astype(int)
    return [int(candidates[place]) for place in places]


def halve(pixels: np.ndarray) -> np.ndarray:
    """Mean of 2 x 2 pixels: (N, H, W) to float (N, H / 2, W / 2)."""
    n, h, w = pixels.shape
    return pixels.reshape(n, h // 2, 2, w // 2, 2).mean(axis=(2, 4))


def make_case(folder: Path) -> Case | None:
    """One patient, or None where a sequence is missing or no slice qualifies."""
    images, masks = read_patient(folder)
    if sequence_missing(images) or not (chosen := choose_slices(images, masks)):
        return None
    small = [np.round(halve(images[chosen, :, :, c])).astype(np.uint8).T for c in range(len(CHANNELS))]
    return Case(folder.name, np.stack(small), (halve(masks[chosen]) >= 0.5).astype(np.uint8).T)


def keep_for_training(names: Sequence[str]) -> list[str]:
    """All names but the third, sixth, ... of each institution, sorted."""
    groups = defaultdict(list)
    for name in sorted(names):
        groups[name.split("_")[1]].append(name)
    return sorted(name for group in groups.values() for place, name in enumerate(group) if place % 3 != 2)


def write_cases(out: Path, cases: Sequence[Case]) -> None:
    """Write an nnU-Net v2 folder; the caller has made sure that nothing is in it."""
    for folder in ("imagesTr", "labelsTr"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for case in cases:
        for channel, volume in enumerate(case.images):
            _write(out / "imagesTr" / f"{case.name}_{channel:04d}.nii.gz", volume)
        _write(out / "labelsTr" / f"{case.name}.nii.gz", case.label)
    description = {
        "channel_names": {str(index): name for index, name in enumerate(CHANNELS)},
        "labels": {"background": 0, "abnormality": 1},
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
        "licence": LICENCE,
        "citation": CITATION,
    }
    (out / "dataset.json").write_text(json.dumps(description, indent=1) + "\n")


def _write(path: Path, volume: np.ndarray) -> None:
    image = nibabel.Nifti1Image(volume, np.diag([*SPACING_MM, 1.0]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def prepare(source: Path, out: Path, *, everyone: bool = False) -> str:
    """Read all of SOURCE, then write OUT; returns what was done, for a person to read.

    Raises:
        ValueError: OUT has something in it, or SOURCE is not the data set. Nothing is written then.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not an empty folder; choose a new one or empty it")
    patients = find_patients(source)
    made = {folder.name: make_case(folder) for folder in patients}
    usable = {name: case for name, case in made.items() if case is not None}
    kept = sorted(usable) if everyone else keep_for_training(usable)
    if not kept:
        raise ValueError(f"{source}: a sequence or every slice is missing of all {len(patients)} patients")
    cases = [usable[name] for name in kept]
    write_cases(out, cases)
    abnormal = sum(int(case.label.any(axis=(0, 1)).sum()) for case in cases)
    dropped = [name for name, case in made.items() if case is None]
    return "\n".join(
        [
            f"{len(patients)} patients found, {len(cases)} written to {out}",
            f"dropped, a sequence is missing or no slice qualifies: {len(dropped)} ({', '.join(dropped) or 'none'})",
            f"left out, every third of an institution: {len(usable) - len(cases)}",
            f"slices: {sum(case.label.shape[-1] for case in cases)}, of which abnormal: {abnormal}",
            f"licence of the data: {LICENCE}; cite {CITATION}",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.prepare_lgg",
        description=f"Make an nnU-Net v2 folder of the LGG segmentation data set. Its licence: {LICENCE}.",
    )
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the data set's folder kaggle_3m")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write, new or empty")
    parser.add_argument("--all", action="store_true", help="keep every third patient of an institution too")
    options = parser.parse_args(arguments)
    try:
        print(prepare(options.source, options.out, everyone=options.all))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

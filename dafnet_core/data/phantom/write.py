"""Phantom subjects written as an nnU-Net v2 folder."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from dafnet_core.data.nnunet_description import PHANTOM_GENERATOR
from dafnet_core.data.phantom.constants import CINE, CLASSES, MODALITIES, SLICE_DISTANCE_MM, case_name
from dafnet_core.data.phantom.difficulty import VERSIONS
from dafnet_core.data.phantom.draw import phase_duration_ms
from dafnet_core.data.phantom.generator import check_arguments, generate


def write_folder(
    out: Path, subjects: int, seed: int, *, difficulty: str, size: int, slices: int, phases: int = 1
) -> None:
    """Write subjects as an nnU-Net v2 data set; labelsTr has one mask per modality, which extends the format.

    With more than one phase the cine's images are (x, y, slice, phase), and its masks those of the first phase.

    Raises:
        ValueError: the folder has something in it, or an argument is out of its range.
    """
    if subjects < 1:
        raise ValueError(f"subjects is {subjects}; expected 1 or more")
    check_arguments(seed, 0, 0, size, slices, difficulty, phases)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists and is not an empty folder; choose a new one or empty it")
    for folder in ("imagesTr", "labelsTr"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for subject in range(subjects):
        stack = [
            generate(seed, subject, k, size=size, slices=slices, difficulty=difficulty, phases=phases)
            for k in range(slices)
        ]
        step = phase_duration_ms(seed, subject, difficulty, phases)
        for modality in range(len(MODALITIES)):
            moving = modality == CINE and phases > 1
            images = [pair.frames if moving else pair.images[modality] for pair in stack]
            name = f"{case_name(seed, subject)}_{modality:04d}.nii.gz"
            _write_nifti(out / "imagesTr" / name, images, stack[0].spacing, step)
            _write_nifti(out / "labelsTr" / name, [pair.masks[modality] for pair in stack], stack[0].spacing, step)
    description = {
        "name": "phantom",
        "channel_names": {str(index): name for index, name in enumerate(MODALITIES)},
        "labels": {name: index for index, name in enumerate(CLASSES)},
        "numTraining": subjects,
        "file_ending": ".nii.gz",
        "labels_per_modality": True,  # labelsTr/CASE_000i is the mask in the frame of imagesTr/CASE_000i
        "generator": PHANTOM_GENERATOR,
        "generator_version": VERSIONS[difficulty],
        "seed": seed,
        "difficulty": difficulty,
    }
    if phases > 1:
        description["phases"] = {MODALITIES[CINE]: phases}
    (out / "dataset.json").write_text(json.dumps(description, indent=2) + "\n")


def _write_nifti(path: Path, slices: list[np.ndarray], spacing: float, step: float) -> None:
    """Stack slices along z with columns towards the patient's left and rows towards posterior.

    Args:
        slices: (H, W) each, or (P, H, W): then the phases become the fourth axis.
        spacing: mm per pixel.
        step: ms from phase to phase.
    """
    import nibabel  # here alone: generating does not need it

    # NIfTI's first axes point right and anterior where positive: hence the transposition and the signs.
    volume = np.stack([pixels.T for pixels in slices], axis=2)  # (W, H, slices) or (W, H, slices, P)
    image = nibabel.Nifti1Image(volume, np.diag([-spacing, -spacing, SLICE_DISTANCE_MM, 1.0]))
    image.header.set_xyzt_units("mm")
    if volume.ndim == 4:
        image.header.set_zooms((spacing, spacing, SLICE_DISTANCE_MM, step))
        image.header.set_xyzt_units("mm", "msec")
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=6, mtime=0))  # no clock: same bytes again

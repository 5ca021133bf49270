"""The files of a predicted subject: NIfTI volumes, a table of z, and a JSON that says how all of them were made."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

import dafnet_core
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.formats.scan import Scan
from dafnet_core.prediction.slices import MAIN, WHAT, Layer, PredictedSubject
from dafnet_core.prediction.volumes import FileGrid, displacement, nifti, on_file_grid

RECORD = "prediction.json"
FORMAT = 1  # of RECORD, under the key `dafnet_prediction`


def settings_of(checkpoint: Checkpoint, what: Sequence[str] = tuple(WHAT)) -> dict[str, Any]:
    """What a prediction depends on besides the data: JSON that says which checkpoint, prepared how, predicts what."""
    return {
        "checkpoint": {
            "digest": checkpoint.digest,
            "method": checkpoint.method_name,
            "modalities": list(checkpoint.config.modalities),
        },
        "preparation": checkpoint.preparation.to_dict(),
        "settings": {
            "what": [name for name in WHAT if name in what],
            "pairing": checkpoint.training.option("pairing", "expert"),
            "candidates": checkpoint.config.candidates,
            "volume": 1,
        },
        "versions": {
            "dafnet": dafnet_core.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def content_digest(scans: Mapping[int, Scan]) -> str:
    """Identifies the images of a subject by modality, and where they lie: 32 hex digits."""
    seen = hashlib.blake2b(digest_size=16)
    for modality, scan in sorted(scans.items()):
        grid = FileGrid.of(scan)
        about = modality, scan.values.shape, grid.stored.axes, grid.stored.flips, grid.affine.tolist()
        seen.update(repr(about).encode())
        seen.update(np.ascontiguousarray(scan.values).data)
    return seen.hexdigest()


def file_names(modalities: Sequence[str]) -> dict[str, str]:
    """How each modality is written in names of files: without letters that file systems refuse, and all different."""
    names: dict[str, str] = {}
    for number, modality in enumerate(modalities):
        name = re.sub(r"[^\w-]+", "_", modality).strip("_") or f"modality{number}"
        taken = {n.casefold() for n in names.values()}
        names[modality] = f"{name}_{number}" if name.casefold() in taken else name
    return names


def files(found: PredictedSubject, record: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a subject's files one by one; RECORD is the last.

    Args:
        found: the subject.
        record: what RECORD says besides, such as `settings_of` gives it.
    """
    names = file_names(found.method.modalities)
    short = {m: names[found.method.modalities[m]] for m in found.stacks}
    outputs: dict[str, str] = {}
    volumes: dict[int, dict[str, float]] = {}
    for m, layers in found.layers.items():
        grid = FileGrid.of(found.stacks[m].scan)
        for key, layer in layers.items():
            values = on_file_grid(layer, found.stacks[m])
            if key == MAIN and found.stacks[m].scan.spacing is not None:
                counts = np.bincount(values.ravel(order="K"), minlength=len(found.method.classes))
                millilitres = (round(float(n) * grid.voxel_ml, 4) for n in counts)
                volumes[m] = dict(zip(found.method.classes, millilitres, strict=True))
            name = f"{short[m]}_{_named(key, names)}.nii.gz"
            outputs[name] = f"{found.method.modalities[m]}: {_about(found, m, layer)}"
            yield name, nifti(values, grid, unit=layer.unit)
    for (fixed, moving), planes in found.warps.items():
        name = f"{short[fixed]}_warp_from_{short[moving]}.nii.gz"
        first, second = (found.method.modalities[m] for m in (fixed, moving))
        outputs[name] = (
            f"displacement field for ITK on the voxels of {first}, mm in LPS: resampling {second} by it gives {second} "
            f"on {first}; it leads into the slice of {second} that was paired, so it may cross slices; 0 where none was"
        )
        field = displacement(found.stacks[fixed], found.stacks[moving], planes)
        yield name, nifti(field, FileGrid.of(found.stacks[fixed].scan), vector=True)
    if found.factors:
        outputs["z.csv"] = "mean and variance of z of each slice; `slice` counts from 0 along `axis` of the file"
        yield "z.csv", z_table(found).encode()
    modalities = {found.method.modalities[m]: _modality(found, m, volumes.get(m)) for m in sorted(found.stacks)}
    about = {
        "dafnet_prediction": FORMAT,
        "subject": found.name,
        **record,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "classes": {str(n): name for n, name in enumerate(found.method.classes)},
        "modalities": modalities,
        "notes": notes_of(found),
        "outputs": outputs,
    }
    yield RECORD, (json.dumps(about, indent=1) + "\n").encode()


def _named(key: str, names: Mapping[str, str]) -> str:
    """The name of a layer, with the other modality as file names have it."""
    kind, separator, other = key.partition("_from_")
    return f"{kind}{separator}{names[other]}" if separator else key


def _about(found: PredictedSubject, m: int, layer: Layer) -> str:
    missing = found.stacks[m].scan.slices - len(layer.planes)
    return layer.about + (f"; empty in the {missing} slices without that partner" if missing else "")


def _modality(found: PredictedSubject, m: int, volumes: Mapping[str, float] | None) -> dict[str, Any]:
    scan = found.stacks[m].scan
    grid = FileGrid.of(scan)
    alone = [grid.stored_slice(k) for k in found.alone(m)]
    return {
        "shape": list(grid.stored.shape),
        "spacing_mm": [round(s, 6) for s in grid.spacing] if scan.spacing else None,
        "position_in_patient": "as the file says" if grid.stored.affine is not None else "not stated by the file",
        "slice_axis": "ijk"[grid.stored.axes[0]],
        "slices_predicted_alone": sorted(alone),
        "volumes_ml": volumes,
    }


def notes_of(found: PredictedSubject) -> list[str]:
    """What was assumed or chosen, each a plain sentence."""
    notes = []
    for m, stack in sorted(found.stacks.items()):
        name, scan = found.method.modalities[m], stack.scan
        notes += [f"{name}: {note}" for note in (*scan.notes, *stack.notes)]
        if scan.volumes > 1:
            notes.append(f"{name}: the file has {scan.volumes} volumes; the first was predicted.")
        if FileGrid.of(scan).stored.affine is None:
            notes.append(
                f"{name}: the file does not say where it lies in the patient, nor do the results (sform and qform 0): "
                "their voxels are in the file's order."
            )
        if scan.spacing is None:
            notes.append(f"{name}: its pixel size is not known: 1 mm is written, and volumes are not.")
        if (alone := len(found.alone(m))) and len(found.stacks) > 1:
            notes.append(
                f"{name}: {alone} of {scan.slices} slices have no partner in another modality within half a slice "
                "distance: they were predicted alone, their fused masks are the single ones."
            )
    if len(found.stacks) == 1:
        notes.append("Only one modality was given: nothing was aligned, fused masks are the single ones.")
    return list(dict.fromkeys(notes))


def z_table(found: PredictedSubject) -> str:
    """The modality factors as CSV, a row a slice in the order of the file.

    Columns: subject, modality, axis and slice (from 0) in the file, position_mm along the first modality's slices
    (empty where unknown), the modalities it was predicted with, then mean and variance of each dimension of z.
    """
    dimensions = len(next(iter(next(iter(found.factors.values())).values()))[0])
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    columns = [f"z{d + 1}_{kind}" for d in range(dimensions) for kind in ("mean", "variance")]
    table.writerow(["subject", "modality", "axis", "slice", "position_mm", "partners", *columns])
    for m, slices in sorted(found.factors.items()):
        grid = FileGrid.of(found.stacks[m].scan)
        for k in sorted(slices, key=grid.stored_slice):
            mean, variance = slices[k]
            numbers = [f"{value:.6g}" for pair in zip(mean, variance, strict=True) for value in pair]
            position = f"{found.positions[m][k]:.3f}" if found.heights else ""
            partners = " ".join(found.method.modalities[p] for p in found.partners[m][k])
            axis = "ijk"[grid.stored.axes[0]]
            name = found.method.modalities[m]
            table.writerow([_cell(found.name), name, axis, grid.stored_slice(k), position, partners, *numbers])
    return text.getvalue()


def _cell(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text

"""Read a slice, a volume or a mask from any supported file, or explain why it cannot be read.

The public entry point to all formats. The format is detected from the content, never from the name. `python -m
dafnet_core.data.readers FILE...` answers "why does my file not load?": one JSON line with what was read, or the
sentence that the app shows, for the files together (with --each one line per file). Heavy libraries are imported
where they are needed, so that this starts quickly.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dafnet_core.data.formats.numbers import check_labels, tidy
from dafnet_core.data.formats.scan import ReadError, Scan, Slice, quoted
from dafnet_core.data.formats.source import Blob, Source, blob, sniff, unpack, unpacked_head

_COARSE = 32  # pixels a side

__all__ = ["ReadError", "Scan", "Slice", "Source", "main", "read"]


def read(*files: Source, mask: bool = False) -> Scan:
    """Read one file, the DICOM files of one series, or a header with its data file.

    Args:
        files: paths, or (name, content) pairs as an uploader gives them. A lone .hdr or .img on disk finds
            its partner in the same folder.
        mask: read integer labels instead of intensities.

    Returns:
        The decoded stack, finite; labels are as stored (mapping them to classes is a later step).

    Raises:
        ReadError: with a sentence that names the file, the cause and the remedy.
    """
    if not files:
        raise ReadError("No file was given.")
    name = "the file"
    try:
        blobs = []
        for source in files:
            name = quoted(source[0] if isinstance(source, tuple) else str(source))
            blobs.append(blob(source))
        name = quoted(blobs[0].name) + (f" and {len(blobs) - 1} more" if len(blobs) > 1 else "")
        scan = _decode(_with_partner(blobs, files), mask)
        return _finish(scan, mask)
    except ReadError as error:
        raise ReadError(f"{name}: {error}") from None
    except MemoryError:
        raise ReadError(f"{name}: it needs more memory than one file may have; cut out the part you need.") from None
    except Exception as error:
        # Last resort: decoders raise unforeseen errors on damaged files, and no upload may end in a traceback
        # (a RecursionError inside a decoder is such a case, too).
        # Their messages are left out: they may quote local paths, or what the file says about a patient.
        raise ReadError(
            f"{name}: it could not be read as an image ({type(error).__name__} in the decoder); "
            "it is damaged or of an unusual kind, export it again."
        ) from None


def _with_partner(blobs: list[Blob], files: Sequence[Source]) -> list[Blob]:
    """Add the .img of a lone .hdr on disk from its folder, or the .hdr of a lone .img."""
    path = blobs[0].path
    other = partner(path) if path and len(files) == 1 else None
    return [*blobs, blob(other)] if other else blobs


def partner(path: Path) -> Path | None:
    """The file that holds the other half of an image in two files, .hdr and .img; None for any other image."""
    other = {".hdr": ".img", ".img": ".hdr", ".HDR": ".IMG", ".IMG": ".HDR"}.get(path.suffix)
    halves = (path.with_suffix(other), path.with_suffix(other + ".gz")) if other else ()
    return next((half for half in halves if half.is_file()), None)


def _decode(blobs: list[Blob], mask: bool) -> Scan:
    kinds = [_kind(item, alone=len(blobs) == 1) for item in blobs]
    if "pair" in kinds:
        return _read_pair(blobs, kinds, mask)
    if len(blobs) > 1 and set(kinds) != {"DICOM"}:
        raise ReadError(
            "several files are read together only as one DICOM series, or as a header (.hdr) with its "
            "data (.img); give other files one by one."
        )
    return _read_kind(blobs, kinds[0], mask)


def _kind(item: Blob, alone: bool) -> str:
    try:
        return sniff(unpacked_head(item))
    except ReadError:
        if alone:
            raise
        return "data"  # perhaps the second half of a header and data pair


def _read_pair(blobs: list[Blob], kinds: list[str], mask: bool) -> Scan:
    from dafnet_core.data.formats.nifti import read_nifti

    if len(blobs) != 2:
        raise ReadError("it is the header of an image in two files (.hdr and .img); give both files together.")
    header = kinds.index("pair")
    return read_nifti(blobs[header], mask, data_file=blobs[1 - header])


def _read_kind(blobs: list[Blob], kind: str, mask: bool) -> Scan:
    if kind == "NIfTI":
        from dafnet_core.data.formats.nifti import read_nifti

        return read_nifti(blobs[0], mask)
    blobs = [unpack(item) for item in blobs]
    if kind == "DICOM":
        from dafnet_core.data.formats.dicom import read_dicom

        return read_dicom(blobs, mask)
    if kind in ("NPY", "NPZ"):
        from dafnet_core.data.formats.arrays import read_npy, read_npz

        return (read_npy if kind == "NPY" else read_npz)(blobs[0], mask)
    from dafnet_core.data.formats.image import read_image

    return read_image(blobs[0], kind, mask)


def _finish(scan: Scan, mask: bool) -> Scan:
    """Check the values as a whole: few labels, or finite intensities."""
    if mask:
        labels = check_labels(scan.values)
        return replace(scan, notes=(*scan.notes, f"Labels in the file: {', '.join(map(str, labels))}."))
    notes = tidy(scan.values)
    rows, columns = scan.values.shape[2:]
    if min(rows, columns) < _COARSE:
        notes.append(f"A slice has only {rows} x {columns} pixels: too coarse to trust results.")
    return replace(scan, notes=(*scan.notes, *notes))


def describe(paths: Sequence[str], mask: bool, index: int | None, volume: int) -> dict[str, Any]:
    """What the command line prints for files that are read together."""
    given: dict[str, Any] = {"file": paths[0]} if len(paths) == 1 else {"files": list(paths)}
    try:
        scan = read(*paths, mask=mask)
        item = scan.slice(index, volume)
    except ReadError as error:
        return given | {"error": str(error)}
    rows, columns = item.pixels.shape
    return given | {
        "kind": scan.kind,
        "shape": [rows, columns],
        "slices": scan.slices,
        "volumes": scan.volumes,
        "volume_names": list(scan.volume_names),
        "spacing": None if item.spacing is None else list(item.spacing),
        "slice_spacing": scan.slice_spacing,
        "affine": None if scan.affine is None else scan.affine.tolist(),
        "plane": None if scan.stored is None else scan.stored.plane,
        "range": [float(item.pixels.min()), float(item.pixels.max())],
        "notes": list(item.notes),
        "sha256": hashlib.sha256(np.ascontiguousarray(item.pixels, "<f4").data).hexdigest(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one JSON line for all files, or with --each one line a file; return 0, or 2 if any was refused."""
    parser = argparse.ArgumentParser(
        prog="python -m dafnet_core.data.readers",
        description="Why does my file not load? Several files are read together, as the app reads those that are "
        "dropped together: one DICOM series, or a header with its data.",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="image, volume or mask, of any supported format; a folder stands for the files in it",
    )
    parser.add_argument("--each", action="store_true", help="read every file alone, and print a line for each")
    parser.add_argument("--mask", action="store_true", help="read integer labels instead of intensities")
    parser.add_argument("--slice", type=int, metavar="K", help="slice, counted from 0 (default: the middle one)")
    parser.add_argument("--volume", type=int, default=0, metavar="V", help="volume, counted from 0")
    options = parser.parse_args(arguments)
    refused = False
    paths = [path for given in options.files for path in _files_in(given)]
    for together in [[path] for path in paths] if options.each else [paths]:
        line = describe(together, options.mask, options.slice, options.volume)
        refused = refused or "error" in line
        print(_shown(line), flush=True)
    return 2 if refused else 0


def _files_in(path: str) -> list[str]:
    """The files of a folder in the order of their names, without hidden ones; a file, or an empty folder, as it is."""
    if not os.path.isdir(path):
        return [path]
    inside = [entry.path for entry in os.scandir(path) if entry.is_file() and not entry.name.startswith(".")]
    return sorted(inside) or [path]


def _shown(line: dict[str, Any]) -> str:
    """As JSON, with letters as they are wherever the terminal has them."""
    text = json.dumps(line, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(line)
    return text


if __name__ == "__main__":
    sys.exit(main())

"""NIfTI-1, NIfTI-2 and Analyze 7.5 / SPM images.

The third stored axis is the slice axis. In plane, pictures are turned the way radiologists look at them, by
the anatomical direction that each stored axis is closest to:

    axial       columns towards the patient's Left, rows towards Posterior
    coronal     columns towards Left, rows towards Inferior
    sagittal    columns towards Posterior, rows towards Inferior

Slices ascend towards Superior (axial), Posterior (coronal) or Left (sagittal).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from dafnet_core.data.formats.numbers import CHUNK, fill
from dafnet_core.data.formats.scan import PRIVACY_NOTE, ReadError, Scan, check_shape
from dafnet_core.data.formats.source import Blob, gzip_errors

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

_MAX_OFFSET = 16 << 20  # header extensions in front of the voxels
_MAX_TRAILING = 64 << 20  # content after the voxels that is read to reach the gzip checksum
_MM = {1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units: metres, millimetres, micrometres
_WORDS = {"L": "Left", "R": "Right", "A": "Anterior", "P": "Posterior", "S": "Superior", "I": "Inferior"}
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S"}
_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
_RGBA = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])


@dataclass(frozen=True)
class _Turn:
    """How stored axes (x, y, z) become (column, row, slice)."""

    swap: bool  # the second stored axis runs along columns
    flips: tuple[bool, bool, bool]  # per stored axis


def read_nifti(header_file: Blob, mask: bool, data_file: Blob | None = None) -> Scan:
    """Read a NIfTI file, or a header (.hdr) with its data file (.img).

    Raises:
        ReadError: damaged, not an intensity image, or beyond the limits; said before anything large is
            allocated.
    """
    notes: list[str] = []
    with gzip_errors():
        with header_file.unpacked() as stream:
            block = stream.read(544)
        header, kind = _parse(block)
        if _identifies(block, kind):
            notes.append(PRIVACY_NOTE)
        shape, offset = _layout(header, paired=data_file is not None)
        affine, turn = _orientation(header, kind, notes)
        with (data_file or header_file).unpacked() as stream:
            _read(stream, offset, "its header promises data that it does not hold")
            values = _read_voxels(stream, header, shape, turn, mask, notes)
            _drain(stream)
    if affine is None:
        zooms = [abs(float(z)) * _unit(header) for z in header["pixdim"][1:4]]
    else:
        affine = affine @ _index_map(turn, shape)
        zooms = [float(z) for z in np.linalg.norm(affine[:3, :3], axis=0)]
    column, row, between = (z if 1e-3 < z < 1e3 else None for z in zooms)
    if row is None or column is None:
        notes.append("The header's pixel spacing is not plausible and was ignored.")
    spacing = None if row is None or column is None else (row, column)
    return Scan(values, spacing, between, header_file.name, kind, tuple(notes), affine)


def _parse(block: bytes) -> tuple["Nifti1Header", str]:
    import nibabel

    if len(block) < 348:
        raise ReadError("its header is cut short; copy or export the file again.")
    size = int.from_bytes(block[:4], "little")
    order, size = ("<", size) if size in (348, 540) else (">", int.from_bytes(block[:4], "big"))
    if size == 540:
        if len(block) < 540:
            raise ReadError("its header is cut short; copy or export the file again.")
        return nibabel.Nifti2Header(block[:540], order, check=False), "NIfTI"
    kind = "NIfTI" if block[344:347] in (b"n+1", b"ni1") else "Analyze"
    return nibabel.Nifti1Header(block[:348], order, check=False), kind


def _identifies(block: bytes, kind: str) -> bool:
    """Whether an Analyze header names a patient, or a DICOM header is kept behind a NIfTI-1 header."""
    if kind == "Analyze":
        return bool(block[283:293].strip(b"\0 "))
    extended = block[344:346] in (b"n+", b"ni") and block[348:349] == b"\1"
    return extended and block[356:360] in (b"\2\0\0\0", b"\0\0\0\2")


def _layout(header: "Nifti1Header", paired: bool) -> tuple[tuple[int, int, int, int], int]:
    """Check the declared sizes; give (x, y, z, t) and the voxels' offset in the data file in bytes."""
    dims = [int(d) for d in header["dim"]]
    if 3000 <= int(header["intent_code"]) < 3100:
        raise ReadError("it is a CIFTI file (surface or connectivity data), not an image volume; use the NIfTI volume.")
    if not 2 <= dims[0] <= 7:
        raise ReadError(f"its header declares {dims[0]} dimensions; 2, 3 or 4 are needed.")
    x, y, z, t, *rest = [*dims[1 : dims[0] + 1], *[1] * (7 - dims[0])]
    if any(d != 1 for d in rest):
        raise ReadError(
            f"it has {dims[0]} dimensions ({' x '.join(map(str, dims[1 : dims[0] + 1]))}), as vector images "
            "and deformation fields do; an image has 2, 3 or 4. Save one component alone."
        )
    check_shape(t, z, y, x)
    offset = float(header["vox_offset"])
    if not 0 <= offset <= _MAX_OFFSET:
        raise ReadError(f"its header puts the voxels at byte {offset:.6g}, which cannot be; export it again.")
    return (x, y, z, t), int(offset) if paired else max(int(offset), int(header["sizeof_hdr"]) + 4)


def _orientation(header: "Nifti1Header", kind: str, notes: list[str]) -> tuple[np.ndarray | None, _Turn]:
    """The affine from stored (x, y, z) to mm (None if unknown), and the turn that shows it upright."""
    from nibabel.orientations import aff2axcodes
    from nibabel.spatialimages import HeaderDataError

    unknown = _Turn(swap=False, flips=(False, False, False))
    if kind == "Analyze":
        notes.append(
            "Analyze files do not say which side is left: the picture is shown as stored, left and right are uncertain."
        )
        return None, unknown
    if header["sform_code"] <= 0 and header["qform_code"] <= 0:
        notes.append("The header gives no orientation (no sform or qform): the picture is shown as stored.")
        return None, unknown
    try:
        affine = np.array(header.get_best_affine(), float)
    except (HeaderDataError, ValueError):  # a quaternion that is none, or a handedness that is neither
        affine = np.full((4, 4), np.nan)
    affine[:3] *= _unit(header)
    codes: Any = aff2axcodes(affine) if np.isfinite(affine).all() else (None,)
    if None in codes:
        notes.append("The header's orientation matrix is not usable: the picture is shown as stored.")
        return None, unknown
    swap = codes[1] in "LR" or (codes[0] in "IS")
    flips = codes[0] not in "LPI", codes[1] not in "LPI", codes[2] not in "LPS"
    notes.append(_turn_in_words(codes, swap, flips))
    return affine, _Turn(swap, flips)


def _turn_in_words(codes: tuple[str, str, str], swap: bool, flips: tuple[bool, bool, bool]) -> str:
    shown = [_OPPOSITE[code] if flip else code for code, flip in zip(codes, flips, strict=True)]
    column, row = (shown[1], shown[0]) if swap else (shown[0], shown[1])
    done = [
        what
        for what, happened in (
            ("rows and columns exchanged", swap),
            ("columns flipped", flips[1 if swap else 0]),
            ("rows flipped", flips[0 if swap else 1]),
            ("slice order reversed", flips[2]),
        )
        if happened
    ]
    return (
        f"Stored as {''.join(codes)}; shown with {_WORDS[column]} to the right, {_WORDS[row]} at the bottom, "
        f"slices towards {_WORDS[shown[2]]} ({', '.join(done) or 'nothing had to be flipped'})."
    )


def _index_map(turn: _Turn, shape: tuple[int, int, int, int]) -> np.ndarray:
    """The (4, 4) matrix from shown (column, row, slice, 1) to stored (x, y, z, 1) indices."""
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for stored, shown in enumerate((1, 0, 2) if turn.swap else (0, 1, 2)):
        matrix[stored, shown] = -1 if turn.flips[stored] else 1
        matrix[stored, 3] = shape[stored] - 1 if turn.flips[stored] else 0
    return matrix


def _unit(header: "Nifti1Header") -> float:
    return _MM.get(int(header["xyzt_units"]) & 7, 1.0)


def _scaling(header: "Nifti1Header", notes: list[str]) -> tuple[float, float] | None:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or (slope == 1 and inter == 0):
        return None
    if not (np.isfinite(slope) and np.isfinite(inter)):
        notes.append("The header's scale factor is not a number: the values are shown unscaled.")
        return None
    notes.append(f"Stored values were scaled by {slope:.6g}, then shifted by {inter:.6g}, as the header says.")
    return slope, inter


def _read_voxels(
    stream: BinaryIO,
    header: "Nifti1Header",
    shape: tuple[int, int, int, int],
    turn: _Turn,
    mask: bool,
    notes: list[str],
) -> np.ndarray:
    """Stream the voxels into (volumes, slices, rows, columns), turned for display."""
    x, y, z, t = shape
    try:
        dtype = header.get_data_dtype()
    except Exception:  # nibabel has its own error type for this
        raise ReadError(
            f"its header names data type {int(header['datatype'])}, which NIfTI does not know; export it again."
        ) from None
    if dtype.kind not in "iufcV" or (dtype.kind == "V" and dtype not in (_RGB, _RGBA)) or dtype.itemsize > 16:
        raise ReadError(f"its voxels are of type {dtype}, which is not read; convert them to float32.")
    if dtype.kind == "c":
        notes.append("Complex values: the magnitude is shown.")
    if dtype.kind == "V":
        notes.append("Colour voxels were turned to grey.")
    scale = None if dtype.kind in "cV" else _scaling(header, notes)

    def numbers(count: int) -> np.ndarray:
        block = _read(stream, count * dtype.itemsize, "the voxel data is cut short")
        values = np.frombuffer(block, dtype)
        if dtype.kind == "V":
            if mask:
                raise ReadError("its voxels are colours; a mask holds whole numbers, one per class.")
            return 0.299 * values["R"] + 0.587 * values["G"] + 0.114 * values["B"]
        return values if scale is None else values * scale[0] + scale[1]

    # Memory is claimed only as it is filled: a header that promises more than there is costs nothing.
    out = np.empty((t, z, x, y) if turn.swap else (t, z, y, x), np.int32 if mask else np.float32)
    stored = out.transpose(0, 1, 3, 2) if turn.swap else out  # (t, z, y, x)
    steps = [slice(None, None, -1 if flip else 1) for flip in reversed(turn.flips)]
    fill(stored[(slice(None), *steps)], numbers)
    return out


def _read(stream: BinaryIO, count: int, problem: str) -> bytes:
    block = stream.read(count)
    if len(block) < count:
        raise ReadError(f"{problem}; copy or export the file again.")
    return block


def _drain(stream: BinaryIO) -> None:
    """Read on to the end: the checksum of a gzip wrapper is only verified there."""
    for _ in range(_MAX_TRAILING // CHUNK):
        if not stream.read(CHUNK):
            return
    raise ReadError(
        "much more data follows the voxels than a NIfTI file has; it is damaged or made to fill the memory."
    )

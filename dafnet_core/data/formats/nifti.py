"""NIfTI-1, NIfTI-2 and Analyze 7.5 / SPM images, turned upright as `orientation` describes it."""

from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from dafnet_core.data.formats.numbers import CHUNK, fill
from dafnet_core.data.formats.orientation import StoredGrid, anatomical_axes
from dafnet_core.data.formats.scan import PRIVACY_NOTE, ReadError, Scan, check_shape
from dafnet_core.data.formats.source import Blob, gzip_errors

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

_MAX_OFFSET = 16 << 20  # header extensions in front of the voxels
_MAX_TRAILING = 64 << 20  # content after the voxels that is read to reach the gzip checksum
DISAGREE = "sform and qform disagree"  # in a note
_MM = {1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units: metres, millimetres, micrometres
_RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
_RGBA = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])


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
        affine, other = _affines(header, kind, notes)
        grid = StoredGrid.upright(shape[:3], affine)
        check_shape(shape[3], *grid.turned_shape)
        if affine is not None:
            notes.append(f"Stored as {''.join(anatomical_axes(affine) or ())}. {grid.in_words()}")
        with (data_file or header_file).unpacked() as stream:
            _read(stream, offset, "its header promises data that it does not hold")
            values = _read_voxels(stream, header, shape[3], grid, mask, notes)
            _drain(stream)
    if affine is None:
        zooms = [abs(float(z)) * _unit(header) for z in header["pixdim"][1:4]]
    else:
        zooms = [float(z) for z in np.linalg.norm(affine[:3, [grid.axes[at] for at in (2, 1, 0)]], axis=0)]
    column, row, between = (z if 1e-3 < z < 1e3 else None for z in zooms)
    if row is None or column is None:
        notes.append("The header's pixel spacing is not plausible and was ignored.")
    return Scan(
        values,
        None if row is None or column is None else (row, column),
        between,
        header_file.name,
        kind,
        tuple(notes),
        grid.turned_affine,
        grid,
        other,
    )


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
    if min(x, y, z, t) < 1:
        check_shape(t, z, y, x)  # which says so
    offset = float(header["vox_offset"])
    if not 0 <= offset <= _MAX_OFFSET:
        raise ReadError(f"its header puts the voxels at byte {offset:.6g}, which cannot be; export it again.")
    return (x, y, z, t), int(offset) if paired else max(int(offset), int(header["sizeof_hdr"]) + 4)


def _affines(header: "Nifti1Header", kind: str, notes: list[str]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The affine from stored (x, y, z) to mm, None if unknown; and another one of the header that contradicts it."""
    if kind == "Analyze":
        notes.append(
            "Analyze files do not say which side is left: the picture is shown as stored, left and right are uncertain."
        )
        return None, None
    codes = {"sform": int(header["sform_code"]), "qform": int(header["qform_code"])}
    stated = {name: _affine(header, name) for name, code in codes.items() if code > 0}
    if not stated:
        notes.append("The header gives no orientation (no sform or qform): the picture is shown as stored.")
        return None, None
    usable = {name: a for name, a in stated.items() if a is not None and anatomical_axes(a) is not None}
    if not usable:
        notes.append("The header's orientation matrix is not usable: the picture is shown as stored.")
        return None, None
    (first, affine), *others = usable.items()
    if len(usable) < len(stated):
        broken = next(name for name in stated if name not in usable)
        notes.append(f"The header's {broken} is not usable; its {first} was used.")
    if not others:
        return affine, None
    last = np.array([*(max(int(d), 1) - 1 for d in header["dim"][1:4]), 1])
    corners = last * np.array([[*np.unravel_index(n, (2, 2, 2)), 1] for n in range(8)])
    apart = float(np.linalg.norm((corners @ (affine - others[0][1]).T)[:, :3], axis=1).max())
    if apart <= 0.5 * np.linalg.norm(affine[:3, :3], axis=0).min():
        return affine, None
    notes.append(f"The header's {DISAGREE} by up to {apart:.1f} mm; the sform was used.")
    return affine, others[0][1]


def _affine(header: "Nifti1Header", name: str) -> np.ndarray | None:
    """The sform or qform in mm; None if it is none."""
    from nibabel.spatialimages import HeaderDataError

    try:
        affine = np.array(header.get_sform() if name == "sform" else header.get_qform(), float)
    except (HeaderDataError, ValueError):  # a quaternion that is none, or a handedness that is neither
        return None
    affine[:3] *= _unit(header)
    return affine


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
    volumes: int,
    grid: StoredGrid,
    mask: bool,
    notes: list[str],
) -> np.ndarray:
    """Stream the voxels into (volumes, slices, rows, columns), turned upright."""
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
    out, stored = grid.allocate(volumes, np.int32 if mask else np.float32)
    fill(stored, numbers)
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

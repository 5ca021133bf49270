"""NumPy arrays: .npy, and .npz archives. Pickled arrays are rejected."""

import struct
import zipfile
import zlib
from tokenize import TokenError
from typing import IO, BinaryIO

import numpy as np

from dafnet_core.data.formats.numbers import fill, grey
from dafnet_core.data.formats.scan import ReadError, Scan, check_shape, quoted
from dafnet_core.data.formats.source import Blob

_NAMES = ("image", "mask", "arr_0")
_MAX_HEADER = 4096  # bytes of a .npy header that are read
_MAX_DIRECTORY = 1 << 20  # bytes of a zip's directory: Python keeps a large object per entry


def read_npy(item: Blob, mask: bool) -> Scan:
    """Read a .npy file: (rows, columns), (slices, rows, columns) or (volumes, slices, rows, columns).

    Raises:
        ReadError: pickled, structured or empty arrays, sizes beyond the limits or not those of the file.
    """
    with item.open() as stream:
        values, notes = _read_array(stream, mask)
    return Scan(values, None, None, item.name, "NPY", tuple(notes))


def read_npz(item: Blob, mask: bool) -> Scan:
    """Read a .npz archive's only array, or the one named "mask" or "image" or "arr_0".

    Raises:
        ReadError: no or several suitable arrays (the message lists them), damaged, or as for read_npy.
    """
    with item.open() as file:
        _check_directory(file)
        try:
            with zipfile.ZipFile(file) as archive:
                member = _choose(archive, mask)
                with archive.open(member) as stream:
                    values, notes = _read_array(stream, mask)
                    if stream.read(1):  # reading to the end also verifies the checksum
                        raise ReadError("the array in the archive is longer than its header says; save it again.")
        except ReadError:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError):
            raise ReadError("the archive is damaged; save it again with numpy.savez.") from None
    note = f"Array {quoted(member.filename)} of the archive."
    return Scan(values, None, None, item.name, "NPZ", (note, *notes))


def _check_directory(file: BinaryIO) -> None:
    """Look at the zip's end record before Python reads the whole directory into memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 65557))
    tail = file.read()
    file.seek(0)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise ReadError("the ZIP archive is cut short; copy or save it again.")
    directory = struct.unpack("<I", tail[at + 12 : at + 16])[0]
    if directory > _MAX_DIRECTORY or b"PK\x06\x07" in tail[max(0, at - 20) : at]:
        raise ReadError("the ZIP archive has far more entries than an .npz of a few arrays; save one array alone.")


def _choose(archive: zipfile.ZipFile, mask: bool) -> zipfile.ZipInfo:
    arrays = {m.filename.removesuffix(".npy"): m for m in archive.infolist() if m.filename.endswith(".npy")}
    if not arrays:
        raise ReadError("it is a ZIP archive without NumPy arrays; unpack it and give the image files themselves.")
    wanted = ("mask", "arr_0") if mask else ("image", "arr_0")
    names = [name for name in wanted if name in arrays] if len(arrays) > 1 else list(arrays)
    if not names:
        listed = ", ".join(quoted(name) for name in list(arrays)[:8])
        raise ReadError(f'the archive holds several arrays ({listed}); name the one to use "{wanted[0]}".')
    member = arrays[names[0]]
    if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ReadError("the archive is encrypted or packed in an unusual way; save it with numpy.savez.")
    return member


def _read_array(stream: IO[bytes], mask: bool) -> tuple[np.ndarray, list[str]]:
    shape, fortran, dtype = _header(stream)
    colour = len(shape) == 3 and shape[-1] in (3, 4) and dtype == np.uint8
    full = (1, 1, *shape[:2]) if colour else (1,) * (4 - len(shape)) + shape
    check_shape(*full)
    notes = ["Complex values: the magnitude is shown."] if dtype.kind == "c" else []

    def numbers(count: int) -> np.ndarray:
        block = stream.read(count * dtype.itemsize)
        if len(block) < count * dtype.itemsize:
            raise ReadError(f"its data is cut short: the header promises {' x '.join(map(str, shape))} values.")
        return np.frombuffer(block, dtype)

    values = np.empty((*full, shape[-1]) if colour else full, np.int32 if mask else np.float32)
    stored = values.reshape(shape)
    fill(stored.T if fortran else stored, numbers)
    if colour:
        plane, coloured = grey(values[0, 0], mask)
        values = np.ascontiguousarray(plane)[None, None]
        notes.append("Colours were turned to grey." if coloured else "Equal colour channels were read as grey.")
    elif len(shape) > 2:
        notes.append(
            "Read as (slices, rows, columns)." if len(shape) == 3 else "Read as (volumes, slices, rows, columns)."
        )
    return values, notes


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Parse and check a .npy header: shape, whether in Fortran order, dtype."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran, dtype = readers[version](stream, max_header_size=_MAX_HEADER)
    except (ValueError, KeyError, TypeError, SyntaxError, TokenError, struct.error):
        raise ReadError(
            "its NumPy header is damaged or of an unknown version; save it again with numpy.save."
        ) from None
    if dtype.hasobject:
        raise ReadError(
            "its array holds Python objects, which only unpickling could read, and that can run code. "
            "Save plain numbers."
        )
    if dtype.kind not in "biufc":
        raise ReadError(f"its array is of type {quoted(str(dtype))}; plain numbers are needed.")
    if len(shape) not in (2, 3, 4):
        raise ReadError(f"its array has {len(shape)} dimensions; 2, 3 or 4 are needed, rows and columns last.")
    return shape, fortran, dtype

"""Files and uploads as one type, and detection of the format from the first bytes (never from the name)."""

import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from dafnet_core.data.formats.scan import MAX_FILE_BYTES, ReadError, clean_name

Source = str | os.PathLike[str] | tuple[str, bytes]

MAX_UNPACKED_BYTES = 64 << 20  # content of a gzip wrapper that has to be held in memory as a whole
_HEAD = 1024
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FOREIGN = (
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 file (MINC, MATLAB 7.3 or Keras)"),
    (b"MATLAB", "a MATLAB file"),
    (b"CDF\x01", "a NetCDF or MINC file"),
    (b"NRRD", "an NRRD file"),
    (b"ObjectType", "a MetaImage header"),
    (b"RIFF", "a WebP, AVI or WAV file"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 file"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 stream"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an XZ file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
)


@dataclass(frozen=True)
class Blob:
    """The bytes of one file: on disk (path) or in memory (data)."""

    name: str
    path: Path | None = None
    data: bytes | None = None

    def open(self) -> BinaryIO:
        """Open the bytes as they are; the caller closes."""
        return io.BytesIO(self.data or b"") if self.path is None else open(self.path, "rb")

    def head(self) -> bytes:
        """The first 1024 bytes."""
        with self.open() as file:
            return file.read(_HEAD)

    @contextmanager
    def unpacked(self) -> Iterator[BinaryIO]:
        """Stream the content, through gzip if it is wrapped in gzip (checksums are verified at the end)."""
        with self.open() as file:
            if is_gzip(self.head()):
                with gzip.GzipFile(fileobj=file) as inflated:
                    yield cast(BinaryIO, inflated)
            else:
                yield file


class Patience:
    """A file that limits the number of reads: a decoder in Python takes minutes for millions of tiny chunks."""

    def __init__(self, file: BinaryIO, reads: int, pieces: str) -> None:
        self.seek, self.tell, self._file, self._left, self._pieces = file.seek, file.tell, file, reads, pieces

    def read(self, size: int = -1) -> bytes:
        """Read as `file.read`.

        Raises:
            ReadError: more reads than any valid file needs.
        """
        self._left -= 1
        if self._left < 0:
            raise ReadError(f"it has far more {self._pieces} than a picture needs; export it again.")
        return self._file.read(size)


def blob(source: Source) -> Blob:
    """Take a path, or a (name, content) pair as an uploader gives it.

    Raises:
        ReadError: missing, not a file, empty or too large.
    """
    if isinstance(source, tuple):
        name, data = source
        item, size = Blob(clean_name(name), data=bytes(data)), len(data)
    else:
        path = Path(source)
        item = Blob(clean_name(path.name), path=path)
        try:
            # Only regular files: a pipe would keep us waiting, a device might never end.
            measured = path.stat().st_size if path.is_file() else None
        except (OSError, ValueError):
            raise ReadError("it cannot be opened; check its name and permissions.") from None
        if measured is None:
            raise ReadError("there is no such file.")
        size = measured
    if size == 0:
        raise ReadError("the file is empty (0 bytes); copy or export it again.")
    if size > MAX_FILE_BYTES:
        raise ReadError(
            f"the file has {size / 2**20:.0f} MB, at most {MAX_FILE_BYTES >> 20} MB are read; "
            "cut out the part you need."
        )
    return item


def is_gzip(head: bytes) -> bool:
    """Whether the bytes start a gzip member."""
    return head[:3] == b"\x1f\x8b\x08"


def unpacked_head(item: Blob) -> bytes:
    """The first 1024 bytes of the content, inside a gzip wrapper if there is one."""
    with gzip_errors(), item.unpacked() as stream:
        return stream.read(_HEAD)


def unpack(item: Blob) -> Blob:
    """Hold the content of a gzip wrapper in memory, up to a cap; other blobs are returned as they are.

    Raises:
        ReadError: cut short, damaged, or larger than the cap.
    """
    if not is_gzip(item.head()):
        return item
    with gzip_errors(), item.unpacked() as stream:
        data = stream.read(MAX_UNPACKED_BYTES + 1)
    if len(data) > MAX_UNPACKED_BYTES:
        raise ReadError(f"its gzip content is larger than {MAX_UNPACKED_BYTES >> 20} MB; unpack it first.")
    return Blob(item.name, data=data)


@contextmanager
def gzip_errors() -> Iterator[None]:
    """Convert errors of gzip streams to ReadError."""
    try:
        yield
    except EOFError:
        raise ReadError("its gzip stream is cut short; copy or download the file again.") from None
    except (gzip.BadGzipFile, zlib.error):
        raise ReadError("its gzip stream is damaged (checksum or structure); copy the file again.") from None


def sniff(head: bytes) -> str:
    """Detect the format from the content.

    Args:
        head: the first bytes of the unpacked content, up to 1024.

    Returns:
        A key of the readers' table, such as "NIfTI".

    Raises:
        ReadError: another format; the message names it.
    """
    if head[128:132] == b"DICM" or _bare_dicom(head):
        return "DICOM"
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if head[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if head[:4] in _TIFF:
        return "TIFF"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    if head[:6] == b"\x93NUMPY":
        return "NPY"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "NPZ"
    if (kind := _volume_header(head)) is not None:
        return kind
    raise ReadError(f"it is {_foreign(head)}; PNG, JPEG, TIFF, BMP, GIF, NIfTI, DICOM, NPY or NPZ is needed.")


def _volume_header(head: bytes) -> str | None:
    sizes = int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")
    if 540 in sizes and head[4:7] in (b"n+2", b"ni2"):
        return "NIfTI" if head[4:7] == b"n+2" else "pair"
    if 348 in sizes and len(head) >= 348:
        return "NIfTI" if head[344:347] == b"n+1" else "pair"
    return None


def _bare_dicom(head: bytes) -> bool:
    """Whether a data set without preamble starts here: group 0002 or 0008, a small element number."""
    if len(head) < 16 or head[:2] not in (b"\x02\0", b"\x08\0") or head[3] != 0:
        return False
    return head[2] != 0 or head[4:6] == b"UL" or head[4:8] == b"\4\0\0\0"


def _foreign(head: bytes) -> str:
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            return what
    if is_gzip(head):
        return "a gzip file inside a gzip file"
    if re.match(rb"\x80[\x02-\x05]", head):
        return "a Python pickle (perhaps a PyTorch checkpoint), never opened because it can run code"
    if re.search(rb"<svg[\s>]", head):
        return "an SVG drawing"
    try:
        head.decode("utf-8", "strict" if len(head) < _HEAD else "ignore")
    except UnicodeDecodeError:
        return "of no known format, whatever its name says"
    return "of no known format, whatever its name says" if b"\0" in head else "a text file, whatever its name says"

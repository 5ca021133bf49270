"""PNG, JPEG, TIFF, BMP and GIF pictures, through Pillow."""

import struct
from io import BytesIO
from typing import IO, Any, BinaryIO, cast

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from dafnet_core.data.formats.numbers import CHUNK, as_labels, grey
from dafnet_core.data.formats.scan import MAX_PIXELS, MAX_VALUES, ReadError, Scan, check_shape
from dafnet_core.data.formats.source import Blob, Patience

_MAX_PAGES = 2048
_MAX_READS = 1_000_000  # a few for each chunk of a PNG and each marker of a JPEG, more for a GIF's many small blocks
_MAX_SCANS = 64  # in a progressive JPEG; encoders write about 10
_MAX_TAGS = 1024  # in the header of a TIFF's page
_MAX_NUMBERS = 1 << 20  # in all of its tags; four pages of 16 million pixels in the smallest tiles have half of that
_BYTES = (1, 2, 6, 7)  # kinds of a TIFF's tag that stay bytes: BYTE, ASCII, SBYTE, UNDEFINED
_MAX_TILES = 4096  # in a JPEG 2000 picture; encoders make few, of 128 pixels a side and more
# Pillow keeps the high byte of 16-bit colours. Decoding again with these layouts gives the low byte instead.
_LOW_BYTE = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBA;16N": "RGBA;16B",
}


def read_image(item: Blob, kind: str, mask: bool) -> Scan:
    """Read a picture; the pages of a TIFF or GIF become slices.

    Colour becomes grey by luminance (refused for masks, except that palette masks give their indices).

    Raises:
        ReadError: damaged, too large (said before decoding), or a mask that is none.
    """
    notes: list[str] = []
    if kind == "JPEG":
        with item.open() as file:
            check_scans(file.read())
    if kind == "TIFF":
        with item.open() as file:
            _check_tags(file)
    try:
        with item.open() as file, Image.open(_patient(file, kind), formats=(kind,)) as picture:
            _check_size(picture.size)
            pages = _count_pages(picture)
            values = _read_pages(item, picture, pages, mask, notes)
    except Image.DecompressionBombError:
        raise ReadError(
            f"it declares far more pixels than the {MAX_PIXELS >> 20} million that are read; "
            "it is damaged, or made to fill the memory."
        ) from None
    except UnidentifiedImageError:
        raise ReadError(f"it starts like a {kind} file but its header is damaged; export it again.") from None
    except ReadError:
        raise
    except (
        OSError,
        SyntaxError,
        EOFError,
        ValueError,
        TypeError,
        LookupError,
        struct.error,
    ):  # Pillow's ways of saying so
        raise ReadError(f"its {kind} data is damaged or cut short; copy or export it again.") from None
    if kind == "JPEG":
        if mask and np.unique(values).size > 2:
            raise ReadError("it is a JPEG, whose compression changes label values. Save the mask as PNG or NIfTI.")
        notes.append("JPEG is lossy: fine intensities are not those of the scanner.")
    if pages > 1:
        notes.append(f"Its {pages} pages were read as slices.")
    return Scan(values, None, None, item.name, kind, tuple(dict.fromkeys(notes)))


def _patient(file: BinaryIO, kind: str) -> IO[bytes]:
    return cast(IO[bytes], Patience(file, _MAX_READS, f"{kind} chunks"))  # Pillow calls read, seek and tell alone


def _check_size(size: tuple[int, int]) -> None:
    check_shape(1, 1, rows=size[1], columns=size[0])


def check_scans(jpeg: bytes) -> None:
    """Reject a JPEG with very many scans: each costs a pass over the whole picture, however few bytes it has.

    Raises:
        ReadError: more scans than any encoder writes.
    """
    if jpeg.count(b"\xff\xda") > _MAX_SCANS:  # compressed data cannot contain this marker
        raise ReadError("it is a JPEG made of unusually many scans, which would take too long; save it again as PNG.")


def check_tiles(jpeg2000: bytes) -> None:
    """Reject a JPEG 2000 picture with very many tiles: the decoder keeps 10 KB for each, however small they are.

    Raises:
        ReadError: more tiles than any encoder makes.
    """
    at = jpeg2000.find(b"\xff\x4f\xff\x51")  # the codestream, which begins with its sizes
    if at < 0 or len(jpeg2000) < at + 40:
        return
    right, bottom, _, _, width, height, left, top = struct.unpack(">8I", jpeg2000[at + 8 : at + 40])
    if width and height and -((left - right) // width) * -((top - bottom) // height) > _MAX_TILES:
        raise ReadError(
            "it is a JPEG 2000 picture of unusually many tiles, which would fill the memory; save it uncompressed."
        )


def _check_tags(file: BinaryIO) -> None:
    """Reject a TIFF, or EXIF data, that lists very many numbers: Pillow makes a large Python object of each.

    Raises:
        ReadError: more numbers than the strips, tiles or colours of any picture within the limits.
    """
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    size, entry = (order + ("Q" if big else "I")), struct.Struct(order + ("HHQ8x" if big else "HHI4x"))
    number = struct.Struct(order + ("Q" if big else "H"))
    seen: set[int] = set()
    listed = 0
    try:
        at = struct.unpack_from(size, head, 8 if big else 4)[0]
        while at and at not in seen and len(seen) <= _MAX_PAGES:
            seen.add(at)
            file.seek(at)
            count = number.unpack(file.read(number.size))[0]
            if count > _MAX_TAGS:
                raise ReadError("its TIFF header has far more entries than a picture needs; export it again.")
            for _, kind, values in entry.iter_unpack(file.read(count * entry.size)):
                listed += 0 if kind in _BYTES else values
            if listed > _MAX_NUMBERS:
                raise ReadError(
                    f"its TIFF header lists {listed} numbers, more than pictures within the limits need; "
                    "it is damaged, or made to fill the memory."
                )
            at = struct.unpack(size, file.read(struct.calcsize(size)))[0]
    except (struct.error, OverflowError):
        return  # truncated: Pillow reports it with more detail


def _count_pages(picture: Image.Image) -> int:
    # n_frames walks through all of a GIF, however many it claims; here the walk ends at the limit.
    if not getattr(picture, "is_animated", False):
        return 1
    most = min(_MAX_PAGES, MAX_VALUES // (picture.width * picture.height))
    for page in range(most + 1):
        try:
            picture.seek(page)
        except EOFError:
            return page
    raise ReadError(f"it has more than {most} pages of this size; save the ones that you need.")


def _read_pages(item: Blob, picture: ImageFile.ImageFile, pages: int, mask: bool, notes: list[str]) -> np.ndarray:
    stack: np.ndarray | None = None
    for index in range(pages):
        if pages > 1:
            picture.seek(index)
            _check_size(picture.size)
        deep = _layout(picture) in ("LA;16B", *_LOW_BYTE)
        page = _read_page(picture, mask, notes) if not deep else _read_deep(item, picture, index, mask, notes)
        if stack is None:
            stack = np.empty((1, pages, *page.shape), np.int32 if mask else np.float32)
        if page.shape != stack.shape[2:]:
            raise ReadError(
                f"its pages differ in size (page 1 is {stack.shape[2]} x {stack.shape[3]}, page "
                f"{index + 1} is {page.shape[0]} x {page.shape[1]}); save one stack of equal pages."
            )
        step = max(1, CHUNK // page.shape[1])
        for row in range(0, len(page), step):  # in parts, because looking for labels takes several copies
            part = page[row : row + step]
            stack[0, index, row : row + step] = as_labels(part) if mask else part
    assert stack is not None  # there is at least one page
    return stack


def _read_page(picture: Image.Image, mask: bool, notes: list[str]) -> np.ndarray:
    """Decode the current page to (rows, columns) numbers."""
    picture = _upright(picture, notes)
    if picture.mode in ("1", "L", "I", "F", "I;16", "I;16B", "I;16L"):
        return np.asarray(picture)
    if picture.mode == "CMYK":
        raise ReadError(
            "it is a CMYK picture (inks for printing), and programs disagree on which are negatives. "
            "Save it as grey PNG."
        )
    if picture.mode == "P":
        if mask:
            notes.append("Palette picture: the palette's indices are taken as labels.")
            return np.asarray(picture)
        notes.append("Palette picture: converted through its palette.")
    see_through = picture.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in picture.info
    return _flatten(np.asarray(picture.convert("RGBA" if see_through else "RGB")), mask, notes)


def _read_deep(item: Blob, picture: ImageFile.ImageFile, index: int, mask: bool, notes: list[str]) -> np.ndarray:
    """Decode a page with 16 bits per colour to (rows, columns) numbers, with all of the 16 bits."""
    layout = _layout(picture)
    if layout == "LA;16B":
        parts = np.asarray(_upright(_with_layout(picture, "RGBA"), notes))  # grey high, low, alpha high, low
        value = parts[..., 0].astype(np.float32) * 256 + parts[..., 1]
        return _without_alpha(value, parts[..., 2] | parts[..., 3], notes)
    value = np.asarray(_upright(picture, notes)).astype(np.uint16)
    value <<= 8
    kind = picture.format or ""
    with item.open() as file, Image.open(_patient(file, kind), formats=(kind,)) as again:
        again.seek(index)
        value |= np.asarray(_upright(_with_layout(again, _LOW_BYTE[layout or ""]), []))
    return _flatten(value, mask, notes)


def _flatten(channels: np.ndarray, mask: bool, notes: list[str]) -> np.ndarray:
    """Turn (rows, columns, 3 or 4) RGB or RGBA into (rows, columns) grey."""
    plane, coloured = grey(channels[..., :3], mask)
    if coloured:
        notes.append("Colours were turned to grey (luminance).")
    return plane if channels.shape[2] == 3 else _without_alpha(plane, channels[..., 3], notes)


def _layout(picture: ImageFile.ImageFile) -> str | None:
    """Pillow's name for how the page's pixels are stored."""
    args: Any = picture.tile[0][3] if picture.tile else None
    return args[0] if isinstance(args, tuple) and args else args


def _with_layout(picture: ImageFile.ImageFile, layout: str) -> Image.Image:
    """Let Pillow decode the page as if its pixels were stored in another layout of the same size."""

    def swap(args: Any) -> str | tuple[Any, ...]:
        return (layout, *args[1:]) if isinstance(args, tuple) else layout

    tile: Any = [(codec, box, offset, swap(args)) for codec, box, offset, args in picture.tile]
    picture.tile = tile
    return picture


def _upright(picture: Image.Image, notes: list[str]) -> Image.Image:
    """Decode and apply the EXIF orientation, for images and masks."""
    tags = picture.getexif()
    _check_tags(BytesIO(picture.info.get("exif", b"").removeprefix(b"Exif\0\0")))  # a PNG's may be as long as it likes
    orientation = tags.get(0x0112, 1)
    picture.load()
    if orientation == 1:
        return picture
    notes.append("Turned as its EXIF orientation says.")
    return ImageOps.exif_transpose(picture)


def _without_alpha(plane: np.ndarray, alpha: np.ndarray, notes: list[str]) -> np.ndarray:
    clear = alpha == 0
    if not clear.any() or clear.all():
        notes.append("The transparency channel was ignored.")
        return plane
    notes.append("Fully transparent pixels were set to 0.")
    return np.where(clear, 0, plane)

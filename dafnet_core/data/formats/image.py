"""PNG, JPEG, TIFF, BMP and GIF pictures, through Pillow."""

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from dafnet_core.data.formats.numbers import as_labels, grey
from dafnet_core.data.formats.scan import MAX_PIXELS, MAX_VALUES, ReadError, Scan, check_shape
from dafnet_core.data.formats.source import Blob

_MAX_PAGES = 2048
_MAX_SCANS = 64  # in a progressive JPEG; encoders write about 10
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
    try:
        with item.open() as file, Image.open(file, formats=(kind,)) as picture:
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
    except (OSError, SyntaxError, EOFError):  # Pillow's own ways of saying so
        raise ReadError(f"its {kind} data is damaged or cut short; copy or export it again.") from None
    if kind == "JPEG":
        if mask and np.unique(values).size > 2:
            raise ReadError("it is a JPEG, whose compression changes label values. Save the mask as PNG or NIfTI.")
        notes.append("JPEG is lossy: fine intensities are not those of the scanner.")
    if pages > 1:
        notes.append(f"Its {pages} pages were read as slices.")
    return Scan(values, None, None, item.name, kind, tuple(dict.fromkeys(notes)))


def _check_size(size: tuple[int, int]) -> None:
    check_shape(1, 1, rows=size[1], columns=size[0])


def check_scans(jpeg: bytes) -> None:
    """Refuse a JPEG of very many scans: each costs a pass over the whole picture, however few bytes it has.

    Raises:
        ReadError: more scans than any encoder writes.
    """
    if jpeg.count(b"\xff\xda") > _MAX_SCANS:  # compressed data cannot contain this marker
        raise ReadError("it is a JPEG made of unusually many scans, which would take too long; save it again as PNG.")


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


def _read_pages(item: Blob, picture: Image.Image, pages: int, mask: bool, notes: list[str]) -> np.ndarray:
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
        stack[0, index] = as_labels(page) if mask else page
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


def _read_deep(item: Blob, picture: Image.Image, index: int, mask: bool, notes: list[str]) -> np.ndarray:
    """Decode a page with 16 bits per colour to (rows, columns) numbers, with all of the 16 bits."""
    layout = _layout(picture)
    if layout == "LA;16B":
        parts = np.asarray(_upright(_with_layout(picture, "RGBA"), notes))  # grey high, low, alpha high, low
        value = parts[..., 0].astype(np.float32) * 256 + parts[..., 1]
        return _without_alpha(value, parts[..., 2] | parts[..., 3], notes)
    value = np.asarray(_upright(picture, notes)).astype(np.uint16)
    value <<= 8
    with item.open() as file, Image.open(file, formats=(picture.format,)) as again:
        again.seek(index)
        value |= np.asarray(_upright(_with_layout(again, _LOW_BYTE[layout]), []))
    return _flatten(value, mask, notes)


def _flatten(channels: np.ndarray, mask: bool, notes: list[str]) -> np.ndarray:
    """Turn (rows, columns, 3 or 4) RGB or RGBA into (rows, columns) grey."""
    plane, coloured = grey(channels[..., :3], mask)
    if coloured:
        notes.append("Colours were turned to grey (luminance).")
    return plane if channels.shape[2] == 3 else _without_alpha(plane, channels[..., 3], notes)


def _layout(picture: Image.Image) -> str | None:
    """Pillow's name for how the page's pixels are stored."""
    args = picture.tile[0][3] if picture.tile else None
    return args[0] if isinstance(args, tuple) and args else args


def _with_layout(picture: Image.Image, layout: str) -> Image.Image:
    """Let Pillow decode the page as if its pixels were stored in another layout of the same size."""

    def swap(args: str | tuple) -> str | tuple:
        return (layout, *args[1:]) if isinstance(args, tuple) else layout

    picture.tile = [(codec, box, offset, swap(args)) for codec, box, offset, args in picture.tile]
    return picture


def _upright(picture: Image.Image, notes: list[str]) -> Image.Image:
    """Decode, and apply the EXIF orientation, alike for images and masks."""
    orientation = picture.getexif().get(0x0112, 1)
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

"""Pixels of DICOM files: decoding, colours, rescaling, and pixels that are padding."""

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from dafnet_core.data.formats.dicom_stack import frame_count, functional_group
from dafnet_core.data.formats.numbers import as_labels, grey
from dafnet_core.data.formats.scan import ReadError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_MAX_PACKED = 14 << 20  # pixels in JPEG frames: decoding more would block a page for too long
_MAX_RLE_FRAME = 4 << 20  # bytes; run lengths can inflate 64-fold
_RLE = "1.2.840.10008.1.2.5"
_PILLOW = tuple(f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 90, 91))  # JPEG, JPEG 2000


def decode(dataset: "Dataset") -> Iterator[tuple[np.ndarray, str]]:
    """Yield the frames as stored, (rows, columns) or (rows, columns, 3), and how their numbers are meant.

    Raises:
        ReadError: cut short, damaged, too large, or compressed by a method that is not decoded.
    """
    from pydicom.pixels import get_decoder

    if "PixelData" not in dataset:
        raise ReadError("its pixel data is missing; the file is cut short, or it stores numbers in an unusual way.")
    syntax = _transfer_syntax(dataset)
    twelve_bit = syntax == _PILLOW[1] and dataset.BitsStored > 8  # which libjpeg, and so Pillow, cannot decode
    if syntax in _PILLOW and not twelve_bit:
        plugin = "pillow"
        _check_packed_frames(dataset)
    elif syntax == _RLE:
        plugin = "pydicom"
        _check_rle_frames(dataset)
    elif syntax in PLAIN:
        plugin = ""
    else:
        name = syntax.name if syntax.is_transfer_syntax else "an unknown method"
        raise ReadError(
            f"its pixels are compressed with {name}, which is not decoded here; "
            "convert it first, for instance with gdcmconv --raw or dcmdjpeg."
        )
    decoder = get_decoder(syntax)
    try:
        # A frame that is asked for by its index is decoded into memory that can be written, which pydicom 3.0
        # needs to correct the sign of some JPEG 2000 files; for many frames that way is slow.
        count = frame_count(dataset)
        if dataset.BitsAllocated == 1 and syntax in PLAIN:  # pydicom 3.0 fails on frames that do not end with a byte
            bits, properties = decoder.as_array(dataset, decoding_plugin=plugin)
            yield from (
                (bit, str(properties["photometric_interpretation"])) for bit in bits.reshape(count, *_size(dataset))
            )
            return
        decoded = decoder.iter_array(dataset, decoding_plugin=plugin, indices=[0] if count == 1 else None, as_rgb=False)
        for _, (picture, properties) in zip(range(count), decoded, strict=True):
            yield picture, str(properties["photometric_interpretation"])
    except Exception:  # see _unquoted_errors
        raise ReadError(
            "its pixel data is cut short, damaged or not what its header says; copy or export it again."
        ) from None


def _size(dataset: "Dataset") -> tuple[int, int]:
    return int(dataset.Rows), int(dataset.Columns)


def _transfer_syntax(dataset: "Dataset") -> "UID":
    import pydicom

    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(PLAIN[0 if implicit else 1 if little else 2])
    return dataset.file_meta.TransferSyntaxUID


def _check_packed_frames(dataset: "Dataset") -> None:
    """Compare each compressed frame's own size with the header's: a decoder would believe the frame."""
    from PIL import Image
    from pydicom.encaps import generate_frames

    from dafnet_core.data.formats.image import check_scans, check_tiles

    rows, columns, count = int(dataset.Rows), int(dataset.Columns), frame_count(dataset)
    if rows * columns * count > _MAX_PACKED:
        raise ReadError(
            f"it holds {count} compressed frames of {rows} x {columns} pixels, which would take too long "
            "to decode; save it uncompressed, or fewer frames."
        )
    for frame in generate_frames(dataset.PixelData, number_of_frames=count):
        check_scans(frame)
        check_tiles(frame)
        try:
            with Image.open(BytesIO(frame), formats=("JPEG", "JPEG2000")) as picture:
                size = picture.size
        except (OSError, Image.DecompressionBombError, SyntaxError):
            raise ReadError("a compressed frame is damaged or cut short; copy or export the file again.") from None
        if size != (columns, rows):
            raise ReadError(
                f"its header says {rows} x {columns} pixels but a compressed frame "
                f"has {size[1]} x {size[0]}; "
                "export it again."
            )


def _check_rle_frames(dataset: "Dataset") -> None:
    from pydicom.encaps import generate_frames

    for frame in generate_frames(dataset.PixelData, number_of_frames=frame_count(dataset)):
        if len(frame) > _MAX_RLE_FRAME:
            raise ReadError(f"a run-length frame has more than {_MAX_RLE_FRAME >> 20} MB; save the file uncompressed.")


def convert(
    picture: np.ndarray, colours: str, dataset: "Dataset", index: int, target: np.ndarray, mask: bool, notes: list[str]
) -> int:
    """Write one frame into target, (rows, columns): colour to grey, then the modality LUT or rescale.

    Returns:
        How many pixels are padding, which is no intensity: NaN in images, 0 in masks.

    Raises:
        ReadError: another size than the header's; a mask of colours, fractions or negative values.
    """
    from pydicom.pixels import apply_color_lut, apply_modality_lut

    if picture.shape[:2] != target.shape:
        raise ReadError(f"a frame is {picture.shape[0]} x {picture.shape[1]} pixels, not as its header says.")
    transform = functional_group(dataset, index, "PixelValueTransformationSequence")
    padding = _padding(picture, dataset)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        picture = apply_color_lut(picture, dataset)
    if picture.ndim == 3:
        picture, coloured = grey(picture, mask, ybr=colours.startswith("YBR_FULL"))
        notes.append("Colours were turned to grey (luminance)." if coloured else "Equal colour channels read as grey.")
    elif "ModalityLUTSequence" in transform:
        notes.append("The modality lookup table was applied.")
    elif "RescaleSlope" in transform:
        notes.append("Stored values were rescaled as the header says.")
    step, padded = max(1, (1 << 20) // picture.shape[1]), 0
    for row in range(0, len(picture), step):  # in parts, because the rescaled values are float64
        part = apply_modality_lut(picture[row : row + step], transform)
        if padding is not None:
            empty = (picture[row : row + step] >= padding[0]) & (picture[row : row + step] <= padding[1])
            padded += int(empty.sum())
            part = np.where(empty, 0 if mask else np.float32(np.nan), part)
        target[row : row + step] = as_labels(part) if mask else part
    return padded


def _padding(picture: np.ndarray, dataset: "Dataset") -> tuple[int, int] | None:
    """The range of stored values that are padding; None without one among the values that can be stored.

    Writers disagree on whether the tag is signed, so it is taken as the bits of a stored value.
    """
    limits = [dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")]
    limits = [limits[0], limits[0] if limits[1] is None else limits[1]]
    monochrome = picture.ndim == 2 and str(dataset.PhotometricInterpretation).startswith("MONOCHROME")
    if not monochrome or picture.dtype.kind not in "iu" or not all(isinstance(limit, int) for limit in limits):
        return None
    allocated, stored = 8 * picture.dtype.itemsize, int(dataset.BitsStored)
    signed = picture.dtype.kind == "i"
    low, high = (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)
    found = []
    for limit in limits:
        if not low <= limit <= high and -(1 << allocated - 1) <= limit < 1 << allocated:
            limit %= 1 << allocated
            limit -= (1 << allocated) if signed and limit >= 1 << allocated - 1 else 0
        if not low <= limit <= high:
            return None
        found.append(limit)
    return min(found), max(found)


def finish_volume(values: np.ndarray, padded: bool, inverted: bool) -> None:
    """Invert a volume of MONOCHROME1, and give padding (NaN) its smallest value; in place."""
    if not (padded or inverted):
        return
    low, high = (float(limit(values, axis=None, initial=start)) for limit, start in _LIMITS)
    if not low <= high:  # nothing but padding
        low = high = 0.0
    for part in values:
        if inverted:
            np.subtract(low + high, part, out=part)
        if padded:
            part[np.isnan(part)] = low


_LIMITS = ((np.fmin.reduce, np.inf), (np.fmax.reduce, -np.inf))

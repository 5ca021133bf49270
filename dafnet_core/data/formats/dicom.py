"""DICOM images: one file, a series of files, or one file with many frames.

Slices are sorted by their position along the normal of the image plane, ascending towards Superior,
Posterior or Left (whichever the normal is closest to), as for NIfTI. Tags that identify a patient never
appear in names, notes or errors; for the same reason errors do not quote messages of the decoder.
"""

import logging
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from dafnet_core.data.formats.dicom_stack import arrange, frame_count, functional_group, list_frames, stack_geometry
from dafnet_core.data.formats.numbers import as_labels, grey
from dafnet_core.data.formats.scan import PRIVACY_NOTE, ReadError, Scan, check_shape
from dafnet_core.data.formats.source import MAX_UNPACKED_BYTES, Blob, Patience

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

_MAX_PACKED = 14 << 20  # pixels in JPEG frames: decoding more would block a page for too long
_MAX_RLE_FRAME = 4 << 20  # bytes; run lengths can inflate 64-fold
_MAX_READS = 250_000  # about two for each DICOM element
_MAX_TABLE = 4 << 20  # bytes of per-frame tables, which pydicom parses on access
_MAX_FRAMES = 4096  # frames of one file, or files of one series
_MAX_META = 64 << 10  # bytes of the file header that are searched
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_RLE = "1.2.840.10008.1.2.5"
_PILLOW = tuple(f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 90, 91))  # JPEG, JPEG 2000
_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
_NOT_PICTURES = {
    "RTDOSE": "a radiotherapy dose",
    "RTPLAN": "a radiotherapy plan",
    "RTSTRUCT": "a set of radiotherapy contours",
    "SR": "a structured report",
    "PR": "a presentation state",
    "KO": "a list of key objects",
    "ECG": "a waveform",
    "DOC": "a document",
    "REG": "a registration",
}
_OTHER_MODALITIES = {"CT", "CR", "DX", "US", "PT", "NM", "MG", "XA", "RF", "OT", "SC", "XC", "SM", "ES"}
_IDENTIFYING = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientComments",
    "OtherPatientNames",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "ResponsiblePerson",
    "MedicalRecordLocator",
    "AccessionNumber",
)


def read_dicom(items: list[Blob], mask: bool) -> Scan:
    """Read one DICOM file, or the files of one series.

    Raises:
        ReadError: no picture inside, damaged, compressed in a way that cannot be decoded, or files that do
            not belong together.
    """
    with _unquoted_errors():
        return _read_series(items, mask)


def _read_series(items: list[Blob], mask: bool) -> Scan:
    if len(items) > _MAX_FRAMES:
        raise ReadError(f"{len(items)} files were given, at most {_MAX_FRAMES} are read as one series.")
    notes: list[str] = []
    headers = [_open(item, pixels=len(items) == 1) for item in items]
    for header in headers:
        _check_picture(header, mask)
    _check_same_series(headers)
    rows, columns = int(headers[0].Rows), int(headers[0].Columns)
    frames = [frame for number, header in enumerate(headers) for frame in list_frames(number, header)]
    check_shape(1, len(frames), rows, columns)
    frames, volumes = arrange(frames, notes)
    slices = len(frames) // volumes
    _note_tags(headers, mask, notes)

    values = np.empty((len(frames), rows, columns), np.int32 if mask else np.float32)
    place = {(frame.file, frame.index): at for at, frame in enumerate(frames)}
    for number, item in enumerate(items):
        # The pixels of a series are held one file at a time.
        dataset = headers[0] if len(items) == 1 else _open(item, pixels=True)
        for index, (picture, colours) in enumerate(_decode(dataset)):
            _convert(picture, colours, dataset, index, values[place[number, index]], mask, notes)
    if headers[0].PhotometricInterpretation == "MONOCHROME1" and not mask:
        np.subtract(values.min() + values.max(), values, out=values)
        notes.append("MONOCHROME1 (low values are bright): inverted.")
    between, affine = stack_geometry(headers[0], frames[:slices])
    return Scan(
        values.reshape(volumes, slices, rows, columns),
        frames[0].spacing,
        between,
        _series_name(items),
        "DICOM",
        tuple(dict.fromkeys(notes)),
        affine,
    )


def _series_name(items: list[Blob]) -> str:
    return items[0].name if len(items) == 1 else f"{items[0].name} and {len(items) - 1} more"


@contextmanager
def _unquoted_errors() -> Iterator[None]:
    try:
        yield
    except ReadError:
        raise
    except Exception:  # pydicom raises many types, whose texts may quote a patient's tags: none is passed on
        raise ReadError("the DICOM data is damaged, cut short or not as the standard says; export it again.") from None


def _open(item: Blob, pixels: bool) -> "Dataset":
    _silence()
    import pydicom

    with _inflated(item).open() as file:
        dataset = pydicom.dcmread(
            Patience(file, _MAX_READS, "DICOM elements"), force=True, stop_before_pixels=not pixels
        )
    if not len(dataset):
        raise ReadError("no DICOM element can be read from it; it is damaged or not a DICOM file.")
    return dataset


def _silence() -> None:
    """Keep pydicom from warning about malformed values: it quotes them, a patient's name too."""
    import pydicom

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom\b")


def _inflated(item: Blob) -> Blob:
    """Undo the deflated transfer syntax under a cap, which pydicom would do without one."""
    with item.open() as file:
        meta = file.read(_MAX_META)
    measured = meta[128:136] == b"DICM\x02\0\0\0"  # the group length, which says where the data set starts
    start = 144 + int.from_bytes(meta[140:144], "little") if measured else len(meta)
    if _DEFLATED not in meta[:start]:
        return item
    if start >= len(meta):
        raise ReadError("it is deflated and its file header is unusual; save it uncompressed.")
    with item.open() as file:
        data = file.read()
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflater.decompress(data[start:], MAX_UNPACKED_BYTES)
    if inflater.unconsumed_tail:
        raise ReadError(f"its deflated content is larger than {MAX_UNPACKED_BYTES >> 20} MB; save it uncompressed.")
    # The name of the plain encoding is padded to the same length, so that no other length changes.
    plain = data[:start].replace(_DEFLATED, _PLAIN[1].encode() + bytes(3))
    return Blob(item.name, data=plain + content)


def _check_picture(header: "Dataset", mask: bool) -> None:
    """Reject objects that are not images, naming what they are, before pixels are read."""
    if "DirectoryRecordSequence" in header or header.file_meta.get("MediaStorageSOPClassUID") == "1.2.840.10008.1.3.10":
        raise ReadError("it is a DICOMDIR, the index of a disc; give the image files themselves, not the index.")
    if what := _NOT_PICTURES.get(header.get("Modality")):
        raise ReadError(f"it is {what}, not a picture; give the MR images.")
    if not header.get("Rows") or not header.get("Columns"):
        raise ReadError(
            "it is a DICOM file without a picture, or it is cut short before the picture; "
            "give the MR images or copy it again."
        )
    for tag in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "SegmentSequence"):
        element = header.get_item(tag)
        if element is not None and (getattr(element, "length", None) or 0) > _MAX_TABLE:
            raise ReadError(f"its tables about frames are larger than {_MAX_TABLE >> 20} MB; export fewer frames.")
    if header.get("SOPClassUID") == _SEGMENTATION:
        if not mask:
            raise ReadError("it is a DICOM segmentation, not an image; give it as a mask.")
        if len(header.get("SegmentSequence", [])) > 1:
            raise ReadError(
                f"it holds {len(header.SegmentSequence)} segments, which may overlap; "
                "export one label map (NIfTI or PNG) or one segment."
            )
    if frame_count(header) > _MAX_FRAMES:
        raise ReadError(f"it declares {frame_count(header)} frames, at most {_MAX_FRAMES} are read.")
    check_shape(1, frame_count(header), int(header.Rows), int(header.Columns))


def _check_same_series(headers: list["Dataset"]) -> None:
    if len(headers) == 1:
        return
    if any(frame_count(header) > 1 for header in headers):
        raise ReadError("one of the files has several frames; give such a file alone.")
    for what, tags in (
        ("series", ("SeriesInstanceUID",)),
        ("image sizes", ("Rows", "Columns")),
        ("photometric interpretations", ("PhotometricInterpretation",)),
    ):
        values = {tuple(str(header.get(tag)) for tag in tags) for header in headers}
        if len(values) > 1:
            raise ReadError(
                f"the {len(headers)} DICOM files are of {len(values)} different {what}; give the files of one series."
            )


def _note_tags(headers: list["Dataset"], mask: bool, notes: list[str]) -> None:
    first = headers[0]
    modality = first.get("Modality")
    if modality != "MR" and not mask:
        shown = modality if modality in _OTHER_MODALITIES else "not stated"
        notes.append(f"The modality is {shown}, not MR: results may mean nothing.")
    if not first.get("PixelSpacing") and first.get("ImagerPixelSpacing"):
        notes.append("Only the spacing at the detector is known, not in the patient; it was not used.")
    if first.get("LossyImageCompression") == "01":
        notes.append("Compressed with loss: fine intensities are not those of the scanner.")
    if any(header.get(tag) for header in headers for tag in _IDENTIFYING):
        notes.append(PRIVACY_NOTE)


def _decode(dataset: "Dataset") -> Iterator[tuple[np.ndarray, str]]:
    """Yield the frames as stored, (rows, columns) or (rows, columns, 3), and how their numbers are meant."""
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
    elif syntax in _PLAIN:
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
        decoded = decoder.iter_array(dataset, decoding_plugin=plugin, indices=[0] if count == 1 else None, as_rgb=False)
        for _, (picture, properties) in zip(range(count), decoded, strict=True):
            yield picture, str(properties["photometric_interpretation"])
    except Exception:  # see _unquoted_errors
        raise ReadError(
            "its pixel data is cut short, damaged or not what its header says; copy or export it again."
        ) from None


def _transfer_syntax(dataset: "Dataset") -> "UID":
    import pydicom

    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(_PLAIN[0 if implicit else 1 if little else 2])
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


def _convert(
    picture: np.ndarray, colours: str, dataset: "Dataset", index: int, target: np.ndarray, mask: bool, notes: list[str]
) -> None:
    """Write one frame into target, (rows, columns): colour to grey, then the modality LUT or rescale."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut

    if picture.shape[:2] != target.shape:
        raise ReadError(f"a frame is {picture.shape[0]} x {picture.shape[1]} pixels, not as its header says.")
    transform = functional_group(dataset, index, "PixelValueTransformationSequence")
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        picture = apply_color_lut(picture, dataset)
    if picture.ndim == 3:
        picture, coloured = grey(picture, mask, ybr=colours.startswith("YBR_FULL"))
        notes.append("Colours were turned to grey (luminance)." if coloured else "Equal colour channels read as grey.")
    elif "ModalityLUTSequence" in transform:
        notes.append("The modality lookup table was applied.")
    elif "RescaleSlope" in transform:
        notes.append("Stored values were rescaled as the header says.")
    step = max(1, (1 << 20) // picture.shape[1])
    for row in range(0, len(picture), step):  # in parts, because the rescaled values are float64
        part = apply_modality_lut(picture[row : row + step], transform)
        target[row : row + step] = as_labels(part) if mask else part

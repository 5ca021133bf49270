"""DICOM images: one file, a series of files, or files with many frames.

Pictures are turned upright as `orientation.py` describes it, so that a series is shown as a NIfTI file of the same
world is. `dicom_groups.py` sets scouts apart, `dicom_stack.py` places the slices, `dicom_volumes.py` tells volumes
apart. Tags that identify a patient never appear in names, notes or errors; for the same reason errors do not quote
messages of the decoder.
"""

import logging
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dafnet_core.data.formats.dicom_groups import main_stack
from dafnet_core.data.formats.dicom_pixels import PLAIN, convert, decode, finish_volume
from dafnet_core.data.formats.dicom_seg import is_segmentation, read_segmentation
from dafnet_core.data.formats.dicom_stack import Frame, Placed, frame_count, list_frames, place
from dafnet_core.data.formats.dicom_volumes import split_volumes
from dafnet_core.data.formats.scan import PRIVACY_NOTE, ReadError, Scan, check_shape, quoted
from dafnet_core.data.formats.source import MAX_UNPACKED_BYTES, Blob, Patience, unpack

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MAX_READS = 250_000  # about two for each DICOM element
_MAX_TABLE = 4 << 20  # bytes of per-frame tables, which pydicom parses on access
_MAX_FRAMES = 4096  # frames of one file, or of the files of one series
_MAX_META = 64 << 10  # bytes of the file header that are searched
_DEFLATED = b"1.2.840.10008.1.2.1.99"
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


def series_of(item: Blob) -> str | None:
    """The SeriesInstanceUID of a DICOM image, "" where it has none; None for what is read alone: a segmentation, or a
    file that is damaged or no picture."""
    try:
        header = _open(unpack(item), pixels=False)
        _check_picture(header, mask=True)
        return None if is_segmentation(header) else str(header.get("SeriesInstanceUID") or "")
    except Exception:  # pydicom raises many types; reading the file says what is wrong
        return None


def _read_series(items: list[Blob], mask: bool) -> Scan:
    if len(items) > _MAX_FRAMES:
        raise ReadError(f"{len(items)} files were given, at most {_MAX_FRAMES} are read as one series.")
    headers = [_checked(item, mask, alone=len(items) == 1) for item in items]
    if any(is_segmentation(header) for header in headers):
        if len(headers) > 1:
            raise ReadError("one of the files is a DICOM segmentation; give a segmentation alone.")
        return read_segmentation(headers[0], items[0].name, _notes_on_tags(headers, mask))
    _check_same_patient(headers)
    notes: list[str] = []
    if (count := sum(map(frame_count, headers))) > _MAX_FRAMES:
        raise ReadError(f"the files declare {count} frames, at most {_MAX_FRAMES} are read.")
    frames = [frame for number, header in enumerate(headers) for frame in list_frames(number, header)]
    frames = main_stack(frames, notes)
    used = sorted({frame.file for frame in frames})
    _check_one_frame_of_reference([headers[n] for n in used])
    placed = place(frames, notes)
    volumes, names = split_volumes(frames, placed.at)
    _note_order(frames, placed, len(volumes), notes)
    grid = placed.grid(frames[0].size)
    check_shape(len(volumes), *grid.turned_shape)
    if grid.axes != (2, 1, 0) or any(grid.flips):
        notes.append(replace(grid, affine=placed.direction).in_words())
    notes += _notes_on_tags([headers[n] for n in used], mask)

    values, stored = grid.allocate(len(volumes), np.int32 if mask else np.float32)
    targets = {(f.file, f.index): stored[v, k] for v, cells in enumerate(volumes) for k, f in cells.items()}
    for volume, cells in zip(stored, volumes, strict=True):
        for k in set(range(placed.slices)) - set(cells):
            volume[k] = 0 if mask else np.nan  # as padding
    padded = 0
    for number in used:
        # The pixels of a series are held one file at a time.
        dataset = headers[0] if len(items) == 1 else _open(items[number], pixels=True)
        for index, (picture, colours) in enumerate(decode(dataset)):
            if (number, index) in targets:
                padded += convert(picture, colours, dataset, index, targets[number, index], mask, notes)
    inverted = headers[used[0]].PhotometricInterpretation == "MONOCHROME1" and not mask
    if inverted:
        notes.append("MONOCHROME1 (low values are bright): inverted.")
    if padded:
        becomes = "background" if mask else "the smallest value of the picture"
        notes.append(f"{padded} padding pixels (PixelPaddingValue) are no intensity and became {becomes}.")
    if not mask:
        for volume in values:
            finish_volume(volume, bool(padded) or len(volumes[0]) < placed.slices, inverted)
    spacing, between = _spacing(frames[0], placed)
    return Scan(
        values,
        spacing,
        between,
        _series_name(items),
        "DICOM",
        tuple(dict.fromkeys(notes)),
        grid.turned_affine,
        grid,
        None,
        names,
    )


def _checked(item: Blob, mask: bool, alone: bool) -> "Dataset":
    """A header, with its pixels if the file is alone, of which is sure that it is a picture."""
    try:
        header = _open(item, pixels=alone)
        _check_picture(header, mask)
    except ReadError as error:
        raise error if alone else ReadError(f"in {quoted(item.name)}: {error}") from None
    return header


def _note_order(frames: list[Frame], placed: Placed, volumes: int, notes: list[str]) -> None:
    if len(frames) > 1 and placed.direction is not None:
        divided = f" into {volumes} volumes of {placed.slices}" if volumes > 1 else ""
        notes.append(f"{len(frames)} slices sorted by position{divided}.")


def _spacing(frame: Frame, placed: Placed) -> tuple[tuple[float, float] | None, float | None]:
    """The turned picture's (row, column) spacing and the distance between its slices in mm."""
    if placed.direction is None or frame.spacing is None:
        return frame.spacing, placed.between
    turned = replace(placed.grid(frame.size), affine=placed.direction).turned_affine
    assert turned is not None
    column, row, between = (round(float(length), 9) for length in np.linalg.norm(turned[:3, :3], axis=0))
    return (row, column), between if placed.between else None


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
    plain = data[:start].replace(_DEFLATED, PLAIN[1].encode() + bytes(3))
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
    if is_segmentation(header) and not mask:
        raise ReadError("it is a DICOM segmentation, not an image; give it as a mask.")
    if "MOSAIC" in str(header.get("ImageType") or ""):
        raise ReadError(
            "it is a Siemens mosaic: the slices of a volume lie side by side in one picture, and where each lies is in "
            "private tags. Export the series as enhanced (multi-frame) DICOM, or convert it with dcm2niix."
        )
    if frame_count(header) > _MAX_FRAMES:
        raise ReadError(f"it declares {frame_count(header)} frames, at most {_MAX_FRAMES} are read.")
    check_shape(1, frame_count(header), int(header.Rows), int(header.Columns))


def _check_same_patient(headers: list["Dataset"]) -> None:
    for what, tag in (("patients", "PatientID"), ("patients", "PatientName"), ("studies", "StudyInstanceUID")):
        values = {str(header.get(tag)) for header in headers if header.get(tag)}
        if len(values) > 1:
            raise ReadError(
                f"the {len(headers)} DICOM files are of {len(values)} different {what} ({tag}); give the files of one "
                "series."
            )


def _check_one_frame_of_reference(headers: list["Dataset"]) -> None:
    for what, tag in (
        ("frames of reference, so that their positions cannot be compared", "FrameOfReferenceUID"),
        ("photometric interpretations", "PhotometricInterpretation"),
        ("modalities", "Modality"),
    ):
        values = {str(header.get(tag)) for header in headers if header.get(tag)}
        if len(values) > 1:
            raise ReadError(
                f"the {len(headers)} DICOM files are of {len(values)} different {what} ({tag}); give the files of one "
                "series."
            )


def _notes_on_tags(headers: list["Dataset"], mask: bool) -> list[str]:
    first, notes = headers[0], []
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
    return notes

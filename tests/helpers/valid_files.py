"""One small valid file of every format, and seeded mutations of it: for tests and for benchmarks/fuzz_readers.py."""

import gzip
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import nibabel
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    MRImageStorage,
    RLELossless,
)

NAME = "Secret^Patient"
PATIENT = "4711-0815"
PIXELS = np.arange(480, dtype=np.int16).reshape(24, 20)  # all different, so that any flip or transposition shows


# ---- files -----------------------------------------------------------------------------------------------


def png_bytes(array, **options):
    return picture_bytes("PNG", array, **options)


def picture_bytes(kind, *pages, **options):
    first, *more = map(Image.fromarray, pages)
    buffer = io.BytesIO()
    first.save(buffer, kind, **({"save_all": True, "append_images": more} if more else {}), **options)
    return buffer.getvalue()


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def deep_png_bytes(array, colour):
    """A PNG of 16 bits per channel, which Pillow cannot write: array (rows, columns, channels), colour as in IHDR."""
    rows, columns, _ = array.shape
    raw = b"".join(b"\0" + row.tobytes() for row in array.astype(">u2"))
    header = png_chunk(b"IHDR", struct.pack(">2I5B", columns, rows, 16, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(raw)) + png_chunk(b"IEND", b"")


def nifti_bytes(array, affine=None, **header):
    image = nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine)
    for key, value in header.items():
        image.header[key] = value
    return image.to_bytes()


def pair_bytes(image):
    """Header and data of an image in two files."""
    files = {part: io.BytesIO() for part in ("header", "image")}
    for part, file in files.items():
        image.file_map[part].fileobj = file
    image.to_file_map()
    return tuple(file.getvalue() for file in files.values())


def npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz_bytes(member, name="arr_0.npy"):
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), member, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def dicom_bytes(array, syntax=ExplicitVRLittleEndian, preamble=True, **tags):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"  # fixed, so that mutations are the same each time
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PatientName, dataset.PatientID = "MR", NAME, PATIENT
    dataset.Rows, dataset.Columns = array.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * array.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    if array.ndim == 3:
        dataset.NumberOfFrames = len(array)
    dataset.PixelData = array.tobytes()
    for key, value in tags.items():
        setattr(dataset, key, value)
    buffer = io.BytesIO()
    if preamble:
        # array's bytes are taken as they are, also where the syntax is big-endian
        dataset.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian)
        dataset.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()
    del dataset.file_meta, dataset.preamble
    pydicom.dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return buffer.getvalue()


def packed_dicom(array, syntax, frames):
    """The tags of array, with frames that are compressed already as its pixels."""
    dataset = pydicom.dcmread(io.BytesIO(dicom_bytes(array)))
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = pydicom.encaps.encapsulate(frames)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def group(**parts):
    """An item of a functional group's sequence: name of a macro -> its tags."""
    outer = Dataset()
    for name, tags in parts.items():
        inner = Dataset()
        for tag, value in tags.items():
            setattr(inner, tag, value)
        setattr(outer, name, [inner])
    return outer


def located(k):
    """Tags that say where slice k of an axial series lies."""
    return {
        "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.2",
        "InstanceNumber": k,
        "PixelSpacing": [1, 2],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [0, 0, 8 * k],
    }


# ---- one of each format ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Valid:
    """What a mutation starts from.

    Attributes:
        parts: content of the file, or of the files that are given together.
        pack: makes a file of its content; what checksums and compression hide from a mutation is reached inside.
    """

    parts: tuple[bytes, ...]
    pack: Callable[[bytes], bytes] = bytes

    def whole(self):
        return tuple((f"file{n}", self.pack(part)) for n, part in enumerate(self.parts))


def _gzip(content):
    return gzip.compress(content, mtime=0)


def _sealed(png):
    """Recomputed checksums, as far as the chunks' lengths can be followed."""
    found, at = [png[:8]], 8
    while at + 12 <= len(png):
        end = at + 8 + int.from_bytes(png[at : at + 4], "big")
        if end + 4 > len(png):
            break
        found.append(png_chunk(png[at + 4 : at + 8], png[at + 8 : end]))
        at = end + 4
    return b"".join([*found, png[at:]])


def _deflated(content):
    """What follows the file header, of the group length that stands there, is deflated."""
    start = 144 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return content[:start] + packer.compress(content[start:]) + packer.flush()


def _framed(syntax):
    return lambda frame: packed_dicom(SMALL, syntax, [frame or b"\0"])


def _made():
    volume = PIXELS.T[:, :, None]
    upright = np.diag([-1.0, -1, 1, 1])
    frames = np.stack([PIXELS, PIXELS + 1000])
    shared = group(
        PixelMeasuresSequence={"PixelSpacing": [1.5, 1.25]},
        PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
    )
    placed = [group(PlanePositionSequence={"ImagePositionPatient": [0, 0, k]}) for k in range(2)]
    rle = pydicom.dcmread(io.BytesIO(dicom_bytes(SMALL)))
    rle.compress(RLELossless)
    deflated = dicom_bytes(PIXELS, DeflatedExplicitVRLittleEndian)
    start = 144 + int.from_bytes(deflated[140:144], "little")
    inside = deflated[:start] + zlib.decompress(deflated[start:], -zlib.MAX_WBITS)
    palette = Image.fromarray(SMALL).convert("P")
    palette.save(indexed := io.BytesIO(), "PNG")
    colour = np.dstack([SMALL, SMALL[::-1], SMALL[:, ::-1]])
    return {
        "nii": Valid((nifti_bytes(volume, upright),)),
        "nii.gz": Valid((nifti_bytes(volume, upright),), _gzip),
        "nii (NIfTI-2)": Valid((nibabel.Nifti2Image(volume, upright).to_bytes(),)),
        "hdr + img (NIfTI)": Valid(pair_bytes(nibabel.Nifti1Pair(volume, upright))),
        "hdr + img (Analyze)": Valid(pair_bytes(nibabel.AnalyzeImage(volume, upright))),
        "dcm": Valid((dicom_bytes(PIXELS, **located(0)),)),
        "dcm, implicit": Valid((dicom_bytes(PIXELS, ImplicitVRLittleEndian),)),
        "dcm, big-endian": Valid((dicom_bytes(PIXELS.byteswap(), ExplicitVRBigEndian),)),
        "dcm, no preamble": Valid((dicom_bytes(PIXELS, preamble=False),)),
        "dcm, deflated": Valid((inside,), _deflated),
        "dcm, RLE": Valid((next(pydicom.encaps.generate_frames(rle.PixelData)),), _framed(RLELossless)),
        "dcm, JPEG": Valid((picture_bytes("JPEG", SMALL),), _framed(JPEGBaseline8Bit)),
        "dcm, JPEG 2000": Valid((picture_bytes("JPEG2000", SMALL, no_jp2=True),), _framed(JPEG2000Lossless)),
        "dcm, frames": Valid(
            (dicom_bytes(frames, SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=placed),)
        ),
        "dcm, series": Valid(tuple(dicom_bytes(PIXELS, **located(k)) for k in range(2))),
        "png": Valid((png_bytes(SMALL),), _sealed),
        "png, 16 bits a colour": Valid((deep_png_bytes(np.dstack([PIXELS * 100] * 3), 2),), _sealed),
        "png, palette": Valid((indexed.getvalue(),), _sealed),
        "jpg": Valid((picture_bytes("JPEG", colour),)),
        "jpg, progressive": Valid((picture_bytes("JPEG", colour, progressive=True),)),
        "tif": Valid((picture_bytes("TIFF", PIXELS.astype(np.uint16)),)),
        "tif, LZW": Valid((picture_bytes("TIFF", SMALL, compression="tiff_lzw"),)),
        "tif, deflate": Valid((picture_bytes("TIFF", colour, compression="tiff_adobe_deflate"),)),
        "tif, JPEG": Valid((picture_bytes("TIFF", SMALL, compression="jpeg"),)),
        "tif, pages": Valid((picture_bytes("TIFF", SMALL, SMALL // 2, big_tiff=True),)),
        "bmp": Valid((picture_bytes("BMP", SMALL),)),
        "gif": Valid((picture_bytes("GIF", SMALL, SMALL // 2),)),
        "npy": Valid((npy_bytes(PIXELS),)),
        "npz": Valid((npy_bytes(PIXELS),), npz_bytes),
    }


SMALL = (PIXELS % 251).astype(np.uint8)
FILES = _made()


# ---- mutations -------------------------------------------------------------------------------------------

HEAD = 600  # bytes: headers are where sizes, offsets and counts stand
_EXTREMES = {
    1: (0, 1, 0x7F, 0x80, 0xFF),
    2: (0, 1, 0x7FFF, 0x8000, 0xFFFF, 8192),
    4: (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000, 0x4000000, 0x7F800000, 0x7FC00000),  # the last: inf, nan
    8: (0, 1, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF, 0x100000000, 0x7FF0000000000000),
}
_NUMERALS = (b"0", b"-1", b"8192", b"65536", b"99999", b"4294967296", b"1e308", b"nan")


def mutation(kind, seed, n):
    """Mutation n of a kind's valid file: the same for the same arguments, (name, content) of every part."""
    rng = np.random.default_rng([seed, n, zlib.crc32(kind.encode())])
    valid = FILES[kind]
    parts = list(valid.parts)
    chosen = rng.integers(len(parts))
    inside = rng.random() < 0.5
    if inside:
        parts[chosen] = _changed(parts[chosen], rng)
    packed = [valid.pack(part) for part in parts]
    if not inside:
        packed[chosen] = _changed(packed[chosen], rng)
    return tuple((f"file{k}", part) for k, part in enumerate(packed))


def _changed(data, rng):
    for _ in range(rng.integers(1, 4)):
        change = (_flip, _flip, _extreme, _extreme, _numeral, _cut, _splice, _repeat)[rng.integers(8)]
        data = bytes(change(bytearray(data), rng)) or b"\0"
    return data


def _place(data, rng):
    return int(rng.integers(min(len(data), HEAD) if rng.random() < 0.6 else len(data)))


def _flip(data, rng):
    for _ in range(rng.integers(1, 9)):
        data[_place(data, rng)] = rng.integers(256)
    return data


def _extreme(data, rng):
    """Overwrite what may be a size, an offset or a count, of either byte order."""
    width = int(rng.choice(list(_EXTREMES)))
    at = _place(data, rng) // 2 * 2
    value = _EXTREMES[width][rng.integers(len(_EXTREMES[width]))]
    data[at : at + width] = value.to_bytes(width, ("little", "big")[rng.integers(2)])
    return data


def _numeral(data, rng):
    """Replace a number that is written in digits, as in .npy headers and DICOM strings."""
    found = list(re.finditer(rb"\d+", data))
    if not found:
        return _extreme(data, rng)
    run = found[rng.integers(len(found))]
    data[run.start() : run.end()] = _NUMERALS[rng.integers(len(_NUMERALS))]
    return data


def _cut(data, rng):
    del data[rng.integers(len(data)) :]
    return data


def _repeat(data, rng):
    """The same small piece again and again, up to 256 KB of it: chunks, markers, elements."""
    at, size = _place(data, rng), int(rng.integers(1, 33))
    data[at:at] = data[at : at + size] * int(rng.integers(1, (1 << 18) // size))
    return data


def _splice(data, rng):
    """Put a piece of this file, or of another one, in a place where it does not belong."""
    donor = bytes(data) if rng.random() < 0.5 else list(FILES.values())[rng.integers(len(FILES))].whole()[0][1]
    start, at = int(rng.integers(len(donor))), int(rng.integers(len(data)))
    piece = donor[start : start + int(rng.integers(1, 256))]
    data[at : at + (len(piece) if rng.random() < 0.5 else 0)] = piece
    return data

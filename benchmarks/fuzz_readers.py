"""Fuzz the file readers with malformed files: python -m benchmarks.fuzz_readers [--count 2000] [--seed 0] [--json FILE]

One small valid file of every format is mutated, the same way for the same seed: bytes flipped, headers' fields set to
extremes, numerals replaced, content cut, pieces of the file or of another one spliced in; before and after checksums
and compression. Each is read in the process apart that the app reads with: a crash or a hang is counted, and the next
file is read. Beside that the largest files that are within the limits, and those that cost most, are read once each.
Anything but loaded or refused, a number that is not finite, a patient's tag in what is said, more than 5 s or 600 MB
is a defect, listed so that it can be made again; the exit code is then 1. Time is the processor's, which other work on
the machine does not lengthen much, memory the peak of all that the reading process has: both are known on Linux only.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import io
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from benchmarks.machine import add_json_option, machine, write_json
from dafnet_core.data.formats.scan import ReadError
from dafnet_core.data.reader_process import Reader, ReaderDied
from tests.helpers import valid_files as valid

SECONDS, MEGABYTES = 5.0, 600.0  # what one file may take
HANG = 60.0  # seconds after which the process is ended, on a machine that may be busy
LAST_RESORT = "in the decoder"  # a sentence still, but one that names no cause
Files = tuple[tuple[str, bytes], ...]


@dataclass
class Row:
    """What became of the files of one kind."""

    loaded: int = 0
    refused: int = 0
    without_cause: int = 0  # of those refused
    crashed: int = 0
    hung: int = 0
    worst_seconds: float = 0  # of the processor
    worst_wait: float = 0  # until the answer, on the machine as it was
    peak_mb: float = 0
    defects: list[str] = field(default_factory=list)

    def note(self, reader: Reader, files: Files, what: str, mask: bool = False) -> None:
        """Read files and count what happens; `what` makes them again."""
        _forget_peak(reader.pid)
        pid, said = reader.pid, ""
        start, before = time.perf_counter(), _processor(pid)
        try:
            scan = reader.read(*files, mask=mask)
        except ReaderDied as error:
            late = "took longer" in str(error)
            self.hung, self.crashed = self.hung + late, self.crashed + (not late)
            self.defects.append(f"{what}: {error}")
        except ReadError as error:
            said = str(error)
            self.refused += 1
            self.without_cause += LAST_RESORT in said
        else:
            said = repr((scan.name, scan.notes))
            self.loaded += 1
            if not np.isfinite(scan.values).all():
                self.defects.append(f"{what}: values that are not finite")
        wait, seconds, peak = time.perf_counter() - start, _processor(pid) - before, _peak(pid)
        self.worst_wait, self.worst_seconds = max(self.worst_wait, wait), max(self.worst_seconds, seconds)
        self.peak_mb = max(self.peak_mb, peak)
        if valid.NAME in said or valid.PATIENT in said:
            self.defects.append(f"{what}: reveals the patient")
        if (len(files) < 3 and seconds > SECONDS) or peak > MEGABYTES:  # a series takes as long as its files
            self.defects.append(f"{what}: {seconds:.1f} s, {peak:.0f} MB")


def _processor(pid: int) -> float:
    """Seconds of the processor that a process used, to 10 ms; 0 if unavailable."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _forget_peak(pid: int) -> None:
    if os.path.exists(f"/proc/{pid}/clear_refs"):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak(pid: int) -> float:
    """The most memory that a process had since then, in MB; 0 if unavailable."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def _warm() -> Reader:
    reader = Reader(HANG)
    reader.read(*valid.FILES["dcm"].whole())  # its imports are no file's
    return reader


def fuzz(kinds: list[str], seed: int, count: int) -> dict[str, Row]:
    """So many mutations of every kind."""
    reader, rows = _warm(), {}
    for kind in kinds:
        rows[kind] = Row()
        for n in range(count):
            rows[kind].note(reader, valid.mutation(kind, seed, n), f"mutation({kind!r}, {seed}, {n})")
    reader.close()
    return rows


# ---- the largest files that are within the limits --------------------------------------------------------

_NOISE = np.random.default_rng(0)


def _noise(*shape: int, dtype: str = "u1") -> np.ndarray:
    kind = np.dtype(dtype)
    return np.frombuffer(_NOISE.bytes(int(np.prod(shape)) * kind.itemsize), kind).reshape(shape)


def _smooth(*shape: int) -> np.ndarray:
    return np.add.outer(np.arange(shape[0]), np.arange(shape[1])).astype(np.uint8)


def _colour(*shape: int) -> np.ndarray:
    return np.dstack([_smooth(*shape), _smooth(*shape)[::-1], _smooth(*shape)[:, ::-1]])


def _scans(jpeg: bytes, count: int) -> bytes:
    """A progressive JPEG with its last scan repeated, up to so many scans."""
    last, more = jpeg.rindex(b"\xff\xda"), count - jpeg.count(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * more + jpeg[-2:]


def _gz_nifti(dtype: str, x: int, y: int, z: int) -> bytes:
    """64 million zeros, stored so that rows and columns have to be exchanged."""
    header = valid.nifti_bytes(
        np.zeros((8, 8, 8), dtype), np.array([[0, 1.0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    )
    changed = header[:42] + np.array([x, y, z], "<i2").tobytes() + header[48:352]
    with gzip.GzipFile(fileobj=(file := io.BytesIO()), mode="wb", compresslevel=1) as packed:
        packed.write(changed)
        for _ in range(z):
            packed.write(bytes(x * y * np.dtype(dtype).itemsize))
    return file.getvalue()


def _npz(dtype: str, *shape: int) -> bytes:
    np.savez_compressed(file := io.BytesIO(), np.zeros(shape, dtype))
    return file.getvalue()


def _rle(frames: np.ndarray) -> bytes:
    tags = {
        "rows": frames.shape[1],
        "columns": frames.shape[2],
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "bits_allocated": 8 * frames.itemsize,
        "bits_stored": 8 * frames.itemsize,
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2",
    }
    packed = [RLELosslessEncoder.encode(frame, encoding_plugin="pydicom", **tags) for frame in frames[:4]]
    return valid.packed_dicom(frames, RLELossless, [packed[n % len(packed)] for n in range(len(frames))])


def _frames(syntax: pydicom.uid.UID, kind: str, count: int, frame: np.ndarray, **options: object) -> bytes:
    packed = valid.picture_bytes(kind, frame, **options)
    shape = np.broadcast_to(frame, (count, *frame.shape)) if count > 1 else frame
    return valid.packed_dicom(np.zeros(shape.shape, frame.dtype), syntax, [packed] * count)


def _series(count: int) -> Files:
    tags = (valid.dicom_bytes(_smooth(128, 128), **valid.located(k)) for k in range(count))
    return tuple((f"{k}.dcm", data) for k, data in enumerate(tags))


def _one(data: bytes) -> Files:
    return (("file", data),)


def _picture(kind: str, *pages: np.ndarray, **options: object) -> Files:
    return _one(valid.picture_bytes(kind, *pages, **options))


LARGEST: dict[str, Callable[[], Files]] = {
    "npy, 64 MB of uint8": lambda: _one(valid.npy_bytes(_noise(255, 512, 512))),
    "npy, 64 MB of float64, Fortran order": lambda: _one(
        valid.npy_bytes(np.asfortranarray(_noise(31, 512, 512, dtype="u8").astype(float)))
    ),
    "npz, 64 million float64": lambda: _one(_npz("f8", 256, 512, 512)),
    "npz, 64 million complex128": lambda: _one(_npz("c16", 256, 512, 512)),
    "npz, one slice of 16 million int64": lambda: _one(_npz("i8", 4096, 4096)),
    "nii, 64 MB of uint8": lambda: _one(valid.nifti_bytes(_noise(512, 512, 255))),
    "nii.gz, 64 million float64": lambda: _one(_gz_nifti("f8", 512, 512, 256)),
    "nii.gz, 64 million complex128": lambda: _one(_gz_nifti("c16", 512, 512, 256)),
    "nii.gz, 4 slices of 16 million": lambda: _one(_gz_nifti("f8", 4096, 4096, 4)),
    "dcm, 4090 frames, 64 MB of uint8": lambda: _one(valid.dicom_bytes(_noise(4090, 128, 128))),
    "dcm, 64 MB of uint16": lambda: _one(valid.dicom_bytes(_noise(127, 512, 512, dtype="u2"))),
    "dcm, one frame of 16 million uint32": lambda: _one(valid.dicom_bytes(_noise(4000, 4096, dtype="u4"))),
    "dcm, deflated": lambda: _one(valid.dicom_bytes(_noise(120, 512, 512, dtype="u2"), DeflatedExplicitVRLittleEndian)),
    "dcm, RLE, one frame of 16 million": lambda: _one(_rle(np.zeros((1, 4096, 4096), np.uint16))),
    "dcm, RLE, 4000 frames": lambda: _one(_rle(_noise(4000, 128, 128))),
    "dcm, JPEG, one frame of 14 million": lambda: _one(_frames(JPEGBaseline8Bit, "JPEG", 1, _noise(3584, 4096))),
    "dcm, JPEG, 64 scans": lambda: _one(
        valid.packed_dicom(
            np.zeros((3584, 4096), np.uint8),
            JPEGBaseline8Bit,
            [_scans(valid.picture_bytes("JPEG", _smooth(3584, 4096), progressive=True), 64)],
        )
    ),
    "dcm, JPEG 2000, one frame of 14 million": lambda: _one(
        _frames(JPEG2000Lossless, "JPEG2000", 1, _noise(3584, 4096), no_jp2=True)
    ),
    "dcm, JPEG 2000, 3584 tiles": lambda: _one(
        _frames(JPEG2000Lossless, "JPEG2000", 1, _smooth(3584, 4096), no_jp2=True, tile_size=(64, 64))
    ),
    "dcm, 16 million YBR": lambda: _one(
        valid.dicom_bytes(
            _smooth(4096, 4096),
            SamplesPerPixel=3,
            PlanarConfiguration=0,
            PhotometricInterpretation="YBR_FULL",
            PixelData=_colour(4096, 4096).tobytes(),
        )
    ),
    "dcm, JPEG 2000, 3584 frames": lambda: _one(
        _frames(JPEG2000Lossless, "JPEG2000", 3584, _noise(64, 64), no_jp2=True)
    ),
    "dcm, series of 4096 files": lambda: _series(4096),
    "png, 16 million RGBA": lambda: _picture("PNG", np.dstack([_smooth(4096, 4096)] * 4)),
    "png, 16 million, 16 bits a colour": lambda: _one(
        valid.deep_png_bytes(np.dstack([_smooth(4096, 4096).astype(np.uint16)] * 4), 6)
    ),
    "jpg, 16 million, colour": lambda: _picture("JPEG", _noise(4096, 4096, 3), quality=95),
    "jpg, 16 million, 64 scans": lambda: _one(
        _scans(valid.picture_bytes("JPEG", _colour(4096, 4096), progressive=True), 64)
    ),
    "tif, 16 million RGB, LZW": lambda: _picture("TIFF", _colour(4096, 4096), compression="tiff_lzw"),
    "tif, 16 million, LZMA": lambda: _picture("TIFF", _smooth(4096, 4096), compression="lzma"),
    "tif, 2000 pages, 64 MB": lambda: _picture("TIFF", *_noise(2000, 181, 181)),
    "tif, 4 pages of 16 million float32": lambda: _picture(
        "TIFF", *[np.zeros((4096, 4096), np.float32)] * 4, compression="tiff_deflate"
    ),
    "bmp, 16 million RGB": lambda: _picture("BMP", _noise(4096, 4096, 3)),
    "gif, 2048 pages, 64 million": lambda: _picture(
        "GIF", *(_smooth(181, 181) + np.uint8(k % 256) for k in range(2048))
    ),
    "gif, 4 pages of 16 million": lambda: _picture("GIF", *(_smooth(4096, 4096) + np.uint8(k) for k in range(4))),
}


def largest(names: list[str]) -> dict[str, Row]:
    """Each of the largest files once, as an image, and those whose numbers could be labels as a mask."""
    reader, rows = _warm(), {}
    for name in names:
        files = LARGEST[name]()
        rows[name] = Row()
        rows[name].note(reader, files, name)
        if "nii.gz" in name or "npz" in name or "tif, 4 pages" in name:
            rows[f"{name}, mask"] = Row()
            rows[f"{name}, mask"].note(reader, files, f"{name}, mask", mask=True)
    reader.close()
    return rows


def table(rows: dict[str, Row]) -> str:
    """Rows as text, one line each."""
    wide = max(map(len, rows))
    lines = [f"{'':{wide}}  loaded  refused  no cause  crashed  hung  cpu s  wait s  peak MB"]
    for name, row in rows.items():
        numbers = f"{row.loaded:8}{row.refused:9}{row.without_cause:10}{row.crashed:9}{row.hung:6}"
        lines.append(f"{name:{wide}}{numbers}{row.worst_seconds:7.2f}{row.worst_wait:8.2f}{row.peak_mb:9.0f}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="mutations of each format (default: 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="TEXT", help="only formats and largest files whose name has it")
    add_json_option(parser)
    options = parser.parse_args()
    print(f"{datetime.date.today()}, {machine()}, seed {options.seed}")
    start = time.perf_counter()
    mutated = fuzz([kind for kind in valid.FILES if options.only in kind], options.seed, options.count)
    seconds = time.perf_counter() - start
    if mutated:
        print(f"\n{options.count} mutations of each format, {seconds:.0f} s\n{table(mutated)}", flush=True)
    whole = largest([name for name in LARGEST if options.only in name])
    if whole:
        print(f"\nThe largest files within the limits\n{table(whole)}")
    defects = [text for row in (*mutated.values(), *whole.values()) for text in row.defects]
    print(f"\n{len(defects)} defects", *defects[:40], sep="\n  ")
    if options.json:
        result = {
            "date": str(datetime.date.today()),
            "machine": machine(),
            "seed": options.seed,
            "count": options.count,
            "seconds": round(seconds),
            "pillow": Image.__version__,
            "pydicom": pydicom.__version__,
            "mutated": {name: asdict(row) for name, row in mutated.items()},
            "largest": {name: asdict(row) for name, row in whole.items()},
        }
        rounded = json.loads(json.dumps(result), parse_float=lambda text: round(float(text), 3))
        write_json(rounded, options.json)
    return 1 if defects else 0


if __name__ == "__main__":
    sys.exit(main())

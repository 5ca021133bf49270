"""A miniature of the CHAOS tree with known answers: the same body in every subject, seen in T1 and T2."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

FIELD_MM = 120.96  # in plane: 32 pixels of T1 at 3.78 mm, 40 of T2 at 3.024 mm
HEIGHT_MM = 60.0
SLICES = {"T1DUAL": 6, "T2SPIR": 4}
PIXELS = {"T1DUAL": 32, "T2SPIR": 40}
LIVER, RIGHT_KIDNEY, LEFT_KIDNEY, SPLEEN = 63, 126, 189, 252


def heights(sequence: str, slices: dict[str, int] = SLICES) -> np.ndarray:
    """Patient z of the slices in mm, ascending."""
    return (np.arange(slices[sequence]) + 0.5) * HEIGHT_MM / slices[sequence]


def organs(height: float, pixels: int) -> np.ndarray:
    """Grey values of the labels at a height in mm, (pixels, pixels) uint8; the liver grows with the height."""
    at = (np.arange(pixels) + 0.5) / pixels
    rows, columns = at[:, None], at[None, :]
    labels = np.zeros((pixels, pixels), np.uint8)
    for value, (top, bottom, left, right) in {
        LIVER: (0.15, 0.25 + 0.3 * height / HEIGHT_MM, 0.1, 0.5),
        RIGHT_KIDNEY: (0.6, 0.8, 0.15, 0.3),
        LEFT_KIDNEY: (0.6, 0.8, 0.7, 0.85),
        SPLEEN: (0.2, 0.4, 0.7, 0.9),
    }.items():
        labels[(rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)] = value
    return labels


def picture(labels: np.ndarray, sequence: str, phase: str = "") -> np.ndarray:
    """A noiseless image of the labels, uint16; every organ is brighter than what surrounds it."""
    body = {"T1DUAL": 100, "T2SPIR": 60}[sequence] - (20 if phase == "OutPhase" else 0)
    gain = {"T1DUAL": 2, "T2SPIR": 3}[sequence]
    return np.where(labels > 0, 2 * body + gain * labels.astype(int), body).astype(np.uint16)


def write_chaos(
    root: Path,
    subjects: Iterable[int] = (1, 2, 3, 10),
    *,
    annotated: Iterable[int] | None = None,
    slices: dict[str, int] = SLICES,
    one_series: bool = False,
    geometry: bool = True,
    digits: int = 5,
) -> Path:
    """Write ROOT/SUBJECT/T1DUAL and T2SPIR as the challenge gives them out.

    Args:
        root: new or empty.
        subjects: their numbers; in odd ones the files count from Superior to Inferior, in even ones upwards.
        annotated: those with Ground folders, all by default.
        slices: of each sequence.
        one_series: the slices of a sequence share a SeriesInstanceUID; else each file has its own.
        geometry: write where the slices lie.
        digits: of the number in a file's name; with 1, the names' alphabetical order is not that of the slices.
    """
    subjects = tuple(subjects)
    annotated = subjects if annotated is None else tuple(annotated)
    for subject in subjects:
        for sequence in SLICES:
            folder = root / str(subject) / sequence
            phases = ("InPhase", "OutPhase") if sequence == "T1DUAL" else ("",)
            series = {phase: generate_uid() for phase in phases} if one_series else {}
            order = heights(sequence, slices)[:: -1 if subject % 2 else 1]
            for k, height in enumerate(order):
                labels = organs(float(height), PIXELS[sequence])
                for phase in phases:
                    # the phases are numbered alternately, as one acquisition gives them
                    number = 2 * k + (2 if phase == "InPhase" else 1) if phase else k + 1
                    name = f"IMG-0004-{number:0{digits}d}"
                    path = folder / "DICOM_anon" / phase / f"{name}.dcm"
                    position = float(height) if geometry else None
                    image = picture(labels, sequence, phase)
                    write_dicom(path, image, position, number, series.get(phase) or generate_uid())
                    if subject in annotated and phase in ("", "InPhase"):
                        (folder / "Ground").mkdir(exist_ok=True)
                        Image.fromarray(labels).save(folder / "Ground" / f"{name}.png")
    return root


def write_dicom(path: Path, pixels: np.ndarray, height: float | None, number: int, series: str) -> None:
    """Write one axial slice of FIELD_MM, centred in plane, at a height in mm."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.SeriesInstanceUID, dataset.InstanceNumber, dataset.Modality = series, number, "MR"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    spacing = FIELD_MM / pixels.shape[0]
    dataset.PixelSpacing = [round(spacing, 6)] * 2
    if height is not None:
        edge = round((spacing - FIELD_MM) / 2, 6)
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.ImagePositionPatient = [edge, edge, height]
        dataset.SliceThickness = 10
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)

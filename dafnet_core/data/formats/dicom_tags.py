"""Tags of DICOM headers that distinguish volumes at the same place: contrasts, and moments in time."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Each is the first number that is found: a functional group (None: the header itself) and a tag
_NUMBERS: dict[str, tuple[tuple[str | None, str], ...]] = {
    "EchoTime": (("MREchoSequence", "EffectiveEchoTime"), (None, "EchoTime"), (None, "EffectiveEchoTime")),
    "EchoNumbers": ((None, "EchoNumbers"),),
    "DiffusionBValue": (("MRDiffusionSequence", "DiffusionBValue"),),
    "InversionTime": (("MRModifierSequence", "InversionTimes"), (None, "InversionTime")),
    "FlipAngle": (("MRTimingAndRelatedParametersSequence", "FlipAngle"),),
    "RepetitionTime": (("MRTimingAndRelatedParametersSequence", "RepetitionTime"),),
    "AcquisitionNumber": (("FrameContentSequence", "FrameAcquisitionNumber"), (None, "AcquisitionNumber")),
    "SeriesNumber": ((None, "SeriesNumber"),),
    "TemporalPosition": (
        ("FrameContentSequence", "TemporalPositionIndex"),
        (None, "TemporalPositionIdentifier"),
        (None, "TemporalPositionIndex"),
    ),
    "TriggerTime": (
        ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
        (None, "TriggerTime"),
        (None, "NominalCardiacTriggerDelayTime"),
    ),
}
_SPATIAL = {"ImagePositionPatient", "InStackPositionNumber", "StackID", "ImageOrientationPatient", "SliceLocation"}


def number_of(dataset: "Dataset", tag: str) -> float | None:
    """A tag's value as a finite number, or the first of several; None where it is missing, empty or no number."""
    try:
        value = dataset.get(tag)
        if value is not None and not isinstance(value, str | bytes) and hasattr(value, "__len__"):
            value = value[0] if len(value) else None
        number = float(value)
    except (TypeError, ValueError, OverflowError):  # pydicom converts when a value is asked for
        return None
    return number if np.isfinite(number) else None


def numbers_of(dataset: "Dataset", tag: str, count: int) -> np.ndarray | None:
    """A tag's values as (count,) finite numbers; None where they are missing, others or more or fewer."""
    try:
        value = dataset.get(tag)
        if value is None or isinstance(value, str) or len(value) != count:
            return None
        numbers = np.array([float(v) for v in value])
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if np.isfinite(numbers).all() else None


def volume_tags(header: "Dataset", group: Callable[[str], "Dataset"]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The values of ImageType or FrameType, and all tags of a frame that may distinguish volumes, None where missing.

    Args:
        group: gives a functional group of the frame, or the header where there is none.
    """
    tags: dict[str, Any] = {}
    for name, places in _NUMBERS.items():
        found = (number_of(group(at) if at else header, tag) for at, tag in places)
        tags[name] = next((value for value in found if value is not None), None)
    frame_type = group("MRImageFrameTypeSequence")
    image_type = frame_type.get("FrameType") or header.get("ImageType") or ()
    image_type = (image_type,) if isinstance(image_type, str) else image_type
    tags["ComplexImageComponent"] = str(frame_type.get("ComplexImageComponent") or "") or None
    tags["SequenceName"] = str(header.get("SequenceName") or header.get("PulseSequenceName") or "") or None
    tags["ScanningSequence"] = str(header.get("ScanningSequence") or "") or None
    diffusion = group("MRDiffusionSequence")
    directions = diffusion.get("DiffusionGradientDirectionSequence")
    direction = numbers_of(directions[0] if directions else diffusion, "DiffusionGradientOrientation", 3)
    tags["DiffusionGradientOrientation"] = None if direction is None else tuple(np.round(direction, 4).tolist())
    tags["DimensionIndexValues"] = _other_dimensions(header, group("FrameContentSequence"))
    tags["AcquisitionTime"] = _moment(header, group("FrameContentSequence"))
    return tuple(str(part).strip().upper() for part in image_type), tags


def _other_dimensions(header: "Dataset", content: "Dataset") -> tuple[int, ...] | None:
    """DimensionIndexValues of the dimensions that are not positions."""
    from pydicom.datadict import keyword_for_tag

    dimensions, values = header.get("DimensionIndexSequence"), content.get("DimensionIndexValues")
    if not dimensions or values is None:
        return None
    values = values if hasattr(values, "__len__") else [values]
    if len(values) != len(dimensions):
        return None
    names = [keyword_for_tag(item.get("DimensionIndexPointer") or 0) for item in dimensions]
    kept = tuple(int(value) for name, value in zip(names, values, strict=True) if name not in _SPATIAL)
    return kept or None


def _moment(header: "Dataset", content: "Dataset") -> float | None:
    """When a frame was acquired, in seconds from a fixed moment."""
    stamp = content.get("FrameAcquisitionDateTime") or header.get("AcquisitionDateTime")
    if stamp is None and header.get("AcquisitionTime"):
        stamp = str(header.get("AcquisitionDate") or "00010101") + str(header.AcquisitionTime)
    text = str(stamp or "").split("+")[0].split("-")[0]
    try:
        date, clock = int(text[:8]), text[8:]
        return date * 86400.0 + int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + float(clock[4:] or 0)
    except ValueError:
        return None

"""Volumes of a DICOM stack: frames at the same places, told apart by their tags and never by their numbers alone.

Contrasts (echo time, kind of image, b-value, ...) are told apart by equal values. What remains at one place is told
apart by a tag whose values are the same everywhere (a temporal position), or else by the rank of a time, which jitters
from slice to slice in a triggered acquisition. What cannot be told apart is refused, and so is a volume with holes.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from typing import Any

from dafnet_core.data.formats.dicom_stack import Frame
from dafnet_core.data.formats.scan import ReadError

_MAX_LISTED = 4  # values or volumes that an error names


@dataclass(frozen=True)
class _Contrast:
    """A tag whose values make contrasts.

    Attributes:
        words: a value in words.
        same: relative difference of values that count as equal.
        mixed: relative difference that the slices of one volume may have.
    """

    name: str
    words: str
    same: float = 0.0
    mixed: float = 0.0


_CONTRASTS = (
    _Contrast("EchoTime", "echo time {:.5g} ms", same=0.01, mixed=0.05),
    _Contrast("ImageType", "image type {}"),
    _Contrast("ComplexImageComponent", "{}"),
    _Contrast("derivation", "{}", mixed=inf),  # the first two values of ImageType
    _Contrast("EchoNumbers", "echo {:g}"),
    _Contrast("DiffusionBValue", "b-value {:g} s/mm2", same=0.01, mixed=0.01),
    _Contrast(
        "FlipAngle", "flip angle {:g} degrees", same=0.01, mixed=0.5
    ),  # it is lowered where much power is absorbed
)
# What the slices of a volume have in common, once it is told apart; times jitter with the heart's rate
_IN_COMMON = (
    _Contrast("InversionTime", "", mixed=0.25),
    _Contrast("RepetitionTime", "", mixed=0.67),
    _Contrast("TemporalPosition", ""),
    _Contrast("SeriesNumber", ""),
    _Contrast("ScanningSequence", ""),
    _Contrast("SequenceName", ""),
)
_MAY_NUMBER = ("ImageType", "TemporalPosition")  # in some files these count the slices
_SAME_EVERYWHERE = {
    "TemporalPosition": "frame",
    "DimensionIndexValues": "frame",
    "DiffusionGradientOrientation": "direction",
    "AcquisitionNumber": "acquisition",
    "SeriesNumber": "series",
    "SequenceName": "sequence",
    "ScanningSequence": "sequence",
    "RepetitionTime": "repetition time",
}
_RANKED = {"TriggerTime": "frame", "InversionTime": "inversion time", "AcquisitionTime": "frame"}


@dataclass(frozen=True)
class _Volume:
    """Frames, each with its slice, and what distinguishes them from other volumes."""

    cells: tuple[tuple[int, Frame], ...]
    names: tuple[str, ...] = ()
    order: tuple[Any, ...] = field(default=())

    def counts(self) -> Counter[int]:
        return Counter(at for at, _ in self.cells)

    def part(self, cells: Sequence[tuple[int, Frame]], name: str, order: Any) -> "_Volume":
        return _Volume(tuple(cells), (*self.names, name), (*self.order, order))


def split_volumes(frames: Sequence[Frame], at: Sequence[int]) -> tuple[list[dict[int, Frame]], tuple[str, ...]]:
    """Divide the frames of one geometry into volumes.

    Args:
        at: each frame's slice.

    Returns:
        The volumes in the order of what distinguishes them, each its frames by slice; and what that is, a name for
        each volume, () for one volume.

    Raises:
        ReadError: several contrasts would make one volume, a volume has holes, or frames cannot be told apart.
    """
    places = set(at)
    whole = _Volume(tuple(zip(at, frames, strict=True)))
    volumes = [whole]
    for tag in _CONTRASTS:
        volumes = [part for volume in volumes for part in _by_contrast(volume, tag)]
    _check_whole(volumes, places)
    parted = [part for volume in volumes for part in _by_time(volume)]
    for volume in parted:
        for tag in _IN_COMMON:
            _check_mix(volume, tag)
    parted.sort(key=lambda volume: volume.order)
    names = tuple(", ".join(volume.names) for volume in parted)
    return [dict(volume.cells) for volume in parted], names if len(parted) > 1 else ()


def _value(frame: Frame, tag: str) -> Any:
    if tag == "ImageType":
        return " ".join(part for part in frame.image_type[2:] if part and not part.isdigit()) or None
    if tag == "derivation":
        return " ".join(frame.image_type[:2]) or None
    return frame.tags[tag]


def _by_contrast(volume: _Volume, tag: _Contrast) -> list[_Volume]:
    values = [_value(frame, tag.name) for _, frame in volume.cells]
    group = _clusters({value for value in values if value is not None}, tag.same)
    groups = [group.get(value, -1) for value in values]
    if len(set(groups)) == 1:
        return [volume]
    repeated = Counter(at for at, _ in {(at, n) for (at, _), n in zip(volume.cells, groups, strict=True)})
    if max(repeated.values()) == 1:
        _check_mix(volume, tag)
        return [volume]
    common = set.intersection(*(set(str(value).split()) for value in set(values)))
    parts = []
    for n, cells in _divided(volume, groups).items():
        parts.append(volume.part(cells, _in_words(_value(cells[0][1], tag.name), tag, common), n))
    return parts


def _divided(volume: _Volume, numbers: Sequence[int]) -> dict[int, list[tuple[int, Frame]]]:
    parts: dict[int, list[tuple[int, Frame]]] = {n: [] for n in sorted(set(numbers))}
    for cell, n in zip(volume.cells, numbers, strict=True):
        parts[n].append(cell)
    return parts


def _in_words(value: Any, tag: _Contrast, common: set[str]) -> str:
    if value is None:
        return f"{tag.name} not stated"
    if tag.name == "ImageType":
        value = " ".join(part for part in value.split() if part not in common) or value
    return tag.words.format(_clean(value) if isinstance(value, str) else value)


def _has_digit(value: Any) -> bool:
    return any(c.isdigit() for c in str(value))


def _clean(text: str) -> str:
    return "".join(c if c.isalnum() or c in "_ -" else "_" for c in text)[:40]


def _clusters(values: set[Any], same: float) -> dict[Any, int]:
    """Number the values in ascending order; close ones have one number."""
    found: dict[Any, int] = {}
    number, last = -1, None
    for value in sorted(values):
        near = last is not None and not isinstance(value, str) and abs(value - last) <= same * abs(value)
        number += not near
        found[value], last = number, value
    return found


def _check_mix(volume: _Volume, tag: _Contrast) -> None:
    """Raise ReadError if slices at different places differ in contrast."""
    if tag.mixed == inf:
        return
    counts = Counter(_value(frame, tag.name) for _, frame in volume.cells)
    stated = [value for value in counts if value is not None]
    if len(stated) < 2 and (tag.name != "ImageType" or len(counts) < 2):
        return
    if len(counts) == len(volume.cells) > 3 and tag.name in _MAY_NUMBER and all(_has_digit(value) for value in stated):
        return
    if not any(isinstance(value, str) for value in stated):
        low, high = min(stated), max(stated)
        if high - low <= tag.mixed * max(abs(low), abs(high)):
            return
    shown = [f"{_shown(value)} ({count})" for value, count in counts.most_common(_MAX_LISTED)]
    more = ", ..." if len(counts) > _MAX_LISTED else ""
    raise ReadError(
        f"its slices differ in {tag.name}: {', '.join(shown)}{more}, and no place has them all, so that one stack "
        "would mix contrasts. Give the slices of one contrast, or all slices of each."
    )


def _shown(value: Any) -> str:
    return "not stated" if value is None else _clean(value) if isinstance(value, str) else f"{value:.5g}"


def _check_whole(volumes: Sequence[_Volume], places: set[int]) -> None:
    """Raise ReadError unless each volume has equally many frames at every place."""
    faults = []
    for volume in volumes:
        counts, name = volume.counts(), ", ".join(volume.names) or "the stack"
        most = max(counts.values())
        if len(counts) < len(places):
            faults.append(f"{name} has {len(counts)} of {len(places)} slices")
        elif min(counts.values()) < most:
            often = sum(count == most for count in counts.values())
            faults.append(
                f"{name} has {most} frames at {often} of {len(places)} places and {min(counts.values())} elsewhere"
            )
    if faults:
        more = "; and others" if len(faults) > _MAX_LISTED - 1 else ""
        raise ReadError(
            f"files are missing, given twice, or of several acquisitions mixed: {'; '.join(faults[: _MAX_LISTED - 1])}"
            f"{more}. Give all files of one acquisition, each once."
        )


def _by_time(volume: _Volume) -> list[_Volume]:
    """Divide a contrast until every place has one frame."""
    if max(volume.counts().values()) == 1:
        return [volume]
    for tags, values_of in ((_SAME_EVERYWHERE, _equal_values), (_RANKED, _ranks)):
        for tag, word in tags.items():
            numbers = values_of(volume, tag)
            if numbers is None:
                continue
            count = max(numbers) + 1
            parts = _divided(volume, numbers).items()
            return [
                part for n, cells in parts for part in _by_time(volume.part(cells, f"{word} {n + 1} of {count}", n))
            ]
    if len({frame.file for _, frame in volume.cells}) == len(volume.counts()) == 1:
        numbers_in_file = len(volume.cells)  # frames of one file at one place are moments, in the order of the file
        return [volume.part([cell], f"frame {n + 1} of {numbers_in_file}", n) for n, cell in enumerate(volume.cells)]
    each = max(volume.counts().values())
    raise ReadError(
        f"{each} frames lie at each place{f' ({volume.names[-1]})' if volume.names else ''}, and no tag tells them "
        "apart (echo time, image type, temporal position, trigger time, acquisition): copies, or contrasts that the "
        "headers do not name. Give one file for each slice."
    )


def _equal_values(volume: _Volume, tag: str) -> list[int] | None:
    """Number the values of a tag that occur equally often at every place; None where they do not."""
    values = [_value(frame, tag) for _, frame in volume.cells]
    if None in values or len(set(values)) == 1:
        return None
    at_places: dict[int, Counter[Any]] = {}
    for (at, _), value in zip(volume.cells, values, strict=True):
        at_places.setdefault(at, Counter())[value] += 1
    first = next(iter(at_places.values()))
    if any(counts != first for counts in at_places.values()) or len(set(first.values())) > 1:
        return None
    number = {value: n for n, value in enumerate(sorted(first, key=_natural))}
    return [number[value] for value in values]


def _natural(value: Any) -> Any:
    """A sort key by which "b1000#2" comes before "b1000#10"."""
    if not isinstance(value, str):
        return value
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", value) if part]


def _ranks(volume: _Volume, tag: str) -> list[int] | None:
    """The rank of each frame's time among those at its place; None where times are equal or missing.

    The moment of acquisition counts only if each volume was complete before the next began.
    """
    times: dict[int, list[float]] = {}
    for at, frame in volume.cells:
        time = _value(frame, tag)
        if time is None:
            return None
        times.setdefault(at, []).append(time)
    if any(len(set(own)) < len(own) for own in times.values()):
        return None
    ranks = {at: {time: n for n, time in enumerate(sorted(own))} for at, own in times.items()}
    numbers = [ranks[at][_value(frame, tag)] for at, frame in volume.cells]
    if tag == "AcquisitionTime" and not _one_after_the_other(times.values()):
        return None
    return numbers


def _one_after_the_other(times: Any) -> bool:
    moments = list(zip(*(sorted(own) for own in times), strict=True))
    return all(max(one) < min(next_one) for one, next_one in pairwise(moments))

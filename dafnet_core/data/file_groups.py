"""Which of several files that are given at once belong together: DICOM files of one series, a header and its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from dafnet_core.data.formats.scan import ReadError
from dafnet_core.data.formats.source import Blob, blob, sniff, unpacked_head

_HALVES = {".hdr": ".img", ".img": ".hdr"}


def together(files: Sequence[tuple[str, bytes]]) -> list[list[int]]:
    """Indices of files that `readers.read` reads as one stack, in the order in which they were given.

    Args:
        files: (name, content) pairs. What cannot be read stays alone, so that reading it says why.

    >>> together([("a.hdr", b"?"), ("b.png", b"?"), ("a.img", b"?")])
    [[0, 2], [1]]
    """
    groups: dict[object, list[int]] = {}
    names = {name.casefold() for name, _ in files}
    for n, (name, data) in enumerate(files):
        groups.setdefault(_pair(name, names) or _series(name, data) or n, []).append(n)
    return list(groups.values())


def _pair(name: str, names: set[str]) -> object:
    """What a header and its data have in common, if both are there."""
    path = PurePath(name.casefold().removesuffix(".gz"))
    other = str(path.with_suffix(_HALVES.get(path.suffix, path.suffix)))
    halves = path.suffix in _HALVES and {other, f"{other}.gz"} & names
    return ("pair", str(path.with_suffix(""))) if halves else None


def _series(name: str, data: bytes) -> object:
    """What DICOM files of one series have in common; None for another file."""
    from dafnet_core.data.formats.dicom import series_of

    try:
        item: Blob = blob((name, data))
        series = series_of(item) if sniff(unpacked_head(item)) == "DICOM" else None
    except ReadError:
        return None
    return None if series is None else ("series", series)

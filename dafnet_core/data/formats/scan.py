"""The result type of all readers, and the limits that apply to all of them.

Pixels are indexed (row, column), stacks (volume, slice, row, column). The limits keep the peak memory of
reading any one file under 600 MB: the decoded stack takes 4 bytes a value, everything else is done in chunks.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace

import numpy as np

from dafnet_core.data.formats.orientation import MIN_SIDE, StoredGrid, Turn

MAX_FILE_BYTES = 64 << 20  # one file, compressed or not; uploaders of images have this limit too
MAX_VALUES = 64 << 20  # values in a decoded stack: 256 MiB as float32
MAX_PIXELS = 16 << 20  # pixels in one slice: decoders and colours need several times its float32 size
MAX_SIDE = 8192  # pixels along one side of a slice
MAX_ELONGATION = 64  # longer side over shorter side
MAX_LABELS = 32  # distinct values in a mask
MAX_NAME = 80  # characters of a file name that are shown
PRIVACY_NOTE = "This file carries identifying tags; they are not shown, stored or exported."


class ReadError(ValueError):
    """A file cannot be read. The message states the cause, what was expected and the remedy, and is safe to show."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice of a scan.

    Attributes:
        pixels: (rows, columns), float32 and finite for images, int32 >= 0 for masks; C-contiguous.
        spacing: (row, column) distance between pixel centres in mm, None where unknown.
        origin: readable origin of the slice: quoted name, slice and volume, counted from 1.
        notes: what was converted, chosen or doubtful, each a plain sentence.
        affine: (4, 4), from (column, row, slices towards the next one, 1) to patient mm (x to Right, y to Anterior,
            z to Superior, as NIfTI has it), None where unknown.
    """

    pixels: np.ndarray
    spacing: tuple[float, float] | None
    origin: str
    notes: tuple[str, ...]
    affine: np.ndarray | None = None

    @property
    def centre(self) -> np.ndarray | None:
        """(3,) patient mm of the slice's centre, None where unknown."""
        if self.affine is None:
            return None
        rows, columns = self.pixels.shape
        return (self.affine @ np.array([(columns - 1) / 2, (rows - 1) / 2, 0, 1.0]))[:3]


@dataclass(frozen=True, eq=False)
class Scan:
    """A decoded file, or several files that make one stack.

    Attributes:
        values: (volumes, slices, rows, columns), float32 and finite for images, int32 >= 0 for masks.
        spacing: (row, column) distance between pixel centres in mm, None where unknown.
        slice_spacing: distance between slice centres in mm, None where unknown.
        name: the file's name without folders, cleaned for display.
        kind: the format, such as "NIfTI" or "PNG".
        notes: what was converted, chosen or doubtful, each a plain sentence.
        affine: (4, 4), from (column, row, slice, 1) to patient mm (Right, Anterior, Superior), None where
            unknown.
        stored: the file's own grid, which results are written on; None where the file has pictures only.
        other_affine: a second affine of the header that contradicts the first, such as a qform; None without one.
        volume_names: what distinguishes the volumes, such as "echo time 4.6 ms"; () where they are only numbered.
    """

    values: np.ndarray
    spacing: tuple[float, float] | None
    slice_spacing: float | None
    name: str
    kind: str
    notes: tuple[str, ...]
    affine: np.ndarray | None = None
    stored: StoredGrid | None = None
    other_affine: np.ndarray | None = None
    volume_names: tuple[str, ...] = ()

    @property
    def volumes(self) -> int:
        """How many volumes (time points, echoes) the stack holds."""
        return self.values.shape[0]

    @property
    def slices(self) -> int:
        """How many slices each volume holds."""
        return self.values.shape[1]

    def slice(self, index: int | None = None, volume: int = 0) -> Slice:
        """Take one slice; without an index the middle one.

        Raises:
            ReadError: index or volume is out of range; the message names the range.
        """
        index = self.slices // 2 if index is None else index
        for what, value, count in (("slice", index, self.slices), ("volume", volume, self.volumes)):
            if not 0 <= value < count:
                raise ReadError(f"`{self.name}`: {what} {value} was asked for, but it has {what}s 0 to {count - 1}.")
        origin = f"`{self.name}`"
        if self.slices > 1:
            origin += f", slice {index + 1} of {self.slices}"
        if self.volumes > 1:
            origin += f", volume {volume + 1} of {self.volumes}"
        pixels = self.values[volume, index].copy()  # a copy, so that keeping a slice does not keep the whole stack
        affine = None if self.affine is None else self.affine.copy()
        if affine is not None:
            affine[:, 3] += affine[:, 2] * index
        return Slice(pixels, self.spacing, origin, self.notes, affine)

    def recut(self, across: str) -> Scan:
        """The scan cut across another direction of the patient, "S", "P" or "L"; itself where that is unknown.

        Raises:
            ReadError: the new slices are too small.
        """
        if self.stored is None or self.affine is None:
            return self
        values, stored = self.stored.recut(self.values, across)
        check_shape(*values.shape)
        affine = stored.turned_affine
        assert affine is not None  # since the scan has one
        column, row, between = (float(x) for x in np.linalg.norm(affine[:3, :3], axis=0))
        note = f"Cut anew: {stored.in_words()}"
        return replace(
            self,
            values=values,
            spacing=(row, column),
            slice_spacing=between,
            affine=affine,
            stored=stored,
            notes=(*self.notes, note),
        )

    def turned(self, turn: Turn) -> Scan:
        """The scan turned by hand; itself where a header says how it lies.

        Raises:
            ReadError: the new slices are too small.
        """
        if self.affine is not None or turn == Turn():
            return self
        slices, rows, columns = self.values.shape[1:]
        before = self.stored or StoredGrid((columns, rows, slices))
        values, stored = before.turned(self.values, turn)
        check_shape(*values.shape)
        sizes: dict[int, float | None] = dict.fromkeys(range(3))
        if self.spacing is not None:
            sizes = dict(zip(before.axes, (self.slice_spacing, *self.spacing), strict=True))
        between, row, column = (sizes[axis] for axis in stored.axes)
        spacing = None if row is None or column is None else (row, column)
        notes = (*self.notes, turn.in_words())
        return replace(self, values=values, spacing=spacing, slice_spacing=between, stored=stored, notes=notes)


def check_shape(volumes: int, slices: int, rows: int, columns: int) -> None:
    """Check a declared stack size before memory is allocated.

    Raises:
        ReadError: empty, too small, too large or too elongated.
    """
    if min(volumes, slices, rows, columns) < 1:
        raise ReadError(
            f"it declares an empty or negative size ({volumes} x {slices} x {rows} x {columns}); "
            "the file is damaged, export it again."
        )
    if min(rows, columns) < MIN_SIDE:
        raise ReadError(
            f"a slice is {rows} x {columns} pixels (rows x columns), too small to segment; "
            f"each side needs at least {MIN_SIDE}."
        )
    if max(rows, columns) > MAX_SIDE:
        raise ReadError(
            f"it declares {rows} x {columns} pixels (rows x columns) a slice; "
            f"at most {MAX_SIDE} a side can be read. Downsample it first."
        )
    if rows * columns > MAX_PIXELS:
        raise ReadError(
            f"it declares {rows} x {columns} pixels (rows x columns) a slice, more than the "
            f"{MAX_PIXELS >> 20} million that are read. Downsample it first."
        )
    if max(rows, columns) > MAX_ELONGATION * min(rows, columns):
        raise ReadError(
            f"a slice is {rows} x {columns} pixels (rows x columns), a strip and not an image; "
            f"one side may be at most {MAX_ELONGATION} times the other."
        )
    if volumes * slices * rows * columns > MAX_VALUES:
        raise ReadError(
            f"it declares {volumes} volumes of {slices} slices of {rows} x {columns} pixels, "
            f"more than the {MAX_VALUES >> 20} million values that are read; cut out the part you need."
        )


def clean_name(name: str) -> str:
    """Make a file name safe to show: no folders, markup or control characters, at most MAX_NAME characters."""
    name = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    name = unicodedata.normalize("NFC", name)
    shown = "".join(c if c.isalnum() or c in " ._-+,=@()" or unicodedata.category(c)[0] == "M" else "_" for c in name)
    shown = shown.strip() or "unnamed"
    if len(shown) > MAX_NAME:
        shown = shown[: MAX_NAME - 25] + "..." + shown[-22:]
    return shown


def quoted(name: str) -> str:
    """A file's or an array's name in a sentence: between backticks, where Markdown finds no markup and no link."""
    return f"`{clean_name(name)}`"

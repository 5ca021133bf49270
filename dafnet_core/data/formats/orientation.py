"""Orientation of a stored voxel grid: how it is turned upright, and the way back to the file's own axes.

In plane, pictures are turned the way radiologists look at them, by the anatomical direction that each stored axis is
closest to; the same for NIfTI and DICOM, however the patient lay in the scanner:

    axial       columns towards the patient's Left, rows towards Posterior
    coronal     columns towards Left, rows towards Inferior
    sagittal    columns towards Posterior, rows towards Inferior

Slices ascend towards Superior (axial), Posterior (coronal) or Left (sagittal). They are cut across the coarse axis,
whichever stored axis that is; axially without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

MIN_SIDE = 8  # pixels along one side of a slice
COARSE = 1.5  # an axis is coarse if its voxels are so many times longer than along both others
_LONGEST = 4  # a cut without a coarse axis may have sides of this ratio in mm
_PLANES = {"S": "axial", "P": "coronal", "L": "sagittal"}
_WORDS = {"L": "Left", "R": "Right", "A": "Anterior", "P": "Posterior", "S": "Superior", "I": "Inferior"}
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S"}


@dataclass(frozen=True)
class Turn:
    """How the pictures of a file are turned by hand that says nothing of its orientation.

    Attributes:
        across: the axis of the values as read that slices are cut across: 0 slices, 1 rows, 2 columns.
        quarters: turns by 90 degrees clockwise.
        mirrored: whether left and right are exchanged after that.
    """

    across: int = 0
    quarters: int = 0
    mirrored: bool = False

    def in_words(self) -> str:
        """What was done, a sentence; "" for nothing."""
        said = [f"cut along axis {self.across + 1}"] if self.across else []
        said += [f"rotated by {90 * (self.quarters % 4)} degrees clockwise"] if self.quarters % 4 else []
        said += ["mirrored"] if self.mirrored else []
        return f"Turned by hand: {', '.join(said)}." if said else ""


@dataclass(frozen=True, eq=False)
class StoredGrid:
    """A file's own voxel grid, and how a scan's values were turned out of it.

    Attributes:
        shape: voxels along the stored axes (i, j, k): columns, rows and slices of a DICOM series.
        affine: (4, 4), from stored (i, j, k, 1) to patient mm (Right, Anterior, Superior); None where unknown.
        axes: the stored axes that run along the values' slices, rows and columns.
        flips: whether the values run against them.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray | None = None
    axes: tuple[int, int, int] = (2, 1, 0)
    flips: tuple[bool, bool, bool] = (False, False, False)

    @classmethod
    def upright(cls, shape: tuple[int, int, int], affine: np.ndarray | None, across: str | None = None) -> StoredGrid:
        """The grid turned upright, as the module describes it; as stored without a usable affine.

        Args:
            across: cut across the stored axis that is closest to this direction, "S", "P" or "L", and not across the
                coarse one.
        """
        codes = anatomical_axes(affine)
        if affine is None or codes is None:
            return cls(shape, None)
        toward = [code if code in "SPL" else _OPPOSITE[code] for code in codes]  # the directions of ascending slices
        cut = toward.index(across) if across else _cut_axis(shape, np.linalg.norm(affine[:3, :3], axis=0), toward)
        wanted = [toward[cut], *{"S": "PL", "P": "IL", "L": "IP"}[toward[cut]]]
        axes = tuple(next(a for a in range(3) if codes[a] in (w, _OPPOSITE[w])) for w in wanted)
        flips = tuple(codes[a] != w for a, w in zip(axes, wanted, strict=True))
        return cls(shape, affine, (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]))

    @property
    def turned_shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns of the values."""
        slices, rows, columns = (self.shape[axis] for axis in self.axes)
        return slices, rows, columns

    @property
    def turned_affine(self) -> np.ndarray | None:
        """(4, 4), from (column, row, slice, 1) of the values to patient mm; None where unknown."""
        if self.affine is None:
            return None
        stored = np.zeros((4, 4))  # from (column, row, slice, 1) to stored (i, j, k, 1)
        stored[3, 3] = 1
        for at, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            stored[axis, 2 - at] = -1 if flip else 1
            stored[axis, 3] = self.shape[axis] - 1 if flip else 0
        return self.affine @ stored

    @property
    def plane(self) -> str:
        """axial, coronal or sagittal, of the slices; "as stored" where unknown."""
        codes = anatomical_axes(self.turned_affine)
        return _PLANES.get(codes[2], "as stored") if codes else "as stored"

    def allocate(self, volumes: int, dtype: type) -> tuple[np.ndarray, np.ndarray]:
        """Empty values (volumes, slices, rows, columns), and a view of them in stored order, (volumes, k, j, i).

        Memory is claimed only as it is filled.
        """
        values: np.ndarray = np.empty((volumes, *self.turned_shape), dtype)
        return values, self.as_stored(values)

    def as_stored(self, values: np.ndarray) -> np.ndarray:
        """A view of values (volumes, slices, rows, columns) in stored order, (volumes, k, j, i)."""
        steps: list[Any] = [slice(None, None, -1 if flip else 1) for flip in self.flips]
        where = [self.axes.index(axis) for axis in (2, 1, 0)]
        lead = values.ndim - 3
        return values[(..., *steps)].transpose(*range(lead), *(lead + at for at in where))

    def back(self, values: np.ndarray) -> np.ndarray:
        """Values (..., slices, rows, columns) on the stored grid, (..., i, j, k).

        Raises:
            ValueError: values of another grid.
        """
        if values.shape[-3:] != self.turned_shape:
            raise ValueError(f"values are {values.shape[-3:]}; this grid has {self.turned_shape}")
        return np.moveaxis(np.moveaxis(self.as_stored(values), -1, -3), -1, -2)

    def recut(self, values: np.ndarray, across: str) -> tuple[np.ndarray, StoredGrid]:
        """Values (volumes, slices, rows, columns) of this grid cut across another direction: a view, and its grid."""
        return self._as(values, StoredGrid.upright(self.shape, self.affine, across))

    def turned(self, values: np.ndarray, turn: Turn) -> tuple[np.ndarray, StoredGrid]:
        """Values (volumes, slices, rows, columns) of this grid turned by hand: a view, and its grid.

        >>> StoredGrid((3, 2, 1)).turned(np.arange(6).reshape(1, 1, 2, 3), Turn(quarters=1))[0].tolist()
        [[[[3, 0], [4, 1], [5, 2]]]]
        """
        order = ((0, 1, 2), (1, 0, 2), (2, 0, 1))[turn.across]
        cut, row, column = ((self.axes[at], self.flips[at]) for at in order)
        for _ in range(turn.quarters % 4):
            row, column = column, (row[0], not row[1])
        if turn.mirrored:
            column = column[0], not column[1]
        axes, flips = (cut[0], row[0], column[0]), (cut[1], row[1], column[1])
        return self._as(values, StoredGrid(self.shape, self.affine, axes, flips))

    def _as(self, values: np.ndarray, other: StoredGrid) -> tuple[np.ndarray, StoredGrid]:
        """A view of values (volumes, slices, rows, columns) of this grid as another grid of the file has them."""
        stored = self.as_stored(values)  # (volumes, k, j, i)
        turned = stored.transpose(0, *(3 - axis for axis in other.axes))
        steps = tuple(slice(None, None, -1 if flip else 1) for flip in other.flips)
        return turned[(slice(None), *steps)], other

    def in_words(self) -> str:
        """How the values were turned, a sentence."""
        slices, rows, columns = (self._toward(at) for at in range(3))
        return (
            f"Shown {self.plane}: columns run towards {columns}, rows towards {rows}, slices ascend towards {slices}."
        )

    def _toward(self, at: int) -> str:
        codes = anatomical_axes(self.affine)
        code = codes[self.axes[at]] if codes else "S"
        return _WORDS[_OPPOSITE[code] if self.flips[at] else code]


def anatomical_axes(affine: np.ndarray | None) -> tuple[str, str, str] | None:
    """The direction that each axis of an affine is closest to, of L, R, A, P, S and I; None where there is none."""
    if affine is None or not np.isfinite(affine).all():
        return None
    from nibabel.orientations import aff2axcodes

    codes = aff2axcodes(affine)
    return None if None in codes else (str(codes[0]), str(codes[1]), str(codes[2]))


def coarse_axis(spacing: np.ndarray) -> int | None:
    """The axis whose voxels are COARSE times longer than along both others, from (3,) mm; None without one."""
    order = np.argsort(spacing)
    return int(order[2]) if spacing[order[2]] >= COARSE * spacing[order[1]] else None


def _cut_axis(shape: tuple[int, int, int], spacing: np.ndarray, toward: list[str]) -> int:
    if 1 in shape:
        return 2 if shape[2] == 1 else shape.index(1)
    cut = coarse_axis(spacing)
    flat = cut is None
    cut = toward.index("S") if cut is None else cut
    sides = [shape[axis] for axis in range(3) if axis != cut]
    extent = [shape[axis] * spacing[axis] for axis in range(3) if axis != cut]
    strip = min(sides) < MIN_SIDE or (flat and max(extent) > _LONGEST * min(extent))
    return 2 if strip else cut

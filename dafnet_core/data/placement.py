"""The model's grid on a slice's own pixels: resampling there and back.

Positions are (row, column) measured from the outer corner of the first pixel, so pixel i of n covers [i, i + 1) and its
centre is i + 0.5. Pictures are resampled bilinearly, averaging over the covered area where they shrink; labels take the
nearest pixel. A pixel belongs to the result where its centre lies inside the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

_EXACT = 1e-2  # pixels over the whole picture: maps that differ by less are one (headers hold float32)
Matrix = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class Placement:
    """Position of the model's grid on the original pixels.

    Attributes:
        native: (rows, columns) of the slice as read.
        grid: (H, W) of the model.
        matrix: (2, 3), from (row, column, 1) of the grid to (row, column) of the slice.
        window: (rows, columns) in the middle of the grid that hold the picture, the rest being padding; None for all.
    """

    native: tuple[int, int]
    grid: tuple[int, int]
    matrix: Matrix
    window: tuple[int, int] | None = None

    @classmethod
    def of(
        cls,
        native: tuple[int, int],
        grid: tuple[int, int],
        matrix: np.ndarray,
        window: tuple[int, int] | None = None,
    ) -> Placement:
        """A placement whose map is snapped to a multiple of 90 degrees, a shift of whole pixels and scale 1, where it
        differs from these by less than a header's rounding."""
        matrix, side = np.array(matrix, float), max(*native, *grid)
        matrix[:, :2] = np.where(np.abs(matrix[:, :2]) * side < _EXACT, 0, matrix[:, :2])
        near = np.abs(np.abs(matrix[:, :2]) - 1) * side < _EXACT
        matrix[:, :2] = np.where(near, np.sign(matrix[:, :2]), matrix[:, :2])
        whole = np.rint(matrix[:, 2])
        matrix[:, 2] = np.where(np.abs(matrix[:, 2] - whole) < _EXACT, whole, matrix[:, 2])
        first, second = (tuple(float(x) for x in row) for row in matrix)
        return cls(native, grid, ((first[0], first[1], first[2]), (second[0], second[1], second[2])), window)

    @classmethod
    def upright(
        cls,
        native: tuple[int, int],
        grid: tuple[int, int],
        scale: tuple[float, float],
        offset: tuple[float, float],
        window: tuple[int, int] | None = None,
    ) -> Placement:
        """A grid along the picture's rows and columns.

        Args:
            scale: pixels of the slice a pixel of the grid, along rows and columns.
            offset: (row, column) of the grid where the picture's first corner lies; negative where it is cropped.
        """
        rows, columns = scale
        matrix = np.array([[rows, 0, -rows * offset[0]], [0, columns, -columns * offset[1]]])
        return cls.of(native, grid, matrix, window)

    @property
    def inside(self) -> tuple[slice, slice]:
        """The part of the grid that holds the picture."""
        return window_slices(self.grid, self.window)

    def _from_window(self) -> np.ndarray:
        """The matrix from (row, column, 1) of the window."""
        matrix = np.array(self.matrix)
        matrix[:, 2] += matrix[:, :2] @ [part.start for part in self.inside]
        return matrix

    @property
    def resampled(self) -> tuple[float, float]:
        """(rows, columns) of the whole picture in pixels of the grid."""
        (a, b, _), (c, d, _) = self.matrix
        return self.native[0] / float(np.hypot(a, c)), self.native[1] / float(np.hypot(b, d))

    @property
    def cropped(self) -> bool:
        """Whether a part of the picture lies outside of the grid."""
        rows, columns = self.native
        corners = np.array([[0, 0, 1], [rows, 0, 1], [0, columns, 1], [rows, columns, 1]])
        inside = corners @ inverse(self._from_window()).T
        return bool((inside < -0.5).any() or (inside > np.array(self.window or self.grid) + 0.5).any())

    def forward(self, pixels: np.ndarray, *, labels: bool, fill: float) -> np.ndarray:
        """Bring (rows, columns) native pixels onto the grid, (H, W); outside the picture: fill."""
        if pixels.shape != self.native:
            raise ValueError(f"pixels are {pixels.shape}, this placement is for {self.native}")
        shown = _resample(pixels, self._from_window(), self.window or self.grid, labels, fill)
        if self.window is None:
            return shown
        out = np.full(self.grid, fill, shown.dtype)
        out[self.inside] = shown
        return out

    def back(self, grid: np.ndarray, *, labels: bool, fill: float = 0) -> np.ndarray:
        """Bring a (H, W) result back onto the native pixels, (rows, columns); outside the grid: fill."""
        if grid.shape != self.grid:
            raise ValueError(f"result is {grid.shape}, this placement is for {self.grid}")
        known = self.forward(np.ones(self.native, np.uint8), labels=True, fill=0)[self.inside] > 0
        grid = grid[self.inside]
        if known.any() and not known.all():
            from scipy import ndimage

            # Values are continued outwards, so that padding does not bleed into the picture's border.
            nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
            grid = grid[tuple(nearest)]
        return _resample(grid, inverse(self._from_window()), self.native, labels, fill)

    def native_positions(self, positions: np.ndarray) -> np.ndarray:
        """Positions on the slice of positions on the grid, (..., 2) xy in pixels; 0 is the first one's centre."""
        edges = positions[..., ::-1] + 0.5
        matrix = np.array(self.matrix)
        return (edges @ matrix[:, :2].T + matrix[:, 2])[..., ::-1] - 0.5


def window_slices(grid: tuple[int, int], window: tuple[int, int] | None) -> tuple[slice, slice]:
    """Rows and columns of a window in the middle of a grid; all of them for None."""
    starts = [(side - size) // 2 for side, size in zip(grid, window or grid, strict=True)]
    height, width = window or grid
    return slice(starts[0], starts[0] + height), slice(starts[1], starts[1] + width)


def inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse of an affine map (2, 3)."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def _resample(pixels: np.ndarray, matrix: np.ndarray, shape: tuple[int, int], labels: bool, fill: float) -> np.ndarray:
    """Pixels at matrix @ (row, column, 1) for each pixel of the result; labels keep their dtype, others are float32."""
    out = np.full(shape, fill, pixels.dtype if labels else np.float32)
    if not matrix[0, 1] and not matrix[1, 0] and min(matrix[0, 0], matrix[1, 1]) > 0:
        scale, start = matrix[[0, 1], [0, 1]], matrix[:, 2]
        inside, where = [], []
        for axis in range(2):
            at = scale[axis] * (np.arange(shape[axis]) + 0.5) + start[axis]
            seen = np.flatnonzero((at >= 0) & (at < pixels.shape[axis]))
            if not seen.size:
                return out
            inside.append(slice(int(seen[0]), int(seen[-1]) + 1))
            where.append(at[seen].astype(int))
        if labels or ((scale == 1).all() and (start == np.rint(start)).all()):
            out[inside[0], inside[1]] = pixels[np.ix_(*where)]
        else:
            out[inside[0], inside[1]] = _stretched(pixels, scale, start, inside)
        return out
    rows, columns = np.indices(shape) + 0.5
    where = [matrix[axis, 0] * rows + matrix[axis, 1] * columns + matrix[axis, 2] for axis in range(2)]
    known = np.all([(at >= 0) & (at < size) for at, size in zip(where, pixels.shape, strict=True)], axis=0)
    if labels:
        out[known] = pixels[where[0][known].astype(int), where[1][known].astype(int)]
    else:
        out[known] = _turned(pixels, matrix, shape)[known]
    return out


def _stretched(pixels: np.ndarray, scale: np.ndarray, start: np.ndarray, inside: list[slice]) -> np.ndarray:
    """The part `inside` of a picture that is scaled and shifted along its rows and columns."""
    box, margins = [], []
    for axis, part in enumerate(inside):
        edges = [scale[axis] * edge + start[axis] for edge in (part.start, part.stop)]
        edges = [float(np.rint(e)) if abs(e - np.rint(e)) < 1e-6 else float(e) for e in edges]
        before, after = (max(0, int(np.ceil(x))) for x in (-edges[0], edges[1] - pixels.shape[axis]))
        margins.append((before, after))
        box.append([e + before for e in edges])
    padded = np.ascontiguousarray(pixels, np.float32)
    if margins != [(0, 0), (0, 0)]:
        padded = np.pad(padded, margins, mode="edge")
    (top, bottom), (left, right) = box
    size = inside[1].stop - inside[1].start, inside[0].stop - inside[0].start
    picture = Image.fromarray(padded).resize(size, Image.Resampling.BILINEAR, (left, top, right, bottom))
    return np.asarray(picture)


def _turned(pixels: np.ndarray, matrix: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A picture under any affine map; where it shrinks, the mean of bilinear samples inside each pixel."""
    from scipy import ndimage

    fine = max(1, int(np.ceil(np.linalg.norm(matrix[:, :2], axis=0).max() - 1e-3)))
    linear = matrix[:, :2] / fine
    offset = linear @ np.array([0.5, 0.5]) + matrix[:, 2] - 0.5
    samples = ndimage.affine_transform(
        np.asarray(pixels, np.float32),
        linear,
        offset,
        (shape[0] * fine, shape[1] * fine),
        order=1,
        mode="nearest",
    )
    return samples.reshape(shape[0], fine, shape[1], fine).mean((1, 3))

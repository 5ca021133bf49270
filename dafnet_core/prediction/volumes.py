"""Results on the model's grid brought back onto the voxels of the user's files, as NIfTI.

Values are stored in the file's own order (i, j, k), with the file's own affine. A file that does not say where it lies
in the patient gets results that do not say it either (sform and qform 0, with its voxel sizes).
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from dafnet_core.data.formats.orientation import StoredGrid
from dafnet_core.data.formats.scan import Scan
from dafnet_core.data.placement import inverse
from dafnet_core.data.studies import Stack
from dafnet_core.geometry import identity_pixels
from dafnet_core.prediction.slices import Layer

VECTOR = 1007  # NIfTI's intent of a vector a voxel, which ITK reads as it stands, in LPS
_LPS = np.array([-1, -1, 1])  # from (Right, Anterior, Superior) to ITK's (Left, Posterior, Superior)


@dataclass(frozen=True, eq=False)
class FileGrid:
    """The voxels of a user's file.

    Attributes:
        stored: their order, and how a scan was turned out of it.
        spacing: (3,) mm along the stored axes; 1 where unknown.
    """

    stored: StoredGrid
    spacing: tuple[float, float, float]

    @classmethod
    def of(cls, scan: Scan) -> FileGrid:
        """The grid of a scan's file; the order of its values where the reader did not turn them."""
        slices, rows, columns = scan.values.shape[1:]
        stored = scan.stored or StoredGrid((columns, rows, slices), scan.affine)
        row, column = scan.spacing or (1.0, 1.0)
        sizes = dict(zip(stored.axes, (scan.slice_spacing or 1.0, row, column), strict=True))
        return cls(stored, (sizes[0], sizes[1], sizes[2]))

    @property
    def affine(self) -> np.ndarray:
        """(4, 4), from (i, j, k, 1) to mm (Right, Anterior, Superior): the file's, or where ITK puts a file that says
        nothing."""
        if self.stored.affine is not None:
            return self.stored.affine
        i, j, k = self.spacing
        return np.diag([-i, -j, k, 1.0])

    @property
    def turned_affine(self) -> np.ndarray:
        """(4, 4), from (column, row, slice, 1) of a scan's values to mm."""
        turned = replace(self.stored, affine=self.affine).turned_affine
        assert turned is not None  # since the affine is given
        return turned

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000

    def stored_slice(self, index: int) -> int:
        """Where a slice of the scan lies along the stored axis `stored.axes[0]`."""
        return self.stored.turned_shape[0] - 1 - index if self.stored.flips[0] else index


def on_file_grid(layer: Layer, stack: Stack) -> np.ndarray:
    """A layer on the voxels of its file: (i, j, k), or (i, j, k, n) with n components; uint8 or float32.

    Labels and channels are those of the nearest pixel of the model's grid, everything else is interpolated in plane.
    """
    lead = next(iter(layer.planes.values())).shape[:-2]
    whole = layer.labels or layer.unit is not None
    grid = FileGrid.of(stack.scan).stored
    values: np.ndarray = np.empty((*lead, *grid.turned_shape), np.uint8 if whole else np.float32)
    for at in np.ndindex(*lead):
        fill = layer.fill[at[0]] if at else layer.fill[0]
        values[at] = fill
        for k, plane in layer.planes.items():
            back = stack.placements[k].back(plane[at], labels=layer.labels, fill=fill)
            values[(*at, k)] = np.rint(back) if whole else back
    stored = grid.back(values)
    return np.moveaxis(stored, 0, -1) if lead else stored


def displacement(fixed: Stack, moving: Stack, planes: Mapping[int, tuple[int, np.ndarray]]) -> np.ndarray:
    """A warp as ITK's displacement field on the fixed file's voxels, (i, j, k, 1, 3) float32 mm in LPS.

    The voxel at world position p shows what the moving image shows at p + field(p). That lies in the plane of the
    moving slice that it was paired with, so the field also bridges the distance between the two slices. Beyond the
    model's grid the displacement of the grid's border goes on; in slices without a partner it is 0.

    Args:
        planes: of `PredictedSubject.warps`.
    """
    own, other = FileGrid.of(fixed.scan), FileGrid.of(moving.scan)
    values = np.zeros((3, *own.stored.turned_shape), np.float32)
    for k, (moving_slice, positions) in planes.items():
        placement = fixed.placements[k]
        rows, columns = (np.arange(n, dtype=float) for n in placement.native)
        x, y = np.meshgrid(columns, rows)
        to_grid = inverse(np.array(placement.matrix))
        at = np.tensordot(to_grid[:, :2], np.stack([y, x]) + 0.5, 1) + to_grid[:, 2, None, None] - 0.5
        shift = positions - identity_pixels(*positions.shape[:2])
        # np.float64: a float32 displacement would round positions of hundreds of mm
        u, v = (ndimage.map_coordinates(shift[..., c].astype(np.float64), at, order=1, mode="nearest") for c in (0, 1))
        sampled = moving.placements[moving_slice].native_positions(np.stack([at[1] + u, at[0] + v], -1))
        start, end = own.turned_affine, other.turned_affine
        here = (
            start[:3, 0, None, None] * x
            + start[:3, 1, None, None] * y
            + (start[:3, 2] * k + start[:3, 3])[:, None, None]
        )
        there = np.moveaxis(sampled @ end[:3, :2].T + end[:3, 2] * moving_slice + end[:3, 3], -1, 0)
        values[:, k] = (there - here) * _LPS[:, None, None]
    return np.moveaxis(own.stored.back(values), 0, -1)[:, :, :, None]


def nifti(values: np.ndarray, grid: FileGrid, *, unit: float | None = None, vector: bool = False) -> bytes:
    """The content of a .nii.gz file with the grid's sform and qform (code 1, scanner; 0 where the file states none).

    Args:
        values: (i, j, k), (i, j, k, n), or (i, j, k, 1, 3) vectors; uint8 or float32.
        unit: the scl_slope of whole numbers; None for values as they are.
        vector: whether it is a displacement field.
    """
    import nibabel

    affine = grid.stored.affine
    image = nibabel.Nifti1Image(np.asarray(values), affine)
    header = image.header
    header.set_xyzt_units("mm")
    if affine is None:
        header.set_zooms((*grid.spacing, *[1.0] * (values.ndim - 3)))
        image.set_sform(None, 0)
        image.set_qform(None, 0)
    else:
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        if not np.allclose(image.get_qform(), affine, atol=1e-3):  # sheared: a quaternion cannot say it
            image.set_qform(None, 0)
    if unit is not None:
        header.set_slope_inter(unit, 0)
    if vector:
        header.set_intent(VECTOR)
    return gzip.compress(image.to_bytes(), 1 if values.dtype == np.float32 else 6, mtime=0)

"""One physical frame for a subject: modalities and masks are brought together by their affines.

A frame is the plane of the first modality's slices with the model's grid on it, in patient mm (Right, Anterior,
Superior). Each modality keeps its own slices: they are resampled in plane, never across slices, and correspond by their
positions along the frame's normal. Labels on another grid go to their image's by the nearest voxel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dafnet_core.data.formats.orientation import coarse_axis
from dafnet_core.data.formats.scan import ReadError, Scan, Slice, quoted
from dafnet_core.data.placement import Placement

PARALLEL = 0.95  # cosine: stacks tilted more than 18 degrees against each other do not show the same planes
_LEAST_OVERLAP = 0.1  # share of the smaller field of view that two pictures have to have in common
_LOST = 0.05  # share of a mask's volume outside of its image that is worth a note
ACROSS = {"axial": "S", "coronal": "P", "sagittal": "L"}


class FrameError(ReadError):
    """Images of one subject that cannot be brought into one frame, by their headers."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The model's grid in the patient.

    Attributes:
        grid: (H, W).
        corner: (3,) mm, the outer corner of the grid's first pixel.
        row, column: (3,) mm from one row to the next, and from one column to the next; orthogonal.
        window: of the grid, as `Placement` has it.
    """

    grid: tuple[int, int]
    corner: np.ndarray
    row: np.ndarray
    column: np.ndarray
    window: tuple[int, int] | None = None

    @classmethod
    def of(cls, item: Slice, placement: Placement) -> Frame:
        """The frame of a slice that a placement puts on the grid; raises ValueError without an affine."""
        if item.affine is None:
            raise ValueError(f"{item.origin}: the header does not say where it lies")
        matrix = np.array(placement.matrix)[::-1]  # to (column, row)
        steps = item.affine[:3, :2] @ matrix[:, :2]  # mm a row and a column of the grid
        corner = item.affine @ np.array([*(matrix[:, 2] - 0.5), 0, 1])
        row, column = steps.T
        # a sheared header: rows at a right angle to the columns
        direction = row - column * (row @ column) / (column @ column)
        row = direction * np.linalg.norm(column) / np.linalg.norm(direction)
        return cls(placement.grid, corner[:3], row, column, placement.window)

    @property
    def normal(self) -> np.ndarray:
        """Unit normal (3,) of the plane."""
        normal = np.cross(self.column, self.row)
        return normal / np.linalg.norm(normal)

    @property
    def centre(self) -> np.ndarray:
        """(3,) mm, of the grid."""
        return self.corner + self.row * self.grid[0] / 2 + self.column * self.grid[1] / 2

    def place(self, item: Slice) -> tuple[Placement, tuple[str, ...]]:
        """Where a slice's pixels lie on the grid, seen along the normal; notes.

        Raises:
            FrameError: the slice is not parallel to the frame, or lies beside it.
        """
        linear, start = self._indices(item)
        matrix = np.array([linear[1], linear[0]])  # to (row, column)
        native = item.pixels.shape[0], item.pixels.shape[1]
        matrix = np.column_stack([matrix, [start[1] + 0.5, start[0] + 0.5]])
        placement = Placement.of(native, self.grid, matrix, self.window)
        return placement, (cut_note(placement),) if placement.cropped else ()

    def height(self, item: Slice) -> float:
        """Position of a slice along the normal, mm, at the centre of the grid."""
        inverse, across = self._inverse(item)
        at = inverse @ np.array([*self.centre, 1])
        return float(self.centre @ self.normal - at[2] / across[2])

    def _inverse(self, item: Slice) -> tuple[np.ndarray, np.ndarray]:
        if item.affine is None:
            raise FrameError(f"{item.origin}: the header does not say where it lies in the patient.")
        normal = slice_normal(item.affine)
        if not abs(normal @ self.normal) >= PARALLEL:  # nor if one is not a number
            raise FrameError(f"{item.origin} {_tilt(normal, self.normal)}")
        inverse = np.linalg.inv(item.affine)
        return inverse, inverse[:3, :3] @ self.normal

    def _indices(self, item: Slice) -> tuple[np.ndarray, np.ndarray]:
        """(column, row) of the slice as a linear map (2, 2) of the grid's (row, column) and a start (2,)."""
        inverse, across = self._inverse(item)
        steps = inverse[:3, :3] @ np.column_stack([self.row, self.column])
        start = inverse[:3] @ np.array([*self.corner, 1])
        steps = steps - np.outer(across, steps[2] / across[2])
        start = start - across * start[2] / across[2]
        return steps[:2], start[:2]


def cut_note(placement: Placement) -> str:
    """That a part of the picture lies outside of the grid."""
    rows, columns = placement.resampled
    height, width = placement.window or placement.grid
    return (
        f"The picture is {rows:.0f} x {columns:.0f} pixels at the model's resolution; what lies outside of the grid's "
        f"{height} x {width} was cut off."
    )


def slice_normal(affine: np.ndarray) -> np.ndarray:
    """Unit normal (3,) of slices with this affine, towards the next one."""
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    normal = normal / np.linalg.norm(normal)
    return normal if normal @ affine[:3, 2] >= 0 else -normal


def _tilt(normal: np.ndarray, other: np.ndarray) -> str:
    angle = math.degrees(math.acos(min(1.0, abs(float(normal @ other)))))
    return (
        f"is tilted by {angle:.0f} degrees against the first modality's slices, so that no slice of one shows what a "
        "slice of the other does; give acquisitions in one plane, or resample one to the other's grid first."
    )


def in_one_plane(scans: Sequence[Scan]) -> list[Scan]:
    """Scans of one subject cut across one direction.

    Scans with a coarse axis, or with one slice, keep their cut; those without one are cut like the first that has
    one, or like the first of all.

    Raises:
        FrameError: the slices of two scans cross.
    """
    known = [scan for scan in scans if scan.affine is not None]
    fixed = [scan for scan in known if _keeps_its_cut(scan)]
    if not known:
        return list(scans)
    first = (fixed or known)[0]
    plane = first.stored.plane if first.stored else "as stored"
    cut = [scan if scan in fixed or scan.affine is None else scan.recut(ACROSS[plane]) for scan in scans]
    normals = [(scan, slice_normal(scan.affine)) for scan in cut if scan.affine is not None]
    for scan, normal in normals[1:]:
        if not abs(normal @ normals[0][1]) >= PARALLEL:
            planes = [s.stored.plane if s.stored else "of unknown plane" for s in (normals[0][0], scan)]
            raise FrameError(
                f"{quoted(normals[0][0].name)} is {planes[0]}, {quoted(scan.name)} {planes[1]}: it "
                f"{_tilt(normal, normals[0][1])}"
            )
    return cut


def cut_like(labels: Scan, before: Scan, after: Scan) -> Scan:
    """Labels on the grid of a scan, cut anew where `in_one_plane` cut the scan anew."""
    return labels if after is before or after.stored is None else labels.recut(ACROSS[after.stored.plane])


def _keeps_its_cut(scan: Scan) -> bool:
    assert scan.affine is not None
    spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)
    return scan.slices == 1 or scan.stored is None or coarse_axis(spacing) is not None


def nearest_position(scan: Scan, item: Slice) -> tuple[int, float]:
    """The slice of a scan that lies nearest to a slice of another one, at that slice's centre, and its distance in mm.

    Raises:
        ValueError: an affine is missing.
    """
    index = int(np.clip(np.rint(_level(scan, item)), 0, scan.slices - 1))
    return index, slice_distance(scan, index, item)


def slice_distance(scan: Scan, index: int, item: Slice) -> float:
    """How far a slice of another scan lies from a slice of this one, mm, at the former's centre.

    Raises:
        ValueError: an affine is missing.
    """
    level = _level(scan, item)
    assert scan.affine is not None  # or there were no level
    return (level - index) * abs(float(scan.affine[:3, 2] @ slice_normal(scan.affine)))


def _level(scan: Scan, item: Slice) -> float:
    if scan.affine is None or item.affine is None or item.centre is None:
        raise ValueError("an affine is missing")
    return float((np.linalg.inv(scan.affine) @ np.array([*item.centre, 1]))[2])


def slice_height(item: Slice) -> float | None:
    """Position of a slice's centre along its normal, patient mm; None where unknown."""
    return None if item.affine is None or item.centre is None else float(item.centre @ slice_normal(item.affine))


def nearest_rank(index: int, count: int, others: int) -> int:
    """The slice of another stack at the same share of its length, where no header says where slices lie.

    >>> nearest_rank(3, 7, 13)
    6
    """
    share = index / (count - 1) if count > 1 else 0.5
    return round(share * (others - 1))


def grid_distance(scan: Scan, other: Scan) -> float:
    """Largest distance in mm between the places that two scans' affines give to the first one's corners."""
    if scan.affine is None or other.affine is None:
        raise ValueError("an affine is missing")
    slices, rows, columns = scan.values.shape[1:]
    corners = np.array([[c, r, s, 1] for c in (0, columns - 1) for r in (0, rows - 1) for s in (0, slices - 1)])
    return float(np.linalg.norm((corners @ (scan.affine - other.affine).T)[:, :3], axis=1).max())


def same_grid(scan: Scan, other: Scan) -> bool:
    """Whether two scans have the same voxels: shape, and the whole affine to half a pixel, or no affine either."""
    if scan.values.shape[1:] != other.values.shape[1:] or (scan.affine is None) != (other.affine is None):
        return False
    if scan.affine is None or other.affine is None:
        return True
    return grid_distance(scan, other) <= 0.5 * float(np.linalg.norm(scan.affine[:3, :3], axis=0).min())


def labels_on(image: Scan, labels: Scan) -> Scan:
    """Labels on their image's grid, each voxel from the nearest one of theirs; 0 where they have none.

    Returns:
        `labels` as they are if the grids agree or both affines are unknown; notes say what was done.

    Raises:
        ReadError: shapes differ and an affine is missing, or every label lies outside of the image.
    """
    if same_grid(image, labels):
        return labels
    if image.affine is None or labels.affine is None:
        if labels.values.shape[1:] != image.values.shape[1:]:
            raise ReadError(
                f"{quoted(labels.name)}: the mask has {extent(labels)}, its image {extent(image)}; give its mask."
            )
        silent = labels.name if labels.affine is None else image.name
        note = f"The header of {quoted(silent)} does not say where it lies: mask and image were laid over each other."
        return replace(labels, notes=(*labels.notes, note))
    to_labels = np.linalg.inv(labels.affine) @ image.affine
    slices, rows, columns = image.values.shape[1:]
    grid = np.stack(
        [*np.meshgrid(np.arange(columns), np.arange(rows)), np.zeros((rows, columns)), np.ones((rows, columns))]
    )
    out = np.zeros((1, slices, rows, columns), labels.values.dtype)
    beside = 0
    for at in range(slices):
        grid[2] = at
        column, row, level = np.rint(np.tensordot(to_labels[:3], grid, 1)).astype(int)
        inside = np.all(
            [(v >= 0) & (v < n) for v, n in zip((level, row, column), labels.values.shape[1:], strict=True)], axis=0
        )
        beside += not inside.any()
        out[0, at][inside] = labels.values[0, level[inside], row[inside], column[inside]]
    volumes = [
        np.count_nonzero(v) * abs(np.linalg.det(a[:3, :3]))
        for v, a in ((labels.values[0], labels.affine), (out, image.affine))
    ]
    apart = np.linalg.norm(_centre(labels) - _centre(image))
    if volumes[0] and not volumes[1]:
        raise ReadError(
            f"{quoted(labels.name)}: by its header the mask lies {apart:.0f} mm away, outside of its image; correct "
            "the header or give the mask of this image."
        )
    note = f"The mask has a grid of its own ({extent(labels)}); it was brought to its image's by the headers."
    if beside:
        note += f" {beside} of the image's {slices} slices lie outside of it and count as background."
    if volumes[1] < (1 - _LOST) * volumes[0]:
        note += f" About {1 - volumes[1] / volumes[0]:.0%} of it lie outside of the image."
    return replace(
        labels,
        values=out,
        affine=image.affine,
        spacing=image.spacing,
        slice_spacing=image.slice_spacing,
        stored=image.stored,
        notes=(*labels.notes, note),
    )


def _centre(scan: Scan) -> np.ndarray:
    assert scan.affine is not None
    slices, rows, columns = scan.values.shape[1:]
    return (scan.affine @ np.array([(columns - 1) / 2, (rows - 1) / 2, (slices - 1) / 2, 1]))[:3]


def extent(scan: Scan) -> str:
    """Slices and pixels of a scan in words, with mm where they are known."""
    rows, columns = scan.values.shape[2:]
    size = f" of {scan.spacing[0]:.4g} x {scan.spacing[1]:.4g} mm" if scan.spacing else ""
    return f"{scan.slices} slice{'s' if scan.slices > 1 else ''} of {rows} x {columns} pixels{size}"


def check_overlap(frame: Frame, stacks: Sequence[tuple[str, Sequence[Slice]]]) -> None:
    """Check that stacks of slices, named for messages, share a part of the patient with the first one.

    Raises:
        FrameError: they lie beside each other along the normal or in plane.
    """
    spans = [(name, [frame.height(item) for item in items], items) for name, items in stacks]
    first_name, first, first_items = spans[0]
    for name, heights, items in spans[1:]:
        thick = max(_thickness(i[0]) for i in (first_items, items))
        gap = max(min(heights) - max(first), min(first) - max(heights))
        if gap > thick:
            raise FrameError(
                f"by their headers the slices of {name} end {gap:.0f} mm away from those of {first_name}; they show "
                "different parts of the patient, or their headers do not refer to one position. Give images of one "
                "examination."
            )
        shown = [_covered(frame.place(i[len(i) // 2])[0]) for i in (first_items, items)]
        common = (shown[0] & shown[1]).sum() / max(1, min(s.sum() for s in shown))
        if not shown[1].any() or common < _LEAST_OVERLAP:
            raise FrameError(
                f"by their headers the pictures of {name} and {first_name} overlap by {common:.0%}; they show "
                "different parts of the patient, or their headers do not refer to one position. Give images of one "
                "examination."
            )


def _thickness(item: Slice) -> float:
    return float(np.linalg.norm(item.affine[:3, 2])) if item.affine is not None else 0.0


def _covered(placement: Placement) -> np.ndarray:
    return placement.forward(np.ones(placement.native, np.uint8), labels=True, fill=0) > 0

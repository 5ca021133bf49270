"""Convert a slice as read to a model's input, and results back to the original pixels.

Arrays are indexed (row, column). Slices of one subject are brought into one physical frame (`Frame`) by their affines.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dafnet_core.data.formats.scan import ReadError, Slice
from dafnet_core.data.frame import Frame, cut_note
from dafnet_core.data.placement import Placement, window_slices

MULTIPLE = 16  # the networks halve the grid four times
PERCENTILES = (0.5, 99.5)  # of a slice's intensities, by default
_CHUNK_ROWS = 256


@dataclass(frozen=True)
class Preparation:
    """How a checkpoint's inputs are made; stored in the checkpoint as JSON.

    Attributes:
        height, width: the model's grid in pixels, multiples of 16.
        spacing: mm per pixel of the grid, the same along rows and columns; None resizes every picture to the
            grid.
        percentiles: the intensities of the slice that become -1 and 1; 0 and 100 are its whole range.
        window: (rows, columns) in the middle of the grid that hold the picture, and that are scored; None for all.
    """

    height: int
    width: int
    spacing: float | None = None
    percentiles: tuple[float, float] = PERCENTILES
    window: tuple[int, int] | None = None

    @classmethod
    def of(
        cls, size: int | tuple[int, int], spacing: float | None, percentiles: tuple[float, float] = PERCENTILES
    ) -> "Preparation":
        """Preparation to a side, or (rows, columns), of any size, on a grid padded to multiples of 16."""
        size = sides(size)
        height, width = (-(-side // MULTIPLE) * MULTIPLE for side in size)
        return cls(height, width, spacing, percentiles, None if (height, width) == size else size)

    @property
    def picture(self) -> tuple[slice, slice]:
        """The rows and columns of the grid that are scored."""
        return window_slices((self.height, self.width), self.window)

    def __post_init__(self) -> None:
        for side in (self.height, self.width):
            if not isinstance(side, int) or side < MULTIPLE or side % MULTIPLE:
                raise ValueError(f"grid is {self.height} x {self.width}; both need to be multiples of {MULTIPLE}")
        if self.spacing is not None and not 0 < self.spacing < 1000:
            raise ValueError(f"spacing is {self.spacing} mm; a positive number of mm per pixel, or None, is needed")
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(f"percentiles are {low} and {high}; 0 <= low < high <= 100 is needed")
        for size, side in zip(self.window or (), (self.height, self.width), strict=False):
            if not isinstance(size, int) or not 0 < size <= side:
                raise ValueError(
                    f"window is {self.window} of {self.height} x {self.width}; it has to fit into the grid"
                )

    def to_dict(self) -> dict[str, Any]:
        """The values as JSON can hold them; `window` where there is one."""
        values = {**asdict(self), "percentiles": list(self.percentiles)}
        window = values.pop("window")
        return values | ({"window": list(window)} if window else {})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Preparation":
        """The inverse of to_dict; unknown or missing names raise TypeError."""
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**given)


def sides(size: int | tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of a size that may be given as one side."""
    return (size, size) if isinstance(size, int) else size


def scale_intensity(
    pixels: np.ndarray, percentiles: tuple[float, float] = PERCENTILES, like: np.ndarray | None = None
) -> np.ndarray:
    """Scale a slice so that its two percentiles become -1 and 1, clipped.

    Computed in float64 relative to the slice's own range, so values of 1e-10 keep their contrast.

    Args:
        pixels: (rows, columns), finite.
        percentiles: low and high, in percent.
        like: the slice whose percentiles they are; by default the same.

    Returns:
        (rows, columns) float32 in [-1, 1]; all -1 where the slice is constant. Where the two percentiles
        coincide, what lies above them is 1 and the rest -1.

    >>> scale_intensity(np.array([[0.0, 50.0], [75.0, 100.0]]), percentiles=(0, 100))
    array([[-1. ,  0. ],
           [ 0.5,  1. ]], dtype=float32)
    """
    low, high = _percentiles(pixels if like is None else like, percentiles)
    scaled = np.empty(pixels.shape, np.float32)
    for row in range(0, len(pixels), _CHUNK_ROWS):  # in parts: float64 copies of a large slice would be huge
        part = pixels[row : row + _CHUNK_ROWS].astype(np.float64)
        scaled[row : row + _CHUNK_ROWS] = (
            np.clip(2 * ((part - low) / (high - low)) - 1, -1, 1) if high > low else np.where(part > high, 1, -1)
        )
    return scaled


def _percentiles(pixels: np.ndarray, percentiles: tuple[float, float]) -> tuple[float, float]:
    """Percentiles as numpy.percentile has them, in float64 but without a float64 copy of the pixels."""
    ranks = [p / 100 * (pixels.size - 1) for p in percentiles]
    below = [int(rank) for rank in ranks]
    above = [min(b + 1, pixels.size - 1) for b in below]
    ordered = np.partition(pixels, sorted({*below, *above}), axis=None)
    low, high = (
        float(ordered[b]) + (float(ordered[a]) - float(ordered[b])) * (rank - b)
        for rank, b, a in zip(ranks, below, above, strict=True)
    )
    return low, high


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model's input.

    Attributes:
        image: (H, W) float32 in [-1, 1]; padding is -1.
        placement: position of the grid on the slice, and the inverse mapping.
        notes: what was chosen or doubtful, each a plain sentence.
    """

    image: np.ndarray
    placement: Placement
    notes: tuple[str, ...]


def prepare(item: Slice, preparation: Preparation, frame: Frame | None = None) -> Prepared:
    """Scale, resample and pad or crop a slice to a model's grid.

    Intensities are scaled first, on the native slice, so padding and cropping do not change them.

    Args:
        frame: of the subject, into which the slice is brought by its affine; None for a slice by itself.
    """
    placement, notes = place(item, preparation) if frame is None else frame.place(item)
    scaled = scale_intensity(item.pixels, preparation.percentiles)
    image = np.clip(placement.forward(scaled, labels=False, fill=-1), -1, 1)
    return Prepared(image, placement, notes)


def place(item: Slice, preparation: Preparation) -> tuple[Placement, tuple[str, ...]]:
    """Decide where a slice lies on the grid: by spacing where both spacings are known, else by size."""
    grid, native = (preparation.height, preparation.width), item.pixels.shape
    room = preparation.window or grid
    notes: list[str] = []
    units = item.spacing or (1.0, 1.0)
    spacing = _spacing(item, preparation, notes)
    if spacing is None:
        spacing = max(n * unit / g for n, unit, g in zip(native, units, room, strict=True))
        if not np.allclose(np.array(units), spacing):
            size = [n * unit / spacing for n, unit in zip(native, units, strict=True)]
            notes.append(
                f"Resized from {native[0]} x {native[1]} to {size[0]:.0f} x {size[1]:.0f} pixels, in true proportions."
            )
    elif not np.allclose(units, spacing, rtol=1e-5):  # headers hold float32
        notes.append(f"Resampled from {units[0]:g} x {units[1]:g} mm to {spacing:g} mm per pixel.")
    scale = spacing / units[0], spacing / units[1]
    resampled = native[0] / scale[0], native[1] / scale[1]
    # whole pixels, so that a picture of the model's resolution is not resampled
    offset = [float(np.ceil((g - size) / 2 - 0.5 - 1e-6)) for g, size in zip(grid, resampled, strict=True)]
    placement = Placement.upright((native[0], native[1]), grid, scale, (offset[0], offset[1]), preparation.window)
    if placement.cropped:
        notes.append(cut_note(placement))
    return placement, tuple(notes)


def _spacing(item: Slice, preparation: Preparation, notes: list[str]) -> float | None:
    """The model's mm per pixel; None, perhaps with a note, where the slice's own do not allow it."""
    spacing, rows, columns = preparation.spacing, *item.pixels.shape
    if spacing is None:
        return None
    if item.spacing is None:
        notes.append(
            f"The file does not say how large its pixels are: resized to fit the grid, although the "
            f"model expects {spacing:g} mm per pixel."
        )
        return None
    extent = rows * item.spacing[0], columns * item.spacing[1]
    field = preparation.height * spacing, preparation.width * spacing
    covers = f"By its header the picture covers {extent[0]:.0f} x {extent[1]:.0f} mm"
    wanted = f"the model's {field[0]:.0f} x {field[1]:.0f} mm: resized to fit the grid instead."
    if extent[0] < field[0] / 3 and extent[1] < field[1] / 3:
        notes.append(f"{covers}, only a part of {wanted}")
        return None
    if max(extent) > 16 * max(field):
        notes.append(f"{covers}, far more than {wanted}")
        return None
    return spacing


def prepare_mask(item: Slice, placement: Placement, table: dict[int, int]) -> np.ndarray:
    """Map a mask's labels to classes and bring it onto the grid of its image.

    Args:
        item: labels, (rows, columns) as the image has them.
        placement: the image's.
        table: class of each label, such as default_label_table gives; 0 to 255.

    Returns:
        (H, W) uint8 classes; 0 outside the picture.

    Raises:
        ReadError: another shape than the image, or labels that the table does not know.
    """
    if item.pixels.shape != placement.native:
        raise ReadError(
            f"{item.origin}: the mask is {item.pixels.shape[0]} x {item.pixels.shape[1]} pixels, its image "
            f"{placement.native[0]} x {placement.native[1]}; give the mask of this image."
        )
    labels, positions = np.unique(item.pixels, return_inverse=True)
    unknown = [int(label) for label in labels if int(label) not in table]
    if unknown:
        raise ReadError(
            f"{item.origin}: the mask holds labels {unknown[:8]} that have no class; known are {sorted(table)}."
        )
    classes = np.array([table[int(label)] for label in labels], np.uint8)[positions].reshape(item.pixels.shape)
    return placement.forward(classes, labels=True, fill=0)


def default_label_table(labels: Iterable[int], classes: int) -> dict[int, int]:
    """Propose the class of each label, for the user to confirm or change.

    Labels below the number of classes mean themselves; otherwise 0 is background and the others count up in
    order, as in 0/255 masks (255 is class 1) and CHAOS (63, 126, 189, 252 are classes 1 to 4).

    Raises:
        ReadError: more labels than classes.
    """
    present = sorted({int(label) for label in labels})
    if not present or present[-1] < classes:
        return {label: label for label in range(classes)}
    others = [label for label in present if label != 0]
    if len(others) >= classes:
        raise ReadError(
            f"The mask holds {len(others)} labels besides background ({', '.join(map(str, others[:8]))}), "
            f"the model knows {classes - 1}; say which label is which class, or give the mask that "
            "belongs to this model."
        )
    return {0: 0, **{label: number for number, label in enumerate(others, start=1)}}

"""Active contours: the other modality's true mask, its contours drawn to edges of the target's image (Sec. IV-C).

One contour at a time, uncoupled (the paper's reference 49), from the copied mask. The paper states three values, found
by grid search, for contour length, smoothness and stepping: most likely alpha, beta and gamma of scikit-image.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import ClassVar, Self

import numpy as np
from scipy import ndimage

from dafnet_core.data.dataset import PairedSlices
from dafnet_core.methods.base import Estimate, PredictedMask, SliceInput, predict_all
from dafnet_core.methods.extras import optional
from dafnet_core.metrics.segmentation import dice_per_class, nanmean

BLUR = 1.0  # standard deviation of the Gaussian over the image whose edges attract, pixels
ITERATIONS = 200  # at most
SHORTEST = 8  # points of a contour that moves; shorter ones stay
LENGTHS, SMOOTHNESSES, STEPS = (0.01, 0.1, 0.5), (0.15, 1.5), (0.1, 0.7)  # the grid
TUNED_ON = 8  # training slices


@dataclass(frozen=True)
class ActiveContour:
    """Contours of each source's mask for each modality without one of its own.

    Attributes:
        length: weight of the contour's length; positive values shrink it.
        smoothness: weight of its bending.
        step: time stepping.
    """

    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    length: float = 0.5  # the paper's values for its cardiac LGE data and for CHAOS
    smoothness: float = 0.15
    step: float = 0.7

    name: ClassVar[str] = "active-contour"
    title: ClassVar[str] = "Active contour"
    kinds: ClassVar[tuple[str, ...]] = ("contour",)
    needs_source_masks: ClassVar[bool] = True

    @classmethod
    def tuned(cls, data: PairedSlices) -> Self:
        """The parameters of the grid with the highest mean Dice of some training slices, spread over all.

        Raises:
            ValueError: scikit-image is not installed.
        """
        slices = np.unique(np.linspace(0, len(data) - 1, TUNED_ON).astype(int))
        grid = [cls(data.modalities, data.classes, *values) for values in product(LENGTHS, SMOOTHNESSES, STEPS)]
        return max(grid, key=lambda method: method._dice(data, slices))

    def _dice(self, data: PairedSlices, slices: np.ndarray) -> float:
        """Mean Dice over slices, modalities and classes."""
        found = []
        for sample in (data[int(n)] for n in slices):
            truth = {i: mask for i, mask in enumerate(sample.masks) if sample.annotated[i]}
            estimate = predict_all(self, SliceInput(sample.images, tuple(range(len(sample.images))), truth))
            found += [
                dice_per_class(m.labels, truth[m.fixed], len(self.classes)) for m in estimate.masks if m.fixed in truth
            ]
        return float(nanmean(np.concatenate(found))) if found else 0.0

    def predict(self, given: SliceInput) -> Estimate:
        """Contours from every source's mask for every modality that is no source.

        Raises:
            ValueError: scikit-image is not installed.
        """
        targets = [i for i in range(len(given.modalities)) if i not in given.source_masks]
        return Estimate(
            tuple(
                PredictedMask("contour", i, j, self.drawn_to_edges(mask, given.images[i, 0]))
                for i in targets
                for j, mask in given.source_masks.items()
            )
        )

    def drawn_to_edges(self, labels: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Labels (H, W) whose structures' contours have moved to edges of an image (H, W) in [-1, 1].

        A structure is what lies within an odd number of its contours, so that rings stay rings. Where two overlap, the
        later class counts.
        """
        blurred = ndimage.gaussian_filter((image.astype(np.float64) + 1) / 2, BLUR)
        result = np.zeros_like(labels)
        for label in range(1, len(self.classes)):
            result[self._moved(labels == label, blurred)] = label
        return result

    def _moved(self, structure: np.ndarray, image: np.ndarray) -> np.ndarray:
        """A structure (H, W) bool with each of its contours moved."""
        measure, draw = (optional(f"skimage.{name}", self.title) for name in ("measure", "draw"))
        segmentation = optional("skimage.segmentation", self.title)
        inside = np.zeros(structure.shape, bool)
        for contour in measure.find_contours(np.pad(structure, 1).astype(float), 0.5):
            points = contour[:-1] - 1  # closed: the last point is the first one; and without the padding
            if len(points) >= SHORTEST:
                points = segmentation.active_contour(
                    image,
                    points,
                    alpha=self.length,
                    beta=self.smoothness,
                    gamma=self.step,
                    max_num_iter=ITERATIONS,
                    boundary_condition="periodic",
                )
            inside ^= draw.polygon2mask(structure.shape, points)
        return inside

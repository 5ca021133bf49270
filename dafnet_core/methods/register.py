"""Register: the other modality's true mask after affine and deformable registration of the images (Sec. IV-C).

Affine by mutual information, then a displacement field by local cross-correlation. The paper's second stage is
symmetric and diffeomorphic (Tustison 2015, ANTs), which SimpleITK lacks: here a displacement field with smoothed
updates goes one way. All pixels are sampled and one thread computes: nothing is random, a registration repeats itself.

Resolutions are few, since slices are small: from 24 pixels a side mutual information leads astray. The field is as
free as it must be to undo a smooth warp of 3 pixels; a freer one moves slices of CHAOS (of training patients) further
apart, where they do not show the same anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dafnet_core.geometry import identity_pixels
from dafnet_core.methods.base import Estimate, PredictedMask, SliceInput
from dafnet_core.methods.extras import optional

BINS = 32  # of the mutual information's histogram
RADIUS = 4  # of the neighbourhood of the cross-correlation, pixels
SMOOTHING = (3.0, 0.5)  # variances of the Gaussians over each update of the field and over all of it, pixels^2
AFFINE_SHRINKS, FIELD_SHRINKS = (1,), (2, 1)  # of the resolutions
AFFINE_ITERATIONS, FIELD_ITERATIONS = 100, 40  # at most, at each resolution
AFFINE_STEP, FIELD_STEP = 0.1, 0.4  # at most, pixels an iteration


@dataclass(frozen=True)
class Register:
    """A mask of each source modality, deformed onto each modality without one of its own."""

    modalities: tuple[str, ...]
    classes: tuple[str, ...]

    name: ClassVar[str] = "register"
    title: ClassVar[str] = "Register"
    kinds: ClassVar[tuple[str, ...]] = ("registered",)
    needs_source_masks: ClassVar[bool] = True

    def predict(self, given: SliceInput) -> Estimate:
        """Every source's mask, and its sampling positions, for every modality that is no source.

        Raises:
            ValueError: SimpleITK is not installed.
        """
        targets = [i for i in range(len(given.modalities)) if i not in given.source_masks]
        pairs = [(i, j) for i in targets for j in given.source_masks]
        positions = {(i, j): registration(given.images[i, 0], given.images[j, 0]) for i, j in pairs}
        masks = [
            PredictedMask("registered", i, j, sample_labels(given.source_masks[j], positions[i, j])) for i, j in pairs
        ]
        return Estimate(tuple(masks), positions=positions)


def registration(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """Where in the moving image each pixel of the fixed one lies.

    Args:
        fixed, moving: (H, W) in [-1, 1].

    Returns:
        (H, W, 2) float64 xy in pixels of the moving image.

    Raises:
        ValueError: SimpleITK is not installed.
    """
    sitk = optional("SimpleITK", Register.title)
    height, width = fixed.shape
    if fixed.min() == fixed.max() or moving.min() == moving.max():
        return identity_pixels(height, width)  # nothing to register by
    images = [sitk.GetImageFromArray(x.astype(np.float64)) for x in (fixed, moving)]
    affine = sitk.AffineTransform(2)
    affine.SetCenter(((width - 1) / 2, (height - 1) / 2))
    stage = _stage(sitk, AFFINE_SHRINKS, AFFINE_ITERATIONS, AFFINE_STEP)
    stage.SetMetricAsMattesMutualInformation(BINS)
    stage.SetInitialTransform(affine, True)
    stage.Execute(*images)

    field = sitk.DisplacementFieldTransform(sitk.Image([width, height], sitk.sitkVectorFloat64))
    field.SetSmoothingGaussianOnUpdate(*SMOOTHING)
    stage = _stage(sitk, FIELD_SHRINKS, FIELD_ITERATIONS, FIELD_STEP)
    stage.SetMetricAsANTSNeighborhoodCorrelation(RADIUS)
    stage.SetMovingInitialTransform(affine)
    stage.SetInitialTransform(field, True)
    stage.Execute(*images)
    whole = sitk.CompositeTransform([affine, field])  # the last one first
    displacements = sitk.TransformToDisplacementField(whole, sitk.sitkVectorFloat64, [width, height])
    return identity_pixels(height, width) + sitk.GetArrayFromImage(displacements)


def _stage(sitk: Any, shrinks: tuple[int, ...], iterations: int, step: float) -> Any:
    """A registration at some resolutions, of steps of at most `step` pixels, without a metric and a transform."""
    stage = sitk.ImageRegistrationMethod()
    stage.SetNumberOfThreads(1)
    stage.SetNumberOfWorkUnits(1)
    stage.SetInterpolator(sitk.sitkLinear)
    stage.SetMetricSamplingStrategy(stage.NONE)
    stage.SetShrinkFactorsPerLevel(shrinks)
    stage.SetSmoothingSigmasPerLevel([shrink - 1 for shrink in shrinks])  # pixels
    stage.SetOptimizerScalesFromPhysicalShift()  # or the steps would not be bounded
    stage.SetOptimizerAsGradientDescent(1.0, iterations, 1e-6, 10, stage.EachIteration, step)
    return stage


def sample_labels(labels: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Labels (H, W) at the nearest pixels to (H, W, 2) xy; those of the border beyond it."""
    height, width = labels.shape
    x, y = np.rint(np.moveaxis(positions, -1, 0)).astype(int)
    return labels[y.clip(0, height - 1), x.clip(0, width - 1)]

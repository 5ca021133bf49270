"""The interface of measures, and their inputs.

To add one, write a class as `Measure` describes, in a file of its own with the dataclass of its result, and a field of
`EvaluationResult` that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np

from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.methods.base import Estimate, FactorMethod, FactorModel, Method
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.metrics.paired import Paired, paired
from dafnet_core.metrics.segmentation import mean_by_subject, nanmean, number


@dataclass(frozen=True, eq=False)
class ScoredSlice:
    """One slice, a method's estimate of it, and the truth.

    Attributes:
        method: that made the estimate.
        subject, position: id of the subject, and index of the slice in its first modality.
        images: (n, K, H, W) float32 in [-1, 1].
        truth: labels (H, W) of the modalities that have any, by index.
        estimate: of all modalities.
        positions: true sampling positions of ordered pairs, (H, W, 2) xy in pixels; {} where unknown.
        regions: (H, W) bool by modality, over which errors of warps are averaged.
        own: modalities whose slice is scored here; each slice of each modality once, with its nearest partners.
        picture: rows and columns that are scored; the rest is padding.
        tissues: (H, W) labels of the true tissues by modality, each in its frame; {} where they are not known.
        spacing: mm between rows and between columns, of the modalities for which they are known.
        slices: index of each modality's slice in its stack.
    """

    method: Method
    subject: str
    position: int
    images: np.ndarray
    truth: Mapping[int, np.ndarray]
    estimate: Estimate
    positions: Mapping[tuple[int, int], np.ndarray]
    regions: Mapping[int, np.ndarray]
    own: frozenset[int]
    picture: tuple[slice, slice]
    tissues: Mapping[int, np.ndarray]
    spacing: Mapping[int, tuple[float, float]]
    slices: tuple[int, ...] = ()

    def tissue_or_mask(self, modality: int) -> np.ndarray | None:
        """The true tissues (H, W) of a modality, else its true mask, else None."""
        return self.tissues.get(modality, self.truth.get(modality))

    @property
    def factors(self) -> Decomposition:
        """Of the estimate; raises ValueError where it has none, see `Measure.needs`."""
        if self.estimate.factors is None:
            raise ValueError(f"{self.method.title} has no factors")
        return self.estimate.factors

    @property
    def model(self) -> FactorModel:
        """The method's networks; errors as in `factors_model`."""
        return factors_model(self.method)


def factors_model(method: Method) -> FactorModel:
    """The networks of a method with factors; raises ValueError for any other method."""
    if not isinstance(method, FactorMethod):
        raise ValueError(f"{method.title} has no networks with factors")
    return method.networks


@dataclass(eq=False)
class Context:
    """A whole data set, for summaries.

    Attributes:
        method: that is evaluated.
        encoded: factors of every slice; [] for a method without factors.
        sample_z: seed of a sample of the posterior, None for its mean.
        subjects: in the order in which they came.
        by_subject: numbers of every subject, (n_subjects,) with NaN, by dotted path; measures add theirs.
        reasons: for unknown values, by dotted path; measures add theirs.
        details: objects that pages draw, by name of a field; measures add theirs.
    """

    method: Method
    encoded: list[Encoded]
    sample_z: int | None
    subjects: tuple[str, ...]
    by_subject: dict[str, np.ndarray] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def encodings(self) -> Encodings:
        """Factors of all slices in rows."""
        channels = factors_model(self.method).config.channels
        return Encodings(self.method.modalities, self.method.classes, channels, self.encoded, self.sample_z)

    def mean(self, path: str, rows: list[tuple[str, float]]) -> float | None:
        """Mean over each subject's values and then over subjects; the former are kept under `path`."""
        if not rows:
            return None
        self.by_subject[path] = mean_by_subject(rows, self.subjects)
        return number(float(nanmean(self.by_subject[path])))


class Measure(Protocol):
    """One or more numbers of a method on a data set.

    Attributes:
        needs: of "masks" (a truth), "images", "positions", "factors" and "modality factor" (z or a style code):
            required parts of the estimate; without them the measure is skipped.
        costly: whether it is left out while training.
        slow: whether it is left out of the default evaluation too (`--measures all` or `slow`).
        why: the reason for each unknown number, by dotted path; the longest path that fits counts.
    """

    needs: ClassVar[frozenset[str]]
    costly: ClassVar[bool]
    slow: ClassVar[bool]
    why: ClassVar[Mapping[str, str]]

    def observe(self, seen: ScoredSlice) -> Any:
        """Intermediate values of one slice."""
        ...

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        """Values of fields of EvaluationResult, from the intermediate values of all slices."""
        ...


def difference(a: np.ndarray, b: np.ndarray) -> Paired | None:
    """Mean paired difference by subject with its 95 % interval and the p of a sign-flip permutation; None for < 2."""
    return paired(a, b) if (~np.isnan(a) & ~np.isnan(b)).sum() > 1 else None

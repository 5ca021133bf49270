"""Which contrast and shape parameters of the phantom are read from z and s (not in the paper)?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.analysis.style_reading import anatomy_features, readable, tissue_intensities
from dafnet_core.data.phantom.parameters import CONTRAST_PARAMETERS, SHAPE_PARAMETERS
from dafnet_core.data.phantom.tissue import TISSUES
from dafnet_core.evaluation.base import Context, ScoredSlice

SUBJECTS, LEAST, LEAST_MEAN = 96, 0.3, 0.4
KINDS = "linear", "nonlinear"


@dataclass(frozen=True)
class R2Summary:
    """Held-out R^2, clipped at 0: by parameter, and their mean."""

    mean_r2: float | None = None
    r2: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadingSummary:
    """By ridge regression and by kernel ridge regression, of subjects that these were not fitted on."""

    linear: R2Summary = field(default_factory=R2Summary)
    nonlinear: R2Summary = field(default_factory=R2Summary)

    @property
    def best_mean_r2(self) -> float | None:
        """The mean of the regression whose mean is larger; None where it was not computed."""
        return max((m for m in (self.linear.mean_r2, self.nonlinear.mean_r2) if m is not None), default=None)

    @property
    def best_r2(self) -> dict[str, float]:
        """By parameter, of the regression that predicts it better."""
        linear, nonlinear = self.linear.r2, self.nonlinear.r2
        return {name: max(r2, nonlinear.get(name, 0.0)) for name, r2 in linear.items()}


@dataclass(frozen=True)
class ShapeReading:
    """Shape parameters, mean over the modalities that they are read from."""

    s: ReadingSummary = field(default_factory=ReadingSummary)
    z: ReadingSummary = field(default_factory=ReadingSummary)


@dataclass(frozen=True)
class StyleSummary:
    """Contrast parameters that can be read from the true intensities at all, and shape parameters.

    Attributes:
        z: from z, the modality factor.
        s: from occupancies, shares on a grid and shape moments of the anatomy.
        oracle: from the mean intensity of each true tissue.
        shape: shape parameters, from s and z.
    """

    z: ReadingSummary = field(default_factory=ReadingSummary)
    s: ReadingSummary = field(default_factory=ReadingSummary)
    oracle: ReadingSummary = field(default_factory=ReadingSummary)
    shape: ShapeReading = field(default_factory=ShapeReading)


class Style:
    """Regressions on other subjects."""

    needs: ClassVar[frozenset[str]] = frozenset({"factors"})
    costly: ClassVar[bool] = True
    slow: ClassVar[bool] = True
    why: ClassVar[Mapping[str, str]] = {"style": "these data have no known contrast parameters"}

    def observe(self, seen: ScoredSlice) -> np.ndarray | None:
        if len(seen.tissues) < len(seen.images):
            return None
        each = [tissue_intensities(seen.images[i, 0], seen.tissues[i], len(TISSUES)) for i in range(len(seen.images))]
        return np.stack(each)

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        e = context.encodings
        if any(row is None for row in rows) or not set(CONTRAST_PARAMETERS) <= set(e.ground_truth):
            return {"style": StyleSummary()}
        if e.n_subjects < SUBJECTS:
            context.reasons["style"] = (
                f"{e.n_subjects} subjects; at least {SUBJECTS} are needed: with fewer, even the true intensities "
                "predict nothing"
            )
            return {"style": StyleSummary()}
        return {"style": _style(e, np.concatenate(rows), context)}


def _style(e: Encodings, intensities: np.ndarray, context: Context) -> StyleSummary:
    features = {"z": e.z, "s": anatomy_features(e.anatomies, e.channels)}
    shape = ShapeReading(**{name: _summary(_read(e, f, SHAPE_PARAMETERS)) for name, f in features.items()})
    oracle = _read(e, intensities, CONTRAST_PARAMETERS)
    best = {name: max(oracle[kind][name] for kind in KINDS) for name in oracle["linear"]}
    counted = {name: CONTRAST_PARAMETERS[name] for name, r2 in best.items() if r2 >= LEAST}
    found = _summary(oracle, tuple(counted))
    mean = float(np.mean([best[name] for name in counted])) if counted else 0.0
    if mean < LEAST_MEAN:
        context.reasons["style"] = (
            f"the mean R^2 of the true intensities is {mean:.2f}, over parameters of at least {LEAST}; expected at "
            f"least {LEAST_MEAN}"
        )
        return StyleSummary(oracle=found, shape=shape)
    read = {name: _summary(_read(e, f, counted)) for name, f in features.items()}
    return StyleSummary(**read, oracle=found, shape=shape)


def _read(e: Encodings, features: np.ndarray, parameters: Mapping[str, tuple[int, ...]]) -> dict[str, dict[str, float]]:
    """R^2 by kind of regression and parameter, mean over the modalities that a parameter belongs to."""
    found: dict[str, dict[str, float]] = {}
    for kind in KINDS:
        values: dict[str, list[float]] = {name: [] for name in parameters}
        for i in range(len(e.names)):
            rows = e.modality == i
            ours = {name: e.ground_truth[name][rows] for name, where in parameters.items() if i in where}
            for name, r2 in readable(features[rows], ours, e.subjects[rows], nonlinear=kind == "nonlinear").items():
                values[name].append(r2)
        found[kind] = {name: float(np.mean(r2)) for name, r2 in values.items() if r2}
    return found


def _summary(found: Mapping[str, Mapping[str, float]], counted: tuple[str, ...] | None = None) -> ReadingSummary:
    """The mean is over the parameters in `counted`, or all."""
    parts = []
    for kind in KINDS:
        r2 = dict(found[kind])
        chosen = [r2[name] for name in (r2 if counted is None else counted)]
        parts.append(R2Summary(float(np.mean(chosen)) if chosen else None, r2))
    return ReadingSummary(*parts)

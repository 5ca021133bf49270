"""All numbers of a method on a data set, typed: what evaluate prints, checkpoints store, and cards and pages read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from dafnet_core.evaluation.base import Measure
from dafnet_core.evaluation.measures.activity import Activity
from dafnet_core.evaluation.measures.cleanness import Speckle, SpeckleSummary
from dafnet_core.evaluation.measures.cycle import CycleConsistency, CycleSummary
from dafnet_core.evaluation.measures.dependence import DependenceSummary, FactorDependence
from dafnet_core.evaluation.measures.information_over_bias import BiasSummary, InformationAndBias
from dafnet_core.evaluation.measures.invariance import Invariance, InvarianceSummary
from dafnet_core.evaluation.measures.leakage import LeakageByReader, ModalityLeakage
from dafnet_core.evaluation.measures.modality_probe import ModalityProbe, ProbeSummary, SwapSummary
from dafnet_core.evaluation.measures.prior import PriorStyles, PriorSummary
from dafnet_core.evaluation.measures.reconstruction import Reconstruction, ReconstructionSummary
from dafnet_core.evaluation.measures.registration import Registration, RegistrationSummary
from dafnet_core.evaluation.measures.segmentation import CopySummary, DiceSummary, Segmentation
from dafnet_core.evaluation.measures.sensitivity import Sensitivity, SensitivitySummary
from dafnet_core.evaluation.measures.style import Style, StyleSummary
from dafnet_core.evaluation.measures.surface_distance import SurfaceDistance, SurfaceSummary
from dafnet_core.metrics.paired import Paired
from dafnet_core.typed_json import all_or_nothing, from_json, to_json


def measured_by(measure: type[Measure]) -> Any:
    """A field that a measure fills; None if it was not computed, or the method lacks its requirements."""
    return field(default=None, metadata={"measure": measure})


@dataclass(frozen=True)
class KnownWarp:
    """The known random warps applied to registered data: RMS of their difference in pixels, and the seed."""

    rms_px: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        all_or_nothing(self, "rms_px", "seed")


@dataclass(frozen=True)
class EvaluationResult:
    """Numbers of a method on a data set; its JSON has the keys that README describes.

    Attributes:
        data, split: as on the command line.
        version: of the data, python, torch and this project.
        n_subjects, n_slices: that were evaluated.
        warp: that was applied to registered data.
        pairing: of the slices, as `PairedSlices` has it; None by position, "expert".
        assumed: about the files, each a sentence; None for nothing.
        why: the reason for each null, by dotted path.
        subjects: digest of the subjects' names, in their order; None where `by_subject` is.
        by_subject: numbers of each subject by dotted path, null where unknown; kept by checkpoints, so that two of them
            can be compared subject by subject.
    """

    data: str
    split: str = "test"
    version: dict[str, Any] = field(default_factory=dict)
    method: str = "dafnet"
    n_subjects: int = 0
    n_slices: int = 0
    warp: KnownWarp = field(default_factory=KnownWarp)
    pairing: str | None = None
    assumed: tuple[str, ...] | None = None
    segmentation: dict[str, dict[str, DiceSummary]] | None = measured_by(Segmentation)
    copy: dict[str, CopySummary] | None = measured_by(Segmentation)
    paired: dict[str, dict[str, Paired | None]] | None = measured_by(Segmentation)
    surface: dict[str, dict[str, SurfaceSummary]] | None = measured_by(SurfaceDistance)
    registration: RegistrationSummary | None = measured_by(Registration)
    reconstruction: dict[str, ReconstructionSummary] | None = measured_by(Reconstruction)
    kl_per_dimension: tuple[float, ...] | None = measured_by(Activity)
    variance_per_dimension: tuple[float, ...] | None = measured_by(Activity)
    posterior_variance_per_dimension: tuple[float, ...] | None = measured_by(Activity)
    active_dimensions: int | None = measured_by(Activity)
    channel_occupancy: dict[str, tuple[float, ...]] | None = measured_by(Activity)
    z: str | None = measured_by(ModalityProbe)
    probe: ProbeSummary | None = measured_by(ModalityProbe)
    swap: dict[str, SwapSummary] | None = measured_by(ModalityProbe)
    cycle: dict[str, CycleSummary] | None = measured_by(CycleConsistency)
    leakage: LeakageByReader | None = measured_by(ModalityLeakage)
    dependence: DependenceSummary | None = measured_by(FactorDependence)
    speckle: dict[str, SpeckleSummary] | None = measured_by(Speckle)
    invariance: InvarianceSummary | None = measured_by(Invariance)
    sensitivity: dict[str, SensitivitySummary] | None = measured_by(Sensitivity)
    prior: PriorSummary | None = measured_by(PriorStyles)
    iob: BiasSummary | None = measured_by(InformationAndBias)
    style: StyleSummary | None = measured_by(Style)
    why: dict[str, str] = field(default_factory=dict)
    subjects: str | None = None
    by_subject: dict[str, tuple[float | None, ...]] | None = None

    def __post_init__(self) -> None:
        all_or_nothing(self, "subjects", "by_subject")
        lengths = {len(values) for values in (self.by_subject or {}).values()}
        if len(lengths) > 1:
            raise ValueError(f"by_subject has lists of {sorted(lengths)} numbers; expected one a subject in each")

    @classmethod
    def measures(cls) -> dict[type[Measure], tuple[str, ...]]:
        """Every measure and the fields that it fills."""
        measures: dict[type[Measure], tuple[str, ...]] = {}
        for f in fields(cls):
            if measure := f.metadata.get("measure"):
                measures[measure] = (*measures.get(measure, ()), f.name)
        return measures

    def to_json(self) -> dict[str, Any]:
        """JSON with the keys of the fields; unknown values are null, with a reason in `why`.

        What was not computed, by whatever version, has no reason and is left out.
        """
        return _with_reasons(to_json(self), self.why)

    @classmethod
    def from_json(cls, value: Any, where: str = "metrics") -> EvaluationResult:
        """The inverse of `to_json`; also of what earlier versions wrote, which had fewer keys.

        Raises:
            ValueError: naming the place, the value and what was expected.
        """
        return from_json(cls, value, where)


def _with_reasons(value: Any, why: Mapping[str, str], path: str = "") -> Any:
    """Nested JSON without the nulls that `why` does not explain."""
    if not isinstance(value, dict):
        return value
    places = {key: f"{path}.{key}" if path else key for key in value}
    kept = {key: inner for key, inner in value.items() if inner is not None or places[key] in why}
    return {key: _with_reasons(inner, why, places[key]) for key, inner in kept.items()}


def unknown(value: Any, path: str = "") -> Iterator[str]:
    """Dotted path of every None in nested JSON."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from unknown(inner, f"{path}.{key}" if path else key)
    elif value is None:
        yield path

"""Distance correlation of s and z, over permutations of subjects (Sec. V-H.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.evaluation.base import Context, ScoredSlice
from dafnet_core.metrics.dependence import Dependence, anatomy_distances, dependence, euclidean_distances
from dafnet_core.typed_json import all_or_nothing

Span = tuple[float, float]


@dataclass(frozen=True)
class DependenceStatistics:
    """Statistics of two factors; fields as in `metrics.dependence.Dependence`, of the nulls their means."""

    dcor: float | None = None
    dcor_ci95: Span | None = None
    dcor_squared_unbiased: float | None = None
    dcor_squared_unbiased_ci95: Span | None = None
    p_value: float | None = None
    n: int | None = None
    n_subjects: int | None = None
    null_dcor_mean: float | None = None
    null_dcor_squared_unbiased_mean: float | None = None

    def __post_init__(self) -> None:
        all_or_nothing(self, "dcor", "dcor_squared_unbiased", "p_value", "n", "n_subjects")


@dataclass(frozen=True)
class DependenceSummary(DependenceStatistics):
    """Of s and z; `within` each modality; of the images and each factor. Older cards lack the latter two."""

    within: dict[str, DependenceStatistics] | None = None
    image_s: DependenceStatistics | None = None
    image_z: DependenceStatistics | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        all_or_nothing(self, "within", "image_s", "image_z")


class FactorDependence:
    """Dependence of s and z, and of the image and each factor, which shows whether the factors are informative."""

    needs: ClassVar[frozenset[str]] = frozenset({"factors"})
    costly: ClassVar[bool] = True
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {}

    def observe(self, seen: ScoredSlice) -> None:
        return None

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        e, results = context.encodings, {}
        distances, every = factor_distances(e), np.arange(len(e.subjects))
        asked = [("s_z", "s", "z", every)]
        asked += [(f"within.{name}", "s", "z", np.flatnonzero(e.modality == i)) for i, name in enumerate(e.names)]
        asked += [(f"image_{b}", "image", b, every) for b in ("s", "z")]
        for key, a, b, chosen in asked:
            try:
                first, second = (distances[k][chosen][:, chosen] for k in (a, b))
                results[key] = dependence(first, second, e.subjects[chosen])
            except ValueError as error:
                context.reasons["dependence" if key == "s_z" else f"dependence.{key}"] = str(error)
        context.details["dependence"] = results

        def of(key: str, path: str) -> dict[str, Any]:
            return _numbers(results.get(key), path, context.reasons)

        within = {n: DependenceStatistics(**of(f"within.{n}", f"dependence.within.{n}")) for n in e.names}
        image_s, image_z = (DependenceStatistics(**of(k, f"dependence.{k}")) for k in ("image_s", "image_z"))
        return {
            "dependence": DependenceSummary(**of("s_z", "dependence"), within=within, image_s=image_s, image_z=image_z)
        }


def factor_distances(encodings: Encodings) -> dict[str, np.ndarray]:
    """(n, n) distances of the anatomies ("s"), modality factors ("z") and images ("image")."""
    n = len(encodings.subjects)
    return {
        "s": anatomy_distances(encodings.anatomies.reshape(n, -1)),
        "z": euclidean_distances(encodings.z),
        "image": euclidean_distances(encodings.images.reshape(n, -1)),
    }


def _numbers(statistics: Dependence | None, path: str, reasons: dict[str, str]) -> dict[str, Any]:
    """Fields of DependenceStatistics; {} where nothing is known."""
    if statistics is None:
        return {}
    spans: dict[str, Span | None] = {}
    for name in ("dcor_ci95", "dcor_squared_unbiased_ci95"):
        spans[name] = getattr(statistics, name)
        if np.isnan(getattr(statistics, name)).any():
            spans[name], reasons[f"{path}.{name}"] = None, "without one of the subjects a factor does not vary"
    values = {n: getattr(statistics, n) for n in ("dcor", "dcor_squared_unbiased", "p_value", "n", "n_subjects")}
    nulls = {f"{n}_mean": float(np.mean(getattr(statistics, n))) for n in ("null_dcor", "null_dcor_squared_unbiased")}
    return values | spans | nulls

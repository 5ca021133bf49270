"""Error of alignment where the true misregistration is known (Sec. III-B)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dafnet_core.analysis.scores import warp_errors
from dafnet_core.evaluation.base import Context, ScoredSlice
from dafnet_core.typed_json import all_or_nothing


@dataclass(frozen=True)
class RegistrationSummary:
    """Mean distance from the true sampling position in pixels, before and after alignment; None where unknown."""

    error_before_px: float | None = None
    error_after_px: float | None = None

    def __post_init__(self) -> None:
        all_or_nothing(self, "error_before_px", "error_after_px")


class Registration:
    """Error of a method's warps over the organs, or over the head or body of registered data."""

    needs: ClassVar[frozenset[str]] = frozenset({"positions"})
    costly: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    why: ClassVar[Mapping[str, str]] = {"registration": "the true misregistration of these data is not known"}

    def observe(self, seen: ScoredSlice) -> list[tuple[str, float, float]]:
        errors = warp_errors(seen.estimate.positions, seen.regions, seen.positions)
        return [(seen.subject, before, after) for _, _, before, after in errors]

    def summarise(self, rows: list[Any], context: Context) -> dict[str, Any]:
        errors = [row for of_slice in rows for row in of_slice]
        before = context.mean("registration.error_before_px", [(s, b) for s, b, _ in errors])
        after = context.mean("registration.error_after_px", [(s, a) for s, _, a in errors])
        return {"registration": RegistrationSummary(before, after)}

"""Warnings about a validation and the steps since the last one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.training.config import TrainConfig

Rows = Sequence[Mapping[str, str]]


def training_warnings(result: EvaluationResult, recent: Rows, config: TrainConfig) -> list[str]:
    """Warnings about posterior collapse, empty channels, an inactive aligner and clipped gradients.

    Args:
        result: of the validation subjects.
        recent: rows of the log since the last validation.
    """
    aligner = _aligner(result, recent) if "aligner" not in config.model.without else ()
    return [*_factors(result), *aligner, *_gradients(recent, config.schedule.clip)]


def _factors(result: EvaluationResult) -> Iterator[str]:
    kl = result.kl_per_dimension
    if kl is not None and max(kl) < 0.1:
        yield (
            f"z is nearly empty: its largest KL is {max(kl):.3f} nats (posterior collapse); "
            "a smaller --w-kl or a longer --kl-ramp may help"
        )
    for name, shares in (result.channel_occupancy or {}).items():
        dead = [c for c, share in enumerate(shares) if share < 1e-4]
        if len(dead) > len(shares) // 2:
            yield f"{name}: {len(dead)} of {len(shares)} anatomy channels are empty"


def _aligner(result: EvaluationResult, recent: Rows) -> Iterator[str]:
    if (r := result.registration) is not None:
        before, after = r.error_before_px, r.error_after_px
        if before is not None and after is not None and after > 1.05 * before:
            yield f"the aligner makes things worse: {after:.2f} pixels of error, {before:.2f} without it"
    shifts = [float(row["shift"]) for row in recent if row.get("shift")]
    if shifts and np.mean(shifts) < 1e-3:
        yield "the aligner hardly moves: control points shift by less than a thousandth of the image"


def _gradients(recent: Rows, clip: float) -> Iterator[str]:
    norms = [float(row["grad_norm"]) for row in recent if row.get("grad_norm")]
    if clip and len(norms) >= 20 and np.mean([n > clip for n in norms]) > 0.9:
        yield f"gradients are clipped in nearly every step (median norm {np.median(norms):.1f}); lower --lr?"

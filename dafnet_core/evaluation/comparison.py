"""Two evaluations on the same subjects: paired differences of every number, and what they amount to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dafnet_core.evaluation.base import difference
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.metrics.paired import Paired, holm

LEVEL = 0.05  # of corrected p-values
HIGHER, LOWER = 1, -1
BETTER = {  # the last part of a number's name: whether more of it or less of it is better
    "dice_mean": HIGHER,
    "dice_volume": HIGHER,
    "hd95_mm": LOWER,
    "assd_mm": LOWER,
    "error_after_px": LOWER,
    "own_l1": LOWER,
    "own_l1_inside": LOWER,
    "cross_l1": LOWER,
    "cross_l1_inside": LOWER,
    "agreement": HIGHER,
    "share": LOWER,
}


@dataclass(frozen=True)
class Compared:
    """A number of A and B on the same subjects.

    Attributes:
        paired: difference A - B, paired by subject.
        better: 1 if more of it is better, -1 if less is; 0 where neither can be said.
        p_holm: p corrected by Holm's method for all numbers with a direction; None without one.
        primary: whether the verdict rests on it: Dice of each modality's best masks, chosen before looking.
        p_primary: p corrected for the primary numbers only; None for all others.
    """

    paired: Paired
    better: int
    p_holm: float | None = None
    primary: bool = False
    p_primary: float | None = None

    @property
    def favours(self) -> int:
        """0 if the difference is in favour of A, 1 of B; -1 where it is 0 or has no direction."""
        towards = self.paired.difference * self.better
        return -1 if not towards else 0 if towards > 0 else 1

    @property
    def excludes_zero(self) -> bool:
        """Whether its 95 % interval, which is not corrected, lies on one side of 0."""
        low, high = self.paired.ci95
        return low > 0 or high < 0


def by_subject_name(name: str) -> str:
    """The name among `Evaluation.by_subject` of a number of a result; they differ for Dice of volumes.

    >>> by_subject_name("segmentation.LGE.fused.dice_volume_mean")
    'segmentation.LGE.fused.dice_volume'
    """
    return name.removesuffix("_mean") if name.endswith("dice_volume_mean") else name


def better(name: str) -> int:
    """1 if more of a number is better, -1 if less is, 0 where neither holds: properties of the data, and of Copy."""
    if name.startswith("copy.") or ".copy." in name:
        return 0
    if name.startswith("invariance.intensity."):
        return HIGHER
    return BETTER.get(name.rpartition(".")[2], 0)


def compare(a: EvaluationResult, b: EvaluationResult) -> dict[str, Compared]:
    """Every number that both have of at least two subjects, by dotted path.

    Args:
        a, b: with the numbers of each subject, as `Evaluation.with_subjects` gives and checkpoints keep them.

    Returns:
        {} where these are missing, or of other subjects.
    """
    ours, theirs = _arrays(a), _arrays(b)
    if (a.subjects, a.data, a.split) != (b.subjects, b.data, b.split):
        return {}
    both = [name for name, values in ours.items() if name in theirs and len(values) == len(theirs[name])]
    shared = {name: difference(ours[name], theirs[name]) for name in both}
    known = {name: found for name, found in shared.items() if found is not None}
    directed, primary = [name for name in known if better(name)], _primary(known)
    corrected = dict(zip(directed, holm([known[name].p_value for name in directed]), strict=True))
    of_primary = dict(zip(primary, holm([known[name].p_value for name in primary]), strict=True))
    return {
        name: Compared(found, better(name), corrected.get(name), name in of_primary, of_primary.get(name))
        for name, found in known.items()
    }


def _arrays(result: EvaluationResult) -> dict[str, np.ndarray]:
    return {name: np.array(values, np.float64) for name, values in (result.by_subject or {}).items()}


def _primary(known: Mapping[str, Paired]) -> list[str]:
    """Dice per slice of each modality's fused masks, or single ones where a method does not fuse."""
    chosen: dict[str, str] = {}
    for kind in ("single", "fused"):
        ends = f".{kind}.dice_mean"
        chosen |= {n.removesuffix(ends): n for n in known if n.startswith("segmentation.") and n.endswith(ends)}
    return list(chosen.values())

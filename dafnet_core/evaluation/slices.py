"""Numbers of single slices: what a mean hides, so that the worst and the most disputed ones can be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.evaluation.base import ScoredSlice
from dafnet_core.metrics.probe import Leakage, occupancies
from dafnet_core.metrics.reconstruction import absolute_error
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean, overlap_counts

KINDS = "fused", "single"  # of masks, the first that a method has; any other if neither
DICE, ERROR = "Dice", "L1 (intensity)"  # names of columns
LEAKAGE, DISAGREEMENT = "leakage (probability)", "disagreement (1 - Dice)"
SIDE = 96  # most pixels of a thumbnail's side


@dataclass(frozen=True, eq=False)
class JudgedSlice:
    """One slice of one modality, where it is scored.

    Attributes:
        subject: its id; number: place of the slice among those of its subject, from 0.
        index: place in the evaluation; stored: place in the modality's own stack; modality: index.
        dice: of the fused mask, or the single one, mean over the classes that the truth has; NaN without truth.
        error: L1 of the own reconstruction, of intensities in [-1, 1]; NaN where a method makes none.
        mask: (H, W) uint8 labels of that mask; None where a method predicts none.
        picture: (h, w) uint8 from black to white, a thumbnail of the image.
    """

    subject: str
    number: int
    index: int
    stored: int
    modality: int
    dice: float
    error: float
    mask: np.ndarray | None
    picture: np.ndarray

    @property
    def place(self) -> tuple[str, int, int]:
        """What is the same of another method's estimate of this slice."""
        return self.subject, self.stored, self.modality


def judge_slice(seen: ScoredSlice, index: int, number: int) -> list[JudgedSlice]:
    """Numbers of a slice in every modality that is scored in it, of the picture without its padding."""
    found = []
    for i in sorted(seen.own):
        masks = {m.kind: m.labels for m in seen.estimate.masks if m.fixed == i}
        mask = next((masks[kind] for kind in (*KINDS, *masks) if kind in masks), None)
        image, truth = seen.images[i, 0][seen.picture], seen.truth.get(i)
        dice = float("nan")
        if mask is not None and truth is not None:
            counts = overlap_counts(mask[seen.picture], truth[seen.picture], len(seen.method.classes))
            dice = float(nanmean(dice_from_counts(counts)))
        own = next((m.pixels for m in seen.estimate.images if m.kind == "own" and m.fixed == i), None)
        error = float("nan") if own is None else absolute_error(own[seen.picture], image, None)[0]
        step = -(-max(image.shape) // SIDE)
        picture = ((np.clip(image[::step, ::step], -1, 1) + 1) * 127.5).round().astype(np.uint8)
        labels = None if mask is None else mask.astype(np.uint8)
        stored = seen.slices[i] if seen.slices else number
        found.append(JudgedSlice(seen.subject, number, index, stored, i, dice, error, labels, picture))
    return found


def disagreement(a: Sequence[JudgedSlice], b: Sequence[JudgedSlice]) -> np.ndarray:
    """1 - Dice of A's mask with B's of each slice of A, (n,): 0 if they agree, mean over classes that A or B shows.

    NaN where B has no such slice, or either predicts no mask.
    """
    theirs = {other.place: other.mask for other in b}
    return np.array([_differ(own.mask, theirs.get(own.place)) for own in a])


def _differ(a: np.ndarray | None, b: np.ndarray | None) -> float:
    if a is None or b is None or a.shape != b.shape:
        return float("nan")
    both, ours, theirs = overlap_counts(a, b, int(max(a.max(), b.max())) + 1).astype(float).T
    shown = ours + theirs > 0
    return float(np.mean(1 - 2 * both[shown] / (ours + theirs)[shown])) if shown.any() else 0.0


def leakage_of_slices(judged: Sequence[JudgedSlice], encodings: Encodings, leakage: Leakage) -> np.ndarray:
    """How much surer of the modality a held-out probe of s is than one of the true masks, (n,) in [-1, 1].

    Args:
        judged: all of one evaluation; encodings: of the same slices.
        leakage: by the occupancies of channels, of these encodings.

    Returns:
        Difference of the probabilities of the true modality; NaN without true masks.
    """
    e, masks = encodings, encodings.masks
    if leakage.truth is None or masks is None:
        return np.full(len(judged), np.nan)
    each = []
    for probe, labels, count in ((leakage.anatomy, e.anatomies, e.channels), (leakage.truth, masks, len(e.classes))):
        probabilities = probe.probability(occupancies(labels, count), e.subjects)
        columns = [probe.classes.index(m) for m in e.modality.tolist()]
        each.append(probabilities[np.arange(len(columns)), columns])
    excess = each[0] - each[1]
    return np.array([excess[s.index * len(e.names) + s.modality] for s in judged])

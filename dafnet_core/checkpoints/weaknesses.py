"""What the numbers of a checkpoint speak against it, for its card."""

from __future__ import annotations

from collections.abc import Iterator

from dafnet_core.evaluation.measures.style import StyleSummary
from dafnet_core.evaluation.result import EvaluationResult

MOST_SPECKLE, LEAST_AGREEMENT = 0.03, 0.9  # shares of pixels
MOST_MODALITY = 0.7  # accuracy from the occupancies of s
MOST_STYLE_IN_S, LEAST_STYLE_IN_Z = 0.2, 0.7  # of the R^2 of the true intensities
LEAST_KEPT = 0.95  # Dice under styles of the prior
EMPTY, USED = 1e-3, 0.01  # share of pixels of an empty channel is less, of a used one more
LEAST_USED = 0.75  # share of the channels


def weaknesses(result: EvaluationResult) -> Iterator[str]:
    """Weaknesses that the numbers of `evaluate` show, one sentence each."""
    yield from _of_masks(result)
    yield from _of_anatomies(result)
    yield from _of_styles(result)


def _of_masks(result: EvaluationResult) -> Iterator[str]:
    for name, kinds in (result.segmentation or {}).items():
        better = (result.paired or {}).get(name, {}).get("fused_minus_single")
        if better and better.ci95[1] < 0:
            low, high = better.ci95
            yield f"fusing costs {name} {-better.difference:.3f} Dice ({low:+.3f} to {high:+.3f}) against {name} alone."
        kind, last = list(kinds.items())[-1]
        rate = last.false_positive.rate
        if rate and rate > 0.1:
            yield f"{name}: in {rate:.0%} of slices without a class, the {kind} mask contains that class."
    if r := result.registration:
        before, after = r.error_before_px, r.error_after_px
        if before and after is not None and after > 0.5 * before:
            yield f"alignment leaves {after:.2f} of {before:.2f} pixels."


def _of_anatomies(result: EvaluationResult) -> Iterator[str]:
    for name, shares in (result.channel_occupancy or {}).items():
        empty, used = sum(share < EMPTY for share in shares), sum(share > USED for share in shares)
        if used < LEAST_USED * len(shares):
            yield (
                f"only {used} of {len(shares)} anatomy channels hold more than {USED:.0%} of the pixels of {name}; "
                f"{empty} are empty."
            )
        elif empty:
            yield f"{empty} of {len(shares)} anatomy channels are empty in {name}."
    for name, s in (result.speckle or {}).items():
        if s.share is not None and s.share > MOST_SPECKLE:
            truth = "" if s.truth_share is None else f" (the truth: {s.truth_share:.1%})"
            yield f"{name}: {s.share:.1%} of the pixels of s differ from the majority of their neighbours{truth}."
    if (i := result.invariance) and i.modality.agreement is not None and i.modality.agreement < LEAST_AGREEMENT:
        bound = "" if i.modality.bound is None else f" (true tissues: {i.modality.bound:.1%})"
        yield f"only {i.modality.agreement:.1%} of the pixels have the same channel in both modalities{bound}."
    leak = result.leakage.occupancies if result.leakage else None
    if leak and leak.accuracy is not None and leak.accuracy > MOST_MODALITY:
        truth = "" if leak.truth_accuracy is None else f" (from true masks: {leak.truth_accuracy:.0%})"
        yield f"s holds style: the modality is classified from its channels' shares in {leak.accuracy:.0%}{truth}."


def _of_styles(result: EvaluationResult) -> Iterator[str]:
    kl = result.kl_per_dimension or ()
    if idle := sum(value < 0.1 for value in kl):
        yield f"{idle} of {len(kl)} z dimensions carry less than 0.1 nats."
    for way, swap in (result.swap or {}).items():
        if swap.accuracy is not None and swap.accuracy < 0.95:
            pair = way.replace("_", " ")
            yield f"swapped style ({pair}) is classified as the style's modality in only {swap.accuracy:.0%}."
    if result.style:
        yield from _of_contrast(result.style)
    if (p := result.prior) and p.dice_kept is not None and p.dice_kept < LEAST_KEPT:
        yield f"images of styles drawn from N(0, I) keep their masks with a Dice of only {p.dice_kept:.3f}."


def _of_contrast(style: StyleSummary) -> Iterator[str]:
    """Of the contrast parameters that can be read from the true intensities."""
    s, z, most = (reading.best_mean_r2 for reading in (style.s, style.z, style.oracle))
    if s is not None and most and s > MOST_STYLE_IN_S * most:
        yield (
            f"s holds style: contrast parameters are predicted from it with R^2 {s:.2f} (from true intensities: "
            f"{most:.2f})."
        )
    if z is not None and most and z < LEAST_STYLE_IN_Z * most:
        yield (
            f"z lacks style: contrast parameters are predicted from it with R^2 {z:.2f} only (from true "
            f"intensities: {most:.2f})."
        )

"""Sentences about one slice, in Markdown, each computed from the numbers beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dafnet_core.analysis.anatomies import empty_channels, growth, organ_channels
from dafnet_core.analysis.decompose import overlaps, registration_errors
from dafnet_core.methods.decomposition import Decomposition
from dafnet_core.metrics.anatomy import speckle
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean

WHY_FUSED_IS_WORSE = (
    "The maximum keeps what either anatomy has: its errors and those of the alignment too. Where the two differ, a "
    "pixel is in more than one channel, which it never is in a single anatomy."
)
WHAT_SPECKS_ARE = (
    "A speck is a pixel whose channel is not a most frequent one of the 3 x 3 pixels around it. True tissues have few; "
    "a pattern of dots that stores grey levels has many."
)
SAME_DICE = 0.0005  # Dice coefficients that differ by less are shown as equal


def channels_text(
    decomposition: Decomposition, truth: Mapping[int, np.ndarray], tissues: Mapping[int, np.ndarray], classes: int
) -> str:
    """Whether organs share their channels between images, which channels are empty, and how many pixels are specks.

    Args:
        truth: labels (H, W) by image; the model's own masks stand in for those that are missing.
        tissues: (H, W) true tissues by image; {} where they are not known.
        classes: number of classes with the background.
    """
    names, parts = decomposition.names, []
    masks = {i: truth.get(i, decomposition.single[i]) for i in range(len(names))}
    shared = [c for c in organ_channels(decomposition.s, masks, classes).values() if len(c) == len(names)]
    if len(names) > 1 and shared:
        same = sum(len(set(channels.values())) == 1 for channels in shared)
        parts.append(f"{same} of {len(shared)} organs have the same most frequent channel in {' and '.join(names)}.")
    for i, name in enumerate(names):
        empty = ", ".join(str(c + 1) for c in empty_channels(decomposition.s[i])) or "none"
        beside = f" (of its true tissues {speckle(tissues[i]):.1%})" if i in tissues else ""
        specks = speckle(decomposition.s[i].argmax(0))
        parts.append(f"{name}: empty channels {empty}; {specks:.1%} of its pixels are specks{beside}.")
    return " ".join(parts)


def fusion_text(decomposition: Decomposition, i: int) -> str:
    """What fusing adds in the frame of modality i."""
    found = growth(decomposition, i)
    return (
        f"In the frame of {decomposition.names[i]}, the fused channels' shares sum to {found.total:.0%}: where the "
        f"anatomies differ, a pixel is in more than one channel. A channel is {found.least:.0%} to {found.most:.0%} "
        "larger than in the anatomy that has most of it."
    )


def fused_mask_text(decomposition: Decomposition, truth: Mapping[int, np.ndarray], classes: int) -> str:
    """Whether fused masks are better than single ones, and why not; "" where nothing is known of it."""
    dice = {(kind, i): float(nanmean(dice_from_counts(c))) for kind, i, _, c in overlaps(decomposition, truth, classes)}
    rows = [(name, dice.get(("single", i)), dice.get(("fused", i))) for i, name in enumerate(decomposition.names)]
    known = [(n, s, f) for n, s, f in rows if s is not None and f is not None and not np.isnan(s)]
    if not decomposition.aligned or not decomposition.pairs or not known:
        return ""
    worse = [f"{n} ({f:.3f} against {s:.3f})" for n, s, f in known if f < s - SAME_DICE]
    better = [f"{n} ({f:.3f} against {s:.3f})" for n, s, f in known if f > s + SAME_DICE]
    said = [f"{how} for {' and '.join(which)}" for how, which in (("better", better), ("worse", worse)) if which]
    compared = f"{' and '.join(said)} than" if said else "as good as"
    text = f"By mean Dice, the fused mask is {compared} the single one."
    return f"{text} {WHY_FUSED_IS_WORSE}" if worse else text


def registration_text(
    decomposition: Decomposition, truth: Mapping[int, np.ndarray], sampling: Mapping[tuple[int, int], np.ndarray]
) -> str:
    """Registration error of each pair where the true warp is known; "" where it is not."""
    parts = [
        f"{decomposition.names[j]} onto {decomposition.names[i]}: {a:.2f} pixels before, {b:.2f} after"
        for i, j, a, b in registration_errors(decomposition, truth, sampling)
    ]
    return f"Error over the organs: {'; '.join(parts)}." if parts else ""


def joined(sentences: Sequence[str]) -> str:
    """Sentences in lines of their own."""
    return "  \n".join(filter(None, sentences))

"""What a direction of z does to the intensities of organs, in numbers and in a few words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dafnet_core.analysis.style_reading import tissue_intensities

NO_CHANGE = 0.1  # of intensities in [-1, 1]: a direction that changes no region by more does "hardly anything"
NAMED = 2 / 3  # of the largest change: regions that change by less are not in the name
EVERYTHING = 1 / 3  # of the largest change: where all regions change by more in one direction, it is everything
SMALLEST = 0.005  # share of the image: smaller regions are not in the name
MOST = 2  # regions that a name lists, the largest first; half as many where some are brighter and others darker


def region_changes(difference: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Mean change of intensity in each region.

    Args:
        difference: (n, H, W), such as `Traversal.difference`.
        labels: (H, W) region of each pixel, below `count`: channels of the anatomy, or true tissues.

    Returns:
        (n, count), NaN for a region that is not there.
    """
    return np.stack([tissue_intensities(one, labels, count) for one in difference])


def region_shares(labels: np.ndarray, count: int) -> np.ndarray:
    """Share of the image of each region: labels (H, W) -> (count,)."""
    return np.bincount(labels.ravel(), minlength=count) / labels.size


def effect_name(changes: np.ndarray, shares: np.ndarray, names: Sequence[str]) -> str:
    """What a direction does, in words.

    Args:
        changes: (R,) mean change of intensity of each region, NaN for one that is not there.
        shares: (R,) of the image.
        names: of the regions.

    >>> effect_name(np.array([0.0, 0.9, 0.8, -0.1]), np.array([0.5, 0.2, 0.2, 0.1]), ["air", "blood", "liver", "fat"])
    'blood and liver brighter'
    >>> effect_name(np.array([0.9, 0.8, 0.5]), np.array([0.5, 0.3, 0.2]), ["air", "blood", "liver"])
    'everything brighter'
    >>> effect_name(np.array([0.05, -0.02]), np.array([0.5, 0.5]), ["air", "blood"])
    'hardly anything'
    """
    seen = np.flatnonzero((shares >= SMALLEST) & ~np.isnan(changes))
    largest = float(np.abs(changes[seen]).max(initial=0))
    if largest < NO_CHANGE:
        return "hardly anything"
    words = {"brighter": changes, "darker": -changes}
    for word, values in words.items():
        if values[seen].min() >= EVERYTHING * largest:
            return f"everything {word}"
    found = {word: seen[values[seen] >= NAMED * largest] for word, values in words.items()}
    sides = {word: sorted(regions, key=lambda r: -shares[r]) for word, regions in found.items() if len(regions)}
    return ", ".join(f"{_listed([names[r] for r in each], MOST // len(sides))} {word}" for word, each in sides.items())


def _listed(names: Sequence[str], most: int) -> str:
    """The first of some names in a sentence, and how many more there are if it is more than one."""
    if len(names) <= most + 1:
        return " and ".join([*filter(None, [", ".join(names[:-1])]), names[-1]])
    return f"{', '.join(names[:most])} and {len(names) - most} more"

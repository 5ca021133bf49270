"""How well do the factors know what is true of the subjects? A matrix, and DCI-style scores from it.

The paper has no truth to ask; the phantom has. Every known thing is read from every representation by a linear model on
subjects that it never saw (probe.py). Disentanglement, completeness and informativeness follow Eastwood and Williams
(2018), with what one dimension alone tells as its importance, so that they need no further model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.analysis.reading import Reading
from dafnet_core.geometry import pixel_centres
from dafnet_core.metrics.probe import occupancies
from dafnet_core.metrics.segmentation import nanmean


def shape_moments(labels: np.ndarray, channels: int) -> np.ndarray:
    """Where each channel is and how far it spreads: (n, H, W) channel indices -> (n, 5 * channels).

    Centroid (x, y) and second moments (xx, yy, xy) about it, in halves of the image's sides from its centre; 0 for an
    empty channel.
    """
    x, y = pixel_centres(*labels.shape[1:]).numpy().T.reshape(2, *labels.shape[1:])
    parts = []
    for c in range(channels):
        inside = labels == c
        size = np.maximum(inside.sum((1, 2)), 1)
        mx, my, xx, yy, xy = (np.einsum("nhw,hw->n", inside, w) / size for w in (x, y, x * x, y * y, x * y))
        parts += [mx, my, xx - mx * mx, yy - my * my, xy - mx * my]
    return np.stack(parts, 1)


def representations(found: Encodings) -> dict[str, np.ndarray]:
    """What things can be read from, (n, d) each: dimensions of z, all of z, s by occupancies and by shape, the warp."""
    alone = {f"z{d + 1}": found.z[:, [d]] for d in range(found.z.shape[1])}
    return alone | {
        "z": found.z,
        "s occupancies": occupancies(found.anatomies, found.channels),
        "s shapes": shape_moments(found.anatomies, found.channels),
        "warp": found.offsets,
    }


def controls(found: Encodings) -> dict[str, np.ndarray]:
    """Two representations whose answer is known: what is known itself, and s with a style written into it.

    The oracle must be told everything; "leaky s" must be told what "s occupancies" are not, the style's first number.
    """
    values = np.stack([np.asarray(v, np.float64) for v in found.ground_truth.values()], 1)
    s = occupancies(found.anatomies, found.channels)
    return {"oracle": values, "leaky s": np.concatenate([s, found.z], 1)}


def score(reading: Reading) -> float:
    """How much is told, from 0 (chance, or nothing) to 1 (all); NaN where it could not be asked."""
    if reading.value is None or reading.chance is None:
        return float("nan")
    return max(0.0, (reading.value - reading.chance) / (1 - reading.chance)) if reading.chance < 1 else float("nan")


@dataclass(frozen=True, eq=False)
class Dci:
    """Scores of D dimensions for F known things, of one modality; NaN where nothing is told.

    Attributes:
        importance: (D, F) how much each dimension alone tells.
        disentanglement: mean over dimensions of 1 - entropy of what they tell, weighted by how much that is: 1 where
            each tells one thing only.
        completeness: mean over things of 1 - entropy of where they are told: 1 where one dimension tells each.
        informativeness: (F,) how much all dimensions together tell.
    """

    importance: np.ndarray
    disentanglement: float
    completeness: float
    informativeness: np.ndarray

    @property
    def mean_informativeness(self) -> float:
        """Mean of `informativeness` over what could be asked."""
        return float(nanmean(self.informativeness))


def dci(readings: Sequence[Reading], modality: str, dimensions: Sequence[str], whole: str) -> Dci:
    """DCI-style scores.

    Args:
        readings: of `read_ground_truth`, with every dimension and the whole among their representations.
        modality: whose rows.
        dimensions: names of the representations that are single dimensions, at least two; whole: of all of them.
    """
    scores = {(r.factor, r.target): score(r) for r in readings if r.modality == modality}
    targets = list(dict.fromkeys(r.target for r in readings))
    table = np.array([[scores[d, k] for k in targets] for d in dimensions])
    importance = np.nan_to_num(table)
    return Dci(
        importance,
        _concentration(importance),
        _concentration(importance.T),
        np.array([scores[whole, k] for k in targets]),
    )


def _concentration(rows: np.ndarray) -> float:
    """Mean over rows, weighted by their sums, of 1 - entropy of a row's shares in units of the uniform one's."""
    totals = rows.sum(1)
    if not totals.any() or rows.shape[1] < 2:
        return float("nan")
    shares = rows[totals > 0] / totals[totals > 0, None]
    logs = np.log(np.where(shares > 0, shares, 1))
    one_each = 1 + (shares * logs).sum(1) / np.log(rows.shape[1])
    return float(np.average(one_each, weights=totals[totals > 0]))

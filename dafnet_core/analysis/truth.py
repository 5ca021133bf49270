"""How well ground-truth factors are predicted from the model's factors: a score matrix, and DCI-style scores from it.

The paper's data have no such truth; the phantom does. Every true factor is predicted from every representation by a
linear model on held-out subjects (metrics/probe.py). Disentanglement, completeness and informativeness follow Eastwood
and Williams (2018); the importance of a dimension is the score from that dimension alone, which needs no further model.
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
    """Centroid and second moments of each channel: (n, H, W) channel indices -> (n, 5 * channels).

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


def representations(encodings: Encodings) -> dict[str, np.ndarray]:
    """Features (n, d) for prediction, by name: dimensions of z, all of z, occupancies and shapes of s, the warp."""
    alone = {f"z{d + 1}": encodings.z[:, [d]] for d in range(encodings.z.shape[1])}
    return alone | {
        "z": encodings.z,
        "s occupancies": occupancies(encodings.anatomies, encodings.channels),
        "s shapes": shape_moments(encodings.anatomies, encodings.channels),
        "warp": encodings.offsets,
    }


def controls(encodings: Encodings) -> dict[str, np.ndarray]:
    """Control representations (n, d): the ground truth itself, and occupancies of s concatenated with z.

    "oracle" must score near 1 everywhere; "leaky s" must reveal modality information that "s occupancies" do not.
    """
    values = np.stack([np.asarray(v, np.float64) for v in encodings.ground_truth.values()], 1)
    s = occupancies(encodings.anatomies, encodings.channels)
    return {"oracle": values, "leaky s": np.concatenate([s, encodings.z], 1)}


def score(reading: Reading) -> float:
    """Normalised score in [0, 1]: 0 at or below chance, 1 perfect prediction; NaN where it could not be computed."""
    if reading.value is None or reading.chance is None:
        return float("nan")
    return max(0.0, (reading.value - reading.chance) / (1 - reading.chance)) if reading.chance < 1 else float("nan")


@dataclass(frozen=True, eq=False)
class Dci:
    """DCI scores of D dimensions for F true factors, of one modality; NaN where undefined.

    Attributes:
        importance: (D, F) score from each dimension alone, in [0, 1].
        disentanglement: mean over dimensions of 1 - entropy of their importance over factors, weighted by their total
            importance; 1 if each dimension predicts one factor only.
        completeness: mean over factors of 1 - entropy of importance over dimensions, weighted likewise; 1 if one
            dimension predicts each factor.
        informativeness: (F,) score from all dimensions together, in [0, 1].
    """

    importance: np.ndarray
    disentanglement: float
    completeness: float
    informativeness: np.ndarray

    @property
    def mean_informativeness(self) -> float:
        """Mean of `informativeness` over the factors with a score."""
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

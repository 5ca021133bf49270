"""Combine any anatomy with any modality factor and encode the images again (Sec. V-H).

Content and style are disentangled if g(s, z) keeps the anatomy of s and shows the modality of z for every combination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dafnet_core.analysis.editing import segment
from dafnet_core.analysis.encodings import Encodings
from dafnet_core.analysis.traversal import render
from dafnet_core.methods.base import FactorModel
from dafnet_core.methods.pieces import masks_from
from dafnet_core.metrics.probe import Probe
from dafnet_core.metrics.segmentation import dice_from_counts, nanmean, overlap_counts

BATCH = 8  # images encoded at once


@dataclass(frozen=True, eq=False)
class Mixture:
    """Images of R anatomies (rows) with K modality factors (columns), each encoded again.

    Attributes:
        images: (R, K, H, W) float32 in [-1, 1], g(s_r, z_k).
        agreement: (R, K) share of pixels whose channel is the same as in s_r.
        dice: (R, K) Dice of the mask of the anatomy encoded again against that of s_r, mean over the classes that the
            latter has; NaN where it has none.
        z: (R, K, n_z) posterior means.
    """

    images: np.ndarray
    agreement: np.ndarray
    dice: np.ndarray
    z: np.ndarray


@torch.inference_mode()
def mix(model: FactorModel, s: np.ndarray, z: np.ndarray, modalities: Sequence[int]) -> Mixture:
    """Decode every anatomy with every modality factor, and encode each image again.

    Args:
        model: in eval mode.
        s: (R, C, H, W) one-hot anatomies.
        z: (K, n_z).
        modalities: (K,) index in the model of the modality whose encoder encodes the images of a z again.

    Raises:
        ValueError: s or z does not fit the model, or not one modality for each z.
    """
    z = np.asarray(z, np.float64)
    if s.ndim != 4 or len(modalities) != len(z):
        raise ValueError(f"s is {s.shape}, {len(modalities)} modalities for {len(z)} z; expected (R, C, H, W), one a z")
    device = next(iter(model.parameters())).device
    images = np.stack([render(model, anatomy, z) for anatomy in s])
    rows, columns = images.shape[:2]
    classes = len(model.config.classes)
    labels = s.argmax(1)
    masks = np.concatenate([segment(model, part[None]) for part in s])
    agreement, dice = np.empty((rows, columns)), np.empty((rows, columns))
    again = np.empty((rows, columns, z.shape[1]))
    for m in sorted(set(modalities)):
        cells = [(r, k) for r in range(rows) for k in range(columns) if modalities[k] == m]
        for start in range(0, len(cells), BATCH):
            part = cells[start : start + BATCH]
            x = torch.from_numpy(np.stack([images[cell] for cell in part]))[:, None].to(device)
            prediction = model.predict(x, (m,))
            mean, _ = model.encode_modality(prediction.s[0, :, 0], x)
            labels_again = prediction.s[0, :, 0].argmax(1).cpu().numpy()
            masks_again = masks_from(prediction.single[0], model.config)
            for n, (r, k) in enumerate(part):
                agreement[r, k] = (labels_again[n] == labels[r]).mean()
                counts = overlap_counts(masks_again[n], masks[r], classes)
                dice[r, k] = nanmean(dice_from_counts(counts))
                again[r, k] = mean[n].cpu().numpy()
    return Mixture(images, agreement, dice, again)


@dataclass(frozen=True, eq=False)
class Mixed:
    """A mixture of slices of a data set, with the probe's classification.

    Attributes:
        made: the images.
        modalities: (K,) index in the encodings of each column's modality: its image's, or the one that a probe names.
        reached: (R, K) the probe's probability that the z of an image, encoded again, is of its column's modality; NaN
            without a probe.
        z: (K, n_z) of the columns.
    """

    made: Mixture
    modalities: tuple[int, ...]
    reached: np.ndarray
    z: np.ndarray

    def means(self, cells: np.ndarray) -> tuple[float, float, float]:
        """Over some cells, (R, K) bool: Dice of the masks, probability of the modality, share of unchanged channels.

        NaN for what is not known of any of them.
        """
        parts = self.made.dice, self.reached, self.made.agreement
        dice, reached, agreement = (float(nanmean(part[cells])) for part in parts)
        return dice, reached, agreement


def mix_rows(
    model: FactorModel,
    encodings: Encodings,
    probe: Probe | None,
    rows: Sequence[int],
    columns: Sequence[int],
    *,
    seed: int = 0,
) -> Mixed:
    """Combine anatomies of some rows of encodings with z of some rows.

    Probabilities come from the classifier that was not fitted on the subject of the anatomy.

    Args:
        model: the one that made `encodings`.
        probe: of the modality in `encodings`; None where there are too few subjects for one.
        rows: of the anatomies, at least one.
        columns: of the modality factors; one below 0 is a random z from N(0, I), -1 the first of `seed`.
        seed: of random z.

    Raises:
        ValueError: a random z without a probe, which names the modality whose encoder encodes its images.
    """
    if probe is None and min(columns) < 0:
        raise ValueError("a random z has no modality without a probe; give rows of the encodings")
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((max([0, *(-k for k in columns)]), encodings.z.shape[1]))
    z = np.stack([encodings.z[k] if k >= 0 else drawn[-k - 1] for k in columns])
    subjects = encodings.subjects[list(rows)]
    named = probe.classify(z, np.repeat(subjects[0], len(z))) if probe else ()
    modalities = tuple(int(encodings.modality[k]) if k >= 0 else int(named[n]) for n, k in enumerate(columns))
    s = np.eye(encodings.channels, dtype=np.float32)[encodings.anatomies[list(rows)]].transpose(0, 3, 1, 2)
    own = [model.config.modalities.index(encodings.names[m]) for m in modalities]
    made = mix(model, np.ascontiguousarray(s), z, own)
    if probe is None:
        return Mixed(made, modalities, np.full(made.dice.shape, np.nan), z)
    probabilities = probe.probability(made.z.reshape(-1, z.shape[1]), np.repeat(subjects, len(z)))
    places = [probe.classes.index(m) for m in modalities]
    reached = probabilities.reshape(len(rows), len(z), -1)[:, np.arange(len(z)), places]
    return Mixed(made, modalities, reached, z)

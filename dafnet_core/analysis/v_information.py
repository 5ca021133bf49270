"""How much more of the modality a small network reads from anatomies than from true masks: V-information.

Xu et al., "A Theory of Usable Information Under Computational Constraints" (ICLR 2020): the information that a family
of predictors V can use is the fall of the held-out cross-entropy below that of a constant prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dafnet_core.analysis.small_networks import channel_shares, fit, seeded
from dafnet_core.metrics.paired import Paired, paired

SIDE, STEPS, RATE, FOLDS = 32, 400, 3e-3, 5
TEMPERS = np.linspace(0, 1, 11).tolist()  # factors of the logits; 0: a constant prediction


@dataclass(frozen=True, eq=False)
class UsableInformation:
    """V-information about the modality in anatomies beyond that in true masks.

    Attributes:
        anatomy, truth: (n_subjects,) held-out cross-entropy in nats from each, mean over a subject's rows.
        excess: truth - anatomy in nats: the V-information of s less that of masks; positive: s tells more.
    """

    anatomy: np.ndarray
    truth: np.ndarray
    excess: Paired


def usable_information(
    anatomies: np.ndarray, channels: int, masks: np.ndarray, classes: int, modalities: np.ndarray, subjects: np.ndarray
) -> UsableInformation:
    """Train the same network, with the same schedule and folds, on anatomies and on masks.

    Args:
        anatomies: (n, H, W) uint8 channel indices.
        channels: C.
        masks: (n, H, W) uint8 labels of the same slices.
        classes: number of classes with the background.
        modalities, subjects: (n,) int label from 0 on and id of each row.

    Raises:
        ValueError: fewer than 3 subjects, or a single modality.
    """
    ids, kinds = np.unique(subjects), np.unique(modalities)
    if len(ids) < 3 or len(kinds) < 2:
        raise ValueError(f"{len(ids)} subjects and {len(kinds)} modalities; expected at least 3 and 2")
    inputs = channel_shares(anatomies, channels, SIDE), channel_shares(masks, classes, SIDE)
    losses = [cross_entropies(x, modalities, subjects) for x in inputs]
    anatomy, truth = (np.array([each[subjects == s].mean() for s in ids]) for each in losses)
    return UsableInformation(anatomy, truth, paired(truth, anatomy))


def cross_entropies(inputs: Tensor, labels: np.ndarray, subjects: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Cross-entropy of each row's label in nats, by a network that was trained on other subjects.

    The logits of a fold are multiplied by the factor that suits the other folds best, so that a network which only
    learned its training subjects by heart predicts a constant and is not worse than one.

    Args:
        inputs: (n, C, side, side) float32.
        labels, subjects: (n,) ints from 0 on, and ids; all rows of a subject are in one fold.

    Returns:
        (n,) float64.
    """
    from sklearn.model_selection import GroupKFold  # here, as in `probe`

    target = torch.from_numpy(labels.astype(np.int64))
    kinds = int(labels.max()) + 1
    logits, fold = torch.empty(len(labels), kinds), np.empty(len(labels), int)
    splits = GroupKFold(min(FOLDS, len(np.unique(subjects)))).split(labels, labels, subjects)
    for number, (train, test) in enumerate(splits):
        logits[test] = _logits(inputs, target, kinds, train, test, seed)
        fold[test] = number
    losses = torch.stack([F.cross_entropy(t * logits, target, reduction="none") for t in TEMPERS]).double().numpy()
    found = np.empty(len(labels))
    for number in np.unique(fold):
        best = losses[:, fold != number].mean(1).argmin()
        found[fold == number] = losses[best, fold == number]
    return found


def _logits(inputs: Tensor, target: Tensor, kinds: int, train: np.ndarray, test: np.ndarray, seed: int) -> Tensor:
    """Of the rows `test`, (b, kinds), by a network trained on the rows `train`."""
    deviation, mean = torch.std_mean(inputs[train], (0, 2, 3), keepdim=True)
    scaled = (inputs - mean) / (deviation + 1e-3)
    x, y = scaled[train], target[train]
    network = seeded(Classifier(inputs.shape[1], kinds, x.mean((2, 3)).std(0) + 1e-3), seed)
    fit(network, lambda rows: F.cross_entropy(network(x[rows]), y[rows]), len(y), steps=STEPS, rate=RATE, seed=seed)
    with torch.inference_mode():
        return network(scaled[test]).clone()


class Classifier(nn.Module):
    """Three strided convolutions, pooled over the image; a linear layer from these and from the means of the input.

    The latter are the occupancies, so that the family of predictors contains the linear probe of them.

    Args:
        channels: of the input.
        kinds: number of labels.
        spread: (channels,) standard deviation of the means of the input over training rows.
    """

    spread: Tensor

    def __init__(self, channels: int, kinds: int, spread: Tensor) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.last = nn.Linear(32 + channels, kinds)
        self.register_buffer("spread", spread)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, side, side), standardised -> logits (b, kinds)."""
        return self.last(torch.cat([self.body(x).mean((2, 3)), x.mean((2, 3)) / self.spread], 1))

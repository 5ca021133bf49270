"""Do the factors say anything? An empty z is perfectly independent of s (Sec. V-F)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.losses.functions import kl_divergence
from dafnet_core.methods.base import FactorModel
from dafnet_core.methods.decomposition import Decomposition, decompose

ACTIVE = 0.1  # nats: a z dimension that says less is idle


@dataclass(frozen=True, eq=False)
class Informativeness:
    """How much factors hold, over slices and modalities.

    Attributes:
        kl: (n_z,) mean KL(q || N(0, 1)) in nats.
        variance: (n_z,) of the posterior means; a dimension that says nothing has none.
        active: number of dimensions with at least ACTIVE nats.
    """

    kl: np.ndarray
    variance: np.ndarray
    active: int


def informativeness(found: Encodings) -> Informativeness:
    """KL and variance of each z dimension over all slices and modalities."""
    mean = np.concatenate([s.z_mean for s in found.slices]).astype(np.float64)
    logvar = 2 * np.log(found.z_std.astype(np.float64))
    kl = kl_divergence(torch.from_numpy(mean), torch.from_numpy(logvar)).mean(0).numpy()
    return Informativeness(kl, mean.var(0), int((kl >= ACTIVE).sum()))


@dataclass(frozen=True, eq=False)
class Cycle:
    """What is left of factors that are decoded and encoded again, for each of n modalities of one slice.

    Attributes:
        z_l1: (n,) mean absolute difference of posterior means over dimensions.
        s_agreement: (n,) share of pixels that keep their channel.
    """

    z_l1: np.ndarray
    s_agreement: np.ndarray


@torch.inference_mode()
def cycle(model: FactorModel, found: Decomposition) -> Cycle:
    """Encode a slice's own reconstructions g(s_i, z_i) again, each by its own modality's encoder.

    Args:
        model: the one that `found` came from.
    """
    known = [model.config.modalities.index(name) for name in found.names]
    again = [decompose(model, image[None], (m,)) for image, m in zip(found.own, known, strict=True)]
    return Cycle(
        np.array([np.abs(a.z_mean[0] - z).mean() for a, z in zip(again, found.z_mean, strict=True)]),
        np.array([(a.s[0].argmax(0) == s.argmax(0)).mean() for a, s in zip(again, found.s, strict=True)]),
    )

"""How much information the factors carry: an uninformative z is perfectly independent of s (Sec. V-F)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from dafnet_core.analysis.encodings import Encodings
from dafnet_core.losses.functions import kl_divergence
from dafnet_core.methods.base import FactorModel
from dafnet_core.methods.decomposition import Decomposition, decompose

ACTIVE = 0.1  # nats: a z dimension with less KL is inactive


@dataclass(frozen=True, eq=False)
class Informativeness:
    """Information in z, over slices and modalities.

    Attributes:
        kl: (n_z,) mean KL(q || N(0, 1)) in nats.
        variance: (n_z,) variance of the posterior means; 0 for an inactive dimension.
        posterior_variance: (n_z,) mean variance of q(z | x, s); 1 for an inactive dimension, small for an informative
            one (what Sec. V-F reports).
        active: number of dimensions with at least ACTIVE nats.
    """

    kl: np.ndarray
    variance: np.ndarray
    posterior_variance: np.ndarray
    active: int


def informativeness(encodings: Encodings) -> Informativeness:
    """KL and variance of each z dimension over all slices and modalities."""
    mean = np.concatenate([s.z_mean for s in encodings.slices]).astype(np.float64)
    logvar = 2 * np.log(encodings.z_std.astype(np.float64))
    kl = kl_divergence(torch.from_numpy(mean), torch.from_numpy(logvar)).mean(0).numpy()
    return Informativeness(kl, mean.var(0), np.exp(logvar).mean(0), int((kl >= ACTIVE).sum()))


@dataclass(frozen=True, eq=False)
class Cycle:
    """Agreement of factors with those encoded again from reconstructions, for each of n modalities of one slice.

    Attributes:
        z_l1: (n,) mean absolute difference of posterior means over dimensions.
        s_agreement: (n,) share of pixels that keep their channel.
    """

    z_l1: np.ndarray
    s_agreement: np.ndarray


@torch.inference_mode()
def cycle(model: FactorModel, decomposition: Decomposition) -> Cycle:
    """Encode a slice's own reconstructions g(s_i, z_i) again, each by its own modality's encoder.

    Args:
        model: that made `decomposition`, in eval mode.
    """
    indices = [model.config.modalities.index(name) for name in decomposition.names]
    again = [decompose(model, image[None], (m,)) for image, m in zip(decomposition.own, indices, strict=True)]
    return Cycle(
        np.array([np.abs(a.z_mean[0] - z).mean() for a, z in zip(again, decomposition.z_mean, strict=True)]),
        np.array([(a.s[0].argmax(0) == s.argmax(0)).mean() for a, s in zip(again, decomposition.s, strict=True)]),
    )

"""How sure a model is of its masks and images: entropy of its classes, and their spread over samples of s and z."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dafnet_core.methods.base import FactorModel
from dafnet_core.networks.blocks import one_hot
from dafnet_core.networks.encoders import sample_z
from dafnet_core.precision import inference_autocast

SAMPLES = 16


def entropy(probabilities: np.ndarray, axis: int = -3) -> np.ndarray:
    """Entropy in nats of class probabilities, which sum to 1 along an axis: 0 if sure, log L for L equal classes.

    >>> float(entropy(np.array([0.5, 0.5, 0.0]), axis=0).round(4))
    0.6931
    """
    p = np.asarray(probabilities, np.float64)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axis)


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """Masks and images of n modalities over samples of their own factors; what is fused is not sampled.

    Attributes:
        probabilities: (n, L, H, W) of the classes, mean over samples of s.
        total: (n, H, W) entropy of these, in nats.
        disagreement: (n, H, W) part of it in nats by which the samples differ (mutual information), at least 0; the
            rest is there in every sample.
        image_std: (n, H, W) standard deviation of the intensity over samples of s and of z given s.
        image_std_z: the same over samples of z alone, with the s that the model chooses.
        samples: their number.
    """

    probabilities: np.ndarray
    total: np.ndarray
    disagreement: np.ndarray
    image_std: np.ndarray
    image_std_z: np.ndarray
    samples: int


@torch.inference_mode()
def sample_factors(
    model: FactorModel, images: np.ndarray, modalities: tuple[int, ...], *, samples: int = SAMPLES, seed: int = 0
) -> Uncertainty:
    """Sample s, each pixel's channel by the encoder's probabilities, and z from q(z | x, s); segment and decode each.

    Pixels are drawn independently, as the model has no joint distribution of them: the spread is a lower bound where
    whole structures are uncertain.

    Args:
        model: in eval mode.
        images: (n, H, W) in [-1, 1].
        modalities: index of each in the model.
        samples: at least 2.
        seed: of the random numbers.

    Raises:
        ValueError: fewer than two samples, or images that do not fit the model.
    """
    if samples < 2:
        raise ValueError(f"{samples} sample; a spread needs at least 2")
    device = next(iter(model.parameters())).device
    generator = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(np.array(images, np.float32))[None].to(device)
    parts = []
    with inference_autocast(device, "auto"):
        for logits, image in zip(model.channel_logits(x, modalities)[:, 0], x[0], strict=True):
            parts.append(_spread(model, logits.float(), image, samples, generator))
    mean, total, disagreement, image_std, image_std_z = (np.stack(values) for values in zip(*parts, strict=True))
    return Uncertainty(mean, total, disagreement, image_std, image_std_z, samples)


def _spread(
    model: FactorModel, logits: Tensor, image: Tensor, samples: int, generator: torch.Generator
) -> tuple[np.ndarray, ...]:
    """Arrays of `Uncertainty` of one image (H, W) with channel logits (C, H, W)."""
    drawn = torch.rand((samples, *logits.shape), generator=generator).clamp_min(1e-20).to(logits.device)
    noise = torch.randn((samples, model.config.z_dim), generator=generator).to(logits.device)
    own = one_hot(logits[None])
    images = image[None, None]
    each, with_s, with_z = [], [], []
    chosen = model.encode_modality(own, images)
    for n in range(samples):  # one at a time: the batch would hold all feature maps at once
        s = one_hot((logits - torch.log(-torch.log(drawn[n])))[None])  # Gumbel: a sample of the softmax
        each.append(model.segment(s).float().softmax(1)[0])
        mean, logvar = model.encode_modality(s, images)
        with_s.append(model.decode(s, sample_z(mean, logvar, noise[n : n + 1]))[0, 0].float())
        with_z.append(model.decode(own, sample_z(*chosen, eps=noise[n : n + 1]))[0, 0].float())
    probabilities = torch.stack(each).cpu().numpy()
    of_all = probabilities.mean(0)
    total = entropy(of_all)
    disagreement = np.maximum(total - entropy(probabilities).mean(0), 0)
    stds = (torch.stack(made).cpu().numpy().std(0) for made in (with_s, with_z))
    return of_all, total.astype(np.float32), disagreement.astype(np.float32), *stds

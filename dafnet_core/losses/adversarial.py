"""LS-GAN losses of masks and images (Sec. III-C and III-D), for the generator and for the discriminators."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dafnet_core.losses.functions import mean_where
from dafnet_core.losses.terms import Forward
from dafnet_core.types import PairOutputs


def masks(f: Forward) -> Tensor:
    """L_adv^M for the generator (Sec. III-C): (D(m) - 1)^2 for masks from own and from deformed anatomies."""
    own, deformed = _realness(f, f.outputs.logits), _realness(f, f.outputs.deformed_logits)
    return (own - 1).square().mean() + (deformed - 1).square().mean()


def images(f: Forward) -> Tensor:
    """L_adv^I for the generator (Sec. III-D): (D(y) - 1)^2 for own and crosswise images, mean over modalities."""
    total = f.outputs.images.new_zeros(())
    for i, discriminator in enumerate(f.discriminators.images):
        own, cross = _images_of(f.outputs, i)
        scores = discriminator(torch.cat([own, cross]))
        total = total + sum((part - 1).square().mean() for part in scores.split([len(own), len(cross)]))
    return total / len(f.discriminators.images)


def mask_discriminator(f: Forward) -> Tensor:
    """D(fake)^2 + (D(real) - 1)^2 of the mask discriminator; only annotated masks are real ones."""
    outputs = f.outputs
    probs = [t.detach().flatten(0, -4).softmax(1)[:, 1:] for t in (outputs.logits, outputs.deformed_logits)]
    truth = F.one_hot(f.masks.flatten(0, 1), outputs.logits.shape[2]).movedim(-1, 1)[:, 1:]
    parts = [*probs, truth.to(probs[0].dtype)]
    own, cross, real = f.discriminators.masks(torch.cat(parts)).split([len(t) for t in parts])
    fake = 0.5 * (own.square().mean() + cross.square().mean())
    return fake + mean_where((real - 1).square(), f.annotated.flatten())


def image_discriminator(f: Forward, i: int) -> Tensor:
    """D(fake)^2 + (D(real) - 1)^2 of the image discriminator of modality i."""
    parts = [*(t.detach() for t in _images_of(f.outputs, i)), f.batch.images[:, i, :1]]
    own, cross, real = f.discriminators.images[i](torch.cat(parts)).split([len(t) for t in parts])
    return 0.5 * (own.square().mean() + cross.square().mean()) + (real - 1).square().mean()


def _realness(f: Forward, logits: Tensor) -> Tensor:
    """Realness of predicted masks (..., L, H, W); the background channel stays outside."""
    return f.discriminators.masks(logits.flatten(0, -4).softmax(1)[:, 1:])


def _images_of(outputs: PairOutputs, i: int) -> tuple[Tensor, Tensor]:
    """Own and crosswise reconstructions in the style of modality i, (N, 1, H, W) each."""
    cross = [outputs.deformed_images[p].flatten(0, 1) for p, (f, _) in enumerate(outputs.pairs) if f == i]
    return outputs.images[i][:, None], torch.cat(cross)[:, None]

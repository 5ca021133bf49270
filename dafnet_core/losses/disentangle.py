"""Terms that keep intensities and the modality out of the anatomy factor, and in z; none of them is in the paper.

The paper's reconstruction rewards an anatomy that encodes intensities as a halftone, and nothing charges for it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dafnet_core.geometry import pixel_centres, warp
from dafnet_core.losses.functions import reconstruction_loss
from dafnet_core.losses.terms import Forward

BOUNDED = 0.5  # between a cross entropy (0) and the probability of an error (1)
LEAST_SHARE = 0.005  # of all pixels, that each channel should hold
LEAST_READ = 0.001  # of an image's pixels, that a channel holds whose mean intensity is read
FRAME = 3  # pixels
AROUND = 2  # pixels about an organ that count as its own


def invariance(f: Forward) -> Tensor | None:
    """Cross entropy of the channels of images with other intensities against those of the images; nats a pixel."""
    changed = f.outputs.changed_logits
    if changed is None:
        return None
    return F.cross_entropy(changed.flatten(0, 1), f.outputs.channel_logits.argmax(2).flatten(0, 1))


def anatomy_reconstruction(f: Forward) -> Tensor | None:
    """Cross entropy of the channels of images of random and swapped styles, encoded again, against s; nats a pixel."""
    if not len(f.outputs.again):
        return None
    return F.cross_entropy(f.outputs.again_logits, f.outputs.again)


def boundary(f: Forward) -> Tensor:
    """Potts term: the share of neighbouring pixels in different channels, of own anatomies; in [0, 1]."""
    s = f.outputs.s[:, :, 0]
    down, right = (s[..., 1:, :] * s[..., :-1, :]).sum(2), (s[..., 1:] * s[..., :-1]).sum(2)
    return 1 - 0.5 * (down.mean() + right.mean())


def confidence(f: Forward) -> Tensor:
    """Entropy of the softmax of the channels, mean over pixels; nats."""
    log = f.outputs.channel_logits.log_softmax(2)
    return -(log.exp() * log).sum(2).mean()


def balance(f: Forward) -> Tensor:
    """Cross entropy of each channel on the LEAST_SHARE of all pixels that are most likely in it, mean; nats.

    Pixels are those of all modalities, so that what one alone shows may have a channel; those within FRAME of the edge,
    where an encoder sees its own padding, do not count.
    """
    log = f.outputs.channel_logits.log_softmax(2)[..., FRAME:-FRAME, FRAME:-FRAME]
    log = log.transpose(0, 2).flatten(1)  # (C, pixels)
    return -log.topk(max(1, round(LEAST_SHARE * log.shape[1])), sorted=False).values.mean()


def organs(f: Forward) -> Tensor:
    """L_rec of own images, over the pixels in and about the organs that the segmentor finds.

    Organs are few of a slice's pixels, so that L_rec alone leaves their contrast and what lies in them, such as a scar,
    out of z and s.
    """
    found = (f.outputs.logits.detach().argmax(2) > 0).float()
    near = F.max_pool2d(found, 2 * AROUND + 1, 1, AROUND)
    return ((f.outputs.images - f.x).abs() * near).sum() / near.sum().clamp_min(1)


def flips(f: Forward) -> Tensor | None:
    """L_rec of own images decoded from anatomies some of whose pixels were flipped to random channels."""
    images = f.outputs.flipped_images
    return None if images is None else reconstruction_loss(images, f.x).mean()


def hidden_modality(f: Forward) -> Tensor:
    """Cross entropy of the modality that the classifier finds in s, against all modalities alike; log M at least."""
    return -f.discriminators.modality(_own(f)).log_softmax(1).mean()


def told_modality(f: Forward) -> Tensor:
    """Cross entropy of the modality by the distance of a mean of z to the batch's average of each modality; nats.

    The counterpart of `hidden_modality`: one decoder serves all modalities and must learn from z which one it draws.
    """
    z = f.outputs.mean
    distances = (z[:, :, None] - z.mean(1)).square().sum(-1)  # (M, B, M)
    return -(-distances / 2).log_softmax(-1).diagonal(dim1=0, dim2=2).mean()


def modality_classifier(f: Forward) -> Tensor:
    """Cross entropy of the classifier of the modality from s, for the classifier; nats."""
    m, b = f.outputs.s.shape[:2]
    labels = torch.arange(m, device=f.x.device).repeat_interleave(b)
    return F.cross_entropy(f.discriminators.modality(_own(f).detach()), labels)


def contrast(f: Forward) -> Tensor:
    """Error of the mean intensity of each channel of s as a linear reader finds it in a sample of z, in [-1, 1] units.

    What s must not hold of an image, the grey level of each tissue, is what z is for. The mean is over the channels of
    each image that hold LEAST_READ of its pixels, large or small, where L_rec would weigh them by their size.
    """
    return _contrast_error(f, f.outputs.z)


def contrast_reader(f: Forward) -> Tensor:
    """The same error, for the reader."""
    return _contrast_error(f, f.outputs.z.detach())


def _contrast_error(f: Forward, z: Tensor) -> Tensor:
    s = f.outputs.s[:, :, 0].detach().float()
    pixels = s.sum((3, 4))  # (M, B, C)
    means = torch.einsum("mbchw,mbhw->mbc", s, f.x.float()) / pixels.clamp_min(1)
    there = pixels >= LEAST_READ * s[0, 0, 0].numel()
    errors = (f.discriminators.contrast(z).float() - means).abs()
    return (errors * there).sum() / there.sum().clamp_min(1)


def _own(f: Forward) -> Tensor:
    return f.outputs.s[:, :, 0].flatten(0, 1)


def agreement(f: Forward) -> Tensor | None:
    """Generalised cross entropy of the other modality's channel at the same place of the anatomy; mean over pixels.

    Where the warps are known: p of the fixed and q of the moving image show one place if p + fixed(p) = q + moving(q),
    and q is found by fixed-point iteration; pixels whose q lies outside the image do not count. The loss (Zhang and
    Sabuncu 2018), (1 - p^BOUNDED) / BOUNDED, is bounded, unlike a cross entropy, so that what one modality alone shows
    (a scar in LGE) may have a channel of its own.
    """
    fields = f.batch.displacements
    if fields is None:
        return None
    fields = fields.transpose(0, 1)  # (M, B, H, W, 2)
    height, width = fields.shape[2:4]
    rest = pixel_centres(height, width, fields.dtype).to(fields.device).view(height, width, 2)
    total = fields.new_zeros(())
    for i, j in f.outputs.pairs:
        target, moving = rest + fields[i], fields[j].movedim(-1, 1)
        q = target - fields[j]
        for _ in range(8):
            q = target - warp(moving, q).movedim(1, -1)
        channels = warp(f.outputs.s[j, :, 0].detach(), q).argmax(1)
        inside = (q.abs() <= 1).all(-1)
        log = f.outputs.channel_logits[i].log_softmax(1).gather(1, channels[:, None])[:, 0]
        loss = (1 - (BOUNDED * log).exp()) / BOUNDED
        total = total + (loss * inside).sum() / inside.sum().clamp_min(1)
    return total / len(f.outputs.pairs)

"""Types shared by data, networks, losses and analysis.

Axes: B batch, M modalities, K candidates, P ordered pairs, C anatomy channels, L classes, n_z, H, W.
Model results lead with the modality (or the ordered pair), so that `s[i]` is modality i.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Input of one training step.

    Attributes:
        images: (B, M, K, H, W) in [-1, 1]; candidate 0 is the image itself, the others are further
            images of that modality that another modality's image might be paired with (Sec. III-F).
        masks: (B, M, H, W) int64 labels of candidate 0; ignored where not annotated.
        annotated: (B, M) bool: which masks may supervise.
        displacements: (B, M, H, W, 2) float32 xy in [-1, 1] units, known warps of registered images: image i shows
            at p what the registered one shows at p + displacements[:, i](p). None where they are not known.
        regions: (B, M, H, W) bool, the head or body, over which they count; None with them.
        changed: (B, M, H, W) in [-1, 1], candidate 0 with other intensities and the same anatomy; None without.
    """

    images: Tensor
    masks: Tensor
    annotated: Tensor
    displacements: Tensor | None = None
    regions: Tensor | None = None
    changed: Tensor | None = None

    def __post_init__(self) -> None:
        b, m, h, w = self.masks.shape
        if self.images.ndim != 5 or (*self.images.shape[:2], *self.images.shape[3:]) != (b, m, h, w):
            raise ValueError(
                f"images are {tuple(self.images.shape)}; expected (B, M, K, H, W) to fit masks {(b, m, h, w)}"
            )
        if tuple(self.annotated.shape) != (b, m) or self.annotated.dtype != torch.bool:
            raise ValueError(
                f"annotated is {tuple(self.annotated.shape)} {self.annotated.dtype}; expected ({b}, {m}) bool"
            )
        if self.displacements is not None and self.displacements.shape != (b, m, h, w, 2):
            raise ValueError(f"displacements are {tuple(self.displacements.shape)}; expected {(b, m, h, w, 2)}")
        if self.changed is not None and self.changed.shape != (b, m, h, w):
            raise ValueError(f"changed is {tuple(self.changed.shape)}; expected {(b, m, h, w)}")

    def to(self, device: torch.device | str) -> Self:
        """The batch on a device; a pinned one goes to CUDA while the processor computes on."""
        ahead = torch.device(device).type == "cuda"  # elsewhere values could be read before they have come
        return self._with(lambda values: values.to(device, non_blocking=ahead))

    def pin_memory(self) -> Self:
        """The batch in memory that CUDA copies from by itself."""
        return self._with(Tensor.pin_memory)

    def share_memory(self) -> Self:
        """The batch in memory that other processes may see; raises RuntimeError where there is not enough."""
        return self._with(Tensor.share_memory_)

    def _with(self, change: Callable[[Tensor], Tensor]) -> Self:
        values = (getattr(self, f.name) for f in fields(self))
        changed: list[Any] = [None if v is None else change(v) for v in values]
        return type(self)(*changed)


@dataclass(frozen=True)
class Noise:
    """Random numbers of a training forward pass.

    Attributes:
        z: (M, B, n_z) standard normal, for the sample of q(z | x, s).
        drawn: (M, B', n_z), B' <= B: z from N(0, I) for L_rec^z, decoded with the first B' anatomies.
        swapped: B'' <= B, how many anatomies are decoded with another modality's z too.
        fused: whether masks of fused anatomies are computed, which the paper's training does not use.
        flips: (M, B, H, W) int64, the channel that a pixel of an own anatomy is flipped to before it is decoded once
            more, -1 for none; None without that.
    """

    z: Tensor
    drawn: Tensor
    swapped: int = 0
    fused: bool = True
    flips: Tensor | None = None

    @classmethod
    def draw(
        cls,
        m: int,
        b: int,
        n_z: int,
        generator: torch.Generator | None = None,
        rec_z_share: float = 1.0,
        fused: bool = True,
    ) -> Self:
        """Noise on the CPU, L_rec^z on a share of the batch (rounded up)."""
        z = torch.randn(m, b, n_z, generator=generator)
        return cls(z, torch.randn(m, math.ceil(b * rec_z_share), n_z, generator=generator), fused=fused)

    def to(self, device: torch.device | str) -> Self:
        """The noise on a device."""
        flips = None if self.flips is None else self.flips.to(device)
        return type(self)(self.z.to(device), self.drawn.to(device), self.swapped, self.fused, flips)


@dataclass(frozen=True)
class Alignment:
    """A moving anatomy in the frame of a fixed one (frames: geometry.py).

    Attributes:
        deformed: (B, C, H, W) float32, channels sum to 1.
        grid: (B, H, W, 2) xy in [-1, 1], position in the moving image.
        offsets: (B, control points, 2) xy, same units.
    """

    deformed: Tensor
    grid: Tensor
    offsets: Tensor


@dataclass(frozen=True)
class PairOutputs:
    """Outputs of one training forward pass; pair p of P is `pairs[p] = (fixed i, moving j)`.

    Attributes:
        pairs: ordered pairs of modalities.
        s: (M, B, K, C, H, W) one-hot anatomies.
        mean, logvar, z: (M, B, n_z) of candidate 0.
        deformed: (P, B, K, C, H, W) anatomies of modality j in frame i.
        offsets: (P, B, K, control points, 2) xy.
        grid: (P, B, H, W, 2) xy, sampling positions of candidate 0.
        weights: (P, B, K) pair weights, summing to 1 over K.
        logits: (M, B, L, H, W) from own anatomies.
        deformed_logits: (P, B, K, L, H, W).
        fused_logits: (M, B, K, L, H, W) from detached fused anatomies, so that only the
            segmentor learns from them (the paper's footnote 6 says why the aligner must not); K is 0 where
            they were not asked for.
        images: (M, B, H, W) reconstructions g(s_i, z_i).
        deformed_images: (P, B, K, H, W) g(s_j in frame i, z_i).
        z_prior, z_reencoded: (M, B', n_z): samples of N(0, I), and the means of z encoded from their images.
        z_swapped, z_swapped_reencoded: (P, B'', n_z): means of z_i, detached, and those that
            modality i's encoder gives for g(s_j, z_i).
        again: (N, H, W) channels of the anatomies that were decoded with z_prior and z_swapped, in that order.
        again_logits: (N, C, H, W) float32, channel logits of the images made from them.
        channel_logits: (M, B, C, H, W) float32 of candidate 0, whose largest is 1 in s.
        changed_logits: the same of images with other intensities; None where the batch has none.
        flipped_images: (M, B, H, W) g(s_i with flipped pixels, z_i); None without flips.
    """

    pairs: tuple[tuple[int, int], ...]
    s: Tensor
    mean: Tensor
    logvar: Tensor
    z: Tensor
    deformed: Tensor
    offsets: Tensor
    grid: Tensor
    weights: Tensor
    logits: Tensor
    deformed_logits: Tensor
    fused_logits: Tensor
    images: Tensor
    deformed_images: Tensor
    z_prior: Tensor
    z_reencoded: Tensor
    z_swapped: Tensor
    z_swapped_reencoded: Tensor
    again: Tensor
    again_logits: Tensor
    channel_logits: Tensor
    changed_logits: Tensor | None = None
    flipped_images: Tensor | None = None


@dataclass(frozen=True)
class Prediction:
    """Results of inference for n >= 1 modalities; pair p is `pairs[p] = (fixed, moving)`, positions in `modalities`.

    Attributes:
        modalities: index in the model of each given modality.
        pairs: ordered pairs of positions in `modalities`; empty for a single modality.
        s: (n, B, K, C, H, W) one-hot anatomies.
        deformed: (P, B, K, C, H, W); grid (P, B, K, H, W, 2) xy; offsets (P, B, K, control points, 2) xy.
        weights: (P, B, K) pair weights, summing to 1 over K.
        fused: (n, B, K, C, H, W): maximum of s[i, :, 0] and every deformed candidate k.
        single: (n, B, L, H, W) class probabilities from s.
        deformed_masks: (P, B, L, H, W), weighted over candidates.
        fused_masks: (n, B, L, H, W), weighted over candidates.
    """

    modalities: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    s: Tensor
    deformed: Tensor
    grid: Tensor
    offsets: Tensor
    weights: Tensor
    fused: Tensor
    single: Tensor
    deformed_masks: Tensor
    fused_masks: Tensor


@dataclass(frozen=True)
class Reconstruction:
    """Images made from a prediction's factors, z being the posterior mean.

    Attributes:
        mean, logvar: (n, B, n_z) of q(z | x, s).
        own: (n, B, H, W) g(s_i, z_i) in [-1, 1].
        cross: (P, B, K, H, W) g(s_j in frame i, z_i): synthetic image of modality i with j's anatomy.
        swapped: (P, B, H, W) g(s_i, z_j): the anatomy of i in the style of j.
    """

    mean: Tensor
    logvar: Tensor
    own: Tensor
    cross: Tensor
    swapped: Tensor

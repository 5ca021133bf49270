"""Dual-stream residual network: a stream for each modality, which share the deepest scale (Valindria et al. 2018, v4).

A stream is a residual fully convolutional network: a convolution, four scales of residual units, and class scores of
all scales, added up from the deepest one. All but the units of the deepest scale is each modality's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.networks.blocks import norm_layer

SLOPE = 0.1  # of every leaky ReLU
UNITS = 3  # residual units a scale


def widths_of(config: ModelConfig) -> list[int]:
    """Channels of the first convolution, of `depth` scales at half the resolution each, and of the deepest scale."""
    return [max(config.width // 4, 1), *(config.width * 2**scale for scale in range(config.depth + 1))]


class ResidualUnit(nn.Module):
    """x + two times [norm, leaky ReLU, conv3x3]; x is pooled and padded with zero channels where shapes differ."""

    def __init__(self, norm: str, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.more = stride, outputs - inputs
        self.norms = nn.ModuleList(norm_layer(norm, c) for c in (inputs, outputs))
        self.convs = nn.ModuleList(
            nn.Conv2d(a, outputs, 3, stride=s, padding=1, bias=False) for a, s in ((inputs, stride), (outputs, 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        h = x
        for norm, conv in zip(self.norms, self.convs, strict=True):
            h = conv(F.leaky_relu(norm(h), SLOPE))
        x = F.max_pool2d(x, self.stride) if self.stride > 1 else x
        return h + F.pad(x, (0, 0, 0, 0, 0, self.more))


def scale(norm: str, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """UNITS residual units, the first of them with the stride."""
    first = ResidualUnit(norm, inputs, outputs, stride)
    return nn.Sequential(first, *(ResidualUnit(norm, outputs, outputs) for _ in range(UNITS - 1)))


class Stream(nn.Module):
    """What one modality has for itself: the scales above the deepest one, and the scores of all."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths, classes = widths_of(config), len(config.classes)
        self.first = nn.Conv2d(1, widths[0], 3, padding=1)
        self.scales = nn.ModuleList(scale(config.norm, a, b, 2) for a, b in pairwise(widths[:-1]))
        self.deepest_scores = nn.Sequential(
            norm_layer(config.norm, widths[-1]), nn.LeakyReLU(SLOPE), nn.Conv2d(widths[-1], classes, 1)
        )
        self.scores = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in widths[:-1])

    def down(self, x: Tensor) -> list[Tensor]:
        """(B, 1, H, W) -> features of the first convolution and of each scale, finest first."""
        features = [self.first(x)]
        for level in self.scales:
            features.append(level(features[-1]))
        return features

    def up(self, features: list[Tensor], deepest: Tensor) -> Tensor:
        """Scores of the deepest scale, upsampled and added to those of each finer one: (B, L, H, W)."""
        scores = self.deepest_scores(deepest)
        for layer, x in zip(reversed(self.scores), reversed(features), strict=True):
            if scores.shape[-2:] != x.shape[-2:]:
                scores = F.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=False)
            scores = scores + layer(x)
        return scores


class DualStream(nn.Module):
    """Class logits of single images, each by the stream of its modality."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        widths = widths_of(config)
        self.streams = nn.ModuleList(Stream(config) for _ in config.modalities)
        self.deepest = scale(config.norm, widths[-2], widths[-1], 1)

    def forward(self, images: Sequence[Tensor], modalities: Sequence[int]) -> Tensor:
        """Logits of images of several modalities, one after the other: no batch statistics over several of them.

        Args:
            images: for each entry of `modalities`, (N_i, 1, H, W) in [-1, 1].
            modalities: index of the stream of each.

        Returns:
            (sum of N_i, L, H, W) float32; class 0 is the background.
        """
        return torch.cat([self._of(x, m) for x, m in zip(images, modalities, strict=True)])

    def _of(self, x: Tensor, modality: int) -> Tensor:
        stream = cast(Stream, self.streams[modality])
        features = stream.down(x)
        return stream.up(features, self.deepest(features[-1])).float()

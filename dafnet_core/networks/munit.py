"""MUNIT (Huang et al. 2018): an auto-encoder of content and style for each modality, written from the paper.

Differs from the paper: the scale of AdaIN is 1 + what the MLP gives, so that it starts near 1; a dense layer's width is
that of the content.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.networks.blocks import SLOPE, he_init, instance_norm, per_channel

BLOCKS = 4  # residual blocks of the content encoder and of the decoder
POOLINGS = 4  # of the style encoder, and layers of each discriminator
SCALES = 3  # of the discriminators


def content_channels(config: ModelConfig) -> int:
    """Channels of the content code, at a quarter of the image's size."""
    return 4 * config.content_width


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution with reflect padding that gives H / stride x W / stride."""
    padding = (kernel - 1) // 2
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, padding_mode="reflect")


class ContentEncoder(nn.Module):
    """The content code of one modality: two halvings and residual blocks, with instance norm."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        w, c = config.content_width, content_channels(config)
        self.convs = nn.ModuleList([conv(1, w, 7), conv(w, 2 * w, 4, 2), conv(2 * w, c, 4, 2)])
        self.blocks = nn.ModuleList(nn.ModuleList([conv(c, c, 3), conv(c, c, 3)]) for _ in range(BLOCKS))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, 4 content_width, H / 4, W / 4)."""
        for layer in self.convs:
            x = F.relu(instance_norm(layer(x)))
        for block in self.blocks:
            first, second = cast(nn.ModuleList, block)
            x = x + instance_norm(second(F.relu(instance_norm(first(x)))))
        return x


class StyleEncoder(nn.Module):
    """The style code of one modality: four halvings without norm, which would remove it, and a mean over the image."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        w, c = config.content_width, content_channels(config)
        widths = [w, 2 * w, *[c] * (POOLINGS - 1)]
        self.convs = nn.ModuleList([conv(1, w, 7), *(conv(a, b, 4, 2) for a, b in pairwise(widths))])
        he_init(*cast(Sequence[nn.Conv2d], self.convs))
        self.head = nn.Linear(c, config.z_dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, n_z) float32."""
        for layer in self.convs:
            x = F.relu(layer(x))
        return self.head(x.mean((2, 3))).float()


class StyleDecoder(nn.Module):
    """Images of one modality from content and style: residual blocks under AdaIN, and two doublings."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        w, c = config.content_width, content_channels(config)
        self.mlp = nn.Sequential(
            nn.Linear(config.z_dim, c), nn.ReLU(), nn.Linear(c, c), nn.ReLU(), nn.Linear(c, 4 * BLOCKS * c)
        )
        self.blocks = nn.ModuleList(conv(c, c, 3) for _ in range(2 * BLOCKS))
        self.ups = nn.ModuleList([conv(c, 2 * w, 5), conv(2 * w, w, 5)])
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for width in (2 * w, w))  # one group: layer norm
        self.head = conv(w, 1, 7)

    def forward(self, content: Tensor, z: Tensor) -> Tensor:
        """Content (B, 4 content_width, H / 4, W / 4) and style (B, n_z) -> images (B, 1, H, W) float32 in [-1, 1]."""
        modulation = self.mlp(z).chunk(4 * BLOCKS, 1)  # scale and shift of each convolution in turn
        h = content
        for block in range(BLOCKS):
            residual = h
            for n in (2 * block, 2 * block + 1):
                h = per_channel(instance_norm(self.blocks[n](h)), 1 + modulation[2 * n], modulation[2 * n + 1])
                h = F.relu(h) if n == 2 * block else h
            h = h + residual
        for up, norm in zip(self.ups, self.norms, strict=True):
            h = F.relu(norm(up(F.interpolate(h, scale_factor=2, mode="nearest"))))
        return torch.tanh(self.head(h).float())


class PatchDiscriminator(nn.Module):
    """Realness of patches of one modality's images at three scales."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = [1, *(config.content_width * 2**i for i in range(POOLINGS))]
        self.scales = nn.ModuleList(
            nn.ModuleList([*(conv(a, b, 4, 2) for a, b in pairwise(widths)), nn.Conv2d(widths[-1], 1, 1)])
            for _ in range(SCALES)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 1, H, W) -> at each scale (B, patches) float32, unbounded; real is trained to 1, fake to 0."""
        found = []
        for scale in self.scales:
            *layers, head = cast(nn.ModuleList, scale)
            h = x
            for layer in layers:
                h = F.leaky_relu(layer(h), SLOPE)
            found.append(head(h).flatten(1).float())
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return found

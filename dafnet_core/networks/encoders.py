"""Encoding into anatomy and modality factors, and the segmentor (Sec. III-A and III-C, Fig. 3a, 3b, 3d).

Differs from the published code: the anatomy is an exact one-hot (argmax), never the rounded softmax, and
dense layers follow a pooling to a fixed grid so that the image size is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.networks.blocks import SLOPE, double_conv, he_init, norm_layer, one_hot, pool_to_grid


class DownPath(nn.Module):
    """The U-Net's encoding path of one modality, phi_i."""

    def __init__(self, config: ModelConfig, inputs: int = 1) -> None:
        super().__init__()
        widths = [inputs, *(config.width * 2**level for level in range(config.depth))]
        self.levels = nn.ModuleList(double_conv(config.norm, a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, inputs, H, W) -> features of each level, finest first, then the pooled last one."""
        features = []
        for level in self.levels:
            features.append(level(x))
            x = F.max_pool2d(features[-1], 2)
        return [*features, x]


class UpStep(nn.Module):
    """One upsampling with its skip connection."""

    def __init__(self, config: ModelConfig, inputs: int, outputs: int) -> None:
        super().__init__()
        # a 1x1 convolution commutes with nearest upsampling, so doing it first costs a quarter
        self.before = config.upsample == "conv1x1_before"
        kernel = 1 if self.before else 3
        self.reduce = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), norm_layer(config.norm, outputs)
        )
        self.merge = double_conv(config.norm, 2 * outputs, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, inputs, H, W) and skip connection (B, outputs, 2H, 2W) -> (B, outputs, 2H, 2W)."""
        if self.before:
            x = F.interpolate(self.reduce(x), scale_factor=2, mode="nearest")
        else:
            x = self.reduce(F.interpolate(x, scale_factor=2, mode="nearest"))
        return self.merge(torch.cat([x, skip], 1))


class UpPath(nn.Module):
    """The U-Net's bottleneck and decoding path that all modalities share, rho."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = [config.width * 2**level for level in range(config.depth + 1)]
        self.bottleneck = double_conv(config.norm, widths[-2], widths[-1])
        self.steps = nn.ModuleList(UpStep(config, widths[i + 1], widths[i]) for i in reversed(range(config.depth)))
        self.head = nn.Conv2d(widths[0], config.channels, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features of a DownPath -> anatomy logits (B, C, H, W)."""
        *skips, x = features
        x = self.bottleneck(x)
        for step, skip in zip(self.steps, reversed(skips), strict=True):
            x = step(x, skip)
        return self.head(x)


class AnatomyEncoder(nn.Module):
    """s_i = f_anatomy(x_i | phi_i, rho): own encoding paths, one shared decoding path (Sec. III-A)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.down = nn.ModuleList(DownPath(config) for _ in config.modalities)
        self.up = UpPath(config)
        self.apart = config.norm == "batch"

    def logits(self, images: Sequence[Tensor], modalities: Sequence[int]) -> Tensor:
        """Channel logits of images of several modalities, batches concatenated.

        Args:
            images: for each entry of `modalities`, (N_i, 1, H, W) in [-1, 1].
            modalities: index of the encoding path of each.

        Returns:
            (sum of N_i, C, H, W) float, before the softmax.
        """
        features = [self.down[m](x) for x, m in zip(images, modalities, strict=True)]
        if self.apart and self.training:  # as in the paper, no batch statistics over several modalities
            return torch.cat([self.up(levels) for levels in features])
        return self.up([torch.cat(level) for level in zip(*features, strict=True)])

    def forward(self, images: Sequence[Tensor], modalities: Sequence[int]) -> Tensor:
        """One-hot anatomies (sum of N_i, C, H, W) of the largest logits."""
        return one_hot(self.logits(images, modalities))


class ModalityEncoder(nn.Module):
    """q(z | x, s): mean and log-variance of the modality factor (Sec. III-A, Fig. 3b).

    He initialisation, and a log-variance that starts at `logvar_bias`: without them the SPADE model
    ignores z from the start (posterior collapse).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = [config.channels + 1, *config.modality_widths]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths))
        self.grid = config.modality_grid
        self.dense = nn.Linear(widths[-1] * self.grid**2, config.modality_dense)
        self.mean = nn.Linear(config.modality_dense, config.z_dim)
        self.logvar = nn.Linear(config.modality_dense, config.z_dim)
        he_init(*self.convs, self.dense)
        nn.init.constant_(self.logvar.bias, config.logvar_bias)

    def forward(self, s: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) anatomy and (B, 1, H, W) image -> mean, logvar, each (B, n_z) float32."""
        h = torch.cat([s, x.to(s.dtype)], 1)
        for conv in self.convs:
            h = F.leaky_relu(conv(h), SLOPE)
        h = F.leaky_relu(self.dense(pool_to_grid(h, self.grid).flatten(1)), SLOPE)
        return self.mean(h).float(), self.logvar(h).float()


def sample_z(mean: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """Reparameterised sample z = mean + exp(logvar / 2) * eps (Sec. III-A), eps from N(0, I) shaped like `mean`."""
    return mean + torch.exp(0.5 * logvar) * eps


class ChannelsAsMasks(nn.Module):
    """The variant without a segmentor (Sec. V-E, footnote 10): channel k of an anatomy is the mask of class k."""

    SCALE = 8.0  # of logits: a pixel's own channel has a probability above 0.99

    def forward(self, s: Tensor) -> Tensor:
        """(B, L, H, W) in [0, 1] -> logits of the same shape, float32; class 0 is the background."""
        return self.SCALE * s.float()


class Segmentor(nn.Module):
    """h(s): class logits of an anatomy, shared by all modalities (Sec. III-C, Fig. 3d)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.features = double_conv(config.norm, config.channels, config.segmentor_width)
        self.head = nn.Conv2d(config.segmentor_width, len(config.classes), 1)

    def forward(self, s: Tensor) -> Tensor:
        """(B, C, H, W) in [0, 1] -> logits (B, L, H, W) float32; class 0 is the background."""
        return self.head(self.features(s)).float()

"""Discriminators for masks and for images of each modality, LS-GAN (Sec. III-C and III-D)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from dafnet_core.config import ModelConfig
from dafnet_core.networks.blocks import SLOPE, pool_to_grid


class Discriminator(nn.Module):
    """Four conv4x4 (strides 2, 2, 2, 1) and one linear unit, all under spectral normalisation."""

    STRIDES = (2, 2, 2, 1)

    def __init__(self, config: ModelConfig, inputs: int) -> None:
        super().__init__()
        widths = [inputs, *(config.critic_width * 2**i for i in range(4))]
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=stride))
            for a, b, stride in zip(widths, widths[1:], self.STRIDES, strict=False)
        )
        self.grid = config.critic_grid
        self.dense = spectral_norm(nn.Linear(widths[-1] * self.grid**2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> realness (B,) float32, unbounded; real is trained to 1, fake to 0."""
        for conv, stride in zip(self.convs, self.STRIDES, strict=True):
            # "same" padding of a 4x4 kernel, which for stride 1 is one more at the end
            x = F.leaky_relu(conv(F.pad(x, (1, 1, 1, 1) if stride == 2 else (1, 2, 1, 2))), SLOPE)
        return self.dense(pool_to_grid(x, self.grid).flatten(1)).flatten().float()


class ModalityClassifier(nn.Module):
    """The modality from an anatomy's channel shares in 8 x 8 cells; not in the paper."""

    GRID, WIDTH = 8, 32

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = nn.Linear(config.channels * self.GRID**2, self.WIDTH)
        self.head = nn.Linear(self.WIDTH, len(config.modalities))

    def forward(self, s: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, M) float32."""
        shares = pool_to_grid(s, self.GRID).flatten(1)
        return self.head(F.leaky_relu(self.hidden(self.GRID * shares), SLOPE)).float()


class Discriminators(nn.Module):
    """What only training needs: discriminators of masks and of each modality's images, and two readers of the factors.

    Attributes:
        masks, images: realness of masks, and of images of each modality.
        modality: reads the modality from s.
        contrast: reads the mean intensity of each channel of s from z, linearly.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.masks = Discriminator(config, len(config.classes) - 1)  # masks enter without the background
        self.images = nn.ModuleList(Discriminator(config, 1) for _ in config.modalities)
        self.modality = ModalityClassifier(config)
        self.contrast = nn.Linear(config.z_dim, config.channels)

"""The anatomy encoder's U-Net with classes for channels, which segments images or maps of MUNIT's content."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.networks.encoders import DownPath, UpPath


class SegmentationUNet(nn.Module):
    """A U-Net from maps to class logits."""

    def __init__(self, config: ModelConfig, inputs: int = 1) -> None:
        super().__init__()
        self.down = DownPath(config, inputs)
        self.up = UpPath(replace(config, channels=len(config.classes), segmentor="on"))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> logits (B, L, H, W) float32; class 0 is the background."""
        return self.up(self.down(x)).float()

"""U-Net: the paper's anatomy encoder with the classes as its channels, one for all modalities (Sec. IV-C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.networks.encoders import DownPath, UpPath


class UNet(nn.Module):
    """Class logits of single images of any modality; `config.target` names the only one that it serves, if any.

    Args:
        inputs: channels of what it segments, 1 for images.
    """

    def __init__(self, config: ModelConfig, inputs: int = 1) -> None:
        super().__init__()
        self.config = config
        self.down = DownPath(config, inputs)
        self.up = UpPath(replace(config, channels=len(config.classes), segmentor="on"))

    def forward(self, images: Sequence[Tensor], modalities: Sequence[int] = ()) -> Tensor:
        """Logits of images of several modalities, in one batch: modalities share the batch's statistics.

        Args:
            images: for each entry of `modalities`, (N_i, inputs, H, W), of images in [-1, 1].
            modalities: their indices, which make no difference.

        Returns:
            (sum of N_i, L, H, W) float32; class 0 is the background.
        """
        return self.up(self.down(torch.cat(list(images)))).float()

"""Decoders g(s, z): from an anatomy and a modality factor to an image (Sec. III-D, Fig. 3e, 3f).

Each has two steps, so that rendering one anatomy with many z shares what does not depend on z:
`condition(s)`, then `render(conditioning, z)`; `decode(s, z)` is the two in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.networks.blocks import SLOPE, he_init, instance_norm, per_channel

Conditioning = list[Tensor]  # feature maps of a batch of anatomies; a batch of 1 serves any number of z


def film(features: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """FiLM(F | gamma, beta) = F * gamma + beta with one gamma, beta (B, C) a channel of F (B, C, H, W)."""
    return per_channel(features, gamma, beta)


class FilmBlock(nn.Module):
    """a = conv(h); out = a + FiLM(conv(a)), leaky ReLUs between; the convolutions do not depend on z."""

    def __init__(self, width: int, z_dim: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        he_init(self.first, self.second)
        self.gamma = nn.Linear(z_dim, width)
        self.beta = nn.Linear(z_dim, width)

    def features(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Feature maps (B, width, H, W) before modulation: the residual, and the input of FiLM."""
        a = F.leaky_relu(self.first(h), SLOPE)
        return a, self.second(a)

    def modulate(self, a: Tensor, b: Tensor, z: Tensor) -> Tensor:
        """FiLM of `b` by z (B, n_z), added to the residual `a`, both (B, width, H, W)."""
        gamma = F.leaky_relu(self.gamma(z), SLOPE)
        beta = F.leaky_relu(self.beta(z), SLOPE)
        modulated = F.leaky_relu(film(b, gamma, beta), SLOPE)
        return modulated + a if modulated.requires_grad else modulated.add_(a)  # a traversal spends its time here


class FilmDecoder(nn.Module):
    """The FiLM decoder: s through convolutions, modulated channel by channel by z (Fig. 3e)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.stem = nn.Conv2d(config.channels, config.film_width, 3, padding=1)
        he_init(self.stem)
        blocks = nn.ModuleList(FilmBlock(config.film_width, config.z_dim) for _ in range(config.film_blocks))
        self.blocks = cast(Sequence[FilmBlock], blocks)
        self.head = nn.Conv2d(config.film_width, 1, 1)

    def condition(self, s: Tensor) -> Conditioning:
        """(B, C, H, W) -> everything before the first modulation."""
        return list(self.blocks[0].features(F.leaky_relu(self.stem(s), SLOPE)))

    def render(self, conditioning: Conditioning, z: Tensor) -> Tensor:
        """Conditioning of B or 1 anatomies, z (B, n_z) -> images (B, 1, H, W) float32 in [-1, 1]."""
        a, b = conditioning
        h = self.blocks[0].modulate(a, b, z)
        for block in self.blocks[1:]:
            h = block.modulate(*block.features(h), z)
        return torch.tanh(self.head(h).float())


class SpadeLayer(nn.Module):
    """SPADE(F | Gamma, B) = (1 + Gamma) * instance_norm(F) + B, with maps made from s alone (Sec. III-D).

    The paper prints Gamma without the 1; its code has it, and with it the layer starts near the identity.
    """

    def __init__(self, anatomy_channels: int, hidden: int, width: int) -> None:
        super().__init__()
        self.shared = nn.Conv2d(anatomy_channels, hidden, 3, padding=1)
        self.gamma = nn.Conv2d(hidden, width, 3, padding=1)
        self.beta = nn.Conv2d(hidden, width, 3, padding=1)

    def maps(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift (B, width, h, w) of an anatomy (B, C, h, w)."""
        h = F.relu(self.shared(s))
        return 1 + self.gamma(h), self.beta(h)

    @staticmethod
    def modulate(features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Instance-normalised features times `scale` plus `shift`, all (B, width, h, w)."""
        return instance_norm(features) * scale + shift


class SpadeBlock(nn.Module):
    """Two times SPADE, leaky ReLU, conv3x3; a modulated 1x1 shortcut where the width changes."""

    def __init__(self, config: ModelConfig, inputs: int, outputs: int) -> None:
        super().__init__()
        widths = [inputs, outputs] + [inputs] * (inputs != outputs)
        layers = nn.ModuleList(SpadeLayer(config.channels, config.spade_hidden, w) for w in widths)
        self.layers = cast(Sequence[SpadeLayer], layers)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else None

    def maps(self, s: Tensor) -> Conditioning:
        """Modulation maps of all layers for an anatomy (B, C, h, w)."""
        return [m for layer in self.layers for m in layer.maps(s)]

    def forward(self, h: Tensor, maps: Conditioning) -> Tensor:
        """(B, inputs, h, w) and its modulation maps -> (B, outputs, h, w)."""
        short = h if self.shortcut is None else self.shortcut(SpadeLayer.modulate(h, *maps[4:]))
        h = self.first(F.leaky_relu(SpadeLayer.modulate(h, *maps[:2]), SLOPE))
        return short + self.second(F.leaky_relu(SpadeLayer.modulate(h, *maps[2:4]), SLOPE))


class SpadeDecoder(nn.Module):
    """The SPADE decoder: z is projected to a small map that is upsampled under modulation by s (Fig. 3f).

    z always starts as a 6 x 6 grid, resized to what the first stage needs; stage k ends at
    ceil(H / 2^k) x ceil(W / 2^k), so H and W are free.
    """

    START = 6

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths = config.spade_widths
        self.start = nn.Linear(config.z_dim, widths[0] * self.START**2)
        blocks = nn.ModuleList(SpadeBlock(config, a, b) for a, b in zip([widths[0], *widths], widths, strict=False))
        self.blocks = cast(Sequence[SpadeBlock], blocks)
        self.head = nn.Conv2d(widths[-1], 1, 1)

    def condition(self, s: Tensor) -> Conditioning:
        """(B, C, H, W) -> the modulation maps of all stages; they never depend on z."""
        maps = []
        for k, block in zip(reversed(range(len(self.blocks))), self.blocks, strict=True):
            size = [-(-side // 2**k) for side in s.shape[-2:]]
            maps += block.maps(s if k == 0 else F.interpolate(s, size, mode="nearest"))
        return maps

    def render(self, conditioning: Conditioning, z: Tensor) -> Tensor:
        """Conditioning of B or 1 anatomies, z (B, n_z) -> images (B, 1, H, W) float32 in [-1, 1]."""
        h = self.start(z).unflatten(1, (-1, self.START, self.START))
        maps = iter(conditioning)
        for block in self.blocks:
            own = [next(maps) for _ in range(2 * len(block.layers))]
            if h.shape[-2:] != own[0].shape[-2:]:
                h = F.interpolate(h, own[0].shape[-2:], mode="nearest")
            h = block(h, own)
        return torch.tanh(self.head(F.leaky_relu(h, SLOPE)).float())


def make_decoder(config: ModelConfig) -> FilmDecoder | SpadeDecoder:
    """The decoder that a configuration names."""
    return FilmDecoder(config) if config.decoder == "film" else SpadeDecoder(config)


def decode(decoder: FilmDecoder | SpadeDecoder, s: Tensor, z: Tensor) -> Tensor:
    """y = g(s, z): (B, C, H, W) and (B, n_z) -> (B, 1, H, W) in [-1, 1]."""
    return decoder.render(decoder.condition(s), z)

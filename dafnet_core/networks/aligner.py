"""Alignment and fusion of anatomy factors (Sec. III-B, Fig. 3c).

Frames of coordinates: `geometry.py`. Everything geometric is float32 (bf16 costs half a pixel).

Differs from the published code: the control points' rest positions never move, so the spline is one
matrix product; outside the moving image its border value is used, so deformed channels still sum to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.geometry import control_points, pixel_centres, spline_grid, spline_matrix, warp
from dafnet_core.networks.blocks import SLOPE, he_init, pool_to_grid
from dafnet_core.precision import autocast
from dafnet_core.types import Alignment


def fuse(anatomies: Sequence[Tensor]) -> Tensor:
    """Pixel-wise maximum of aligned anatomies (Sec. III-B), any number of tensors of one shape."""
    fused = anatomies[0]
    for other in anatomies[1:]:
        fused = torch.maximum(fused, other)
    return fused


class Aligner(nn.Module):
    """Predicts control-point offsets that bring a moving anatomy onto a fixed one; starts at the identity."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pool, self.grid = config.aligner_pool, config.aligner_grid
        self.passes, self.on = config.align_passes, config.align == "on"

    def predict_offsets(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Two anatomies (B, C, H, W) -> offsets (B, K, 2) xy float32."""
        raise NotImplementedError

    def forward(self, moving: Tensor, fixed: Tensor) -> Alignment:
        """Deform `moving` into the frame of `fixed`, both (B, C, H, W).

        Each further pass takes the deformed anatomy and refines the offsets; `moving` itself is always resampled by one
        spline of the accumulated offsets.
        """
        deformed, offsets = moving, moving.new_zeros(())
        for _ in range(self.passes):
            update = self.predict_offsets(deformed, fixed)
            # off is the ablation of Sec. V-D; times zero, so that every weight still has a gradient
            offsets = offsets + (update if self.on else update * 0)
            grid = spline_grid(offsets, *fixed.shape[-2:])
            deformed = warp(moving, grid)
        return Alignment(deformed, grid, offsets)


class DenseAligner(Aligner):
    """The paper's (Sec. III-B, Fig. 3c): both anatomies concatenated, convolutions, two dense layers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        widths = [2 * config.channels, *[config.aligner_width] * 3]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 5, padding=2) for a, b in pairwise(widths))
        self.dense = nn.Linear(config.aligner_width * self.grid**2, config.aligner_dense)
        self.offsets = nn.Linear(config.aligner_dense, 2 * config.control_points**2)
        he_init(*self.convs)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)

    def predict_offsets(self, moving: Tensor, fixed: Tensor) -> Tensor:
        h = torch.cat([moving, fixed], 1)
        if self.pool > 1:
            h = F.avg_pool2d(h, self.pool)
        for i, conv in enumerate(self.convs):
            h = F.leaky_relu(conv(h), SLOPE)
            if i < 2:
                h = F.max_pool2d(h, 2)
        h = pool_to_grid(h, self.grid).flatten(1)
        with autocast(h.device, None):
            return self.offsets(torch.tanh(self.dense(h.float()))).unflatten(1, (-1, 2))


def correlation_volume(moving: Tensor, fixed: Tensor, radius: int) -> Tensor:
    """Correlation of two feature maps at each shift: the mean over channels of their products, as in optical flow.

    Rows are multiplied as matrices, all columns with all, and the band around the diagonal is kept: more products
    than needed, yet several times faster than a loop over shifts.

    Args:
        moving, fixed: (B, C, H, W); border values of `moving` are extended outwards.
        radius: the largest shift, in cells.

    Returns:
        (B, (2 radius + 1)^2, H, W): `fixed` with `moving` shifted by (y, x), y slower, both from -radius on.
    """
    shifts = 2 * radius + 1
    height, width = fixed.shape[-2:]
    # torch's replication padding has a backward that its compiler cannot follow on channels_last tensors
    ys, xs = (torch.arange(-radius, n + radius, device=fixed.device).clamp(0, n - 1) for n in (height, width))
    rows = moving.movedim(1, -1).index_select(1, ys).index_select(2, xs)  # (B, H + 2 radius, W + 2 radius, C)
    columns = fixed.movedim(1, -2) / fixed.shape[1]  # (B, H, C, W)
    band = torch.arange(shifts, device=fixed.device)[:, None] + torch.arange(width, device=fixed.device)
    band = band.expand(len(fixed), height, shifts, width)
    products = [(rows[:, y : y + height] @ columns).gather(2, band) for y in range(shifts)]
    return torch.stack(products, 1).movedim(3, 2).flatten(1, 2)


class MatchingAligner(Aligner):
    """The compact model's: features of both anatomies are correlated at small shifts, as in optical flow networks.

    Convolutions turn the correlation volume into a displacement for each cell of a grid, and the least-squares spline
    fit to those displacements gives the offsets. Shifts are counted in pixels, so what was
    learned at one image size holds at another.
    """

    fit: Tensor
    RADIUS = 3  # shifts compared, in cells of the feature maps, 2 x `pool` pixels each

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        features, hidden = config.aligner_width, 2 * config.aligner_width
        self.features = nn.ModuleList(
            [nn.Conv2d(config.channels, features, 5, padding=2), nn.Conv2d(features, features, 3, stride=2, padding=1)]
        )
        widths = [(2 * self.RADIUS + 1) ** 2, hidden, hidden, hidden]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.offsets = nn.Conv2d(hidden, 2, 1)
        he_init(*self.features, *self.convs)
        for parameter in self.offsets.parameters():
            nn.init.zeros_(parameter)
        cells = spline_matrix(pixel_centres(self.grid, self.grid), control_points(config.control_points))
        self.register_buffer("fit", torch.linalg.pinv(cells).float(), persistent=False)

    def _describe(self, s: Tensor) -> Tensor:
        """Features of anatomies, of zero mean and unit variance over channels at each cell."""
        first, second = self.features
        h = second(F.leaky_relu(first(F.avg_pool2d(s, self.pool)), SLOPE))
        h = h - h.mean(1, keepdim=True)
        return h * (h.square().mean(1, keepdim=True) + 0.01).rsqrt()

    def predict_offsets(self, moving: Tensor, fixed: Tensor) -> Tensor:
        m, f = self._describe(torch.cat([moving, fixed])).chunk(2)
        height, width = f.shape[-2:]
        h = F.avg_pool2d(correlation_volume(m, f, self.RADIUS), 2)
        for conv in self.convs:
            h = F.leaky_relu(conv(h), SLOPE)
        with autocast(h.device, None):
            cells = pool_to_grid(self.offsets(h.float()), self.grid).flatten(2).transpose(1, 2)
            return self.fit @ (cells * cells.new_tensor([2 / width, 2 / height]))


def make_aligner(config: ModelConfig) -> Aligner:
    """The aligner that a configuration names."""
    return {"dense": DenseAligner, "matching": MatchingAligner}[config.aligner](config)

"""Alignment and fusion of anatomy factors (Sec. III-B, Fig. 3c).

Geometry: grids are (x, y) in [-1, 1] with align_corners=False; grid[b, y, x] is where in the MOVING image
the output pixel (y, x) is sampled. Offsets of control points are in the same units, row by row from the
top left. Everything geometric is float32 (bf16 costs half a pixel).

Differs from the published code: the control points' rest positions never move, so the spline is one
matrix product; outside the moving image its border value is used, so deformed channels still sum to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dafnet_core.config import ModelConfig
from dafnet_core.networks.blocks import SLOPE, arithmetic, he_init, pool_to_grid
from dafnet_core.types import Alignment


def control_points(side: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Rest positions of side x side control points, (side^2, 2) xy over [-1, 1], row by row."""
    line = torch.linspace(-1, 1, side, dtype=dtype, device="cpu")
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def pixel_centres(height: int, width: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Centres of an image's pixels, (H * W, 2) xy in [-1, 1], align_corners=False."""
    y = (torch.arange(height, dtype=dtype, device="cpu") * 2 + 1) / height - 1
    x = (torch.arange(width, dtype=dtype, device="cpu") * 2 + 1) / width - 1
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1)


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """Thin-plate kernel r^2 log r between (N, 2) and (K, 2) points; 0 at r = 0."""
    r2 = (a[:, None] - b[None]).square().sum(-1)
    return 0.5 * torch.special.xlogy(r2, r2)


def spline_matrix(points: Tensor, rest: Tensor) -> Tensor:
    """The thin-plate spline as a matrix from displacements of `rest` to displacements of `points`.

    Args:
        points: (N, 2) xy where the spline is evaluated.
        rest: (K, 2) xy of the control points, not all on one line.

    Returns:
        (N, K) in the dtype of `points`; rows sum to 1, and affine displacements are reproduced.
    """
    k = len(rest)
    affine = torch.cat([torch.ones_like(rest[:, :1]), rest], 1)
    system = rest.new_zeros(k + 3, k + 3)
    system[:k, :k] = _kernel(rest, rest)
    system[:k, k:] = affine
    system[k:, :k] = affine.T
    solution = torch.linalg.inv(system)[:, :k]  # offsets -> spline coefficients
    features = torch.cat([_kernel(points, rest), torch.ones_like(points[:, :1]), points], 1)
    return features @ solution


@lru_cache(maxsize=32)
def _spline(height: int, width: int, side: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    # outside inference mode, or a later training step could not save these tensors for its backward pass
    with torch.inference_mode(False), torch.no_grad():
        points = pixel_centres(height, width)
        matrix = spline_matrix(points, control_points(side))
        return points.to(device, dtype), matrix.to(device, dtype)


def spline_grid(offsets: Tensor, height: int, width: int) -> Tensor:
    """Sampling positions of every pixel from control-point offsets (Sec. III-B).

    Args:
        offsets: (B, K, 2) xy, K a square number; zero is the identity.
        height, width: of the output.

    Returns:
        (B, H, W, 2) xy in the moving image, dtype of `offsets`.
    """
    side = round(offsets.shape[1] ** 0.5)
    if offsets.ndim != 3 or offsets.shape[1] != side**2 or offsets.shape[2] != 2:
        raise ValueError(f"offsets are {tuple(offsets.shape)}; expected (B, K, 2) with K a square number, such as 25")
    base, basis = _spline(height, width, side, offsets.dtype, offsets.device)
    with arithmetic(offsets.device, None):  # autocast would take this product in bf16, too
        return (base + basis @ offsets).view(-1, height, width, 2)  # basis @ offsets: (B, H*W, 2)


def warp(moving: Tensor, grid: Tensor) -> Tensor:
    """Bilinear samples of (B, C, H, W) at (B, H', W', 2) xy; the border continues outwards. float32."""
    return F.grid_sample(moving.float(), grid.float(), padding_mode="border", align_corners=False)


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

        Each further pass looks at the deformed anatomy and adds to the offsets, so that `moving` is sampled only
        once in the end, by one spline.
        """
        deformed, offsets, grid = moving, 0.0, None
        for _ in range(self.passes):
            found = self.predict_offsets(deformed, fixed)
            # off is the ablation of Sec. V-D; times zero, so that every weight still has a gradient
            offsets = offsets + (found if self.on else found * 0)
            grid = spline_grid(offsets, *fixed.shape[-2:])
            deformed = warp(moving, grid)
        return Alignment(deformed, grid, offsets)


class DenseAligner(Aligner):
    """The paper's (Sec. III-B, Fig. 3c): both anatomies side by side, convolutions, two dense layers."""

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
        with arithmetic(h.device, None):
            return self.offsets(torch.tanh(self.dense(h.float()))).unflatten(1, (-1, 2))


def alike(moving: Tensor, fixed: Tensor, radius: int) -> Tensor:
    """How alike two feature maps are at each shift: the mean over channels of their products.

    A row of one is multiplied with a row of the other as matrices, all columns with all, and the band around the
    diagonal is taken: more products than are needed, yet several times faster than one shift after the other.

    Args:
        moving, fixed: (B, C, H, W); beyond its borders `moving` goes on with the values of its edge.
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
    found = [(rows[:, y : y + height] @ columns).gather(2, band) for y in range(shifts)]
    return torch.stack(found, 1).movedim(3, 2).flatten(1, 2)


class MatchingAligner(Aligner):
    """The compact model's: features of both anatomies are compared at small shifts, as optical flow networks do.

    How alike the two are at each shift becomes a displacement for each cell of a grid, and the spline that fits
    those displacements best in the least-squares sense gives the offsets. Shifts are counted in pixels, so what was
    learned at one image size holds at another.
    """

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
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)
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
        h = F.avg_pool2d(alike(m, f, self.RADIUS), 2)
        for conv in self.convs:
            h = F.leaky_relu(conv(h), SLOPE)
        with arithmetic(h.device, None):
            cells = pool_to_grid(self.offsets(h.float()), self.grid).flatten(2).transpose(1, 2)
            return self.fit @ (cells * cells.new_tensor([2 / width, 2 / height]))


def make_aligner(config: ModelConfig) -> Aligner:
    return {"dense": DenseAligner, "matching": MatchingAligner}[config.aligner](config)

"""Layers that several networks share."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

SLOPE = 0.2  # of every leaky ReLU
EPS = 1e-5  # under the root of every instance norm


class _InstanceNorm(torch.autograd.Function):
    """torch's group norm of one channel a group, with a backward that is fast on channels_last tensors.

    On CPU torch's own instance norm copies channels_last to contiguous and back, and its group norm's backward is
    slower still there: 1.5 and 7 times as long as this, forward and backward in bfloat16 (benchmarks/norm.json).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
        b, c, h, w = x.shape
        # below 1,024 pixels torch walks channels_last groups one strided channel at a time: 2 ms in place of 0.1
        small = h * w < 1024 and x.is_contiguous(memory_format=torch.channels_last)
        y, mean, rstd = torch.native_group_norm(x.contiguous() if small else x, weight, bias, b, c, h * w, c, EPS)
        ctx.save_for_backward(x, mean, rstd, weight)
        return y.contiguous(memory_format=torch.channels_last) if small else y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        x, mean, rstd, weight = ctx.saved_tensors
        mean, rstd = mean.float(), rstd.float()  # (B, C)
        pixels = x.shape[2] * x.shape[3]
        dy_sum = dy.sum((2, 3), dtype=torch.float32)
        dy_xhat = ((dy * x).sum((2, 3), dtype=torch.float32) - mean * dy_sum) * rstd
        scale = rstd if weight is None else rstd * weight
        on_x = -scale * rstd * dy_xhat / pixels
        shift = -scale * dy_sum / pixels - on_x * mean
        dx = per_channel(dy, scale, per_channel(x, on_x, shift))
        return dx, None if weight is None else dy_xhat.sum(0), None if weight is None else dy_sum.sum(0)


def per_channel(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x * scale + shift of x (B or 1, C, H, W) with scale (B, C) and shift (B, C) or shaped like x."""
    b, c, h, w = x.shape
    scale = scale.to(x.dtype)
    if not x.is_contiguous(memory_format=torch.channels_last) or w % 8:
        shift = shift.to(x.dtype)[:, :, None, None] if shift.ndim == 2 else shift
        return torch.addcmul(shift, x, scale[:, :, None, None])
    # eight pixels of all channels in a row: a broadcast along so few channels alone does not vectorise
    rows = x.permute(0, 2, 3, 1).reshape(b, -1, 8 * c)
    if shift.ndim == 2:
        shift = shift.to(x.dtype).repeat(1, 8)[:, None]
    else:
        shift = shift.permute(0, 2, 3, 1).reshape(b, -1, 8 * c)
    return torch.addcmul(shift, rows, scale.repeat(1, 8)[:, None]).view(-1, h, w, c).permute(0, 3, 1, 2)


def instance_norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """Instance normalisation of (B, C, H, W) with an optional scale and shift (C,); keeps the memory format."""
    return _InstanceNorm.apply(x, weight, bias)


class InstanceNorm(nn.Module):
    """`instance_norm` with a learned scale and shift."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W) over H and W."""
        return instance_norm(x, self.weight, self.bias)


def norm_layer(kind: str, channels: int) -> nn.Module:
    """Batch or instance normalisation with a learned scale and shift."""
    return nn.BatchNorm2d(channels) if kind == "batch" else InstanceNorm(channels)


def double_conv(kind: str, inputs: int, outputs: int) -> nn.Sequential:
    """[conv3x3, norm, ReLU] x 2. No bias: the norm would remove it."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        norm_layer(kind, outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        norm_layer(kind, outputs),
        nn.ReLU(inplace=True),
    )


def he_init(*layers: nn.Conv2d | nn.Linear) -> None:
    """He initialisation for layers followed by a leaky ReLU and no norm; torch's default lets activations vanish."""
    for layer in layers:
        if layer.weight.is_meta:
            continue  # without values; torch would import its compiler, for seconds, to draw none
        nn.init.kaiming_normal_(layer.weight, a=SLOPE)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def pool_to_grid(x: Tensor, side: int) -> Tensor:
    """Average (B, C, H, W) to (B, C, side, side): dense layers after it accept any image size."""
    return x if x.shape[-2:] == (side, side) else F.adaptive_avg_pool2d(x, side)


def one_hot(logits: Tensor) -> Tensor:
    """Exact one-hot of the largest channel with the softmax's gradient (Sec. III-A).

    Args:
        logits: (B, C, H, W).

    Returns:
        float32 of the same shape, in every pixel exactly one 1 and zeros; the gradient is that of softmax(logits).
    """
    hard = torch.zeros_like(logits, dtype=torch.float32).scatter_(1, logits.argmax(1, keepdim=True), 1.0)
    if not (torch.is_grad_enabled() and logits.requires_grad):
        return hard
    soft = logits.float().softmax(1)
    return hard + (soft - soft.detach())  # bracketed so s stays exactly 0/1; the gradient is the softmax's

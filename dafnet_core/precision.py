"""Floating-point precision of convolutions, on any device."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def autocast(device: torch.device, low: torch.dtype | None) -> AbstractContextManager[Any]:
    """Context in which convolutions run in `low` precision, or in float32 for None; any device, also meta."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, low or torch.bfloat16, enabled=low is not None)


def inference_autocast(device: torch.device, precision: str = "auto") -> AbstractContextManager[None]:
    """The precision in which `predict` runs convolutions, for code that repeats a part of it and needs identical masks.

    Raises:
        ValueError: precision is none of auto, fp32 and bf16.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise ValueError(f"precision is {precision!r}; expected auto, fp32 or bf16")
    low = precision == "bf16" or (precision == "auto" and supports_bf16(device))
    return autocast(device, torch.bfloat16 if low else None)


def supports_bf16(device: torch.device) -> bool:
    """Whether a CPU has instructions for bfloat16; other devices keep float32 until it is measured there."""
    return device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()

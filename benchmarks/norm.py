"""Forward and backward of the instance norm against torch's own: python -m benchmarks.norm

Batch of 16 maps of 16 channels, 128 x 128, as the compact model has them; medians in milliseconds, the ways
taking turns in one run.
"""

from __future__ import annotations

import json
import statistics
import time

import torch
import torch.nn.functional as F

from dafnet_core.networks.blocks import instance_norm

WAYS = {
    "ours": instance_norm,
    "group_norm of one channel a group": lambda x, w, b: F.group_norm(x, x.shape[1], w, b),
    "instance_norm": lambda x, w, b: F.instance_norm(x, weight=w, bias=b),
}


def main(rounds: int = 9) -> None:
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(16, 16, 128, 128).to(dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
        weight, bias = torch.rand(16, requires_grad=True), torch.rand(16, requires_grad=True)
        upstream = torch.randn_like(x)
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        for n in range(rounds + 1):
            for way, norm in WAYS.items():
                start = time.perf_counter()
                norm(x, weight, bias).backward(upstream)
                if n:
                    times[way].append(time.perf_counter() - start)
        found[str(dtype)] = {way: round(1000 * statistics.median(t), 2) for way, t in times.items()}
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "ms": found}, indent=1))


if __name__ == "__main__":
    main()

"""How long each stage of a prediction takes: python -m benchmarks.predict [--size 192] [--json FILE]

Stages at inference of one pair: encode both images, align both ways, six masks (single, deformed, fused), and
and also four decodes. Every way of computing (float32 or bfloat16, contiguous or channels_last) is timed in
one process, its rounds interleaved, so that the load of the machine falls on all of them alike. For shipped
checkpoints the share of mask pixels that differ from float32, contiguous is measured on phantom subjects:
`predict` uses the fastest way that stays under 0.1 %.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import add_json_option, report
from dafnet_core.checkpoints.file import load
from dafnet_core.config import EVALUATION_SEED, ModelConfig
from dafnet_core.data import phantom
from dafnet_core.data.dataset import collate
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.networks.aligner import fuse
from dafnet_core.networks.dafnet import DAFNet

WAYS = {
    f"{precision}, {memory}": (precision == "bf16", memory == "channels_last")
    for precision in ("fp32", "bf16")
    for memory in ("contiguous", "channels_last")
}

_MEMORY = {False: torch.contiguous_format, True: torch.channels_last}


def stages(model: DAFNet, x: torch.Tensor, precision: str) -> dict[str, Callable[[], object]]:
    """The work of a prediction, cut into its stages on fixed inputs."""
    s = model.encode(x)[:, :, 0].flatten(0, 1)
    aligned = model.align(s.flip(0), s)
    six = torch.cat([s, aligned.deformed, fuse([s, aligned.deformed])])
    z = model.encode_modality(s, x[0])[0]
    return {
        "encode": lambda: model.encode(x),
        "align": lambda: model.align(s.flip(0), s),
        "segment": lambda: model.segment(six).softmax(1),
        "predict": lambda: model.predict(x, precision=precision),
        "decode": lambda: model.decode(six[:4], z.repeat(2, 1)),
    }


def measure(model: DAFNet, size: int, rounds: int) -> dict[str, dict]:
    """Median milliseconds and GFLOP/s of every stage in every way; rounds of all ways take turns."""
    x = torch.rand(1, 2, 1, size, size) * 2 - 1
    times: dict[tuple[str, str], list[float]] = {}
    flops: dict[str, int] = {}
    models = {last: _copy(model).to(memory_format=_MEMORY[last]) for last in (False, True)}
    with torch.inference_mode():
        for n in range(rounds + 1):
            for way, (low, last) in WAYS.items():
                chosen = models[last]
                with torch.autocast("cpu", torch.bfloat16, enabled=low):
                    for stage, run in stages(chosen, x, "bf16" if low else "fp32").items():
                        if stage not in flops:
                            with FlopCounterMode(display=False) as counter:
                                run()
                            flops[stage] = counter.get_total_flops()
                        start = time.perf_counter()
                        run()
                        if n:  # the first round warms up
                            times.setdefault((way, stage), []).append(time.perf_counter() - start)
    found: dict[str, dict] = {way: {} for way in WAYS}
    for (way, stage), seconds in times.items():
        middle = statistics.median(seconds)
        found[way][stage] = {"ms": round(1000 * middle, 2), "gflop_per_s": round(flops[stage] / middle / 1e9, 1)}
    return found


def _copy(model: DAFNet) -> DAFNet:
    counterpart = DAFNet(model.config).eval()
    counterpart.load_state_dict(model.state_dict())
    return counterpart


def ceiling() -> dict[str, float]:
    """What this machine reaches at best: GFLOP/s of one large 3x3 convolution, median of nine."""
    conv = torch.nn.Conv2d(256, 256, 3, padding=1, bias=False).to(memory_format=torch.channels_last)
    x = torch.rand(4, 256, 48, 48).to(memory_format=torch.channels_last)
    found = {}
    for precision in ("fp32", "bf16"):
        times = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            for _ in range(10):
                start = time.perf_counter()
                conv(x)
                times.append(time.perf_counter() - start)
        found[precision] = round(2 * 9 * 256**2 * x[:, 0].numel() / statistics.median(times[1:]) / 1e9, 1)
    return found


def mask_differences(path: Path, subjects: int = 4) -> dict[str, float]:
    """Per cent of fused and single mask pixels that differ from float32, contiguous."""
    checkpoint = load(path)
    data = phantom_slices(EVALUATION_SEED, range(subjects), size=checkpoint.preparation.height, difficulty="mixed")
    batches = [collate([data[i]]).images for i in range(len(data))]
    labels = {}
    for way, (low, last) in WAYS.items():
        model = checkpoint.model.to(memory_format=_MEMORY[last])
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            found = [model.predict(x, precision="bf16" if low else "fp32") for x in batches]
        labels[way] = torch.stack([torch.cat([f.single, f.deformed_masks, f.fused_masks]).argmax(2) for f in found])
    reference = labels["fp32, contiguous"]
    return {way: round(100 * float((v != reference).float().mean()), 4) for way, v in labels.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=192, help="image side (default: 192)")
    parser.add_argument(
        "--rounds", type=int, default=9, help="timed rounds of the compact model; a third for the published"
    )
    add_json_option(parser)
    options = parser.parse_args()
    folder = Path(__file__).resolve().parent.parent / "checkpoints"
    result: dict = {"torch": torch.__version__, "threads": torch.get_num_threads(), "size": options.size}
    result |= {"ceiling, GFLOP/s": ceiling(), "models": {}}
    for path in sorted(folder.glob("*.safetensors")):
        model = load(path).model
        result["models"][path.stem] = measure(model, options.size, options.rounds)
        result["models"][path.stem]["mask pixels that differ, %"] = mask_differences(path)
    for kind in ("compact", "published"):
        for decoder in ("film", "spade"):
            make = getattr(ModelConfig, kind)
            model = DAFNet(make(phantom.MODALITIES, phantom.CLASSES, decoder=decoder)).eval()
            rounds = options.rounds if kind == "compact" else max(options.rounds // 3, 3)
            result["models"][f"{kind}, {decoder}"] = measure(model, options.size, rounds)
    report(result, options.json)


if __name__ == "__main__":
    main()

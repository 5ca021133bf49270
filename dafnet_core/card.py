"""The model card of a checkpoint, written from what the checkpoint itself carries."""

from __future__ import annotations

from dafnet_core.checkpoint import Checkpoint


def card(checkpoint: Checkpoint, name: str) -> str:
    """Markdown: what it is, how it was trained, every number with the command that gives it, and its limits."""
    config, training = checkpoint.config, checkpoint.training
    preparation = checkpoint.preparation
    spacing = f"{preparation.spacing:g} mm" if preparation.spacing else "unknown spacing"
    parameters = sum(p.numel() for p in checkpoint.model.parameters())
    lines = [
        f"# {name}",
        "",
        f"A DAFNet with a {config.decoder.upper() if config.decoder == 'spade' else 'FiLM'} decoder for "
        f"{' and '.join(config.modalities)}; classes: {', '.join(config.classes)}.",
        "",
        "| | |",
        "|---|---|",
        f"| parameters | {parameters:,} |",
        f"| anatomy channels C, z dimensions | {config.channels}, {config.z_dim} |",
        f"| input | {preparation.height} x {preparation.width} at {spacing}; percentiles "
        f"{preparation.percentiles[0]} and {preparation.percentiles[1]} of each slice to -1 and 1 |",
        f"| data | {training['data']}; licence: {training['data_licence']} |",
        f"| steps, seed | {training['step']}, {training['configuration']['seed']} |",
        f"| time | {training['minutes']} minutes with {training['threads']} threads of one CPU, validation included |",
        f"| command | `{training['command']} --out RUN` |",
    ]
    for title, metrics in checkpoint.metrics.items():
        lines += ["", f"## Subjects never trained on: {title}", "", *_tables(metrics)]
        lines += ["", f"`python -m dafnet_core.evaluate checkpoints/{name} --data {metrics['data']}`"]
    if not checkpoint.metrics:
        best = training["validation"]["segmentation"]
        shown = ", ".join(f"{m} {v['fused']['dice_mean']:.3f}" for m, v in best.items())
        lines += ["", f"Not judged yet. Fused Dice of its validation subjects: {shown}."]
    lines += [
        "",
        "## Limits",
        "",
        "Trained on synthetic images only: on real ones its masks and numbers mean little, though its factors can be",
        "looked at. Not a medical device. One seed; no claim about the method follows from one model.",
        "",
    ]
    return "\n".join(lines)


def _tables(found: dict) -> list[str]:
    rows = [
        f"{found['n_subjects']} subjects, {found['n_slices']} slices; deviations are over subjects.",
        "",
        "| Dice | single | deformed from the other | fused | the other's mask, unmoved |",
        "|---|---|---|---|---|",
    ]
    for name, kinds in found["segmentation"].items():
        cells = " | ".join(f"{_n(v['dice_mean'])} ± {_n(v['dice_std'])}" for v in kinds.values())
        rows.append(f"| {name} | {cells} | {_n(found['copy'][name]['dice_mean'])} |")
    rows += [
        "",
        "| absolute error, intensities in [-1, 1] | own image | own, inside the organs | crosswise |",
        "|---|---|---|---|",
    ]
    for name, v in found["reconstruction"].items():
        rows.append(f"| {name} | {_n(v['own_l1'])} | {_n(v['own_l1_inside'])} | {_n(v['cross_l1'])} |")
    before, after = (found["registration"][k] for k in ("error_before_px", "error_after_px"))
    rows += ["", f"Error of alignment inside the organs: {_n(before)} pixels before, {_n(after)} after."]
    rows += ["", "KL of each z dimension, nats: " + ", ".join(f"{v:.2f}" for v in found["kl_per_dimension"]) + "."]
    return rows


def _n(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"

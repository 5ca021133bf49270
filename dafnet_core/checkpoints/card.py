"""The model card of a checkpoint, written from what the checkpoint itself carries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dafnet_core.checkpoints.file import Checkpoint

Numbers = dict[str, Any]


def card(checkpoint: Checkpoint, name: str) -> str:
    """Markdown: what it is, how it was trained, every number with the command that gives it, and its weaknesses."""
    config, training = checkpoint.config, checkpoint.training
    preparation = checkpoint.preparation
    spacing = f"{preparation.spacing:g} mm" if preparation.spacing else "each picture resized to fit"
    parameters = sum(p.numel() for p in checkpoint.model.parameters())
    parts = ", ".join(f"{len(names)} {part}" for part, names in training["split"].items())
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
        f"| passes of the aligner | {config.align_passes} |",
        f"| input | {preparation.height} x {preparation.width}, {spacing}; percentiles "
        f"{preparation.percentiles[0]} and {preparation.percentiles[1]} of each slice to -1 and 1 |",
        f"| data | {training['data']} |",
        f"| licence of the data | {training['data_licence']} |",
        f"| subjects | {parts} |",
        f"| {training['target']} annotated in | {len(training['annotated_target_subjects'])} training subjects |",
        f"| steps, seed | {training['step']}, {training['configuration']['seed']} |",
        f"| time | {training['minutes']} minutes, validation included; {training['machine']} |",
        f"| command | `{training['command']} --out RUN` |",
        *_begun_with(training.get("start")),
    ]
    for title, found in checkpoint.metrics.items():
        lines += ["", f"## Subjects never trained on: {title}", "", *_tables(found)]
        lines += ["", f"`python -m dafnet_core.evaluate checkpoints/{name} --data {found['data']}`"]
    if not checkpoint.metrics:
        best = training["validation"]["segmentation"]
        shown = ", ".join(f"{m} {_n(v['fused']['dice_mean'])}" for m, v in best.items())
        lines += ["", f"Not judged yet. Fused Dice of its validation subjects: {shown}."]
    lines += ["", "## Weaknesses", ""]
    for title, found in checkpoint.metrics.items():
        lines += [f"- {title}: {weakness}" for weakness in weaknesses(found)]
    if training["configuration"].get("w_warp"):
        lines += ["- Its aligner was taught with the known warps; the paper's learns without them."]
    if training["configuration"]["data"] == "phantom":
        lines += [
            "- Trained on synthetic images only: on real ones its masks and numbers mean little, though its factors",
            "  can be looked at.",
        ]
    else:
        lines += ["- Trained on few subjects of one collection: other scanners and protocols were never seen."]
    return "\n".join(
        [*lines, "- One seed: no claim about the method follows from one model. Not a medical device.", ""]
    )


def _begun_with(start: Numbers | None) -> list[str]:
    """Rows for the checkpoint that a run began with, and for what that one began with."""
    if not start:
        return []
    row = (
        f"| begun with | `{start['name']}` (digest {start['digest'][:8]}), made in {start['step']} steps and "
        f"{start['minutes']} minutes by `{start['command']} --out RUN` |"
    )
    return [row, *_begun_with(start["start"])]


def weaknesses(found: Numbers) -> Iterator[str]:
    """What the numbers of `evaluate` say against a model, in words."""
    for name, kinds in found["segmentation"].items():
        better = found["paired"][name]["fused_minus_single"]
        if better and better["ci95"][1] < 0:
            yield f"fusing costs {name} {-better['difference']:.3f} Dice ({_interval(better)}) against {name} alone."
        rate = kinds["fused"]["false_positive"]["rate"]
        if rate and rate > 0.1:
            yield f"{name}: in {rate:.0%} of slices without a class, the fused mask shows some of it."
    before, after = (found["registration"][k] for k in ("error_before_px", "error_after_px"))
    if before and after > 0.5 * before:
        yield f"alignment leaves {after:.2f} of {before:.2f} pixels."
    for name, shares in found["channel_occupancy"].items():
        if empty := sum(share < 1e-3 for share in shares):
            yield f"{empty} of {len(shares)} anatomy channels are empty in {name}."
    if idle := sum(kl < 0.1 for kl in found["kl_per_dimension"]):
        yield f"{idle} of {len(found['kl_per_dimension'])} z dimensions say less than 0.1 nats."
    for way, v in found["swap"].items():
        if v["accuracy"] is not None and v["accuracy"] < 0.95:
            yield f"swapped style ({way.replace('_', ' ')}) is taken for its own modality in only {v['accuracy']:.0%}."


def _tables(found: Numbers) -> list[str]:
    rows = [f"{found['n_subjects']} subjects, {found['n_slices']} slices; deviations are over subjects."]
    if found["warp"]["rms_px"]:
        rows[0] += (
            f" Every modality and its mask was deformed by a known smooth warp of its own (relative displacement "
            f"{found['warp']['rms_px']:.2f} pixels RMS, seed {found['warp']['seed']}); all numbers are under it."
        )
    rows += [
        "",
        "| Dice | single | deformed from the other | fused | the other's mask, unmoved |",
        "|---|---|---|---|---|",
    ]
    for name, kinds in found["segmentation"].items():
        cells = " | ".join(f"{_n(v['dice_mean'])} ± {_n(v['dice_std'])}" for v in kinds.values())
        rows.append(f"| {name} | {cells} | {_n(found['copy'][name]['dice_mean'])} |")
    rows += ["", "| difference by subject (95 % interval, p) | " + " | ".join(found["paired"]) + " |"]
    rows += ["|---" * (1 + len(found["paired"])) + "|"]
    for kind in next(iter(found["paired"].values())):
        cells = " | ".join(_difference(v[kind]) for v in found["paired"].values())
        rows.append(f"| {kind.replace('_', ' ')} | {cells} |")
    rows += [
        "",
        "| Dice per class | kind | "
        + " | ".join(next(iter(found["segmentation"].values()))["single"]["per_class"])
        + " |",
        "|---" * (2 + len(next(iter(found["segmentation"].values()))["single"]["per_class"])) + "|",
    ]
    for name, kinds in found["segmentation"].items():
        for kind, v in kinds.items():
            rows.append(f"| {name} | {kind} | " + " | ".join(_n(d) for d in v["per_class"].values()) + " |")
    rows += [
        "",
        "| absolute error, intensities in [-1, 1] | own image | own, inside the organs | crosswise |",
        "|---|---|---|---|",
    ]
    for name, v in found["reconstruction"].items():
        rows.append(f"| {name} | {_n(v['own_l1'])} | {_n(v['own_l1_inside'])} | {_n(v['cross_l1'])} |")
    before, after = (found["registration"][k] for k in ("error_before_px", "error_after_px"))
    probe, dependence = found["probe"], found["dependence"]
    swaps = ", ".join(f"{way.replace('_', ' ')} {_n(v['accuracy'])}" for way, v in found["swap"].items())
    rows += ["", f"- Error of alignment: {_n(before)} pixels before, {_n(after)} after."]
    if probe["accuracy"] is not None:
        low, high = probe["ci95"]
        each = ", ".join(_n(v) for v in probe["per_dimension"])
        rows.append(
            f"- Modality told from z by logistic regression: {_n(probe['accuracy'])} (95 % interval {low:.3f} to "
            f"{high:.3f}, chance {_n(probe['chance'])}); from one dimension alone: {each}."
        )
    rows.append(f"- Images with swapped style that are taken for the style's modality: {swaps}.")
    if dependence["dcor"] is not None:
        rows.append(
            f"- Distance correlation of s and z: {_n(dependence['dcor'])} (biased, as in the paper), squared and "
            f"unbiased {_n(dependence['dcor_squared_unbiased'])}, p = {dependence['p_value']:.3g} "
            f"({dependence['n']} anatomies of {dependence['n_subjects']} subjects)."
        )
    rows.append("- KL of each z dimension, nats: " + ", ".join(f"{v:.2f}" for v in found["kl_per_dimension"]) + ".")
    for name, shares in found["channel_occupancy"].items():
        rows.append(
            f"- Share of pixels in each anatomy channel, {name}: " + ", ".join(f"{v:.3f}" for v in shares) + "."
        )
    return rows


def _difference(v: Numbers | None) -> str:
    return "n/a" if v is None else f"{v['difference']:+.3f} ({_interval(v)}, p = {v['p_value']:.2g})"


def _interval(v: Numbers) -> str:
    return f"{v['ci95'][0]:+.3f} to {v['ci95'][1]:+.3f}"


def _n(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"

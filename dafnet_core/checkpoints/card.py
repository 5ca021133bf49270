"""The model card of a checkpoint, generated from its own metadata."""

from __future__ import annotations

from collections.abc import Iterator

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.checkpoints.schema import StartRecord, TrainingRecord
from dafnet_core.data.sources import source_class
from dafnet_core.evaluation.measures.segmentation import DiceSummary
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.metrics.paired import Paired


def card(checkpoint: Checkpoint, name: str) -> str:
    """Markdown card: the model, its training, every number with the command that reproduces it, and its weaknesses."""
    lines = [f"# {name}", "", _title(checkpoint), "", "| | |", "|---|---|", *_facts(checkpoint)]
    for title, result in checkpoint.metrics.items():
        said = selected_on(result)
        lines += ["", f"## Subjects never trained on: {title}", "", *([f"**{said}**", ""] if said else [])]
        lines += [*_tables(result), "", f"`python -m dafnet_core.evaluate checkpoints/{name} {options(result)}`"]
    if not checkpoint.metrics:
        best = checkpoint.training.validation.segmentation or {}
        shown = ", ".join(f"{m} {_n(list(kinds.values())[-1].dice_mean)}" for m, kinds in best.items())
        lines += ["", f"Not evaluated yet. Fused Dice of its validation subjects: {shown}."]
    lines += ["", "## Weaknesses", ""]
    for title, result in checkpoint.metrics.items():
        lines += [f"- {title}: {weakness}" for weakness in weaknesses(result)]
        lines += [f"- {title}: {said}" for said in [selected_on(result)] if said]
    lines += [f"- Its data: {warning}." for warning in checkpoint.training.warnings or ()]
    if checkpoint.training.option("w_warp"):
        lines += ["- Its aligner was supervised with known warps; the paper's is trained without them."]
    if source_class(checkpoint.training.option("data")).synthetic:
        lines += [
            "- Trained on synthetic images only: on real ones its masks and numbers mean little, though its factors",
            "  can be looked at.",
        ]
    else:
        lines += ["- Trained on few subjects of one collection: other scanners and protocols were never seen."]
    return "\n".join(
        [*lines, "- One seed: no claim about the method follows from one model. Not a medical device.", ""]
    )


def selected_on(result: EvaluationResult) -> str:
    """What to say of the numbers of a checkpoint whose data left no test subjects to judge it; "" for all others."""
    if result.split != "val":
        return ""
    return (
        "Judged on its validation subjects: this data set's folds have no test part; the best weights were selected on "
        "them, so the numbers are optimistic."
    )


def options(result: EvaluationResult) -> str:
    """Options of `evaluate` that give a stored result again."""
    return f"--data {result.data}" + (" --split val" if result.split == "val" else "")


def _title(checkpoint: Checkpoint) -> str:
    config = checkpoint.config
    return (
        f"A {checkpoint.method.description} for {' and '.join(config.modalities)}; "
        f"classes: {', '.join(config.classes)}."
    )


def _facts(checkpoint: Checkpoint) -> list[str]:
    """Rows of the table at the top."""
    training, preparation = checkpoint.training, checkpoint.preparation
    spacing = f"{preparation.spacing:g} mm" if preparation.spacing else "each picture resized to fit"
    parameters = sum(p.numel() for p in checkpoint.model.parameters())
    parts = ", ".join(f"{len(names)} {part}" for part, names in training.split.parts().items())
    if training.patients:
        parts += f"; cases of {len(set(training.patients.values()))} patients, each in one part"
    return [
        f"| parameters | {parameters:,} |",
        *(f"| {title} | {value} |" for title, value in checkpoint.method.facts().items()),
        f"| input | {preparation.height} x {preparation.width}, {spacing}; percentiles "
        f"{preparation.percentiles[0]} and {preparation.percentiles[1]} of each slice to -1 and 1 |",
        f"| data | {training.data} |",
        f"| licence of the data | {training.data_licence} |",
        f"| subjects | {parts} |",
        f"| {training.target} annotated in | {len(training.annotated_target_subjects)} training subjects |",
        f"| steps, seed | {training.step}, {training.option('seed')} |",
        f"| time | {training.minutes} minutes, validation included; {training.machine} |",
        f"| command | `{training.command}{_recipe_of_then(training)} --out RUN` |",
        *_fine_tuned_from(training.start, _recipe_of_then(training)),
    ]


def _recipe_of_then(training: TrainingRecord) -> str:
    """What a command of version 0.1 lacks today: it had one recipe."""
    return "" if "recipe" in training.configuration else " --recipe plain"


def _fine_tuned_from(start: StartRecord | None, recipe: str) -> list[str]:
    """Rows for the checkpoint that a run was fine-tuned from, and recursively for that one's."""
    if not start:
        return []
    row = (
        f"| fine-tuned from | `{start.name}` (digest {start.digest[:8]}), trained for {start.step} steps and "
        f"{start.minutes} minutes by `{start.command}{recipe} --out RUN` |"
    )
    return [row, *_fine_tuned_from(start.start, recipe)]


def weaknesses(result: EvaluationResult) -> Iterator[str]:
    """Weaknesses that the numbers of `evaluate` show, one sentence each."""
    for name, kinds in (result.segmentation or {}).items():
        better = (result.paired or {}).get(name, {}).get("fused_minus_single")
        if better and better.ci95[1] < 0:
            yield f"fusing costs {name} {-better.difference:.3f} Dice ({_interval(better)}) against {name} alone."
        kind, last = list(kinds.items())[-1]
        rate = last.false_positive.rate
        if rate and rate > 0.1:
            yield f"{name}: in {rate:.0%} of slices without a class, the {kind} mask contains that class."
    if r := result.registration:
        before, after = r.error_before_px, r.error_after_px
        if before and after is not None and after > 0.5 * before:
            yield f"alignment leaves {after:.2f} of {before:.2f} pixels."
    for name, shares in (result.channel_occupancy or {}).items():
        if empty := sum(share < 1e-3 for share in shares):
            yield f"{empty} of {len(shares)} anatomy channels are empty in {name}."
    kl = result.kl_per_dimension or ()
    if idle := sum(value < 0.1 for value in kl):
        yield f"{idle} of {len(kl)} z dimensions carry less than 0.1 nats."
    for way, swap in (result.swap or {}).items():
        if swap.accuracy is not None and swap.accuracy < 0.95:
            pair = way.replace("_", " ")
            yield f"swapped style ({pair}) is classified as the style's modality in only {swap.accuracy:.0%}."


TITLES = {"single": "single", "deformed": "deformed from the other", "fused": "fused"}


def _tables(result: EvaluationResult) -> list[str]:
    rows = [f"{result.n_subjects} subjects, {result.n_slices} slices; deviations are over subjects."]
    if result.warp.rms_px:
        rows[0] += (
            f" Every modality and its mask was deformed by a known smooth warp of its own (relative displacement "
            f"{result.warp.rms_px:.2f} pixels RMS, seed {result.warp.seed}); all numbers are under it."
        )
    rows += _dice_tables(result)
    if result.reconstruction is not None:
        rows += ["", "| absolute error, intensities in [-1, 1] | own image | own, inside the organs | crosswise |"]
        rows += ["|---|---|---|---|"]
        rows += [
            f"| {name} | {_n(v.own_l1)} | {_n(v.own_l1_inside)} | {_n(v.cross_l1)} |"
            for name, v in result.reconstruction.items()
        ]
    return [*rows, "", *_statements(result)]


def _dice_tables(result: EvaluationResult) -> list[str]:
    segmentation: dict[str, dict[str, DiceSummary]] = result.segmentation or {}
    if not segmentation:
        return []
    kinds = next(iter(segmentation.values()))
    titles = " | ".join(TITLES.get(kind, kind) for kind in kinds)
    rows = ["", f"| Dice of volumes | {titles} | the other's mask, undeformed |", "|---" * (len(kinds) + 2) + "|"]
    for name, by_kind in segmentation.items():
        cells = " | ".join(_n(v.dice_volume_mean) for v in by_kind.values())
        copied = (result.copy or {}).get(name)
        rows.append(f"| {name} | {cells} | {_n(copied.dice_volume_mean if copied else None)} |")
    rows += ["", f"| Dice of slices | {titles} | the other's mask, undeformed |", "|---" * (len(kinds) + 2) + "|"]
    for name, by_kind in segmentation.items():
        cells = " | ".join(f"{_n(v.dice_mean)} ± {_n(v.dice_std)}" for v in by_kind.values())
        copied = (result.copy or {}).get(name)
        rows.append(f"| {name} | {cells} | {_n(copied.dice_mean if copied else None)} |")
    if any(v.false_positive.rate is not None for by_kind in segmentation.values() for v in by_kind.values()):
        rows += ["", f"| slices that show a class which they lack | {titles} |", "|---" * (len(kinds) + 1) + "|"]
        for name, by_kind in segmentation.items():
            rows.append(f"| {name} | " + " | ".join(_n(v.false_positive.rate) for v in by_kind.values()) + " |")
    paired = result.paired or {}
    rows += ["", "| difference by subject (95 % interval, p) | " + " | ".join(paired) + " |"]
    rows += ["|---" * (1 + len(paired)) + "|"]
    for kind in next(iter(paired.values()), {}):
        cells = " | ".join(_difference(v[kind]) for v in paired.values())
        rows.append(f"| {kind.replace('_', ' ')} | {cells} |")
    classes = next(iter(kinds.values())).per_class
    rows += ["", "| Dice per class | kind | " + " | ".join(classes) + " |", "|---" * (2 + len(classes)) + "|"]
    for name, by_kind in segmentation.items():
        for kind, v in by_kind.items():
            rows.append(f"| {name} | {kind} | " + " | ".join(_n(d) for d in v.per_class.values()) + " |")
    return rows


def _statements(result: EvaluationResult) -> Iterator[str]:
    if r := result.registration:
        yield f"- Error of alignment: {_n(r.error_before_px)} pixels before, {_n(r.error_after_px)} after."
    if (probe := result.probe) and probe.ci95 is not None and probe.per_dimension is not None:
        low, high = probe.ci95
        each = ", ".join(_n(v) for v in probe.per_dimension)
        yield (
            f"- Modality classified from z by logistic regression: {_n(probe.accuracy)} (95 % interval {low:.3f} to "
            f"{high:.3f}, chance {_n(probe.chance)}); from one dimension alone: {each}."
        )
    if result.swap:
        swaps = ", ".join(f"{way.replace('_', ' ')} {_n(v.accuracy)}" for way, v in result.swap.items())
        yield f"- Images with swapped style that are classified as the style's modality: {swaps}."
    if (d := result.dependence) and d.dcor is not None:
        yield (
            f"- Distance correlation of s and z: {_n(d.dcor)} (biased, as in the paper), squared and "
            f"unbiased {_n(d.dcor_squared_unbiased)}, p = {d.p_value:.3g} "
            f"({d.n} anatomies of {d.n_subjects} subjects)."
        )
    for name, s in (result.speckle or {}).items():
        yield (
            f"- Speckle of {name}'s anatomies: {_n(s.share)} of the pixels differ from their 3 x 3 majority (truth "
            f"{_n(s.truth_share)}); boundaries {_n(s.boundary_ratio)} times as long as the truth's."
        )
    if (i := result.invariance) and i.modality.agreement is not None:
        yield (
            f"- Pixels with one channel in both modalities under the true warp: {_n(i.modality.agreement)} (true "
            f"tissues {_n(i.modality.bound)})."
        )
    if result.invariance:
        kept = ", ".join(f"{name} {_n(share)}" for name, share in result.invariance.intensity.items())
        yield f"- Pixels that keep their channel under other intensities: {kept}."
    if (p := result.prior) and p.dice_kept is not None:
        yield f"- Under styles drawn from N(0, I): masks kept (Dice) {_n(p.dice_kept)}, channels {_n(p.channels_kept)}."
    if result.kl_per_dimension:
        yield "- KL of each z dimension, nats: " + ", ".join(f"{v:.2f}" for v in result.kl_per_dimension) + "."
    for name, shares in (result.channel_occupancy or {}).items():
        yield f"- Share of pixels in each anatomy channel, {name}: " + ", ".join(f"{v:.3f}" for v in shares) + "."


def _difference(v: Paired | None) -> str:
    return "n/a" if v is None else f"{v.difference:+.3f} ({_interval(v)}, p = {v.p_value:.2g})"


def _interval(v: Paired) -> str:
    return f"{v.ci95[0]:+.3f} to {v.ci95[1]:+.3f}"


def _n(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"

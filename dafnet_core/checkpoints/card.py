"""The model card of a checkpoint, generated from its own metadata."""

from __future__ import annotations

from dafnet_core.checkpoints.card_numbers import decimal, numbers
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.checkpoints.schema import StartRecord, TrainingRecord
from dafnet_core.checkpoints.weaknesses import weaknesses
from dafnet_core.data.sources import source_class
from dafnet_core.evaluation.result import EvaluationResult


def card(checkpoint: Checkpoint, name: str) -> str:
    """Markdown card: the model, its training, every number with the command that reproduces it, the runs that it was
    chosen from, and its weaknesses."""
    lines = [f"# {name}", "", _title(checkpoint), "", "| | |", "|---|---|", *_facts(checkpoint)]
    for title, result in checkpoint.metrics.items():
        said = selected_on(result)
        lines += ["", f"## Subjects never trained on: {title}", "", *([f"**{said}**", ""] if said else [])]
        lines += [*numbers(result), "", f"`python -m dafnet_core.evaluate checkpoints/{name} {options(result)}`"]
    if not checkpoint.metrics:
        best = checkpoint.training.validation.segmentation or {}
        shown = ", ".join(f"{m} {decimal(list(kinds.values())[-1].dice_mean)}" for m, kinds in best.items())
        what = "Fused Dice" if "fused" in checkpoint.method.kinds else "Dice"
        lines += ["", f"Not evaluated yet. {what} of its validation subjects: {shown}."]
    if checkpoint.tries:
        head, *rows = (f"| {' | '.join(row)} |" for row in checkpoint.tries)
        lines += ["", "## What was tried", "", head, "|---" * len(checkpoint.tries[0]) + "|", *rows]
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
    split, measures = " --split val" if result.split == "val" else "", measures_of(result)
    return f"--data {result.data}{split}" + (f" --measures {measures}" if measures != "default" else "")


def measures_of(result: EvaluationResult) -> str:
    """Which measures of `evaluate` give a stored result again: default, all or slow."""
    speeds = {m.slow for m, names in result.measures().items() if any(getattr(result, n) is not None for n in names)}
    return "slow" if speeds == {True} else "all" if True in speeds else "default"


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
        *_pieces(checkpoint),
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


def _pieces(checkpoint: Checkpoint) -> list[str]:
    """The row about pieces of masks that are dropped, if any are."""
    smallest = checkpoint.config.smallest_piece
    return [f"| masks | pieces of a class below {smallest} pixels are dropped |"] if smallest else []


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

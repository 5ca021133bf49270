"""Checkpoints of a run: their metadata, the one that it is fine-tuned from, and export."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dafnet_core import drawing
from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import Checkpoint, load, save
from dafnet_core.checkpoints.schema import SplitRecord, StartRecord, TrainingRecord
from dafnet_core.config import sanitize
from dafnet_core.data.sources import TrainingData, public_name
from dafnet_core.evaluate import evaluate_checkpoint, judged_part
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.files import atomic_write, check_writable
from dafnet_core.methods.base import Trainable
from dafnet_core.parallel import rank_and_size
from dafnet_core.training.config import STANDARD_RECIPE, NetworkConfig, TrainConfig, meaningless


def load_start(config: TrainConfig, data: TrainingData) -> Checkpoint | None:
    """The checkpoint that a run is fine-tuned from; None without `start`.

    Raises:
        CheckpointError: it cannot be read.
        ValueError: it has other networks, or was trained on subjects that this run keeps for validation or test, or
            with masks of the target that this run hides.
    """
    path = config.model.start
    if not path:
        return None
    start = load(path)
    if start.method_name != config.model.method:
        raise ValueError(f"{path} is of the method {start.method_name}, this run of {config.model.method}")
    wanted = config.networks(data.train.modalities, data.train.classes)
    has, wants = (c.to_dict() for c in (replace(start.config, smallest_piece=0), wanted))  # which is of masks only
    if other := [name for name in wants if has[name] != wants[name]]:
        raise ValueError(
            f"{path} has {other[0]} {has[other[0]]}, this run {wants[other[0]]}; fine-tune from a checkpoint of "
            "the same networks, or change the options"
        )
    patients = data.source.patients
    kept = {patients.get(n, n) for part, names in data.split.items() if part != "train" for n in names}
    seen = kept & {patients.get(name, name) for name in start.training.split.train}
    target = data.train.modalities[data.target]
    own = start.training.target == target  # masks of a source are all used
    used = start.training.annotated_target_subjects if own else start.training.split.train
    if set(data.annotated) < set(data.split["train"]) and (hidden := sorted(set(used) - set(data.annotated))):
        raise ValueError(
            f"{path} was trained with masks of {target} of {len(used)} subjects, {len(hidden)} of which this run does "
            f"not use ({hidden[0]} ...); start from a checkpoint that has not seen them, or use --annotations 1"
        )
    if seen and start.training.data == data.source.name:
        raise ValueError(
            f"{path} was trained on {len(seen)} of the {len(kept)} subjects that this run keeps for validation "
            "and test; take that run's --seed and --fold"
        )
    return start


def start_record(start: Checkpoint, path: str) -> StartRecord:
    """Record of the checkpoint that a run was fine-tuned from."""
    t = start.training
    return StartRecord(t.step, t.minutes, t.command, sanitize(Path(path).name), start.digest, t.start)


def as_checkpoint(
    method: Trainable,
    config: TrainConfig,
    data: TrainingData,
    start: StartRecord | None,
    step: int,
    validation: EvaluationResult,
    seconds: float,
) -> Checkpoint:
    """Networks with the metadata of their run."""
    device = next(iter(method.networks.parameters())).device.type
    training = TrainingRecord(
        data=data.source.name,
        data_licence=data.source.licence,
        registered=data.source.registered,
        annotated_target_subjects=data.annotated,
        start=start,
        split=SplitRecord(**data.split),
        target=data.train.modalities[data.target],
        step=step,
        minutes=round(seconds / 60, 1),
        machine=f"{rank_and_size()[1]} process(es), {torch.get_num_threads()} CPU threads each, {device}",
        configuration=_public(config),
        validation=validation,
        command=training_command(config),
        patients=dict(data.source.patients) or None,
        warnings=tuple(sanitize(warning.partition(":")[0]) for warning in data.warnings) or None,
    )
    colours = drawing.class_colours(len(data.train.classes))
    return Checkpoint(method.networks, data.train.preparation, colours, training, method_name=config.model.method)


def _public(config: TrainConfig) -> dict[str, Any]:
    """Every option without local paths; tuples as lists, as in JSON."""
    files = {"start": Path(config.model.start).name, "splits": Path(config.data.splits).name}
    options = config.flat() | {"data": public_name(config.data.source)} | files
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


def training_command(config: TrainConfig) -> str:
    """The command that gives this configuration, without local paths; the command line has a recipe of its own."""
    same = {"recipe": config.schedule.recipe, "method": config.model.method}
    arguments, public, defaults = [], _public(config), _public(TrainConfig.of(**same))
    defaults |= {"recipe": STANDARD_RECIPE, "method": NetworkConfig().method}
    always = {"data", "decoder"} - meaningless(config.model.method)
    for name in config.options():
        value = public[name]
        if name in always or value != defaults[name]:
            arguments += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else (value,))]
    return f"python train.py {shlex.join(arguments)}"


def write_checkpoint(checkpoint: Checkpoint, path: Path, *, half: bool = False) -> None:
    """A checkpoint and its card."""
    save(checkpoint, path, half=half)
    atomic_write(path.with_suffix(".md"), card(checkpoint, path.name).encode())


def export(source: Path, target: Path, specs: dict[str, str]) -> None:
    """Round weights and statistics to float16, evaluate on subjects never trained on, and write checkpoint and card.

    Where the data's folds have no test part, these are the validation subjects, and the card says so.

    Args:
        specs: data to evaluate on, by title.
    """
    checkpoint = load(source)
    for tensor in checkpoint.model.state_dict().values():  # batch normalisation's statistics are stored too
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())
    metrics = {
        title: evaluate_checkpoint(checkpoint, spec, split=judged_part(checkpoint, spec)).with_subjects()
        for title, spec in specs.items()
    }
    metrics = {title: replace(result, data=public_name(result.data)) for title, result in metrics.items()}
    write_checkpoint(replace(checkpoint, metrics=metrics), target, half=True)


def check_export(target: Path, force: bool) -> None:
    """Check before hours of training that the export can be written.

    Raises:
        ValueError, OSError: a wrong suffix, an existing file without `force`, or no permission.
    """
    if target.suffix != ".safetensors":
        raise ValueError(f"--export is {target}; expected a name that ends in .safetensors")
    for path in (target, target.with_suffix(".md")):
        check_writable(path)
    if target.exists() and not force:
        raise FileExistsError(f"{target} exists; add --force to replace it, or choose another name")

"""Checkpoints of a run: their facts, the one that it begins with, and the one that it gives to others."""

from __future__ import annotations

from dataclasses import MISSING, replace
from pathlib import Path
from typing import Any

import torch

from dafnet_core import drawing
from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import Checkpoint, load, save
from dafnet_core.checkpoints.schema import SplitRecord, StartRecord, TrainingRecord
from dafnet_core.config import sanitize
from dafnet_core.data.sources import TrainingData, public_name
from dafnet_core.evaluate import evaluate
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.files import atomic_write, check_writable
from dafnet_core.methods.base import Trainable
from dafnet_core.parallel import rank_and_size
from dafnet_core.training.config import TrainConfig


def load_start(config: TrainConfig, data: TrainingData) -> Checkpoint | None:
    """The checkpoint that a run begins with.

    Raises:
        CheckpointError: it cannot be read.
        ValueError: it has other networks, or was trained on subjects that this run keeps for validation or test.
    """
    path = config.model.start
    if not path:
        return None
    found = load(path)
    if found.method_name != config.model.method:
        raise ValueError(f"{path} is of the method {found.method_name}, this run of {config.model.method}")
    wanted = config.networks(data.train.modalities, data.train.classes)
    has, wants = (c.to_dict() for c in (found.config, wanted))
    if other := [name for name in wants if has[name] != wants[name]]:
        raise ValueError(
            f"{path} has {other[0]} {has[other[0]]}, this run {wants[other[0]]}; begin with a checkpoint of "
            "the same networks, or change the options"
        )
    kept = {name for part, names in data.split.items() if part != "train" for name in names}
    seen = kept & set(found.training.split.train)
    if seen and found.training.data == data.source.name:
        raise ValueError(
            f"{path} was trained on {len(seen)} of the {len(kept)} subjects that this run keeps for validation "
            "and test; take that run's --seed and --fold"
        )
    return found


def start_record(start: Checkpoint, path: str) -> StartRecord:
    """What a run says of the checkpoint that it began with."""
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
    """Networks with the facts of their run."""
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
        command=f"python train.py {' '.join(_arguments(config))}",
    )
    colours = drawing.class_colours(len(data.train.classes))
    return Checkpoint(method.networks, data.train.preparation, colours, training, method_name=config.model.method)


def _public(config: TrainConfig) -> dict[str, Any]:
    """Every option without a path of this machine; lists as JSON has them."""
    found = config.flat() | {"data": public_name(config.data.source), "start": Path(config.model.start).name}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


def _arguments(config: TrainConfig) -> list[str]:
    """The options that give this configuration."""
    found, public = [], _public(config)
    for name, (_, f) in config.options().items():
        default = list(f.default) if isinstance(f.default, tuple) else None if f.default is MISSING else f.default
        value = public[name]
        if value != default or name in ("data", "decoder"):
            found += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else (value,))]
    return found


def write_checkpoint(checkpoint: Checkpoint, path: Path, *, half: bool = False) -> None:
    """A checkpoint and its card."""
    save(checkpoint, path, half=half)
    atomic_write(path.with_suffix(".md"), card(checkpoint, path.name).encode())


def export(source: Path, target: Path, specs: dict[str, str]) -> None:
    """Round to float16, judge what was rounded on subjects never trained on, write it with its card.

    Args:
        specs: what to judge it on, by title.
    """
    checkpoint = load(source)
    for p in checkpoint.model.parameters():
        p.data = p.data.half().float()
    metrics = {title: evaluate(checkpoint, spec) for title, spec in specs.items()}
    metrics = {title: replace(found, data=public_name(found.data)) for title, found in metrics.items()}
    write_checkpoint(replace(checkpoint, metrics=metrics), target, half=True)


def check_export(target: Path, force: bool) -> None:
    """Refuse before hours of training what could not be written after them.

    Raises:
        ValueError, OSError: saying why.
    """
    if target.suffix != ".safetensors":
        raise ValueError(f"--export is {target}; expected a name that ends in .safetensors")
    for path in (target, target.with_suffix(".md")):
        check_writable(path)
    if target.exists() and not force:
        raise FileExistsError(f"{target} exists; add --force to replace it, or choose another name")

"""One cell of the paper's tables: a training, or a method without one, judged on the test subjects."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dafnet_core.checkpoints.file import load
from dafnet_core.data.sources import evaluation_data, public_name, training_data
from dafnet_core.evaluate import evaluate_checkpoint, judged_part
from dafnet_core.evaluation.base import ScoredSlice
from dafnet_core.evaluation.run import Evaluation, evaluate_method
from dafnet_core.files import check_writable
from dafnet_core.methods import METHODS, trainable
from dafnet_core.metrics.segmentation import number
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.export import training_command
from dafnet_core.training.loop import train
from dafnet_core.training.run_folder import configured
from dafnet_core.training.step import NotFiniteError, pick_device
from experiments.masks import save_masks
from experiments.protocol import PROTOCOLS, Setting, slug
from experiments.record import Record

OF_ONE_MODALITY = ("unet-single", "sdnet-single")  # which need masks of their target
BY_SUBJECT = {"dice": "dice_mean", "dice_volume": "dice_volume", "hd95_mm": "hd95_mm", "assd_mm": "assd_mm"}
NOT_APPLICABLE = "n/a"  # how the failure of a method begins that cannot be trained by its nature


def has_target(method: str) -> bool:
    """Whether a method's networks are made for one modality; the others serve all of them."""
    if method not in trainable():
        return False
    return bool(METHODS[method].configure("compact", ("a", "b"), ("none", "some"), target="a").target)


@dataclass(frozen=True)
class Cell:
    """What determines a training, and so the name of its result; fields as in Record."""

    method: str
    variant: str
    target: str
    annotations: float
    fold: int
    seed: int

    @classmethod
    def of(cls, method: str, variant: str, target: str, annotations: float, fold: int, seed: int, last: str) -> Cell:
        """The cell that holds these numbers; `last` is the data's last modality.

        With all annotations, methods that serve all modalities are trained once and not for each target; those without
        training do not depend on annotations either.
        """
        annotations = annotations if method in trainable() else 1.0
        target = target if annotations < 1 or has_target(method) else last
        return cls(method, variant, target, annotations, fold, seed)

    @property
    def name(self) -> str:
        """Of its files, such as dafnet-paper_T2_12.5_f0_s0."""
        of_method = "-".join(filter(None, (self.method, self.variant)))
        asked = [slug(self.target), f"{100 * self.annotations:g}"] if self.method in trainable() else []
        return "_".join([of_method, *asked, f"f{self.fold}", f"s{self.seed}"])

    def options(self, setting: Setting) -> dict[str, Any]:
        """Options of train.py."""
        return setting.options(self.method, self.variant, self.target, self.annotations, self.fold, self.seed)

    def run(self, setting: Setting) -> Path:
        """Folder of its training."""
        return setting.runs_folder / self.name

    def masks(self, setting: Setting) -> Path:
        """File of its masks of all test slices."""
        return setting.runs_folder / f"{self.name}.masks.npz"


def make(cell: Cell, setting: Setting) -> Record:
    """Train and judge a cell, or go on where it was interrupted, and write masks and record.

    Raises:
        ValueError, OSError: files that cannot be read or written, a missing package, or an interrupted training with
            other options. Nothing is recorded then.
    """
    check_writable(setting.results_folder / f"{cell.name}.json")
    record = Record(cell.name, data=setting.public_name, protocol=setting.protocol, **vars(cell))
    if cell.method in OF_ONE_MODALITY and not cell.annotations:
        title = METHODS[cell.method].title
        why = f"{NOT_APPLICABLE}: {title} learns from {cell.target} alone, of which nothing is annotated"
        record = replace(record, failure=why)
    else:
        judge = _judged_training if cell.method in trainable() else _judged_untrained
        try:
            record = judge(cell, setting, record)
        except NotFiniteError as error:
            record = replace(record, failure=f"diverged: {str(error).partition(';')[0]}")
    record.write(setting.results_folder)
    return record


def command_of(cell: Cell, setting: Setting) -> str:
    """The training's command as its checkpoint states it, but for the device."""
    return _without_machine(training_command(TrainConfig.of(**cell.options(setting))))


def differs(record: Record, cell: Cell, setting: Setting) -> bool:
    """Whether a cell was trained by other options than it would be now."""
    return record.command is not None and _without_machine(record.command) != command_of(cell, setting)


def _without_machine(command: str) -> str:
    return re.sub(r" --(device|precision|channels-last|compile|workers) \S+", "", command)


def _judged_training(cell: Cell, setting: Setting, record: Record) -> Record:
    """Train what is missing, and judge the best checkpoint; errors as in `make`, and NotFiniteError."""
    run, options = cell.run(setting), cell.options(setting)
    train(configured(options, run, resume=(run / "config.json").exists()), run)
    checkpoint, last = load(run / "best.safetensors"), load(run / "last.safetensors")
    masks = Masks(checkpoint.config.modalities)
    evaluation = evaluate_checkpoint(
        checkpoint,
        setting.judged,
        split=judged_part(checkpoint, setting.judged),
        statistics=PROTOCOLS[setting.protocol].statistics,
        each=masks.add,
    )
    masks.write(cell.masks(setting))
    training = checkpoint.training
    return replace(
        _with_numbers(record, evaluation, checkpoint.method),
        command=training.command,
        minutes=last.training.minutes,
        step=training.step,
        parameters=sum(p.numel() for p in checkpoint.model.parameters()),
        digest=checkpoint.digest,
        machine=f"{training.machine}, {_processor(pick_device(setting.device))}",
    )


def _judged_untrained(cell: Cell, setting: Setting, record: Record) -> Record:
    """Judge a method without training on the split, grid and pairing of the others, tuned on its training subjects."""
    config = TrainConfig.of(**cell.options(setting))
    data = training_data(config.data, config.schedule.seed)
    kind = METHODS[cell.method]
    make_method = getattr(kind, "tuned", lambda examples: kind(examples.modalities, examples.classes))
    parts = {name: part for part, names in data.split.items() for name in names}
    source, slices = evaluation_data(
        setting.judged,
        "test" if data.source.built_in or data.split["test"] else "val",
        modalities=data.source.modalities,
        preparation=data.train.preparation,
        pairing=config.data.pairing,
        seen=parts,
        patients=data.source.patients,
    )
    method, masks = make_method(data.train), Masks(slices.modalities)
    evaluation = evaluate_method(method, slices, each=masks.add)
    masks.write(cell.masks(setting))
    named = replace(evaluation.result, data=setting.judged, version=dict(source.version))
    return replace(
        _with_numbers(record, replace(evaluation, result=named), method), machine=_processor(torch.device("cpu"))
    )


def _processor(device: torch.device) -> str:
    """The name of what computes."""
    from benchmarks.machine import machine  # here: the installed app reads records and has no benchmarks

    return torch.cuda.get_device_name(device) if device.type == "cuda" else machine()


def _with_numbers(record: Record, evaluation: Evaluation, method: Any) -> Record:
    """A record with the numbers of an evaluation."""
    result = replace(evaluation.result, data=public_name(evaluation.result.data))
    numbers: dict[str, Any] = {}
    for modality in method.modalities:
        for kind in method.kinds:
            path = f"copy.{modality}" if kind == "copy" else f"segmentation.{modality}.{kind}"
            distances = f"surface.{modality}.{kind}"
            paths = {n: f"{distances if n.endswith('_mm') else path}.{key}" for n, key in BY_SUBJECT.items()}
            known = {name: evaluation.by_subject.get(where) for name, where in paths.items()}
            found = {n: tuple(number(v) for v in values) for n, values in known.items() if values is not None}
            if found:
                numbers.setdefault(modality, {})[kind] = found
    return replace(
        record,
        subjects=evaluation.subjects,
        numbers=numbers,
        evaluation=result.to_json(),
        version={"python": platform.python_version(), "torch": torch.__version__, **result.version},
    )


class Masks:
    """Labels of every test slice, each modality's own slices once.

    Attributes:
        labels: (H, W) uint8 by SUBJECT|POSITION|MODALITY|KIND; the position is that of the slice in its modality.
    """

    def __init__(self, modalities: tuple[str, ...]) -> None:
        self.modalities = modalities
        self.labels: dict[str, np.ndarray] = {}

    def add(self, seen: ScoredSlice) -> None:
        """Keep the masks of a slice; of several sources' masks of one kind the first."""
        for kind, i, _, labels in seen.estimate.masks:
            if i in seen.own:
                key = f"{seen.subject}|{seen.slices[i]}|{self.modalities[i]}|{kind}"
                self.labels.setdefault(key, labels.astype(np.uint8))

    def write(self, path: Path) -> None:
        """Write all as .npz."""
        save_masks(path, self.labels)

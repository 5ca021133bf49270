"""The training loop: step, log, validate, keep the best. Process 0 evaluates and writes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from dafnet_core.checkpoints.file import check_maps
from dafnet_core.checkpoints.schema import StartRecord
from dafnet_core.data.cache import cache_folder, described
from dafnet_core.data.config import INTENSITIES
from dafnet_core.data.dataset import Augmentation
from dafnet_core.data.loading import BatchSource, Steps, batches
from dafnet_core.data.pools import PooledImages
from dafnet_core.data.sources import TrainingData, training_data
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.evaluation.run import evaluate_method
from dafnet_core.files import atomic_write
from dafnet_core.methods import METHODS
from dafnet_core.parallel import rank_and_size, summed
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.export import as_checkpoint, load_start, start_record, write_checkpoint
from dafnet_core.training.log import Log, TensorBoardLog, epoch_means, validation_row
from dafnet_core.training.preview import contact_sheet
from dafnet_core.training.run_folder import check_same_subjects, prepare_folder, restore, save_state
from dafnet_core.training.step import (
    NotFiniteError,
    TrainState,
    noise_of_step,
    pick_device,
    recompute_statistics,
    train_step,
)
from dafnet_core.training.warnings import training_warnings
from dafnet_core.typed_json import from_json, to_json
from dafnet_core.types import Batch

SHOWN = ("sup", "rec", "kl", "grad_norm")  # terms shown in the progress bar
STATISTICS_BATCHES = 20  # that batch normalisation of averaged weights is recomputed from


def train(config: TrainConfig, run: Path, *, evaluated_after: bool = False) -> dict[str, str]:
    """Train, or resume if the run's folder holds a state or only a configuration.

    Args:
        evaluated_after: whether the result will be evaluated and exported.

    Returns:
        Data to evaluate an exported checkpoint on: specs by title.

    Raises:
        ValueError: the data do not fit the configuration.
        NotFiniteError: training diverged; the last good state stays.
    """
    torch.set_flush_denormal(True)  # Adam's moments of idle weights fade into denormals, which are slow on CPU
    size = rank_and_size()[1]
    if config.schedule.batch_size % size:
        raise ValueError(f"batch_size is {config.schedule.batch_size}; expected a multiple of the {size} processes")
    device = pick_device(config.machine.device)
    weights = config.final_weights
    data = training_data(
        config.data, config.schedule.seed, warp_supervised=bool(config.losses.warp), agreeing=bool(weights.agree)
    )
    check_maps(config.networks(data.train.modalities, data.train.classes), data.train.preparation)
    specs = data.source.evaluation_specs(data.split)
    if evaluated_after and not specs:
        raise ValueError(
            f"{config.data.source} has no subjects to evaluate an exported checkpoint on; leave --export out"
        )
    if rank_and_size()[0] == 0:
        for warning in data.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        for note in data.notes:
            print(f"note: {note}", file=sys.stderr)
        for chosen, options in config.in_words().items():
            print(f"{chosen}: {options}")
    if (run / "split.json").exists():
        check_same_subjects(run / "split.json", data.split)
    _Run.begin(config, run, data, device).finish()
    return specs


@dataclass
class _Run:
    """A run between its first step and its last.

    Attributes:
        asked: the configuration as it was given; config: with epochs as steps.
        best, waited: the best volume Dice of a validation, and validations since then.
        seconds: spent before this process.
        good: step of the state on disk, None for none.
        learnt_from: pairs of training slices, or single images of them.
    """

    asked: TrainConfig
    folder: Path
    data: TrainingData
    state: TrainState
    config: TrainConfig
    start: StartRecord | None = None
    best: float = -1.0
    waited: int = 0
    seconds: float = 0.0
    good: int | None = None
    rank: int = field(default_factory=lambda: rank_and_size()[0])
    started: float = field(default_factory=time.monotonic)
    learnt_from: BatchSource = field(init=False)

    def __post_init__(self) -> None:
        train, pools = self.data.train, self.state.method.pools
        self.learnt_from = train if pools is None else PooledImages(train, pools)

    @classmethod
    def begin(cls, asked: TrainConfig, folder: Path, data: TrainingData, device: torch.device) -> _Run:
        """A new run, or one resumed from its state."""
        epoch = max(len(data.train) // asked.schedule.batch_size, 1)
        config = replace(asked, schedule=asked.schedule.for_epochs_of(epoch))
        kept = folder / "state.pt"
        resuming = kept.exists()
        start = None if resuming else load_start(config, data)
        networks = config.networks(data.train.modalities, data.train.classes)
        state = TrainState.create(networks, config, device, start.model if start else None)
        run = cls(asked, folder, data, state, config)
        if start:
            run.start = start_record(start, config.model.start)
        if resuming:
            facts = restore(state, kept)
            run.best, run.waited, run.seconds = facts["best"], facts["waited"], facts["seconds"]
            run.start = facts["start"] and from_json(StartRecord, facts["start"], f"{kept}: start")
            run.good = state.step
        if run.rank == 0:
            prepare_folder(folder, asked, data.split)
            run._open_logs()
        return run

    def _open_logs(self) -> None:
        self.log = Log(self.folder / "log.csv", self.state.step)
        self.validations = Log(self.folder / "validation.csv", self.state.step)
        self.board = TensorBoardLog(self.folder)
        batch, slices = self.config.schedule.batch_size, len(self.data.train)
        if not self.data.source.built_in:
            tqdm.write(described(cache_folder()))
        if batch > slices:
            tqdm.write(f"warning: batch_size is {batch}, but there are {slices} slices: every batch repeats some")

    @property
    def stopping(self) -> bool:
        return 0 < self.config.schedule.patience <= self.waited

    @property
    def steps(self) -> Steps:
        """This process's parts of all batches."""
        c = self.config
        copy = INTENSITIES[c.data.copy_intensity] if c.final_weights.invariance else None
        augmentation = Augmentation(c.data.rotation, c.data.warp, INTENSITIES[c.data.intensity], copy)
        return Steps(self.learnt_from, c.schedule.batch_size, c.schedule.seed, augmentation, rank_and_size())

    def finish(self) -> None:
        """Take all remaining steps, or stop early by patience."""
        schedule, state, stop = self.config.schedule, self.state, self.stopping
        quiet = None if self.rank == 0 else True
        machine, on_cuda = self.config.machine, state.device.type == "cuda"
        coming = batches(self.steps, state.step, schedule.steps, workers=machine.workers, pin=on_cuda)
        with tqdm(total=schedule.steps, initial=state.step, unit="step", disable=quiet) as bar, coming as batch:
            while state.step < schedule.steps and not stop:
                step = state.step + 1
                validating = step % schedule.validate_every == 0 or step == schedule.steps
                saving = validating or step % schedule.save_every == 0
                self._step(bar, next(batch), saving)
                if validating:
                    self._validate(bar)
                    stop = bool(summed(torch.tensor(float(self.stopping), device=state.device)))
                if self.rank == 0 and saving:
                    self._save()
            if stop:
                waited = f"no better volume Dice in {schedule.patience} validations"
                bar.write(f"step {state.step}: {waited}; stopped")

    def _step(self, bar: tqdm, batch: Batch, saving: bool) -> None:
        state, batch_size = self.state, self.config.schedule.batch_size
        epoch = self.data.train.epoch_of(state.step, batch_size)
        try:
            noise = noise_of_step(self.config, state.step, state.method, rank_and_size()).to(state.device)
            scalars = train_step(state, batch.to(state.device), noise, self.config)
            if saving:
                check_weights(state)
        except NotFiniteError as error:
            kept = f"{self.folder / 'state.pt'} holds the last good state, of step {self.good}"
            where = "no state was saved yet" if self.good is None else kept
            raise NotFiniteError(f"{error}; {where}") from None
        if self.rank != 0:
            return
        self.log.add({"step": state.step - 1, "epoch": epoch, **scalars})
        self.board.add(scalars, state.step)
        bar.update()
        bar.set_postfix({k: f"{scalars[k]:.3f}" for k in SHOWN if k in scalars}, refresh=False)
        last = state.step == self.config.schedule.steps
        if last or self.data.train.epoch_of(state.step, batch_size) > epoch:
            atomic_write(self.folder / "epochs.csv", epoch_means(self.log.rows).encode())

    def _validate(self, bar: tqdm) -> None:
        """Evaluate the averaged weights on the validation subjects, save the best, and report warnings."""
        state, config, val = self.state, self.config, self.data.val
        method = METHODS[config.model.method].of(state.average.module.eval())
        recompute_statistics(method, (self.steps[n].to(state.device) for n in range(STATISTICS_BATCHES)))
        if self.rank != 0:
            return
        result = replace(evaluate_method(method, val, statistics=False).result, split="val")
        row = validation_row(result, state.step - 1)
        self.validations.add(row)
        self.board.add({f"validation/{k}": v for k, v in row.items()}, state.step)
        shown = [len(val) // 4, (3 * len(val)) // 4]
        atomic_write(self.folder / "sheets" / f"{state.step:06d}.png", contact_sheet(method, val, shown))
        of = f"{method.kinds[-1]} masks of {result.n_subjects} subjects"
        bar.write(f"step {state.step}: volume Dice {row['fused_dice']:.4f} of {of}")
        for warning in training_warnings(result, self.log.rows[-config.schedule.validate_every :], config):
            bar.write(f"step {state.step}: warning: {warning}")
        self._keep(method, result, row["fused_dice"])

    def _keep(self, method: Any, result: EvaluationResult, dice: float) -> None:
        spent = self.seconds + time.monotonic() - self.started
        checkpoint = as_checkpoint(method, self.asked, self.data, self.start, self.state.step, result, spent)
        write_checkpoint(checkpoint, self.folder / "last.safetensors")
        self.waited += 1
        if dice > self.best:
            self.best, self.waited = dice, 0
            write_checkpoint(checkpoint, self.folder / "best.safetensors")

    def _save(self) -> None:
        spent = self.seconds + time.monotonic() - self.started
        start = self.start and to_json(self.start)
        save_state(self.state, self.folder, best=self.best, waited=self.waited, start=start, seconds=spent)
        self.good = self.state.step


def check_weights(state: TrainState) -> None:
    """Raises NotFiniteError if a weight is NaN or infinite, so that such a state is never saved."""
    for name in ("model", "critics", "average"):
        weights: list[Tensor] = list(getattr(state, name).parameters())
        if not nn.utils.get_total_norm(weights).isfinite():
            raise NotFiniteError(f"step {state.step - 1}: weights of the {name} are not finite after it")

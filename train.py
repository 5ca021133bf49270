"""Train a DAFNet: python train.py --data phantom --decoder film --out RUN

Everything is written inside RUN: config.json, split.json, log.csv (every term of every step), epochs.csv (their
means), validation.csv, sheets/, state.pt (to go on with --resume), best.safetensors and last.safetensors with their
cards (.md). --export writes the best checkpoint where the app finds it, and measures it on subjects that judge.

Several processes: torchrun --nproc-per-node N train.py ...; each takes its part of every batch.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import time
from collections import defaultdict
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed as dist
from tqdm import tqdm

from dafnet_core.card import card
from dafnet_core.checkpoint import Checkpoint, CheckpointError, load, save, write_aside
from dafnet_core.config import JUDGING_SEED, ModelConfig, TrainConfig
from dafnet_core.data import phantom
from dafnet_core.data.datasets import Augmentation, Slices, collate
from dafnet_core.data.sources import TrainingData, training_data
from dafnet_core.engine import (
    NotFiniteError,
    TrainState,
    noise_of_step,
    pick_device,
    recompute_statistics,
    train_step,
)
from dafnet_core.evaluate import evaluate, judge
from dafnet_core.model import DAFNet
from dafnet_core.parallel import rank_and_size, summed
from explorer import sheets

SHOWN = ("sup", "rec", "kl", "grad_norm")  # terms beside the progress bar
STATISTICS_BATCHES = 20  # that batch normalisation of averaged weights is recomputed from


def parser() -> argparse.ArgumentParser:
    """The command line: one option a field of TrainConfig, and where to write."""
    result = argparse.ArgumentParser(
        prog="train.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for f in fields(TrainConfig):
        several = isinstance(f.default, tuple)
        shown = "none" if f.default in ((), "") else f.default
        result.add_argument(
            f"--{f.name.replace('_', '-')}", type=str if several else type(f.default), default=f.default,
            choices=f.metadata["choices"], help=f"{f.metadata['help']} (default: {shown})",
            **({"nargs": "+", "metavar": "NAME"} if several else {}),
        )  # fmt: skip
    result.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of this run, new or empty")
    result.add_argument("--resume", action="store_true", help="go on with the run in --out, with its own configuration")
    result.add_argument("--export", type=Path, metavar="FILE", help="write the best checkpoint there when done (fp16)")
    result.add_argument("--force", action="store_true", help="let --export replace a file")
    return result


def model_config(config: TrainConfig, data: Slices) -> ModelConfig:
    """The networks for a run's data."""
    make = ModelConfig.compact if config.model == "compact" else ModelConfig.published
    return make(
        data.modalities, data.classes, decoder=config.decoder, channels=config.channels, z_dim=config.z_dim,
        candidates=config.candidates, align="off" if "aligner" in config.without else "on",
    )  # fmt: skip


class Log:
    """A CSV of numbers by step; on resuming, rows of steps that will be done again are dropped."""

    def __init__(self, path: Path, before: int) -> None:
        self.path, self.rows = path, []
        if path.exists():
            with open(path, newline="") as old:
                self.rows = [row for row in csv.DictReader(old) if int(row["step"]) < before]
        self.names: list[str] = []
        self._rewrite()

    def add(self, row: dict[str, Any]) -> None:
        row = {k: "" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for k, v in row.items()}
        self.rows.append(row)
        if set(row) - set(self.names):
            self._rewrite()  # a term that was not there before, such as adversarial ones: a new column
        else:
            with open(self.path, "a", newline="") as file:
                csv.DictWriter(file, self.names).writerow(row)

    def _rewrite(self) -> None:
        self.names = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, self.names)
        writer.writeheader()
        writer.writerows(self.rows)
        write_aside(self.path, text.getvalue().encode())


def epoch_means(rows: list[dict[str, str]]) -> str:
    """Mean of every term over each epoch, as CSV; with candidates also the pair weights (Fig. 6)."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    names = [n for n in dict.fromkeys(n for row in rows for n in row) if n not in ("step", "epoch")]
    for row in rows:
        for name in names:
            if row.get(name):
                values[row["epoch"]][name].append(float(row[name]))
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", *names])
    writer.writeheader()
    for epoch, found in values.items():
        writer.writerow({"epoch": epoch} | {n: f"{np.mean(v):.6g}" for n, v in found.items()})
    return text.getvalue()


class Board:
    """TensorBoard's event files, where tensorboard is installed; nothing where it is not."""

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.writer = None
        else:
            self.writer = SummaryWriter(str(run / "tensorboard"))

    def add(self, row: dict[str, Any], step: int) -> None:
        for name, value in row.items() if self.writer else ():
            if isinstance(value, float):
                self.writer.add_scalar(name, value, step)


def contact_sheet(model: DAFNet, data: Slices, indices: list[int]) -> bytes:
    """Images, anatomies, masks and reconstructions of a few validation slices."""
    colours = sheets.class_colours(len(data.classes))
    device = next(model.parameters()).device
    rows, names = [], []
    for index in indices:
        sample = data[index]
        images = collate([sample]).images.to(device)
        found = model.predict(images)
        made = model.reconstruct(found, images)
        for i, name in enumerate(data.modalities):
            picture = sheets.grey(sample.images[i, 0])
            anatomy = found.s[i, 0, 0].argmax(0).cpu().numpy()
            tiles = [
                sheets.Tile(picture, "image"),
                sheets.Tile(sheets.coloured(anatomy, 0, len(found.s[i, 0, 0])), "anatomy"),
            ]
            for title, mask in (("single", found.single), ("fused", found.fused_masks)):
                labels = mask[i, 0].argmax(0).cpu().numpy()
                tiles.append(sheets.Tile(sheets.overlay(picture, labels, colours), title))
            tiles.append(sheets.Tile(sheets.overlay(picture, sample.masks[i], colours), "truth"))
            tiles.append(sheets.Tile(sheets.grey(made.own[i, 0].cpu().numpy()), "g(s, z)"))
            cross = next(p for p, (fixed, _) in enumerate(found.pairs) if fixed == i)
            tiles.append(sheets.Tile(sheets.grey(made.cross[cross, 0, 0].cpu().numpy()), "crosswise"))
            rows.append(tiles)
            names.append(name)
    return sheets.png(sheets.sheet(rows, names))


def fused_dice(found: dict) -> float:
    """What the best checkpoint is chosen by: mean fused Dice over the modalities that validation has masks of."""
    known = [m["fused"]["dice_mean"] for m in found["segmentation"].values() if m["fused"]["dice_mean"] is not None]
    return float(np.mean(known)) if known else 0.0


def validation_row(found: dict, step: int) -> dict[str, Any]:
    """A row of validation.csv."""
    row: dict[str, Any] = {"step": step, "fused_dice": fused_dice(found)}
    for name, kinds in found["segmentation"].items():
        row |= {f"{name}_{kind}": value["dice_mean"] for kind, value in kinds.items()}
    row |= found["registration"] | {f"kl_{d}": v for d, v in enumerate(found["kl_per_dimension"])}
    for name, shares in found["channel_occupancy"].items():
        row |= {f"{name}_channel_{c}": share for c, share in enumerate(shares)}
    return row


def complaints(found: dict, recent: list[dict[str, str]], config: TrainConfig) -> list[str]:
    """What looks sick in a validation and in the steps since the last one, in words."""
    said = []
    if max(found["kl_per_dimension"]) < 0.1:
        said.append(
            f"z is nearly empty: its largest KL is {max(found['kl_per_dimension']):.3f} nats (posterior collapse); "
            "a smaller --w-kl or a longer --kl-ramp may help"
        )
    for name, shares in found["channel_occupancy"].items():
        dead = [c for c, share in enumerate(shares) if share < 1e-4]
        if len(dead) > len(shares) // 2:
            said.append(f"{name}: {len(dead)} of {len(shares)} anatomy channels are empty")
    before, after = (found["registration"][k] for k in ("error_before_px", "error_after_px"))
    if "aligner" not in config.without:
        if before is not None and after > 1.05 * before:
            said.append(f"the aligner makes things worse: {after:.2f} pixels of error, {before:.2f} without it")
        shifts = [float(row["shift"]) for row in recent if row.get("shift")]
        if shifts and np.mean(shifts) < 1e-3:
            said.append("the aligner hardly moves: control points shift by less than a thousandth of the image")
    norms = [float(row["grad_norm"]) for row in recent if row.get("grad_norm")]
    if len(norms) >= 20 and np.mean([n > config.clip for n in norms]) > 0.9:
        said.append(f"gradients are clipped in nearly every step (median norm {np.median(norms):.1f}); lower --lr?")
    return said


def as_checkpoint(
    model: DAFNet, config: TrainConfig, data: TrainingData, step: int, validation: dict, seconds: float
) -> Checkpoint:
    training = data.facts | {
        "split": data.split,
        "target": data.train.modalities[data.target],
        "step": step,
        "minutes": round(seconds / 60, 1),
        "machine": f"{rank_and_size()[1]} process(es), {torch.get_num_threads()} CPU threads each, "
        f"{next(model.parameters()).device.type}",
        "configuration": config.to_dict() | {"data": _public_name(config.data)},
        "validation": validation,
        "command": f"python train.py {' '.join(_arguments(config))}",
    }
    return Checkpoint(model, data.train.preparation, sheets.class_colours(len(data.train.classes)), training)


def _public_name(data: str) -> str:
    """What a run was trained on without a path of this machine, which has no business in what is shared."""
    kind = data.partition(":")[0]
    return data if kind == "phantom" else f"{kind}:FOLDER" if kind.startswith("chaos") else "FOLDER"


def _arguments(config: TrainConfig) -> list[str]:
    """The options that give this configuration."""
    found = []
    for f in fields(config):
        value = getattr(config, f.name)
        if value != f.default or f.name in ("data", "decoder"):
            value = _public_name(value) if f.name == "data" else value
            found += [f"--{f.name.replace('_', '-')}", *map(str, value if isinstance(value, tuple) else (value,))]
    return found


def write_checkpoint(checkpoint: Checkpoint, path: Path, *, half: bool = False) -> None:
    save(checkpoint, path, half=half)
    write_aside(path.with_suffix(".md"), card(checkpoint, path.name).encode())


def save_state(state: TrainState, run: Path, **facts: Any) -> None:
    buffer = io.BytesIO()
    torch.save({"train": state.state_dict(), **facts}, buffer)
    write_aside(run / "state.pt", buffer.getvalue())


def train(config: TrainConfig, run: Path, resume: bool) -> None:
    """The loop: step, log, validate, keep the best. Process 0 judges and writes."""
    torch.set_flush_denormal(True)  # Adam's moments of idle weights fade into denormals, which are slow on CPU
    rank, size = rank_and_size()
    if config.batch_size % size:
        raise ValueError(f"batch_size is {config.batch_size}; expected a multiple of the {size} processes")
    device = pick_device(config.device)
    data = training_data(config)
    state = TrainState.create(model_config(config, data.train), config, device)
    facts = {"best": -1.0, "waited": 0, "seconds": 0.0}
    if resume:
        saved = torch.load(run / "state.pt", weights_only=True, map_location=device)
        state.load_state_dict(saved.pop("train"))
        facts = saved
    started = time.monotonic() - facts["seconds"]
    if rank == 0:
        log, judged, board = Log(run / "log.csv", state.step), Log(run / "validation.csv", state.step), Board(run)
        if not resume:
            write_aside(run / "split.json", json.dumps(data.split, indent=1).encode())
            write_aside(run / "config.json", json.dumps(config.to_dict(), indent=1).encode())
    how, part = Augmentation(config.rotation, config.warp), (rank, size)
    shape = len(data.train.modalities), config.z_dim
    bar = tqdm(total=config.steps, initial=state.step, unit="step", disable=None if rank == 0 else True)

    def at(step: int) -> tuple[Any, Any]:
        batch = data.train.batch_at(step, config.batch_size, config.seed, how=how, part=part)
        return batch.to(device), noise_of_step(config, step, *shape, part).to(device)

    while state.step < config.steps:
        epoch = data.train.epoch_of(state.step, config.batch_size)
        try:
            found = train_step(state, *at(state.step), config)
        except NotFiniteError as error:
            saved = (run / "state.pt").exists()
            good = f"{run / 'state.pt'} holds the last good state" if saved else "no state was saved yet"
            raise NotFiniteError(f"{error}; {good}") from None
        last = state.step == config.steps
        if rank == 0:
            log.add({"step": state.step - 1, "epoch": epoch, **found})
            board.add(found, state.step)
            bar.update()
            bar.set_postfix({k: f"{found[k]:.3f}" for k in SHOWN}, refresh=False)
            if last or data.train.epoch_of(state.step, config.batch_size) > epoch:
                write_aside(run / "epochs.csv", epoch_means(log.rows).encode())
        stop = False
        if state.step % config.validate_every == 0 or last:
            model = state.average.module.eval()
            recompute_statistics(model, (at(n)[0] for n in range(STATISTICS_BATCHES)))
            if rank == 0:
                numbers = judge(model, data.val, statistics=False).found
                row = validation_row(numbers, state.step - 1)
                recent = log.rows[-(config.validate_every) :]
                judged.add(row)
                board.add({f"validation/{k}": v for k, v in row.items()}, state.step)
                some = [len(data.val) // 4, (3 * len(data.val)) // 4]
                write_aside(run / "sheets" / f"{state.step:06d}.png", contact_sheet(model, data.val, some))
                bar.write(f"step {state.step}: fused Dice {row['fused_dice']:.4f} on {numbers['n_subjects']} subjects")
                for complaint in complaints(numbers, recent, config):
                    bar.write(f"step {state.step}: warning: {complaint}")
                spent = time.monotonic() - started
                checkpoint = as_checkpoint(model, config, data, state.step, numbers, spent)
                write_checkpoint(checkpoint, run / "last.safetensors")
                facts["waited"] += 1
                if row["fused_dice"] > facts["best"]:
                    facts |= {"best": row["fused_dice"], "waited": 0}
                    write_checkpoint(checkpoint, run / "best.safetensors")
                stop = 0 < config.patience <= facts["waited"]
            stop = bool(summed(torch.tensor(float(stop), device=device)))
        if rank == 0 and (state.step % config.save_every == 0 or state.step % config.validate_every == 0 or last):
            save_state(state, run, **(facts | {"seconds": time.monotonic() - started}))
        if stop:
            bar.write(f"step {state.step}: no better fused Dice in {config.patience} validations; stopped")
            break
    bar.close()


def export(source: Path, target: Path, data: str) -> None:
    """Round to float16, judge what was rounded on subjects never trained on, write it with its card."""
    checkpoint = load(source)
    for p in checkpoint.model.parameters():
        p.data = p.data.half().float()
    if data == "phantom":
        specs = {d: f"phantom:seed={JUDGING_SEED},subjects=24,difficulty={d}" for d in phantom.DIFFICULTIES}
    else:
        specs = {"test": data}
    metrics = {name: evaluate(checkpoint, spec) for name, spec in specs.items()}
    for found in metrics.values():
        found["data"] = _public_name(found["data"])
    write_checkpoint(replace(checkpoint, metrics=metrics), target, half=True)


def main(arguments: list[str] | None = None) -> int:
    options = vars(parser().parse_args(arguments))
    run, resume, target, force = (options.pop(k) for k in ("out", "resume", "export", "force"))
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    try:
        if target and target.exists() and not force:
            raise FileExistsError(f"{target} exists; add --force to replace it, or choose another name")
        if resume:
            if not (run / "state.pt").is_file():
                raise FileNotFoundError(f"{run} holds no state.pt to resume from; start it without --resume")
            config = TrainConfig.from_dict(json.loads((run / "config.json").read_text()))
        else:
            if run.exists() and (not run.is_dir() or any(run.iterdir())):
                raise FileExistsError(f"{run} is not empty; choose a new folder, or --resume to go on with that run")
            config = TrainConfig(**options)
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            dist.init_process_group("nccl" if pick_device(config.device).type == "cuda" else "gloo")
            dist.barrier()  # nobody writes before everybody has looked at the folder
        train(config, run, resume)
        if target and rank_and_size()[0] == 0:
            export(run / "best.safetensors", target, config.data)
    except (ValueError, OSError, NotFiniteError, CheckpointError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Train a DAFNet: python train.py --data phantom --decoder film --out RUN

Everything is written inside RUN: config.json, log.csv (every term of every step), validation.csv, sheets/,
state.pt (to go on with --resume), best.safetensors and last.safetensors with their cards (.md).
--export writes the best checkpoint where the app finds it, and measures it on judging subjects.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dafnet_core.card import card
from dafnet_core.checkpoint import Checkpoint, CheckpointError, load, save, write_aside
from dafnet_core.config import JUDGING_SEED, ModelConfig, TrainConfig
from dafnet_core.data import phantom
from dafnet_core.data.datasets import PhantomSet, collate
from dafnet_core.engine import NotFiniteError, TrainState, train_step
from dafnet_core.evaluate import evaluate, evaluate_model
from dafnet_core.model import DAFNet
from explorer import sheets

SHOWN = ("sup", "rec", "kl", "adv_mask", "grad_norm")  # terms beside the progress bar


def parser() -> argparse.ArgumentParser:
    """The command line: one option a field of TrainConfig, and where to write."""
    result = argparse.ArgumentParser(
        prog="train.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for f in fields(TrainConfig):
        result.add_argument(
            f"--{f.name.replace('_', '-')}", type=type(f.default), default=f.default, choices=f.metadata["choices"],
            help=f"{f.metadata['help']} (default: {f.default})",
        )  # fmt: skip
    result.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of this run, new or empty")
    result.add_argument("--resume", action="store_true", help="go on with the run in --out, with its own configuration")
    result.add_argument("--export", type=Path, metavar="FILE", help="write the best checkpoint there when done (fp16)")
    result.add_argument("--force", action="store_true", help="let --export replace a file")
    return result


def model_config(config: TrainConfig) -> ModelConfig:
    make = ModelConfig.compact if config.model == "compact" else ModelConfig.published
    return make(phantom.MODALITIES, phantom.CLASSES, decoder=config.decoder)


def phantom_sets(config: TrainConfig) -> tuple[PhantomSet, PhantomSet]:
    """Training and validation subjects, numbered apart."""
    last = config.subjects + config.validation_subjects
    parts = range(config.subjects), range(config.subjects, last)
    train, validation = (
        PhantomSet(config.seed, part, size=config.size, difficulty=config.difficulty) for part in parts
    )
    return train, validation


class Log:
    """A CSV of numbers by step; on resuming, rows of steps that will be done again are dropped."""

    def __init__(self, path: Path, before: int) -> None:
        rows: list[dict[str, str]] = []
        if path.exists():
            with open(path, newline="") as old:
                rows = [row for row in csv.DictReader(old) if int(row["step"]) < before]
        self.file = open(path, "w", newline="")  # noqa: SIM115 - stays open for the run
        self.writer: csv.DictWriter | None = None
        for row in rows:
            self.add(row)

    def add(self, row: dict[str, Any]) -> None:
        if self.writer is None:
            self.writer = csv.DictWriter(self.file, list(row))
            self.writer.writeheader()
        self.writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
        self.file.flush()


def contact_sheet(model: DAFNet, data: PhantomSet, indices: list[int]) -> bytes:
    """Images, anatomies, masks and reconstructions of a few validation slices."""
    colours = sheets.class_colours(len(data.classes))
    rows, names = [], []
    for index in indices:
        batch = collate([data[index]])
        found = model.predict(batch.images)
        made = model.reconstruct(found, batch.images)
        for i, name in enumerate(data.modalities):
            picture = sheets.grey(batch.images[0, i, 0].numpy())
            anatomy = found.s[i, 0, 0].argmax(0).numpy()
            tiles = [
                sheets.Tile(picture, "image"),
                sheets.Tile(sheets.coloured(anatomy, 0, len(found.s[i, 0, 0])), "anatomy"),
            ]
            for title, mask in (("single", found.single), ("fused", found.fused_masks)):
                tiles.append(sheets.Tile(sheets.overlay(picture, mask[i, 0].argmax(0).numpy(), colours), title))
            tiles.append(sheets.Tile(sheets.overlay(picture, batch.masks[0, i].numpy(), colours), "truth"))
            tiles.append(sheets.Tile(sheets.grey(made.own[i, 0].numpy()), "g(s, z)"))
            cross = next(p for p, (fixed, _) in enumerate(found.pairs) if fixed == i)
            tiles.append(sheets.Tile(sheets.grey(made.cross[cross, 0, 0].numpy()), "crosswise"))
            rows.append(tiles)
            names.append(name)
    return sheets.png(sheets.sheet(rows, names))


def fused_dice(found: dict) -> float:
    """What the best checkpoint is chosen by: mean fused Dice of the validation subjects."""
    return float(np.mean([m["fused"]["dice_mean"] for m in found["segmentation"].values()]))


def validate(state: TrainState, data: PhantomSet, run: Path, log: Log) -> tuple[DAFNet, dict]:
    """Judge the averaged model; writes a contact sheet and one row of validation.csv."""
    model = state.average.module.eval()
    found = evaluate_model(model, data)
    row = {"step": state.step - 1, "fused_dice": fused_dice(found)}
    for name, kinds in found["segmentation"].items():
        row |= {f"{name}_{kind}": value["dice_mean"] for kind, value in kinds.items()}
    row |= found["registration"] | {f"kl_{d}": v for d, v in enumerate(found["kl_per_dimension"])}
    for name, shares in found["channel_occupancy"].items():
        row |= {f"{name}_channel_{c}": share for c, share in enumerate(shares)}
    log.add(row)
    write_aside(
        run / "sheets" / f"{state.step:06d}.png", contact_sheet(model, data, [data.slices // 2, len(data) // 2 + 2])
    )
    return model, found


def complaints(found: dict) -> list[str]:
    """What looks sick in a validation, in words."""
    said = []
    if max(found["kl_per_dimension"]) < 0.1:
        said.append(
            f"z is nearly empty: its largest KL is {max(found['kl_per_dimension']):.3f} nats (posterior collapse)"
        )
    for name, shares in found["channel_occupancy"].items():
        dead = [c for c, share in enumerate(shares) if share < 1e-4]
        if len(dead) > len(shares) // 2:
            said.append(f"{name}: {len(dead)} of {len(shares)} anatomy channels are empty")
    return said


def as_checkpoint(
    model: DAFNet, config: TrainConfig, data: PhantomSet, step: int, validation: dict, seconds: float
) -> Checkpoint:
    training = {
        "data": f"cardiac phantom, generator version {phantom.VERSION}",
        "data_licence": "generated by this project, MIT",
        "step": step,
        "minutes": round(seconds / 60, 1),
        "threads": torch.get_num_threads(),
        "configuration": config.to_dict(),
        "validation": validation,
        "command": "python train.py "
        + " ".join(
            f"--{f.name.replace('_', '-')} {getattr(config, f.name)}"
            for f in fields(config)
            if f.name in ("data", "decoder") or getattr(config, f.name) != f.default
        ),
    }
    return Checkpoint(model, data.preparation, sheets.class_colours(len(data.classes)), training)


def write_checkpoint(checkpoint: Checkpoint, path: Path, *, half: bool = False) -> None:
    save(checkpoint, path, half=half)
    write_aside(path.with_suffix(".md"), card(checkpoint, path.name).encode())


def train(config: TrainConfig, run: Path, resume: bool) -> None:
    """The loop: step, log, validate, keep the best."""
    torch.set_flush_denormal(True)  # Adam's moments of idle weights fade into denormals, which are slow on CPU
    data, validation = phantom_sets(config)
    state = TrainState.create(model_config(config), config)
    best, seconds, started = -1.0, 0.0, time.monotonic()
    if resume:
        saved = torch.load(run / "state.pt", weights_only=True)
        state.load_state_dict(saved["train"])
        best, seconds = saved["best"], saved["seconds"]
    else:
        write_aside(run / "config.json", json.dumps(config.to_dict(), indent=1).encode())
    log, judged = Log(run / "log.csv", state.step), Log(run / "validation.csv", state.step)
    bar = tqdm(total=config.steps, initial=state.step, unit="step", disable=None)
    while state.step < config.steps:
        found = train_step(state, data.batch_at(state.step, config.batch_size, config.seed), config)
        log.add({"step": state.step - 1, **found})
        bar.update()
        bar.set_postfix({k: f"{found[k]:.3f}" for k in SHOWN}, refresh=False)
        if state.step % config.validate_every and state.step < config.steps:
            continue
        model, numbers = validate(state, validation, run, judged)
        bar.write(
            f"step {state.step}: fused Dice {fused_dice(numbers):.4f} on {numbers['n_subjects']} validation subjects"
        )
        for complaint in complaints(numbers):
            bar.write(f"step {state.step}: warning: {complaint}")
        spent = seconds + time.monotonic() - started
        checkpoint = as_checkpoint(model, config, validation, state.step, numbers, spent)
        write_checkpoint(checkpoint, run / "last.safetensors")
        if fused_dice(numbers) > best:
            best = fused_dice(numbers)
            write_checkpoint(checkpoint, run / "best.safetensors")
        buffer = io.BytesIO()
        torch.save({"train": state.state_dict(), "best": best, "seconds": spent}, buffer)
        write_aside(run / "state.pt", buffer.getvalue())
    bar.close()


def export(source: Path, target: Path) -> None:
    """Round to float16, judge what was rounded on subjects of the judging seed, write it with its card."""
    checkpoint = load(source)
    for p in checkpoint.model.parameters():
        p.data = p.data.half().float()
    specs = {d: f"phantom:seed={JUDGING_SEED},subjects=24,difficulty={d}" for d in phantom.DIFFICULTIES}
    metrics = {name: evaluate(checkpoint, spec) for name, spec in specs.items()}
    write_checkpoint(replace(checkpoint, metrics=metrics), target, half=True)


def main(arguments: list[str] | None = None) -> int:
    options = vars(parser().parse_args(arguments))
    run, resume, target, force = (options.pop(k) for k in ("out", "resume", "export", "force"))
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
        train(config, run, resume)
        if target:
            export(run / "best.safetensors", target)
    except (ValueError, OSError, NotFiniteError, CheckpointError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

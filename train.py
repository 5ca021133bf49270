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
from torch import nn
from tqdm import tqdm

from dafnet_core import drawing
from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import (
    Checkpoint,
    CheckpointError,
    check_maps,
    check_writable,
    in_words,
    load,
    save,
    write_aside,
)
from dafnet_core.config import JUDGING_SEED, ModelConfig, TrainConfig, plain
from dafnet_core.data import phantom
from dafnet_core.data.dataset import Augmentation, Slices, collate
from dafnet_core.data.sources import TrainingData, training_data
from dafnet_core.evaluate import evaluate, judge
from dafnet_core.networks.dafnet import DAFNet
from dafnet_core.parallel import rank_and_size, summed
from dafnet_core.training.step import (
    NotFiniteError,
    TrainState,
    noise_of_step,
    pick_device,
    recompute_statistics,
    train_step,
)

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
            f"--{f.name.replace('_', '-')}",
            type=str if several else type(f.default),
            default=argparse.SUPPRESS,
            choices=f.metadata["choices"],
            help=f"{f.metadata['help']} (default: {shown})",
            **({"nargs": "+", "metavar": "NAME"} if several else {}),
        )
    result.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of this run, new or empty")
    result.add_argument("--resume", action="store_true", help="go on with the run in --out, with its own configuration")
    result.add_argument("--export", type=Path, metavar="FILE", help="write the best checkpoint there when done (fp16)")
    result.add_argument("--force", action="store_true", help="let --export replace a file")
    return result


def model_config(config: TrainConfig, data: Slices) -> ModelConfig:
    """The networks for a run's data."""
    make = ModelConfig.compact if config.model == "compact" else ModelConfig.published
    return make(
        data.modalities,
        data.classes,
        decoder=config.decoder,
        channels=config.channels,
        z_dim=config.z_dim,
        candidates=config.candidates,
        align="off" if "aligner" in config.without else "on",
    )


def opened_start(config: TrainConfig, data: TrainingData) -> Checkpoint | None:
    """The checkpoint that a run begins with.

    Raises:
        CheckpointError: it cannot be read.
        ValueError: it has other networks, or was trained on subjects that this run keeps for validation or test.
    """
    if not config.start:
        return None
    found = load(config.start)
    has, wants = (c.to_dict() for c in (found.config, model_config(config, data.train)))
    if other := [name for name in wants if has[name] != wants[name]]:
        raise ValueError(
            f"{config.start} has {other[0]} {has[other[0]]}, this run {wants[other[0]]}; begin with a checkpoint of "
            "the same networks, or change the options"
        )
    kept = {name for part, names in data.split.items() if part != "train" for name in names}
    seen = kept & set(found.training["split"]["train"])
    if seen and found.training["data"] == data.facts["data"]:
        raise ValueError(
            f"{config.start} was trained on {len(seen)} of the {len(kept)} subjects that this run keeps for validation "
            "and test; take that run's --seed and --fold"
        )
    return found


class Log:
    """A CSV of numbers by step; on resuming, rows of steps that will be done again are dropped."""

    def __init__(self, path: Path, before: int) -> None:
        self.path, self.rows = path, []
        if path.exists():
            with open(path, newline="") as old:
                # a row that a full disk cut short belongs to a step after the last state, too
                whole = [row for row in csv.DictReader(old) if None not in row.values()]
            self.rows = [row for row in whole if int(row["step"]) < before]
        self.names: list[str] = []
        self._rewrite()

    def add(self, row: dict[str, Any]) -> None:
        row = {k: "" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for k, v in row.items()}
        self.rows.append(row)
        if set(row) - set(self.names):
            self._rewrite()  # a term that was not there before, such as adversarial ones: a new column
        else:
            try:
                with open(self.path, "a", newline="") as file:
                    csv.DictWriter(file, self.names).writerow(row)
            except OSError as error:
                error.filename = str(self.path)  # a full disk names no file
                raise

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
    colours = drawing.class_colours(len(data.classes))
    device = next(model.parameters()).device
    rows, names = [], []
    for index in indices:
        sample = data[index]
        images = collate([sample]).images.to(device)
        found = model.predict(images)
        made = model.reconstruct(found, images)
        for i, name in enumerate(data.modalities):
            picture = drawing.grey(sample.images[i, 0])
            anatomy = found.s[i, 0, 0].argmax(0).cpu().numpy()
            tiles = [
                drawing.Tile(picture, "image"),
                drawing.Tile(drawing.coloured(anatomy, 0, len(found.s[i, 0, 0])), "anatomy"),
            ]
            for title, mask in (("single", found.single), ("fused", found.fused_masks)):
                labels = mask[i, 0].argmax(0).cpu().numpy()
                tiles.append(drawing.Tile(drawing.overlay(picture, labels, colours), title))
            tiles.append(drawing.Tile(drawing.overlay(picture, sample.masks[i], colours), "truth"))
            tiles.append(drawing.Tile(drawing.grey(made.own[i, 0].cpu().numpy()), "g(s, z)"))
            cross = next(p for p, (fixed, _) in enumerate(found.pairs) if fixed == i)
            tiles.append(drawing.Tile(drawing.grey(made.cross[cross, 0, 0].cpu().numpy()), "crosswise"))
            rows.append(tiles)
            names.append(name)
    return drawing.png(drawing.sheet(rows, names))


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
    model: DAFNet,
    config: TrainConfig,
    data: TrainingData,
    begun: dict | None,
    step: int,
    validation: dict,
    seconds: float,
) -> Checkpoint:
    training = data.facts | {
        "start": begun,
        "split": data.split,
        "target": data.train.modalities[data.target],
        "step": step,
        "minutes": round(seconds / 60, 1),
        "machine": f"{rank_and_size()[1]} process(es), {torch.get_num_threads()} CPU threads each, "
        f"{next(model.parameters()).device.type}",
        "configuration": config.to_dict() | {"data": _public_name(config.data), "start": Path(config.start).name},
        "validation": validation,
        "command": f"python train.py {' '.join(_arguments(config))}",
    }
    return Checkpoint(model, data.train.preparation, drawing.class_colours(len(data.train.classes)), training)


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
            value = _public_name(value) if f.name == "data" else Path(value).name if f.name == "start" else value
            found += [f"--{f.name.replace('_', '-')}", *map(str, value if isinstance(value, tuple) else (value,))]
    return found


def write_checkpoint(checkpoint: Checkpoint, path: Path, *, half: bool = False) -> None:
    save(checkpoint, path, half=half)
    write_aside(path.with_suffix(".md"), card(checkpoint, path.name).encode())


def save_state(state: TrainState, run: Path, **facts: Any) -> None:
    buffer = io.BytesIO()
    torch.save({"train": state.state_dict(), **facts}, buffer)
    write_aside(run / "state.pt", buffer.getvalue())


def restore(state: TrainState, path: Path) -> dict[str, Any]:
    """Put a saved state back; the other facts that stand beside it.

    Raises:
        ValueError: the file is broken, or of another run.
    """
    try:
        saved = torch.load(path, weights_only=True, map_location=state.device)
        state.load_state_dict(saved.pop("train"))
    except OSError:
        raise
    except Exception as error:  # whatever torch and pickle make of bytes that are no state, a dozen kinds
        raise ValueError(
            f"{path} is not a whole state of this run ({plain(f'{type(error).__name__}: {error}', 120)}); put it back "
            "from a copy, or begin anew in another folder"
        ) from error
    return saved


def check_same_subjects(path: Path, split: dict[str, Any]) -> None:
    """Refuse to go on with other subjects than a run began with: some would be validated on after training on them.

    Raises:
        ValueError: naming a subject that is gone, new, or in another part.
    """
    try:
        before = json.loads(path.read_text())
        moved = {(part, name) for part in split for name in {*before[part]} ^ {*split[part]}}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no split ({error!r}); put it back from a copy, or begin anew") from error
    if moved:
        part, name = min(moved)
        what = "left" if name in before[part] else "came to"
        raise ValueError(
            f"the data are no longer those that this run began with: {name} {what} the {part} part; put the data back, "
            "or begin a new run"
        )


def check_weights(state: TrainState) -> None:
    """Raises NotFiniteError where a step left a weight that is no number: such a state is never kept."""
    for name in ("model", "critics", "average"):
        if not nn.utils.get_total_norm(getattr(state, name).parameters()).isfinite():
            raise NotFiniteError(f"step {state.step - 1}: weights of the {name} are not finite after it")


def train(config: TrainConfig, run: Path, *, judged_after: bool = False) -> None:
    """The loop: step, log, validate, keep the best. Process 0 judges and writes.

    Goes on where the run's folder holds a state, or only a configuration.

    Args:
        judged_after: somebody will judge the result on the data's test part.
    """
    torch.set_flush_denormal(True)  # Adam's moments of idle weights fade into denormals, which are slow on CPU
    rank, size = rank_and_size()
    if config.batch_size % size:
        raise ValueError(f"batch_size is {config.batch_size}; expected a multiple of the {size} processes")
    device = pick_device(config.device)
    data = training_data(config)
    networks = model_config(config, data.train)
    check_maps(networks, data.train.preparation)
    if judged_after and config.data != "phantom" and not data.split["test"]:
        raise ValueError(f"{config.data} has no test subjects to judge an exported checkpoint on; leave --export out")
    if (run / "split.json").exists():
        check_same_subjects(run / "split.json", data.split)
    facts: dict[str, Any] = {"best": -1.0, "waited": 0, "seconds": 0.0, "start": None}
    kept = run / "state.pt"
    begun = kept.exists()
    start = None if begun else opened_start(config, data)
    if start:
        done = {k: start.training.get(k) for k in ("command", "step", "minutes", "start")}
        facts["start"] = {"name": plain(Path(config.start).name), "digest": start.digest, **done}
    state = TrainState.create(networks, config, device, start and start.model)
    if begun:
        facts |= restore(state, kept)
    good = state.step if begun else None  # the step of the state on disk
    started = time.monotonic() - facts["seconds"]
    if rank == 0:
        for name, content in (("config", config.to_dict()), ("split", data.split)):
            if not (run / f"{name}.json").exists():
                write_aside(run / f"{name}.json", json.dumps(content, indent=1).encode())
        for part_written in run.rglob(".*.part"):  # when a run was killed
            part_written.unlink()
        log, judged, board = Log(run / "log.csv", state.step), Log(run / "validation.csv", state.step), Board(run)
        if config.batch_size > len(data.train):
            few = f"batch_size is {config.batch_size}, but there are {len(data.train)} slices"
            tqdm.write(f"warning: {few}: every batch repeats some")
    how, part = Augmentation(config.rotation, config.warp), (rank, size)
    shape = len(data.train.modalities), config.z_dim
    bar = tqdm(total=config.steps, initial=state.step, unit="step", disable=None if rank == 0 else True)

    def at(step: int) -> tuple[Any, Any]:
        batch = data.train.batch_at(step, config.batch_size, config.seed, how=how, part=part)
        return batch.to(device), noise_of_step(config, step, *shape, part).to(device)

    stop = 0 < config.patience <= facts["waited"]
    while state.step < config.steps and not stop:
        epoch = data.train.epoch_of(state.step, config.batch_size)
        step = state.step + 1
        judging = step % config.validate_every == 0 or step == config.steps
        saving = judging or step % config.save_every == 0
        try:
            found = train_step(state, *at(state.step), config)
            if saving:
                check_weights(state)
        except NotFiniteError as error:
            where = "no state was saved yet" if good is None else f"{kept} holds the last good state, of step {good}"
            raise NotFiniteError(f"{error}; {where}") from None
        last = state.step == config.steps
        if rank == 0:
            log.add({"step": state.step - 1, "epoch": epoch, **found})
            board.add(found, state.step)
            bar.update()
            bar.set_postfix({k: f"{found[k]:.3f}" for k in SHOWN}, refresh=False)
            if last or data.train.epoch_of(state.step, config.batch_size) > epoch:
                write_aside(run / "epochs.csv", epoch_means(log.rows).encode())
        if judging:
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
                checkpoint = as_checkpoint(model, config, data, facts["start"], state.step, numbers, spent)
                write_checkpoint(checkpoint, run / "last.safetensors")
                facts["waited"] += 1
                if row["fused_dice"] > facts["best"]:
                    facts |= {"best": row["fused_dice"], "waited": 0}
                    write_checkpoint(checkpoint, run / "best.safetensors")
                stop = 0 < config.patience <= facts["waited"]
            stop = bool(summed(torch.tensor(float(stop), device=device)))
        if rank == 0 and saving:
            save_state(state, run, **(facts | {"seconds": time.monotonic() - started}))
            good = state.step
    if stop:
        bar.write(f"step {state.step}: no better fused Dice in {config.patience} validations; stopped")
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


def configured(given: dict[str, Any], run: Path, resume: bool) -> TrainConfig:
    """The configuration of a new run, or the own one of a run that goes on.

    Raises:
        ValueError: a value that cannot be, or another one than the run has.
        OSError: the folder is in use, or holds no run.
    """
    path = run / "config.json"
    if not resume:
        if run.exists() and (not run.is_dir() or any(p.suffix != ".part" for p in run.iterdir())):
            raise FileExistsError(f"{run} is not empty; choose a new folder, or --resume to go on with that run")
        return TrainConfig(**given)
    if not path.is_file():
        raise FileNotFoundError(f"{run} holds no config.json and state.pt to resume from; start it without --resume")
    try:
        config = TrainConfig.from_dict(json.loads(path.read_text()))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no configuration ({plain(str(error))}); put it back from a copy") from error
    for name, value in given.items():
        if getattr(config, name) != value:
            raise ValueError(
                f"{name} is {value}, but the run in {run} has {getattr(config, name)}; it goes on with its own "
                "configuration: leave the option out, or begin a new run"
            )
    return config


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


def main(arguments: list[str] | None = None) -> int:
    options = vars(parser().parse_args(arguments))
    run, resume, target, force = (options.pop(k) for k in ("out", "resume", "export", "force"))
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    said = ""
    try:
        if target:
            check_export(target, force)
        config = configured(given, run, resume)
        check_writable(run / "config.json")
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            dist.init_process_group("nccl" if pick_device(config.device).type == "cuda" else "gloo")
            dist.barrier()  # nobody writes before everybody has looked at the folder
        train(config, run, judged_after=bool(target))
        if target and rank_and_size()[0] == 0:
            export(run / "best.safetensors", target, config.data)
    except (ValueError, NotFiniteError, CheckpointError) as error:
        said = str(error)
    except OSError as error:
        said = in_words(error)
    except KeyboardInterrupt:
        said = f"stopped; --out {run} --resume goes on"
    except RuntimeError as error:
        memory = isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not memory and rank_and_size()[1] == 1:
            raise
        said = (
            "there is not enough memory; take a smaller --batch-size or --size"
            if memory
            else (f"another process of this run has ended ({plain(str(error), 120)})")
        )
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    if said:
        print(f"train.py: {said}", file=sys.stderr)
    return 2 if said else 0


if __name__ == "__main__":
    sys.exit(main())

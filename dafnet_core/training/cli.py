"""Train a DAFNet: python train.py --data phantom --decoder film --out RUN

Everything is written inside RUN: config.json, split.json, log.csv (every term of every step), epochs.csv (their
means), validation.csv, sheets/, state.pt (for --resume), best.safetensors and last.safetensors with their
cards (.md). --export writes the best checkpoint to a file and evaluates it on test subjects, or on the validation
subjects where the data's folds have no test part.

Several processes: torchrun --nproc-per-node N train.py ...; each processes its shard of every batch.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist

from dafnet_core.checkpoints.file import CheckpointError
from dafnet_core.config import choices_of, sanitize
from dafnet_core.files import check_writable, describe_error
from dafnet_core.parallel import rank_and_size
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.export import check_export, export
from dafnet_core.training.loop import train
from dafnet_core.training.run_folder import configured
from dafnet_core.training.step import NotFiniteError, pick_device


def parser() -> argparse.ArgumentParser:
    """The command line: one option a field of a section of TrainConfig, and where to write."""
    result = argparse.ArgumentParser(
        prog="train.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, (_, f) in TrainConfig.options().items():
        default: Any = f.default
        several = isinstance(default, tuple)
        metavar = "N" if several and default and type(default[0]) is int else "NAME"
        listed: dict[str, Any] = {"nargs": "+", "metavar": metavar} if several else {}
        shown = "none" if f.default in ((), "") else f.default
        result.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default[0]) if several and default else str if several else type(default),
            default=argparse.SUPPRESS,
            choices=choices_of(f),
            help=f"{f.metadata['help']} (default: {shown})",
            **listed,
        )
    result.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of this run, new or empty")
    result.add_argument("--resume", action="store_true", help="continue the run in --out, with its own configuration")
    result.add_argument("--export", type=Path, metavar="FILE", help="write the best checkpoint there when done (fp16)")
    result.add_argument("--force", action="store_true", help="let --export replace a file")
    return result


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well, 2 with a sentence on standard error if not."""
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
            dist.init_process_group("nccl" if pick_device(config.machine.device).type == "cuda" else "gloo")
            dist.barrier()  # no process writes before all have checked the folder
        specs = train(config, run, evaluated_after=bool(target))
        if target and rank_and_size()[0] == 0:
            export(run / "best.safetensors", target, specs)
    except (ValueError, NotFiniteError, CheckpointError, OSError) as error:
        said = describe_error(error)
    except KeyboardInterrupt:
        said = f"stopped; --out {run} --resume continues it"
    except RuntimeError as error:
        memory = isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
        if not memory and rank_and_size()[1] == 1:
            raise
        said = (
            "there is not enough memory; take a smaller --batch-size or --size"
            if memory
            else (f"another process of this run has ended ({sanitize(str(error), 120)})")
        )
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    if said:
        print(f"train.py: {said}", file=sys.stderr)
    return 2 if said else 0


if __name__ == "__main__":
    sys.exit(main())

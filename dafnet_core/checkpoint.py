"""Checkpoints: weights and all that is needed to use them, in one safetensors file, never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_bytes

import dafnet_core
from dafnet_core.config import ModelConfig
from dafnet_core.data.prepare import Preparation
from dafnet_core.model import DAFNet

FORMAT = 1
MAX_BYTES = 512 * 2**20


class CheckpointError(ValueError):
    """A file that is no checkpoint of this project, or not a whole one; the message says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """A model and what must be known to use it.

    Attributes:
        model: in eval mode, float32, channels_last.
        preparation: how its inputs are made from raw slices.
        colours: one hex colour a class; the background's is ignored.
        training: data, licence, difficulty, seed, steps and all other facts of the run.
        metrics: numbers on data never trained on, or {} where none were measured.
        versions: of python, torch and this project when it was written.
        digest: blake2b of the file, "" for one that was never saved.
    """

    model: DAFNet
    preparation: Preparation
    colours: tuple[str, ...]
    training: dict[str, Any]
    metrics: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    digest: str = ""

    @property
    def config(self) -> ModelConfig:
        return self.model.config


def write_aside(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(aside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def save(checkpoint: Checkpoint, path: str | Path, *, half: bool = False) -> None:
    """Write a checkpoint; `half` stores float16 (a shipped file of half the size, rounded once)."""
    state = checkpoint.model.state_dict()
    tensors = {
        name: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in state.items()
    }
    metadata = {
        "dafnet_format": FORMAT,
        "model": checkpoint.config.to_dict(),
        "preparation": checkpoint.preparation.to_dict(),
        "colours": checkpoint.colours,
        "training": checkpoint.training,
        "metrics": checkpoint.metrics,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "dafnet": dafnet_core.__version__,
        },
    }
    write_aside(Path(path), to_bytes(tensors, {key: json.dumps(value) for key, value in metadata.items()}))


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint, strictly.

    Raises:
        CheckpointError: not there, or as in `from_bytes`.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file; name a .safetensors checkpoint")
    _check_size(path.stat().st_size, path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error})") from error
    return from_bytes(data, str(path))


def _check_size(size: int, path: str | Path) -> None:
    if size > MAX_BYTES:
        raise CheckpointError(f"{path}: {size >> 20} MB; a checkpoint has at most {MAX_BYTES >> 20} MB")


def from_bytes(data: bytes, path: str) -> Checkpoint:
    """A checkpoint from the content of its file, strictly; nothing is executed.

    Args:
        path: what messages call it.

    Raises:
        CheckpointError: too large, not safetensors, truncated, another format, or weights that do not fit.
    """
    _check_size(len(data), path)
    try:
        tensors = from_safetensors(data)  # checks the header, which is read once more for what it says beside
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = {key: json.loads(value) for key, value in header.get("__metadata__", {}).items()}
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error}); train or export it again") from error
    if metadata.get("dafnet_format") != FORMAT:
        found = metadata.get("dafnet_format", "none")
        raise CheckpointError(f"{path}: format {found}, expected {FORMAT}; train or export it again")
    try:
        model = DAFNet(ModelConfig.from_dict(metadata["model"]))
        preparation = Preparation.from_dict(metadata["preparation"])
        facts = {key: metadata[key] for key in ("training", "metrics", "versions")}
        colours = tuple(metadata["colours"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its description is incomplete or wrong ({error}); export it again") from error
    _load_strictly(model, tensors, path)
    model.eval().to(memory_format=torch.channels_last)
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    return Checkpoint(model, preparation, colours, digest=digest, **facts)


def _load_strictly(model: DAFNet, tensors: dict[str, torch.Tensor], path: str) -> None:
    expected = model.state_dict()
    if missing := sorted(set(expected) - set(tensors)):
        raise CheckpointError(f"{path}: weight {missing[0]} is missing ({len(missing)} in all); export it again")
    if unknown := sorted(set(tensors) - set(expected)):
        raise CheckpointError(f"{path}: weight {unknown[0]} is unknown ({len(unknown)} in all); export it again")
    for name, value in tensors.items():
        if value.shape != expected[name].shape:
            raise CheckpointError(f"{path}: {name} is {tuple(value.shape)}, expected {tuple(expected[name].shape)}")
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(f"{path}: {name} holds NaN or Inf; train or export it again")
    model.load_state_dict({name: t.to(expected[name].dtype) for name, t in tensors.items()})

"""Checkpoints: weights and everything needed to use them, in one safetensors file, never a pickle."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_bytes

import dafnet_core
from dafnet_core.checkpoints.schema import (
    TrainingRecord,
    metrics_from_json,
    parse,
    training_from_json,
)
from dafnet_core.config import ModelConfig, sanitize
from dafnet_core.data.prepare import Preparation
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.files import atomic_write
from dafnet_core.methods import METHODS, trainable
from dafnet_core.methods.base import Trainable
from dafnet_core.typed_json import from_json, need

FORMAT = 1
MAX_BYTES = 512 * 2**20
MAX_HEADER = 8 * 2**20  # shipped ones have 40 KB; names of subjects make it longer
_NOT_WHOLE = "not a whole safetensors file"
MAX_MAP = 32 * 2**20  # values of the largest feature map of one slice: 128 MB in float32


_EXPORT = "`python train.py --out RUN --resume --export FILE.safetensors`"
_FOREIGN = (  # how files begin that are taken for checkpoints; what they are, and what to do
    (
        (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
        "it holds pickled Python objects, as .pt, .pth and .ckpt files do; they can run code and are never opened",
        f"give best.safetensors of the training run, or export it: {_EXPORT}",
    ),
    (
        (b"\x89HDF",),
        "it is an HDF5 file, as Keras writes",
        f"give a checkpoint that this program trained: {_EXPORT}",
    ),
)


class CheckpointError(ValueError):
    """A file is not a checkpoint of this project, or is truncated; the message names the remedy."""


class _Refused(ValueError):
    """What is wrong with a checkpoint that has a remedy of its own."""

    def __init__(self, wrong: str, remedy: str) -> None:
        super().__init__(wrong)
        self.remedy = remedy


def _refusal(path: str, error: Exception, what: str = "") -> CheckpointError:
    """The error for a file in a sentence: `what` it is not, the cause and the remedy."""
    cause, remedy = sanitize(str(error)), getattr(error, "remedy", "train or export it again")
    return CheckpointError(f"{path}: {what} ({cause}); {remedy}" if what else f"{path}: {cause}; {remedy}")


@dataclass(frozen=True)
class Checkpoint:
    """Networks and the metadata needed to use them.

    Attributes:
        model: networks of a method, in eval mode, float32, channels_last.
        preparation: how its inputs are made from raw slices.
        colours: one hex colour a class; the background's is ignored.
        training: facts of the run.
        metrics: results on data never trained on, by title; {} if not evaluated.
        versions: of python, torch and this project when it was written.
        digest: blake2b of the file, "" for one that was never saved.
        method_name: one of METHODS.
        tries: a table of the runs that this one was chosen from, for the card; its first row is the head.
    """

    model: Any
    preparation: Preparation
    colours: tuple[str, ...]
    training: TrainingRecord
    metrics: dict[str, EvaluationResult] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    method_name: str = "dafnet"
    tries: tuple[tuple[str, ...], ...] = ()

    @property
    def config(self) -> ModelConfig:
        """Configuration of the networks."""
        return self.model.config

    @property
    def method(self) -> Trainable:
        """The method with these networks, ready to predict."""
        return METHODS[self.method_name].of(self.model)


def save(checkpoint: Checkpoint, path: str | Path, *, half: bool = False) -> None:
    """Write a checkpoint; `half` stores float16 (a shipped file of half the size, rounded once).

    Raises:
        CheckpointError: `load` would refuse it; nothing is written.
    """
    state = checkpoint.model.state_dict()
    tensors = {
        name: (t.half() if half and t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in state.items()
    }
    metadata = {
        "dafnet_format": FORMAT,
        "method": checkpoint.method_name,
        "model": checkpoint.config.to_dict(),
        "preparation": checkpoint.preparation.to_dict(),
        "colours": checkpoint.colours,
        "training": checkpoint.training.to_json(),
        "metrics": {title: result.to_json() for title, result in checkpoint.metrics.items()},
        **({"tries": checkpoint.tries} if checkpoint.tries else {}),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "dafnet": dafnet_core.__version__,
        },
    }
    try:
        texts = {key: json.dumps(value, allow_nan=False) for key, value in metadata.items()}
        described(texts)
        check_finite(tensors)
    except ValueError as error:
        raise CheckpointError(f"{path}: not written, as it could not be read again ({error})") from error
    atomic_write(Path(path), to_bytes(tensors, texts))


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint, strictly.

    Raises:
        CheckpointError: no such file, or as in `from_bytes`.
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

    Sizes are checked before memory is allocated: first the header, then the networks that it describes, which are
    created on torch's meta device until the weights are known to fit them.

    Args:
        path: name of the file in messages.

    Raises:
        CheckpointError: too large, not safetensors, truncated, another format, a description that is wrong, or
            weights that do not fit it.
    """
    path = sanitize(path)  # may be an uploaded file's name
    _check_size(len(data), path)
    try:
        header = _header(data)
        texts = header.pop("__metadata__", {})
    except (ValueError, RecursionError) as error:
        raise _refusal(path, _foreign(data) or error, _NOT_WHOLE) from error
    try:
        config, preparation, facts = described(texts)
        with torch.device("meta"):
            model = METHODS[facts["method_name"]].networks_of(config)
        _check_weights(header, model.state_dict())
        tensors = from_safetensors(data)
        check_finite(tensors)
    except SafetensorError as error:
        raise _refusal(path, error, _NOT_WHOLE) from error
    except (ValueError, RecursionError) as error:
        raise _refusal(path, error) from error
    floats = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    model.load_state_dict(floats, assign=True)
    model.eval().to(memory_format=torch.channels_last)
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    return Checkpoint(model, preparation, digest=digest, **facts)


def _foreign(data: bytes) -> _Refused | None:
    """What a file is that begins like one of another kind; None where that is unknown."""
    return next((_Refused(what, remedy) for heads, what, remedy in _FOREIGN if data.startswith(heads)), None)


def _header(data: bytes) -> dict[str, Any]:
    """The file's header; its length is checked before it is read."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        raise ValueError(f"{len(data)} bytes, of which the header claims {length}")
    if length > MAX_HEADER:
        raise ValueError(f"a header of {length >> 20} MB; expected at most {MAX_HEADER >> 20} MB")
    header = parse(data[8 : 8 + length])
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise ValueError("its header is no object")
    return header


def described(texts: dict[str, str]) -> tuple[ModelConfig, Preparation, dict[str, Any]]:
    """The configuration, the preparation and the other attributes of a Checkpoint from its metadata, JSON by name.

    Raises:
        ValueError: another format, something missing, or an invalid value.
    """
    if "dafnet_format" not in texts:
        raise _Refused(
            f"format none, expected {FORMAT}: it is a safetensors file of another program, which does not say what its "
            "networks are",
            f"give a checkpoint that this program trained: {_EXPORT}",
        )
    try:
        values = {key: parse(text) for key, text in texts.items()}
    except TypeError:
        raise ValueError("its metadata are no text") from None
    except ValueError as error:
        raise ValueError(f"its metadata are not JSON ({error})") from error
    version = values.get("dafnet_format", "none")
    if type(version) is not int or version != FORMAT:
        raise _Refused(
            f"format {sanitize(str(version), 20)}, expected {FORMAT}: another version of this program wrote it",
            f"open it with that version, or export it again with this one: {_EXPORT}",
        )
    method = values.get("method", "dafnet")
    need(method in trainable(), method, "method", f"one of {', '.join(trainable())}")
    if missing := sorted({"model", "preparation", "colours", "training", "metrics", "versions"} - set(values)):
        raise ValueError(f"its metadata lack {', '.join(missing)}")
    try:
        config = ModelConfig.from_dict(values["model"])
        preparation = _preparation(values["preparation"])
    except (TypeError, AttributeError) as error:
        raise ValueError(f"its description of the networks or their input is incomplete or wrong ({error})") from error
    check_maps(config, preparation)
    colours = from_json(tuple[str, ...], values["colours"], "colours")
    tries = from_json(tuple[tuple[str, ...], ...], values.get("tries", []), "tries")
    for n, row in enumerate(tries):
        need(0 < len(row) == len(tries[0]), list(row), f"tries[{n}]", f"a list of {len(tries[0]) or 'some'}")
    need(len(colours) == len(config.classes), values["colours"], "colours", f"a list of {len(config.classes)}")
    for n, colour in enumerate(colours):
        need(re.fullmatch("#[0-9a-fA-F]{6}", colour) is not None, colour, f"colours[{n}]", "a #rrggbb")
    facts = {
        "colours": colours,
        "versions": from_json(dict[str, str], values["versions"], "versions"),
        "training": training_from_json(values["training"], config),
        "metrics": metrics_from_json(values["metrics"], config),
        "method_name": method,
        "tries": tries,
    }
    return config, preparation, facts


def _preparation(values: Any) -> Preparation:
    """The preparation from JSON; raises ValueError, or TypeError for an unknown key."""
    need(isinstance(values, dict), values, "preparation", "an object")
    for side in ("height", "width"):
        if side not in values:
            raise ValueError(f"preparation.{side} is missing")
        from_json(int, values[side], f"preparation.{side}")
    if values.get("spacing") is not None:
        from_json(float, values["spacing"], "preparation.spacing")
    from_json(tuple[float, float], values.get("percentiles", (0.5, 99.5)), "preparation.percentiles")
    return Preparation.from_dict(values)


def check_maps(config: ModelConfig, preparation: Preparation) -> None:
    """Check that the networks accept their input, and that their feature maps fit in memory.

    Raises:
        ValueError: a size that does not fit the poolings, or maps that are too large.
    """
    height, width = preparation.height, preparation.width
    if not config.accepts(height, width):
        raise ValueError(
            f"its input is {height} x {width}; {config.depth} poolings need multiples of {config.multiple}"
        )
    modalities = len(config.modalities)
    aligned = config.channels * modalities * (modalities - 1) * config.candidates
    filters = max(
        config.width, config.segmentor_width, config.film_width, config.spade_hidden, config.content_width, aligned
    )
    if height * width * filters > MAX_MAP:
        raise ValueError(
            f"{filters} maps of {height} x {width} are more than this program computes ({MAX_MAP >> 20} million values)"
        )


def _check_weights(header: dict[str, Any], expected: dict[str, torch.Tensor]) -> None:
    """Compare the weights that a header announces with those of the networks."""
    if missing := sorted(set(expected) - set(header)):
        raise ValueError(f"weight {missing[0]} is missing ({len(missing)} in all)")
    if unknown := sorted(set(header) - set(expected)):
        raise ValueError(f"weight {sanitize(unknown[0], 60)} is unknown ({len(unknown)} in all)")
    for name, wanted in expected.items():
        if not isinstance(header[name], dict):
            raise ValueError(f"{name} is not described")
        kind, shape = header[name].get("dtype"), header[name].get("shape")
        if shape != list(wanted.shape):
            actual = tuple(shape) if isinstance(shape, list) else shape
            raise ValueError(f"{name} is {sanitize(str(actual), 60)}, expected {tuple(wanted.shape)}")
        kinds = ("F32", "F16") if wanted.is_floating_point() else ("I64",)
        if kind not in kinds:
            raise ValueError(f"{name} is of type {sanitize(str(kind), 20)}, expected {' or '.join(kinds)}")


def check_finite(tensors: dict[str, torch.Tensor]) -> None:
    """Raises ValueError where a weight is NaN or infinite, also as float32 or float16."""
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise ValueError(f"{name} holds NaN or Inf")

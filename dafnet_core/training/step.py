"""One training step on any device and in any number of processes; no files, no printing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dafnet_core.config import ModelConfig
from dafnet_core.data.prepare import Preparation
from dafnet_core.losses.weights import LossWeights
from dafnet_core.methods import METHODS
from dafnet_core.methods.base import Trainable
from dafnet_core.parallel import averaged, rank_and_size
from dafnet_core.precision import autocast, supports_bf16
from dafnet_core.training.config import TrainConfig
from dafnet_core.types import Batch, Noise

LEARNT = ("adv_mask", "adv_image", "hide", "contrast")  # terms that discriminators or readers are trained for
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class NotFiniteError(RuntimeError):
    """A loss or gradient is NaN or infinite; the message says which one and at which step."""


def pick_device(name: str) -> torch.device:
    """The device that `--device` names; with several processes, each one's own GPU.

    Raises:
        ValueError: the device is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there[name]:
        raise ValueError(f"device is {name}, which torch does not find here; choose another, or auto")
    own = rank_and_size()[0] % max(torch.cuda.device_count(), 1)
    return torch.device("cuda", own) if name == "cuda" else torch.device(name)


class GeneratorStep(nn.Module):
    """Forward pass and loss of the generator as one module, which is what several processes synchronise."""

    def __init__(self, method: Trainable, networks: nn.Module) -> None:
        super().__init__()
        self.networks = networks
        self._method = [method]  # in a list: the discriminators' weights are not this module's

    def forward(self, batch: Batch, noise: Noise, weights: LossWeights) -> tuple[Tensor, dict[str, Tensor], Any]:
        """The weighted loss, every term of it, and the networks' outputs (detached)."""
        terms, made = self._method[0].terms(self.networks, batch, noise, weights)
        return weights.total(terms), {k: v.detach() for k, v in terms.items()}, _detached(made)


class DiscriminatorStep(nn.Module):
    """Loss of all discriminators as one module."""

    def __init__(self, method: Trainable) -> None:
        super().__init__()
        self.discriminators = method.discriminators
        self._method = [method]

    def forward(self, made: Any, batch: Batch, weights: LossWeights) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and every term of it."""
        terms = self._method[0].discriminator_terms(made, batch, weights)
        first, *others = terms.values()
        return sum(others, start=first), {k: v.detach() for k, v in terms.items()}


@dataclass
class TrainState:
    """Everything that training changes; restoring its `state_dict` resumes a run bit for bit."""

    method: Trainable
    model: nn.Module
    critics: nn.Module
    average: AveragedModel
    generator_optimizer: torch.optim.Optimizer
    critic_optimizer: torch.optim.Optimizer
    generator_scaler: torch.amp.GradScaler
    critic_scaler: torch.amp.GradScaler
    generator_step: nn.Module  # wraps `model`, for several processes and for torch.compile
    critic_step: nn.Module
    device: torch.device
    step: int = 0

    PARTS = (
        "model",
        "critics",
        "average",
        "generator_optimizer",
        "critic_optimizer",
        "generator_scaler",
        "critic_scaler",
    )

    def trains_critics(self, final: LossWeights) -> bool:
        """Whether there are discriminators, and a term of the method that needs them has a weight."""
        own = [name for name in LEARNT if f"{LossWeights.PREFIX}{name}" in self.method.own_options]
        return any(getattr(final, name) for name in own) and any(True for _ in self.critics.parameters())

    @classmethod
    def create(
        cls, networks: ModelConfig, config: TrainConfig, device: torch.device, start: nn.Module | None = None
    ) -> TrainState:
        """New networks initialised from the run's seed; the global random state is unchanged.

        Args:
            networks: their configuration.
            start: networks to copy weights from; discriminators are initialised randomly.

        Raises:
            ValueError: batch statistics would be shared between processes without CUDA.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.schedule.seed)
            method = METHODS[config.model.method].for_training(networks)
        if start is not None:
            method.networks.load_state_dict(start.state_dict())
        several = rank_and_size()[1] > 1
        if several and networks.norm == "batch":
            if device.type != "cuda":
                raise ValueError(
                    "published sizes share batch statistics between processes, which torch does on CUDA only; "
                    "use --model compact, or one process"
                )
            method.networks = nn.SyncBatchNorm.convert_sync_batchnorm(method.networks)
        if method.discriminators is None:
            method.discriminators = nn.Module()
        memory = torch.channels_last if _channels_last(config, device) else torch.preserve_format
        for part in (method.networks, method.discriminators):
            part.to(device, memory_format=memory)
        return cls._around(method, method.discriminators, config, device, several)

    @classmethod
    def _around(
        cls, method: Trainable, critics: nn.Module, config: TrainConfig, device: torch.device, several: bool
    ) -> TrainState:
        """Optimizers, averages and steps of networks that are on their device."""
        model, schedule = method.networks, config.schedule
        kind = {"ema": get_ema_multi_avg_fn(schedule.ema), "swa": _plain_mean, "none": _newest}
        average = AveragedModel(model, multi_avg_fn=kind[schedule.averaging], use_buffers=True)
        # the networks only: loss weights change from step to step, and each change would recompile
        compiled = config.machine.compile == "on"
        networks = cast(nn.Module, torch.compile(model)) if compiled else model  # annotated as a function in torch
        steps: list[nn.Module] = [GeneratorStep(method, networks), DiscriminatorStep(method)]
        generator_step, critic_step = (_synchronised(s, device) for s in steps) if several else steps
        scaling = precision_of(config, device) == "fp16"
        return cls(
            method=method,
            model=model,
            critics=critics,
            average=average,
            generator_optimizer=_adam(model, schedule.lr, device),
            critic_optimizer=_adam(critics, schedule.critic_lr, device),
            generator_scaler=torch.amp.GradScaler(device.type, enabled=scaling),
            critic_scaler=torch.amp.GradScaler(device.type, enabled=scaling),
            generator_step=generator_step,
            critic_step=critic_step,
            device=device,
        )

    def state_dict(self) -> dict[str, Any]:
        """States of all parts and the step, for `torch.save`."""
        return {name: getattr(self, name).state_dict() for name in self.PARTS} | {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`; raises KeyError or RuntimeError for a state of other networks."""
        for name in self.PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.step = state["step"]


def _synchronised(step: nn.Module, device: torch.device) -> nn.Module:
    """A step whose gradients are averaged over processes; as it is if it has none."""
    if not any(p.requires_grad for p in step.parameters()):
        return step
    own = [device.index] if device.type == "cuda" else None
    # unused: without candidates the pair weighting has no gradient, and switched-off terms leave others without
    return DistributedDataParallel(step, device_ids=own, forward_sync_buffers=False, find_unused_parameters=True)


def _adam(part: nn.Module, rate: float, device: torch.device) -> torch.optim.Adam:
    """Adam with the paper's betas, fused where torch has that."""
    weights = list(part.parameters()) or [nn.Parameter(torch.zeros(1, device=device))]  # Adam refuses to have none
    fused = {"fused": True} if device.type in ("cpu", "cuda") else {}
    return torch.optim.Adam(weights, rate, (0.5, 0.999), **fused)


def precision_of(config: TrainConfig, device: torch.device) -> str:
    """fp32, bf16 or fp16: what `auto` means on this device."""
    if config.machine.precision != "auto":
        return config.machine.precision
    return "bf16" if supports_bf16(device) else "fp32"


def noise_of_step(config: TrainConfig, step: int, method: Trainable, shard: tuple[int, int] = (0, 1)) -> Noise:
    """The noise of samples r, r + n, ... of a step's batch for shard (r, n).

    Seeded by sample, so that it does not depend on how many processes share the batch, nor on the device.
    """
    schedule = config.schedule
    mine = range(shard[0], schedule.batch_size, shard[1])
    streams = [np.random.default_rng([schedule.seed, 1, step, n]) for n in mine]
    preparation = Preparation.of(config.data.grid, None)
    size = preparation.height, preparation.width
    return method.noise(streams, size, config.final_weights, schedule.rec_z_share)


def train_step(state: TrainState, batch: Batch, noise: Noise, config: TrainConfig) -> dict[str, float]:
    """One step of the generator and one of the discriminators; changes `state`.

    Args:
        batch, noise: this process's shard of the step, on `state.device`.

    Returns:
        Every named loss term (unweighted), the discriminators' terms as critic_*, the weighted `loss`, `grad_norm`
        before clipping and `critic_grad_norm`, and what the method monitors; means over all processes.

    Raises:
        NotFiniteError: before any weight is changed.
    """
    state.model.train()
    schedule, weights = config.schedule, config.weights_at(state.step)
    rates = (state.generator_optimizer, schedule.lr), (state.critic_optimizer, schedule.critic_lr)
    for optimizer, lr in rates:
        for group in optimizer.param_groups:
            group["lr"] = lr * schedule.learning_rate_factor(state.step)

    kind = precision_of(config, state.device)
    low = autocast(state.device, DTYPES.get(kind))
    state.critics.requires_grad_(False)  # the generator's step needs no gradient of their weights
    with low:
        loss, terms, made = state.generator_step(batch, noise, weights)
    # before the backward pass: torch's sampler crashes the process on gradients at NaN positions
    scalars = _finite({**terms, "loss": loss, **state.method.monitored(made)}, state.step)
    state.generator_optimizer.zero_grad(set_to_none=True)
    state.generator_scaler.scale(loss).backward()
    state.generator_scaler.unscale_(state.generator_optimizer)
    most = schedule.clip or math.inf
    norms = {"grad_norm": nn.utils.clip_grad_norm_(state.model.parameters(), most)}

    critic_terms: dict[str, Tensor] = {}
    state.critics.requires_grad_(True)
    final = config.final_weights  # discriminators learn while their terms' weights are still rising
    if state.trains_critics(final):
        with low:
            critic_loss, critic_terms = state.critic_step(made, batch, final)
        state.critic_optimizer.zero_grad(set_to_none=True)
        state.critic_scaler.scale(critic_loss).backward()
        state.critic_scaler.unscale_(state.critic_optimizer)
        norms["critic_grad_norm"] = nn.utils.get_total_norm(
            [p.grad for p in state.critics.parameters() if p.grad is not None]
        )

    scalars |= _finite({f"critic_{k}": v for k, v in critic_terms.items()}, state.step) if critic_terms else {}
    # a scaler finds its own overflows and skips that step
    scalars |= _finite(norms, state.step, raising=kind != "fp16")
    state.generator_scaler.step(state.generator_optimizer)
    state.generator_scaler.update()
    if critic_terms:
        state.critic_scaler.step(state.critic_optimizer)
        state.critic_scaler.update()
    if schedule.averaging == "swa" and state.step < schedule.swa_from * schedule.steps:
        state.average.n_averaged.zero_()  # the next update copies
    state.average.update_parameters(state.model)
    state.step += 1
    return scalars


@torch.no_grad()
def recompute_statistics(method: Trainable, batches: Iterable[Batch]) -> None:
    """Batch normalisation's statistics of averaged weights, from `batches`; nothing for networks without them."""
    norms = [m for m in method.networks.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    before = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # a plain mean over the batches
    method.networks.train()
    for batch in batches:
        method.visit(batch)
    for m, momentum in zip(norms, before, strict=True):
        m.momentum = momentum
    method.networks.eval()


def _channels_last(config: TrainConfig, device: torch.device) -> bool:
    return config.machine.channels_last == "on" or (config.machine.channels_last == "auto" and device.type == "cpu")


@torch.no_grad()
def _plain_mean(averages: list[Tensor], current: list[Tensor], n: Tensor) -> None:
    """The mean of all weights so far; torch's own waits for the device in each step."""
    for average, value in zip(averages, current, strict=True):
        if average.is_floating_point():
            average.add_((value - average) / (n + 1))
        else:
            average.copy_(value)  # batch normalisation's counter of steps


@torch.no_grad()
def _newest(averages: list[Tensor], current: list[Tensor], _: Tensor) -> None:
    """The average of `averaging none`: the newest weights."""
    for average, value in zip(averages, current, strict=True):
        average.copy_(value)


def _detached(made: Any) -> Any:
    """A dataclass with its tensors detached."""
    values = {f.name: getattr(made, f.name) for f in fields(made)}
    return replace(made, **{k: v.detach() for k, v in values.items() if isinstance(v, Tensor)})


def _finite(terms: dict[str, Tensor], step: int, *, raising: bool = True) -> dict[str, float]:
    """Scalars as floats, mean over processes; NotFiniteError if one is not finite."""
    values = _fetch(averaged(torch.stack([value.detach().float() for value in terms.values()])))
    bad = [name for name, value in zip(terms, values, strict=True) if not math.isfinite(value)]
    if bad and raising:
        raise NotFiniteError(f"step {step}: {', '.join(bad)} is not finite; nothing was changed by this step")
    return dict(zip(terms, values, strict=True))


def _fetch(values: Tensor) -> list[float]:
    """The only synchronisation with the device in a step."""
    return values.tolist()

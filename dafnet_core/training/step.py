"""One training step on any device and in any number of processes; no files, no printing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dafnet_core.config import LossWeights, ModelConfig, TrainConfig
from dafnet_core.losses import critic_terms, generator_terms
from dafnet_core.networks.blocks import arithmetic
from dafnet_core.networks.dafnet import DAFNet, computes_in_bf16
from dafnet_core.networks.discriminators import Critics
from dafnet_core.parallel import averaged, rank_and_size
from dafnet_core.types import Batch, Noise, PairOutputs

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class NotFiniteError(RuntimeError):
    """A loss or gradient is NaN or infinite; the message says which one and at which step."""


def pick_device(name: str) -> torch.device:
    """The device that `--device` names; with several processes, each one's own GPU.

    Raises:
        ValueError: it is not there.
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

    def __init__(self, model: DAFNet, critics: Critics) -> None:
        super().__init__()
        self.model = model
        self._critics = [critics]  # in a list: their weights are not this module's

    def forward(
        self, batch: Batch, noise: Noise, weights: LossWeights
    ) -> tuple[Tensor, dict[str, Tensor], PairOutputs]:
        """The weighted sum to go down, every term of it, and what the networks made (cut off from gradients)."""
        outputs = self.model(batch, noise)
        terms = generator_terms(outputs, batch, self._critics[0], weights)
        return weights.total(terms), {k: v.detach() for k, v in terms.items()}, _detached(outputs)


class CriticStep(nn.Module):
    """Loss of all discriminators as one module."""

    def __init__(self, critics: Critics) -> None:
        super().__init__()
        self.critics = critics

    def forward(self, outputs: PairOutputs, batch: Batch, weights: LossWeights) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum to go down, and every term of it."""
        terms = critic_terms(outputs, batch, self.critics, weights)
        return sum(terms.values()), {k: v.detach() for k, v in terms.items()}


@dataclass
class TrainState:
    """All that training changes; `state_dict` of it resumes a run bit for bit."""

    model: DAFNet
    critics: Critics
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

    @classmethod
    def create(
        cls, model_config: ModelConfig, config: TrainConfig, device: torch.device, start: DAFNet | None = None
    ) -> TrainState:
        """New networks, their weights drawn from `config.seed`; the process's own random state is left alone.

        Args:
            start: begin with its weights; discriminators are drawn all the same.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model, critics = DAFNet(model_config), Critics(model_config)
        if start is not None:
            model.load_state_dict(start.state_dict())
        several = rank_and_size()[1] > 1
        if several and model_config.norm == "batch":
            if device.type != "cuda":
                raise ValueError(
                    "published sizes share batch statistics between processes, which torch does on CUDA "
                    "only; use --model compact, or one process"
                )
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        memory = torch.channels_last if _channels_last(config, device) else torch.preserve_format
        model.to(device, memory_format=memory)
        critics.to(device, memory_format=memory)
        kind = {"ema": get_ema_multi_avg_fn(config.ema), "swa": _plain_mean, "none": _newest}
        average = AveragedModel(model, multi_avg_fn=kind[config.averaging], use_buffers=True)
        fused = {"fused": True} if device.type in ("cpu", "cuda") else {}
        betas = (0.5, 0.999)
        # the networks only: loss weights change from step to step, and each change would compile anew
        networks = torch.compile(model) if config.compile == "on" else model
        steps: list[nn.Module] = [GeneratorStep(networks, critics), CriticStep(critics)]
        if several:
            own = [device.index] if device.type == "cuda" else None
            # unused: without candidates the pair weighting has no gradient, and switched-off terms leave others without
            steps = [
                DistributedDataParallel(s, device_ids=own, forward_sync_buffers=False, find_unused_parameters=True)
                for s in steps
            ]
        scaling = precision_of(config, device) == "fp16"
        scalers = [torch.amp.GradScaler(device.type, enabled=scaling) for _ in range(2)]
        return cls(
            model,
            critics,
            average,
            torch.optim.Adam(model.parameters(), config.lr, betas, **fused),
            torch.optim.Adam(critics.parameters(), config.critic_lr, betas, **fused),
            *scalers,
            *steps,
            device,
        )

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name).state_dict() for name in self.PARTS} | {"step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in self.PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.step = state["step"]


def precision_of(config: TrainConfig, device: torch.device) -> str:
    """fp32, bf16 or fp16: what `auto` means on this device."""
    if config.precision != "auto":
        return config.precision
    return "bf16" if computes_in_bf16(device) else "fp32"


def noise_of_step(config: TrainConfig, step: int, m: int, n_z: int, part: tuple[int, int] = (0, 1)) -> Noise:
    """The noise of samples r, r + n, ... of a step's batch for part (r, n).

    Seeded by sample, so that it does not depend on how many processes share the batch, nor on the device.
    """
    mine = range(part[0], config.batch_size, part[1])
    some = math.ceil(len(mine) * config.rec_z_share)
    final = config.weights_at(config.steps)
    values = [np.random.default_rng([config.seed, 1, step, n]).standard_normal((2, m, n_z)) for n in mine]
    z, further = torch.from_numpy(np.stack(values, 2)).float()  # (2, M, B, n_z)
    return Noise(z, further[:, : some if final.rec_z else 0], some if final.swap else 0)


def learning_rate_factor(config: TrainConfig, step: int) -> float:
    """Share of `config.lr` at a step: warm-up, cosine from 40 % of phase 1, then the finish's own rate."""
    start = config.finish_start
    if config.finish_steps and step >= start:
        done = (step - start) / (config.steps - start)
        return config.finish_lr / config.lr * (0.55 + 0.45 * math.cos(math.pi * done))
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    flat = 0.4 * start
    done = max(0.0, (step - flat) / max(start - flat, 1))
    return warm * (0.55 + 0.45 * math.cos(math.pi * done))


def train_step(state: TrainState, batch: Batch, noise: Noise, config: TrainConfig) -> dict[str, float]:
    """One step of the generator and one of the discriminators; changes `state`.

    Args:
        batch, noise: this process's part of the step, on `state.device`.

    Returns:
        Every named loss term (unweighted), the discriminators' terms as critic_*, the weighted `loss`, `grad_norm`
        before clipping and `critic_grad_norm`, the mean displacement `shift` of control points in [-1, 1] units and,
        with candidates, the mean pair weight of each as weight_k; means over all processes.

    Raises:
        NotFiniteError: before any weight is changed.
    """
    state.model.train()
    weights = config.weights_at(state.step)
    for optimizer, lr in ((state.generator_optimizer, config.lr), (state.critic_optimizer, config.critic_lr)):
        for group in optimizer.param_groups:
            group["lr"] = lr * learning_rate_factor(config, state.step)

    kind = precision_of(config, state.device)
    low = arithmetic(state.device, DTYPES.get(kind))
    state.critics.requires_grad_(False)  # the generator's step needs no gradient of their weights
    with low:
        loss, terms, outputs = state.generator_step(batch, noise, weights)
    seen = {**terms, "loss": loss, "shift": outputs.offsets.abs().mean()}
    if outputs.weights.shape[2] > 1:
        seen |= {f"weight_{k + 1}": w for k, w in enumerate(outputs.weights.mean((0, 1)))}
    # before the backward pass: torch's sampler crashes the process on gradients at NaN positions
    found = _finite(seen, state.step)
    state.generator_optimizer.zero_grad(set_to_none=True)
    state.generator_scaler.scale(loss).backward()
    state.generator_scaler.unscale_(state.generator_optimizer)
    norms = {"grad_norm": nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)}

    judged: dict[str, Tensor] = {}
    state.critics.requires_grad_(True)
    final = config.weights_at(config.steps)  # discriminators learn while their terms' weights are still rising
    if final.adv_mask or final.adv_image:
        with low:
            critic_loss, judged = state.critic_step(outputs, batch, final)
        state.critic_optimizer.zero_grad(set_to_none=True)
        state.critic_scaler.scale(critic_loss).backward()
        state.critic_scaler.unscale_(state.critic_optimizer)
        norms["critic_grad_norm"] = nn.utils.get_total_norm(
            [p.grad for p in state.critics.parameters() if p.grad is not None]
        )

    found |= _finite({f"critic_{k}": v for k, v in judged.items()}, state.step) if judged else {}
    # a scaler finds its own overflows and skips that step
    found |= _finite(norms, state.step, raising=kind != "fp16")
    state.generator_scaler.step(state.generator_optimizer)
    state.generator_scaler.update()
    if judged:
        state.critic_scaler.step(state.critic_optimizer)
        state.critic_scaler.update()
    if config.averaging == "swa" and state.step < config.swa_from * config.steps:
        state.average.n_averaged.zero_()  # the next update copies
    state.average.update_parameters(state.model)
    state.step += 1
    return found


@torch.no_grad()
def recompute_statistics(model: DAFNet, batches: Iterable[Batch]) -> None:
    """Batch normalisation's statistics of averaged weights, from `batches`; nothing for a model without them."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    before = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None  # a plain mean over the batches
    model.train()
    for batch in batches:
        m, b = batch.annotated.T.shape
        model(batch, Noise.draw(m, b, model.config.z_dim, rec_z_share=0).to(batch.images.device))
    for m, momentum in zip(norms, before, strict=True):
        m.momentum = momentum
    model.eval()


def _channels_last(config: TrainConfig, device: torch.device) -> bool:
    return config.channels_last == "on" or (config.channels_last == "auto" and device.type == "cpu")


@torch.no_grad()
def _plain_mean(averages: list[Tensor], current: list[Tensor], n: Tensor) -> None:
    """The mean of all weights so far; torch's own waits for the device in each step."""
    for average, value in zip(averages, current, strict=True):
        average.add_((value - average) / (n + 1))


@torch.no_grad()
def _newest(averages: list[Tensor], current: list[Tensor], _: Tensor) -> None:
    """The average of `averaging none`: the newest weights."""
    for average, value in zip(averages, current, strict=True):
        average.copy_(value)


def _detached(outputs: PairOutputs) -> PairOutputs:
    values = {f.name: getattr(outputs, f.name) for f in fields(outputs)}
    return PairOutputs(**{k: v.detach() if isinstance(v, Tensor) else v for k, v in values.items()})


def _finite(terms: dict[str, Tensor], step: int, *, raising: bool = True) -> dict[str, float]:
    """Scalars as floats, mean over processes; NotFiniteError if one is not finite."""
    values = _fetch(averaged(torch.stack([value.detach().float() for value in terms.values()])))
    bad = [name for name, value in zip(terms, values, strict=True) if not math.isfinite(value)]
    if bad and raising:
        raise NotFiniteError(f"step {step}: {', '.join(bad)} is not finite; nothing was changed by this step")
    return dict(zip(terms, values, strict=True))


def _fetch(values: Tensor) -> list[float]:
    """The only place where a step waits for the device."""
    return values.tolist()

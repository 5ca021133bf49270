"""One training step; no files, no printing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dafnet_core.config import ModelConfig, TrainConfig
from dafnet_core.discriminator import Critics
from dafnet_core.factors import Batch
from dafnet_core.losses import critic_terms, generator_terms
from dafnet_core.model import DAFNet


class NotFiniteError(RuntimeError):
    """A loss or gradient is NaN or infinite; the message says which one and at which step."""


@dataclass
class TrainState:
    """All that training changes; `state_dict` of it resumes a run bit for bit."""

    model: DAFNet
    critics: Critics
    average: AveragedModel
    generator_optimizer: torch.optim.Optimizer
    critic_optimizer: torch.optim.Optimizer
    noise: torch.Generator
    step: int = 0

    PARTS = ("model", "critics", "average", "generator_optimizer", "critic_optimizer")

    @classmethod
    def create(cls, model_config: ModelConfig, config: TrainConfig) -> TrainState:
        """New networks, their weights drawn from `config.seed`; the process's own random state is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model, critics = DAFNet(model_config), Critics(model_config)
        model.to(memory_format=torch.channels_last)
        critics.to(memory_format=torch.channels_last)
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
        betas = (0.5, 0.999)
        return cls(
            model, critics, average,
            torch.optim.Adam(model.parameters(), config.lr, betas, fused=True),
            torch.optim.Adam(critics.parameters(), config.critic_lr, betas, fused=True),
            torch.Generator().manual_seed(config.seed + 1),
        )  # fmt: skip

    def state_dict(self) -> dict:
        parts = {name: getattr(self, name).state_dict() for name in self.PARTS}
        return parts | {"noise": self.noise.get_state(), "step": self.step}

    def load_state_dict(self, state: dict) -> None:
        for name in self.PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.noise.set_state(state["noise"])
        self.step = state["step"]


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


def train_step(state: TrainState, batch: Batch, config: TrainConfig) -> dict[str, float]:
    """One step of the generator and one of the discriminators; changes `state`.

    Returns:
        Every named loss term (unweighted), the discriminators' terms as critic_*, the weighted `loss`,
        `grad_norm` before clipping, and the mean displacement `shift` of control points in [-1, 1] units.

    Raises:
        NotFiniteError: before any weight is changed.
    """
    state.model.train()
    for optimizer, lr in ((state.generator_optimizer, config.lr), (state.critic_optimizer, config.critic_lr)):
        for group in optimizer.param_groups:
            group["lr"] = lr * learning_rate_factor(config, state.step)

    low = torch.autocast(batch.images.device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16")
    state.critics.requires_grad_(False)  # the generator's step needs no gradient of their weights
    with low:
        outputs = state.model(batch, state.noise, config.rec_z_share)
        terms = generator_terms(outputs, batch, state.critics)
        loss = config.weights_at(state.step).total(terms)
    # before the backward pass: torch's sampler crashes the process on gradients at NaN positions
    found = _finite({**terms, "loss": loss, "shift": outputs.offsets.abs().mean()}, state.step)
    state.generator_optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), config.clip)

    state.critics.requires_grad_(True)
    with low:
        judged = critic_terms(outputs, batch, state.critics)
        critic_loss = sum(judged.values())
    state.critic_optimizer.zero_grad(set_to_none=True)
    critic_loss.backward()

    found |= _finite({**{f"critic_{k}": v for k, v in judged.items()}, "grad_norm": norm}, state.step)
    state.generator_optimizer.step()
    state.critic_optimizer.step()
    state.average.update_parameters(state.model)
    state.step += 1
    return found


def _finite(terms: dict[str, Tensor], step: int) -> dict[str, float]:
    """Scalars as floats, fetched from the device in one go; NotFiniteError if one is not finite."""
    values = torch.stack([value.detach().float() for value in terms.values()]).tolist()
    if bad := [name for name, value in zip(terms, values, strict=True) if not math.isfinite(value)]:
        raise NotFiniteError(f"step {step}: {', '.join(bad)} is not finite; nothing was changed by this step")
    return dict(zip(terms, values, strict=True))

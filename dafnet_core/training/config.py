"""A training run: data, networks, losses, schedule and machine, each a section of its own.

The command line shows all options in one list, without sections: `TrainConfig.of` takes them so, and `flat` gives them
back. `from_dict` also reads the flat files that runs before version 0.2 wrote.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, replace
from typing import Any, ClassVar, Self

from dafnet_core.config import EVALUATION_SEED, Config, ModelConfig, option, short
from dafnet_core.data.config import DataConfig
from dafnet_core.data.sources import check_options
from dafnet_core.losses.weights import LossWeights
from dafnet_core.methods import METHODS, trainable


@dataclass(frozen=True)
class NetworkConfig(Config):
    """Which method is trained, and the sizes of its networks."""

    method: str = option("dafnet", "method to train", trainable)
    decoder: str = option("film", "decoder", ("film", "spade"))
    size: str = option("compact", "network sizes", ("compact", "published"), flag="model")
    start: str = option("", "checkpoint of the same networks to fine-tune from; none: random weights")
    channels: int = option(8, "C, channels of the anatomy factor (Sec. V-F)")
    z_dim: int = option(8, "n_z, dimensions of the modality factor (Sec. V-F)")
    without: tuple[str, ...] = option(
        (),
        "switch off loss terms, the aligner or the segmentor, for an ablation (Table IV, Sec. V-D, footnote 10)",
        (*(f.name for f in LossWeights.terms_of_dafnet()), "aligner", "segmentor"),
    )

    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {n: ModelConfig.LIMITS[n] for n in ("channels", "z_dim")}


@dataclass(frozen=True)
class ScheduleConfig(Config):
    """Steps, learning rates, ramps and averaging (PAPER_NOTES.md, "Training recipe")."""

    seed: int = option(0, f"seed of data, weights and noise; {EVALUATION_SEED} and above are for evaluation")
    recipe: str = option(
        "plain",
        "values of many options at once, which other options change again, as do the loss weights that methods other "
        "than dafnet have of their own; on the command line clean, unless another one is named",
        ("plain", "clean", "paper"),
    )
    steps: int = option(1800, "training steps")
    epochs: int = option(0, "epochs in place of --steps, with a validation after each in place of --validate-every")
    finish_steps: int = option(300, "last steps, taken with exactly the loss weights below")
    batch_size: int = option(4, "pairs per step")
    lr: float = option(1e-3, "learning rate of the generator")
    finish_lr: float = option(5e-4, "learning rate of the generator in the last steps")
    critic_lr: float = option(2e-4, "learning rate of the discriminators")
    warmup: int = option(100, "steps over which learning rates rise from zero")
    kl_phase1: float = option(0.02, "weight of L_KL before the last steps")
    rec_phase1: float = option(3.0, "weight of L_rec before the last steps")
    kl_ramp: int = option(900, "steps over which the weight of L_KL rises from zero")
    adversarial_from: int = option(300, "step at which adversarial terms begin")
    adversarial_ramp: int = option(300, "steps over which adversarial terms rise to their weight")
    clean_from: int = option(100, "step at which terms that clean the anatomy begin (w_invariance to w_agree)")
    clean_ramp: int = option(200, "steps over which they rise to their weight")
    rec_z_share: float = option(0.5, "share of each batch that L_rec^z and swaps are computed on")
    decay: str = option("cosine", "of learning rates after the warm-up", ("cosine", "none"))
    clip: float = option(10.0, "largest norm of the generator's gradient; 0 for any")
    averaging: str = option("ema", "average of weights that is evaluated and saved", ("ema", "swa", "none"))
    ema: float = option(0.998, "decay of the exponential average")
    swa_from: float = option(0.6, "share of the steps after which the plain average begins")
    validate_every: int = option(450, "steps between validations and contact sheets")
    save_every: int = option(150, "steps between states to resume from")
    patience: int = option(0, "stop after so many validations without a better volume Dice of fused masks; 0 never")

    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        **dict.fromkeys(("rec_z_share", "ema", "swa_from"), (0, 1)),
        **dict.fromkeys(("steps", "validate_every", "save_every"), (1, 10**7)),
        **dict.fromkeys(
            ("finish_steps", "warmup", "kl_ramp", "adversarial_ramp", "patience", "epochs", "clean_ramp"), (0, 10**7)
        ),
        **dict.fromkeys(("adversarial_from", "clean_from"), (-1, 10**7)),
        **dict.fromkeys(("lr", "finish_lr", "critic_lr"), (1e-12, math.inf)),
        "clip": (0, math.inf),
        **dict.fromkeys(("kl_phase1", "rec_phase1"), (0, LossWeights.MOST)),
        "batch_size": (1, 1024),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.seed < EVALUATION_SEED:
            raise ValueError(
                f"seed is {self.seed}; expected 0 to {EVALUATION_SEED - 1}: "
                f"seeds from {EVALUATION_SEED} on are for evaluation only"
            )

    def for_epochs_of(self, steps: int) -> Self:
        """This schedule with its epochs, of so many steps each, as steps; itself without epochs."""
        if not self.epochs:
            return self
        return replace(self, epochs=0, steps=self.epochs * steps, validate_every=steps, save_every=steps)

    @property
    def finish_start(self) -> int:
        """First step of the finish, which never takes more than half of a run."""
        return max(self.steps - self.finish_steps, self.steps // 2)

    def learning_rate_factor(self, step: int) -> float:
        """Share of `lr` at a step: warm-up, cosine from 40 % of phase 1, then the finish's own rate."""
        if self.decay == "none":
            return min(1.0, (step + 1) / max(self.warmup, 1))
        start = self.finish_start
        if self.finish_steps and step >= start:
            done = (step - start) / (self.steps - start)
            return self.finish_lr / self.lr * (0.55 + 0.45 * math.cos(math.pi * done))
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        flat = 0.4 * start
        done = max(0.0, (step - flat) / max(start - flat, 1))
        return warm * (0.55 + 0.45 * math.cos(math.pi * done))


@dataclass(frozen=True)
class MachineConfig(Config):
    """Where a run computes, and in which precision."""

    device: str = option("auto", "auto: CUDA, else MPS, else CPU", ("auto", "cpu", "cuda", "mps"))
    precision: str = option(
        "auto",
        "arithmetic of convolutions, geometry is always fp32; auto: bf16 where the processor computes in it",
        ("auto", "fp32", "bf16", "fp16"),
    )
    channels_last: str = option("auto", "memory format; auto: on CPU, where it measured faster", ("auto", "on", "off"))
    compile: str = option(
        "off",
        "torch.compile of the networks; on CPU it compiles for minutes, and steps then took longer, not less",
        ("on", "off"),
    )
    workers: int = option(
        0,
        "processes that read and augment ahead of the main one, 0: it does that itself; more help on a GPU, and on a "
        "CPU with cores to spare; results are the same",
    )

    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {"workers": (0, 64)}
    FREE: ClassVar[frozenset[str]] = frozenset({"workers"})  # options that a resumed run may change


def meaningless(method: str) -> frozenset[str]:
    """Options that mean something for other methods and nothing for this one."""
    own: dict[str, frozenset[str]] = {name: METHODS[name].own_options for name in trainable()}
    return frozenset().union(*own.values()) - own[method]


def _shown(value: Any) -> str:
    return (
        " x ".join(map(str, value))
        if isinstance(value, tuple)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


STANDARD_RECIPE = "clean"  # of the command line
CLEAN = (
    "invariance",
    "rec_s",
    "boundary",
    "confidence",
    "balance",
    "organs",
    "flips",
    "hide",
    "tell",
    "contrast",
    "agree",
)  # terms that clean the anatomy
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "clean": {  # terms that keep intensities and the modality out of s (python -m experiments disentangle)
        "dice": "every",
        "ce": 0.2,
        "w_rec": 8.0,
        "rec_phase1": 6.0,
        "w_rec_z": 0.1,
        "w_kl": 0.02,
        "kl_phase1": 0.005,
        "w_swap": 1.5,
        "w_adv_mask": 0.0,
        "w_adv_image": 0.0,
        "w_invariance": 0.5,
        "w_rec_s": 0.5,
        "w_boundary": 0.5,
        "w_confidence": 0.3,
        "w_balance": 1.0,
        "w_organs": 3.0,
        "w_hide": 0.5,
        "w_tell": 0.5,
        "w_agree": 4.0,
        "clean_from": 120,
        "clean_ramp": 120,
        "lr": 1.5e-3,
    },
    "paper": {  # Sec. IV-A and the published code
        "model": "published",
        "size": (192,),
        "scaling": "range",
        "rotation": 20.0,
        "w_fused": 0.0,
        "dice": "paper",
        "epochs": 500,
        "patience": 60,
        "averaging": "swa",
        "swa_from": 40 / 500,
        "batch_size": 6,
        "lr": 1e-4,
        "critic_lr": 1e-4,
        "decay": "none",
        "warmup": 0,
        "clip": 0.0,
        "finish_steps": 0,
        "rec_phase1": 1.0,
        "kl_phase1": 0.1,
        "kl_ramp": 0,
        "adversarial_from": -1,
        "adversarial_ramp": 0,
        "rec_z_share": 1.0,
    },
}


def presets(method: str) -> dict[str, Any]:
    """The options that a method sets on top of any recipe; {} for an unknown one."""
    return METHODS[method].presets if method in trainable() else {}


def recipe(name: str, method: str) -> dict[str, Any]:
    """The options that a recipe sets for a method, which neither have no effect nor are the method's presets."""
    left_out = {*meaningless(method), *presets(method)} if method in trainable() else set()
    return {option: value for option, value in RECIPES.get(name, {}).items() if option not in left_out}


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    data: DataConfig = field(default_factory=DataConfig)
    model: NetworkConfig = field(default_factory=NetworkConfig)
    losses: LossWeights = field(default_factory=LossWeights)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)

    SECTIONS: ClassVar[dict[str, type[Config]]] = {
        "data": DataConfig,
        "model": NetworkConfig,
        "schedule": ScheduleConfig,
        "losses": LossWeights,
        "machine": MachineConfig,
    }

    def __post_init__(self) -> None:
        check_options(self.data)
        self._check_method()

    def _check_method(self) -> None:
        """Check that no option is set that has no effect for the method; raises ValueError with the first one."""
        for name in sorted(meaningless(self.model.method)):
            section, f = self.options()[name]
            value = getattr(getattr(self, section), f.name)
            if value != f.default:
                raise ValueError(
                    f"{name} is {short(value)}, which means nothing for --method {self.model.method}; leave it out"
                )

    @classmethod
    def options(cls) -> dict[str, tuple[str, Field[Any]]]:
        """Every option of the command line: its section and field."""
        return {name: (s, f) for s, section in cls.SECTIONS.items() for name, f in section.options().items()}

    @classmethod
    def of(cls, **values: Any) -> Self:
        """A run by its options, as the command line names them.

        Raises:
            ValueError: an unknown option, or an invalid value.
        """
        return cls().with_options(**values)

    def with_options(self, **values: Any) -> Self:
        """This run with some options changed, those of a recipe first, then the method's; errors as in `of`."""
        known = self.options()
        method = values.get("method", self.model.method)
        set_by_method = presets(method) if "method" in values else {}
        values = {**recipe(values.get("recipe", ""), method), **set_by_method, **values}
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"TrainConfig has no {', '.join(unknown)}; it knows {', '.join(sorted(known))}")
        parts: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            section, f = known[name]
            parts.setdefault(section, {})[f.name] = value
        return replace(self, **{s: replace(getattr(self, s), **changes) for s, changes in parts.items()})

    def in_words(self) -> dict[str, str]:
        """The options that the recipe and the method set, if any, with their values in this run."""
        values, method, name = self.flat(), self.model.method, self.schedule.recipe
        parts = {f"recipe {name}": recipe(name, method), f"method {method}": presets(method)}
        return {
            k: ", ".join(f"{option} {_shown(values[option])}" for option in part) for k, part in parts.items() if part
        }

    def flat(self) -> dict[str, Any]:
        """The value of every option."""
        return {name: getattr(getattr(self, section), f.name) for name, (section, f) in self.options().items()}

    def to_dict(self) -> dict[str, Any]:
        """Sections as JSON."""
        return {section: getattr(self, section).to_dict() for section in self.SECTIONS}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; also a flat object of options, as older runs wrote it.

        Raises:
            ValueError: an unknown key, or an invalid value.
        """
        if any(isinstance(v, dict) for v in values.values()):
            if unknown := sorted(set(values) - set(cls.SECTIONS)):
                raise ValueError(f"TrainConfig has no {', '.join(unknown)}; it knows {', '.join(cls.SECTIONS)}")
            sections: dict[str, Any] = {s: cls.SECTIONS[s].from_dict(part) for s, part in values.items()}
            return cls(**sections)
        return cls.of(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})

    def networks(self, modalities: tuple[str, ...], classes: tuple[str, ...]) -> ModelConfig:
        """The networks for data of these modalities and classes; without a segmentor, the classes are the channels."""
        without = self.model.without
        named = {name.lower(): name for name in modalities}
        return METHODS[self.model.method].configure(
            self.model.size,
            modalities,
            classes,
            decoder=self.model.decoder,
            channels=len(classes) if "segmentor" in without else self.model.channels,
            z_dim=self.model.z_dim,
            candidates=self.data.candidates,
            target=named.get(self.data.target.lower(), modalities[-1]),
            align="off" if "aligner" in without else "on",
            segmentor="off" if "segmentor" in without else "on",
        )

    @property
    def final_weights(self) -> LossWeights:
        """The weights of the last steps."""
        return self.losses.without(self.model.without)

    def weights_at(self, step: int) -> LossWeights:
        """Loss weights of a step: ramps first, exactly the configured ones from `finish_start` on."""
        final, schedule = self.final_weights, self.schedule
        if step >= schedule.finish_start:
            return final
        adversarial = min(max(step - schedule.adversarial_from, 0) / max(schedule.adversarial_ramp, 1), 1.0)
        clean = min(max(step - schedule.clean_from, 0) / max(schedule.clean_ramp, 1), 1.0)
        rising: dict[str, Any] = {name: getattr(final, name) * clean for name in CLEAN}
        return replace(
            final,
            **rising,
            adv_mask=final.adv_mask * adversarial,
            adv_image=final.adv_image * adversarial,
            rec=schedule.rec_phase1 if final.rec else 0.0,
            kl=schedule.kl_phase1 * (min(step / schedule.kl_ramp, 1.0) if schedule.kl_ramp else 1.0)
            if final.kl
            else 0.0,
        )

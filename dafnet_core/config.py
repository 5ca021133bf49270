"""Configurations: frozen, validated where they are made, JSON both ways.

A command-line option is a field here: its default is the option's default, its `help` the option's help.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Self

JUDGING_SEED = 9000  # phantom seeds from here on are never trained on


def option(default: Any, help: str, choices: tuple[str, ...] | None = None) -> Any:
    """A dataclass field that the command line can show."""
    return field(default=default, metadata={"help": help, "choices": choices})


KINDS = {"int": "a whole number", "float": "a finite number", "str": "text"}


def _is(value: Any, kind: str) -> bool:
    """Whether a value has the type of an annotation; True is no number, and NaN and Inf are none."""
    if kind == "float":
        return type(value) in (int, float) and abs(value) < math.inf
    return type(value).__name__ == kind


class Config:
    """JSON for frozen dataclasses; an unknown or missing key is an error and never silently ignored.

    Whatever makes one, a command line or a stranger's file: types are checked, and numbers against LIMITS.
    """

    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {}  # least and most of a field, and of every entry of a tuple

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{cls.__name__} has no {', '.join(unknown)}; it knows {', '.join(sorted(known))}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def __post_init__(self) -> None:
        for f in fields(self):
            choices = f.metadata.get("choices")
            value, kind = getattr(self, f.name), str(f.type)
            several = kind.startswith("tuple")
            if several and type(value) is not tuple:
                raise ValueError(f"{f.name} is {_short(value)}; expected a list")
            kind = kind.removeprefix("tuple[").removesuffix(", ...]")
            low, high = self.LIMITS.get(f.name, (-math.inf, math.inf))
            for item in value if several else (value,):
                if not _is(item, kind):
                    raise ValueError(f"{f.name} is {_short(item)}; expected {KINDS[kind]}")
                if choices and item not in choices:
                    raise ValueError(f"{f.name} is {_short(item)}; expected one of {', '.join(choices)}")
                if kind != "str" and not low <= item <= high:
                    least = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
                    raise ValueError(f"{f.name} is {_short(item)}; expected {least}")


def plain(text: str, most: int = 400) -> str:
    """Text that is safe on a page and in a terminal: one line, no markup, not too long."""
    text = "".join(c if c.isprintable() else " " for c in text[:most])
    return _MARKUP.sub(" ", text)


_MARKUP = re.compile(r"<|!(?=\[)|(?<=\])(?=[(\[])")  # HTML, and Markdown's pictures and links


def _short(value: Any) -> str:
    return plain(repr(value)[:60])


@dataclass(frozen=True)
class ModelConfig(Config):
    """Everything that decides the shape of a DAFNet; the defaults are the published sizes.

    "Grids" are the sizes, in cells a side, to which maps are pooled before a dense layer, so that one
    set of weights runs at any H and W that are multiples of `multiple`.
    """

    modalities: tuple[str, ...]
    classes: tuple[str, ...]  # class 0 is the background
    channels: int = 8  # C, channels of the anatomy factor s
    z_dim: int = 8  # n_z, dimensions of the modality factor z
    decoder: str = option("film", "how s and z become an image", ("film", "spade"))
    norm: str = option("batch", "normalisation of encoder and segmentor", ("batch", "instance"))
    upsample: str = option("conv3x3_after", "convolution at each upsampling", ("conv3x3_after", "conv1x1_before"))
    width: int = 64
    depth: int = 4
    segmentor_width: int = 64
    modality_widths: tuple[int, ...] = (16, 32, 64, 128)
    modality_grid: int = 12
    modality_dense: int = 32
    logvar_bias: float = 0.0
    aligner: str = option("dense", "how control points are found", ("dense", "matching"))
    aligner_pool: int = 1
    aligner_width: int = 20
    aligner_grid: int = 48
    aligner_dense: int = 100
    align_passes: int = 1  # times the aligner looks at what it deformed and adds to its offsets; 1 is the paper
    control_points: int = 5
    film_width: int = 8
    film_blocks: int = 4
    spade_widths: tuple[int, ...] = (128, 128, 128, 64, 32, 16)
    spade_hidden: int = 128
    critic_width: int = 64
    critic_grid: int = 24
    candidates: int = 1  # k, images of the other modality that one image may be paired with
    align: str = option("on", "whether anatomies are deformed at all; off is the ablation of Sec. V-D", ("on", "off"))

    # far beyond what anybody trains; they bound what a stranger's checkpoint can make this machine allocate
    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "channels": (2, 64),
        "z_dim": (1, 128),
        "width": (1, 256),
        "depth": (1, 6),
        "segmentor_width": (1, 256),
        "modality_widths": (1, 1024),
        "modality_grid": (1, 64),
        "modality_dense": (1, 1024),
        "logvar_bias": (-30, 30),
        "aligner_pool": (1, 8),
        "aligner_width": (1, 256),
        "aligner_grid": (1, 64),
        "aligner_dense": (1, 1024),
        "align_passes": (1, 8),
        "control_points": (2, 16),
        "film_width": (1, 256),
        "film_blocks": (1, 32),
        "spade_widths": (1, 512),
        "spade_hidden": (1, 512),
        "critic_width": (1, 256),
        "critic_grid": (1, 64),
        "candidates": (1, 16),
    }
    MOST_MODALITIES, MOST_CLASSES, MOST_STAGES = 8, 64, 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= len(set(self.modalities)) == len(self.modalities) <= self.MOST_MODALITIES:
            raise ValueError(
                f"modalities are {_short(self.modalities)}; expected at least two different names, at most "
                f"{self.MOST_MODALITIES}"
            )
        if not 2 <= len(set(self.classes)) == len(self.classes) <= self.MOST_CLASSES:
            raise ValueError(
                f"classes are {_short(self.classes)}; expected the background and others, all different, at most "
                f"{self.MOST_CLASSES}"
            )
        for name in (*self.modalities, *self.classes):
            if not name.strip() or plain(name, 60) != name or "_to_" in name:
                raise ValueError(
                    f"{_short(name)} is the name of a modality or class; expected up to 60 letters of one line, "
                    "without markup and without _to_"
                )
        for name in ("modality_widths", "spade_widths"):
            if not 1 <= len(getattr(self, name)) <= self.MOST_STAGES:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries; expected 1 to {self.MOST_STAGES}")

    @property
    def multiple(self) -> int:
        """H and W of every image must be multiples of this (and at least twice it)."""
        return 2**self.depth

    @classmethod
    def published(cls, modalities: tuple[str, ...], classes: tuple[str, ...], **changes: Any) -> Self:
        """The sizes of the paper (Fig. 3, Sec. IV-A), meant for 192 x 192."""
        return cls(modalities, classes, **changes)

    @classmethod
    def compact(cls, modalities: tuple[str, ...], classes: tuple[str, ...], **changes: Any) -> Self:
        """The small model that ships: instance norm, 16 filters, trainable on two CPU cores."""
        small = dict(
            norm="instance",
            upsample="conv1x1_before",
            width=16,
            segmentor_width=16,
            modality_grid=4,
            logvar_bias=-3.0,
            aligner="matching",
            aligner_pool=2,
            aligner_width=32,
            aligner_grid=8,
            align_passes=2,
            spade_widths=(32, 32, 32, 16, 8, 8),
            spade_hidden=16,
            critic_width=16,
            critic_grid=6,
        )
        return cls(modalities, classes, **(small | changes))


@dataclass(frozen=True)
class LossWeights(Config):
    """Weights of the loss terms (Sec. IV-A); the defaults are the paper's."""

    sup: float = option(10.0, "L_sup: Dice and cross entropy of annotated masks")
    adv_mask: float = option(1.0, "L_adv^M: masks that the mask discriminator takes for real")
    rec: float = option(1.0, "L_rec: absolute error of own and crosswise reconstructions")
    adv_image: float = option(1.0, "L_adv^I: images that the image discriminators take for real")
    rec_z: float = option(1.0, "L_rec^z: z found again in an image made from it")
    kl: float = option(0.1, "L_KL: divergence of q(z | x, s) from N(0, I)")
    fused: float = option(0.0, "L_sup of masks of fused anatomies, felt by the segmentor alone; not in the paper")
    warp: float = option(0.0, "error of alignment under the known warps of registered data; not in the paper")
    swap: float = option(0.0, "z found again in images of another modality's anatomy; not in the paper")

    def total(self, terms: dict[str, Any]) -> Any:
        """The weighted sum of named terms; a term without a weight raises."""
        if unknown := sorted(set(terms) - {f.name for f in fields(self)}):
            raise KeyError(f"no weight for loss term {', '.join(unknown)}")
        return sum(getattr(self, name) * value for name, value in terms.items())


@dataclass(frozen=True)
class TrainConfig(Config):
    """One training run: data, recipe and machine (recipe: PAPER_NOTES.md, "Training recipe")."""

    data: str = option("phantom", "phantom, chaos:PATH, chaos-out:PATH, or the path of an nnU-Net v2 folder")
    modalities: tuple[str, ...] = option((), "channels of an nnU-Net folder, in this order; all of them by default")
    fold: int = option(0, "which split of the subjects: the data's own folds where they have some, else 0 to 2")
    target: str = option("", "modality whose annotations are rationed; the last one by default")
    annotations: float = option(1.0, "share of subjects whose target masks are used, 0 to 1 (Sec. V-A, V-B)")
    pairing: str = option(
        "expert",
        "expert: by position; neighbours: weighted candidates (III-F); shuffled: up to two positions off",
        ("expert", "neighbours", "shuffled"),
    )
    candidates: int = option(1, "k, images of another modality that one image may be paired with (Sec. III-F)")
    decoder: str = option("film", "decoder", ("film", "spade"))
    model: str = option("compact", "network sizes", ("compact", "published"))
    start: str = option("", "checkpoint whose weights the run begins with, of the same networks; none draws them")
    channels: int = option(8, "C, channels of the anatomy factor (Sec. V-F)")
    z_dim: int = option(8, "n_z, dimensions of the modality factor (Sec. V-F)")
    without: tuple[str, ...] = option(
        (),
        "switch off loss terms, or the aligner, for an ablation (Table IV, Sec. V-D)",
        ("sup", "adv_mask", "rec", "adv_image", "rec_z", "kl", "fused", "warp", "swap", "aligner"),
    )
    difficulty: str = option("mixed", "phantom difficulty; mixed: every other subject", ("standard", "hard", "mixed"))
    subjects: int = option(480, "training subjects of the phantom")
    validation_subjects: int = option(12, "validation subjects of the phantom, never trained on")
    phases: int = option(1, "frames of the phantom's cine over the cardiac cycle")
    size: int = option(128, "image side in pixels, a multiple of 16")
    spacing: float = option(0.0, "mm per pixel to resample a folder's images to; 0 fits each picture to the side")
    rotation: float = option(0.0, "augmentation: largest angle in degrees (the paper has 20)")
    warp: float = option(
        0.0,
        "augmentation: known random warp of each modality, RMS of the relative displacement in pixels of a "
        "96-pixel side; registered data need it to teach the aligner",
    )
    seed: int = option(0, f"seed of data, weights and noise; {JUDGING_SEED} and above are for judging")
    steps: int = option(1800, "training steps")
    finish_steps: int = option(300, "last steps, taken with exactly the loss weights below")
    w_sup: float = option(10.0, "weight of L_sup")
    w_adv_mask: float = option(1.0, "weight of L_adv^M")
    w_rec: float = option(1.0, "weight of L_rec")
    w_adv_image: float = option(1.0, "weight of L_adv^I")
    w_rec_z: float = option(1.0, "weight of L_rec^z")
    w_kl: float = option(0.1, "weight of L_KL")
    w_fused: float = option(5.0, "weight of L_sup on fused anatomies, felt by the segmentor alone; 0 in the paper")
    w_warp: float = option(
        0.0,
        "weight of the error of alignment under the known warps that --warp makes of registered data; 0 in the paper",
    )
    w_swap: float = option(
        0.0,
        "weight of the error of z found again by its modality's encoder in an image made of another modality's "
        "anatomy, on as many samples as L_rec^z; 0 in the paper",
    )
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
    rec_z_share: float = option(0.5, "share of each batch that L_rec^z and swaps are computed on")
    clip: float = option(10.0, "largest norm of the generator's gradient")
    averaging: str = option("ema", "average of weights that is judged and kept", ("ema", "swa", "none"))
    ema: float = option(0.998, "decay of the exponential average")
    swa_from: float = option(0.6, "share of the steps after which the plain average begins")
    validate_every: int = option(450, "steps between validations and contact sheets")
    save_every: int = option(150, "steps between states to resume from")
    patience: int = option(0, "stop after so many validations without a better fused Dice; 0 never")
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

    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        **{name: ModelConfig.LIMITS[name] for name in ("candidates", "channels", "z_dim")},
        **dict.fromkeys(("annotations", "rec_z_share", "ema", "swa_from"), (0, 1)),
        **dict.fromkeys(("steps", "validate_every", "save_every"), (1, 10**7)),
        **dict.fromkeys(("finish_steps", "warmup", "kl_ramp", "adversarial_ramp", "patience"), (0, 10**7)),
        "adversarial_from": (-1, 10**7),
        **dict.fromkeys(("lr", "finish_lr", "critic_lr", "clip"), (1e-12, math.inf)),
        **dict.fromkeys((*(f"w_{f.name}" for f in fields(LossWeights)), "kl_phase1", "rec_phase1"), (0, 1e6)),
        "fold": (0, 1000),
        "subjects": (1, 10**5),
        "validation_subjects": (1, 10**5),
        "phases": (1, 100),
        "size": (64, 1024),
        "spacing": (0, 999),
        "rotation": (0, 180),
        "warp": (0, 48),
        "batch_size": (1, 1024),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.seed < JUDGING_SEED:
            raise ValueError(
                f"seed is {self.seed}; expected 0 to {JUDGING_SEED - 1}: "
                f"seeds from {JUDGING_SEED} on are for judging only"
            )
        if self.size % 16:
            raise ValueError(f"size is {self.size}; expected a multiple of 16, from 64 on")
        if len({name.casefold() for name in self.modalities}) < len(self.modalities):
            raise ValueError(f"modalities are {_short(self.modalities)}; expected each name once")
        # what would be ignored is refused: somebody thinks that it does something
        drawn = ("difficulty", "subjects", "validation_subjects", "phases")
        chaos = ("modalities", *drawn)
        idle = {"phantom": ("modalities", "fold", "spacing"), "chaos": chaos, "chaos-out": chaos}
        for name in idle.get(self.data.partition(":")[0], drawn):
            if getattr(self, name) != type(self).__dataclass_fields__[name].default:
                raise ValueError(
                    f"{name} is {_short(getattr(self, name))}, which means nothing for --data {_short(self.data)}; "
                    "leave it out"
                )
        if self.pairing == "neighbours" and self.candidates < 2:
            raise ValueError("pairing is neighbours with 1 candidate; expected --candidates 2 or more")

    @property
    def finish_start(self) -> int:
        """First step of the finish, which never takes more than half of a run."""
        return max(self.steps - self.finish_steps, self.steps // 2)

    def weights_at(self, step: int) -> LossWeights:
        """Loss weights of a step: ramps first, exactly the configured ones from `finish_start` on."""
        final = LossWeights(
            **{f.name: 0.0 if f.name in self.without else getattr(self, f"w_{f.name}") for f in fields(LossWeights)}
        )
        if step >= self.finish_start:
            return final
        adversarial = min(max(step - self.adversarial_from, 0) / max(self.adversarial_ramp, 1), 1.0)
        return replace(
            final,
            adv_mask=final.adv_mask * adversarial,
            adv_image=final.adv_image * adversarial,
            rec=self.rec_phase1 if final.rec else 0.0,
            kl=self.kl_phase1 * min(step / max(self.kl_ramp, 1), 1.0) if final.kl else 0.0,
        )

"""Configurations: frozen, validated on construction, convertible to and from JSON; base class and networks.

A command-line option is a field of a configuration: its default is the option's default, its `help` the option's
help. The sections of a training run are defined where they are used: `data/config.py`, `losses/weights.py` and
`training/config.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import Field, asdict, dataclass, field, fields
from typing import Any, ClassVar, Self

EVALUATION_SEED = 9000  # phantom seeds from here on are never trained on


Choices = tuple[str, ...] | Callable[[], tuple[str, ...]] | None


def option(default: Any, help: str, choices: Choices = None, flag: str | None = None) -> Any:
    """A dataclass field that is also a command-line option.

    Args:
        help: of the command line.
        choices: the values that it may have, or a function that gives them; None for any.
        flag: its name on the command line, by default the field's own.
    """
    return field(default=default, metadata={"help": help, "choices": choices, "flag": flag})


def choices_of(f: Field[Any]) -> tuple[str, ...] | None:
    """The values that an option may have; None for any."""
    choices = f.metadata.get("choices")
    return choices() if callable(choices) else choices


TYPE_NAMES = {"int": "a whole number", "float": "a finite number", "str": "text"}


def _is(value: Any, kind: str) -> bool:
    """Whether a value has the type of an annotation; bool, NaN and Inf do not count as numbers."""
    if kind == "float":
        return type(value) in (int, float) and abs(value) < math.inf
    return type(value).__name__ == kind


@dataclass(frozen=True)
class Config:
    """JSON for frozen dataclasses; an unknown or missing key is an error and never silently ignored.

    Types, and numbers against LIMITS, are checked on construction, from the command line as from an untrusted file.
    """

    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {}  # least and most of a field, and of every entry of a tuple
    PREFIX: ClassVar[str] = ""  # of the names of its options

    @classmethod
    def options(cls) -> dict[str, Field[Any]]:
        """The fields by the names that the command line and messages give them."""
        return {f.metadata.get("flag") or f"{cls.PREFIX}{f.name}": f for f in fields(cls)}

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values; tuples stay tuples."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_dict`, lists becoming tuples.

        Raises:
            ValueError: an unknown key, or a value of another type or beyond LIMITS.
            TypeError: a required key is missing.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"{cls.__name__} has no {', '.join(unknown)}; it knows {', '.join(sorted(known))}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def __post_init__(self) -> None:
        for name, f in self.options().items():
            choices = choices_of(f)
            value = getattr(self, f.name)
            kind = f.type.__name__ if isinstance(f.type, type) else str(f.type)
            several = kind.startswith("tuple")
            if several and type(value) is not tuple:
                raise ValueError(f"{name} is {short(value)}; expected a list")
            kind = kind.removeprefix("tuple[").removesuffix(", ...]")
            low, high = self.LIMITS.get(f.name, (-math.inf, math.inf))
            for item in value if several else (value,):
                if not _is(item, kind):
                    raise ValueError(f"{name} is {short(item)}; expected {TYPE_NAMES[kind]}")
                if choices and item not in choices:
                    raise ValueError(f"{name} is {short(item)}; expected one of {', '.join(choices)}")
                if kind != "str" and not low <= item <= high:
                    least = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
                    raise ValueError(f"{name} is {short(item)}; expected {least}")


def sanitize(text: str, most: int = 400) -> str:
    """Make text safe to show on a page or in a terminal: one line, no markup, at most `most` characters."""
    text = "".join(c if c.isprintable() else " " for c in text[:most])
    return _MARKUP.sub(" ", text)


_MARKUP = re.compile(r"<|!(?=\[)|(?<=\])(?=[(\[])")  # HTML, and Markdown's pictures and links


def short(value: Any) -> str:
    """Representation of a value for messages: at most 60 characters, without markup."""
    return sanitize(repr(value)[:60])


@dataclass(frozen=True)
class ModelConfig(Config):
    """Everything that determines the shapes of a DAFNet, and how masks are made; the defaults are the published sizes.

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
    align_passes: int = 1  # iterations of the aligner, each refining the offsets of the last; 1 in the paper
    control_points: int = 5
    film_width: int = 8
    film_blocks: int = 4
    spade_widths: tuple[int, ...] = (128, 128, 128, 64, 32, 16)
    spade_hidden: int = 128
    critic_width: int = 64
    critic_grid: int = 24
    candidates: int = 1  # k, images of the other modality that one image may be paired with
    segmentor: str = option(
        "on", "network from anatomies to masks; off: channels are the classes (footnote 10)", ("on", "off")
    )
    target: str = ""  # modality that a method for one modality serves; "" for methods that serve all
    content_width: int = 16  # first layer of the encoders of MUNIT, 64 in its paper
    align: str = option("on", "whether anatomies are deformed at all; off is the ablation of Sec. V-D", ("on", "off"))
    smallest_piece: int = 0  # of masks, pixels: smaller pieces of a class become background; chosen after training

    # far beyond sizes in use; they bound the memory that an untrusted checkpoint can make this process allocate
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
        "content_width": (1, 128),
        "smallest_piece": (0, 4096),
    }
    MOST_MODALITIES, MOST_CLASSES, MOST_STAGES = 8, 64, 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= len(set(self.modalities)) == len(self.modalities) <= self.MOST_MODALITIES:
            raise ValueError(
                f"modalities are {short(self.modalities)}; expected at least two different names, at most "
                f"{self.MOST_MODALITIES}"
            )
        if not 2 <= len(set(self.classes)) == len(self.classes) <= self.MOST_CLASSES:
            raise ValueError(
                f"classes are {short(self.classes)}; expected the background and others, all different, at most "
                f"{self.MOST_CLASSES}"
            )
        for name in (*self.modalities, *self.classes):
            if not name.strip() or sanitize(name, 60) != name or "_to_" in name:
                raise ValueError(
                    f"{short(name)} is the name of a modality or class; expected up to 60 letters of one line, "
                    "without markup and without _to_"
                )
        if self.target not in ("", *self.modalities):
            raise ValueError(f"target is {short(self.target)}; expected one of {', '.join(self.modalities)}, or none")
        if self.segmentor == "off" and self.channels != len(self.classes):
            raise ValueError(
                f"channels is {self.channels}; without a segmentor each of the {len(self.classes)} classes is a channel"
            )
        for name in ("modality_widths", "spade_widths"):
            if not 1 <= len(getattr(self, name)) <= self.MOST_STAGES:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries; expected 1 to {self.MOST_STAGES}")

    @property
    def multiple(self) -> int:
        """H and W of every image must be multiples of this (and at least twice it)."""
        return 2**self.depth

    def accepts(self, height: int, width: int) -> bool:
        """Whether images of a size in pixels fit the poolings."""
        return not height % self.multiple and not width % self.multiple and min(height, width) >= 2 * self.multiple

    @classmethod
    def published(cls, modalities: tuple[str, ...], classes: tuple[str, ...], **changes: Any) -> Self:
        """The sizes of the paper (Fig. 3, Sec. IV-A), meant for 192 x 192."""
        return cls(modalities, classes, **changes)

    @classmethod
    def compact(cls, modalities: tuple[str, ...], classes: tuple[str, ...], **changes: Any) -> Self:
        """The small model that ships: instance norm, 16 filters, trainable on two CPU cores."""
        small: dict[str, Any] = dict(
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

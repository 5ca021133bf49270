"""How the cells of the paper's tables are trained and judged: protocols and variants by name, and where results are."""

from __future__ import annotations

import argparse
import re
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dafnet_core.data.config import DataConfig
from dafnet_core.data.source import DataSource
from dafnet_core.data.sources import DATA_HELP, EVALUATION_WARP, open_source, public_name, source_class
from dafnet_core.data.splits import Split
from dafnet_core.methods import trainable
from dafnet_core.training import cli
from dafnet_core.training.config import RECIPES, TrainConfig

RESULTS = Path(__file__).parent / "results"
JUDGED_SEED = 9800  # of the phantom subjects that judge; no training, no card and no choice of terms has them


@dataclass(frozen=True)
class Protocol:
    """Sizes, steps and widths of every training.

    Attributes:
        options: of train.py, for all methods.
        folds: by default, of data that have some.
        phantom: subjects that train, that validate and that judge.
        statistics: whether cells are also judged by measures that take minutes.
    """

    options: dict[str, Any]
    folds: tuple[int, ...] = (0,)
    phantom: tuple[int, int, int] = (480, 12, 24)
    statistics: bool = True


PROTOCOLS = {
    "smoke": Protocol(
        {"recipe": "clean", "size": (64,), "steps": 30, "batch_size": 2, "rotation": 10.0}
        | {"warmup": 5, "finish_steps": 10, "validate_every": 30, "ema": 0.8},
        phantom=(6, 2, 2),
        statistics=False,
    ),
    "compact": Protocol(
        {"recipe": "clean", "size": (96,), "steps": 1500, "batch_size": 4, "rotation": 10.0}
        | {"validate_every": 500, "ema": 0.99}
    ),
    "paper": Protocol({"recipe": "paper"}, folds=(0, 1, 2)),
}

VARIANTS: dict[str, dict[str, Any]] = {  # changes of DAFNet with the paper's terms, and of the data for any method
    "": {},
    "paper": {},
    "clean": {},  # the terms of the recipe clean
    "neighbours": {"pairing": "neighbours", "candidates": 3},
    "shuffled": {"pairing": "shuffled"},
    "spade": {"decoder": "spade"},
    **{f"C{n}": {"channels": n} for n in (4, 16)},
    **{f"z{n}": {"z_dim": n} for n in (4, 16)},
    "without-adv_mask": {"without": ("adv_mask",)},
    "without-adv_image": {"without": ("adv_image",)},
    "without-rec_z": {"without": ("rec_z",)},
    "without-decoding": {"without": ("kl", "rec", "adv_image", "rec_z")},
    "without-aligner": {"without": ("aligner",)},
    "without-segmentor": {"without": ("segmentor",)},
}
# Sec. III at any size, but for the Dice and the cross entropy of masks, which are those of all methods: with the
# paper's, small organs are found by no method after so few steps
PAPER_TERMS: dict[str, Any] = {"recipe": "plain", "w_fused": 0.0, **{k: RECIPES["clean"][k] for k in ("dice", "ce")}}


def dafnet_terms(variant: str, recipe: str) -> dict[str, Any]:
    """Options of a DAFNet's loss terms, on top of a protocol's recipe."""
    if variant == "clean":
        return {} if recipe == "clean" else {k: v for k, v in RECIPES["clean"].items() if k != "lr"}
    return {} if recipe == "paper" else PAPER_TERMS


@dataclass(frozen=True)
class Setting:
    """Data and protocol of a table.

    Attributes:
        data, modalities, difficulty: as on the command line; the difficulty is the phantom's.
        protocol: one of PROTOCOLS.
        device: that trains.
        further: options of train.py on top of the protocol's.
        results, runs: folders that hold one of each data and protocol.
    """

    data: str = "phantom"
    protocol: str = "compact"
    difficulty: str = "hard"
    modalities: tuple[str, ...] = ()
    device: str = "auto"
    further: str = ""
    results: Path = RESULTS
    runs: Path = Path("runs")
    _options: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.built_in and self.data != "phantom":
            raise ValueError(f"data is {self.data!r}; here it is phantom, with --difficulty and --options")
        given = vars(cli.parser().parse_args([*shlex.split(self.further), "--out", "-"]))
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        unwanted = [k for k in ("resume", "force", "export") if options.pop(k)]
        if unwanted:
            raise ValueError(f"--options holds --{unwanted[0]}; expected options that describe a training")
        object.__setattr__(self, "_options", {k: v for k, v in options.items() if k != "out"})

    @property
    def built_in(self) -> bool:
        """Whether the data are not those of patients."""
        return bool(source_class(self.data).built_in)

    @property
    def name(self) -> str:
        """Of the folder of its results, such as phantom-hard-compact."""
        if self.built_in:
            parts = [self.data, self.difficulty]
        else:
            kind, colon, _ = self.data.partition(":")
            named = kind if colon and public_name(self.data).startswith(f"{kind}:") else Path(self.data).resolve().name
            parts = [named, *self.modalities]
        return "-".join(slug(part) for part in (*parts, self.protocol))

    @property
    def public_name(self) -> str:
        """Of the data, without a local path."""
        return f"{self.data}:difficulty={self.difficulty}" if self.built_in else public_name(self.data)

    @property
    def results_folder(self) -> Path:
        return self.results / self.name

    @property
    def runs_folder(self) -> Path:
        return self.runs / self.name

    @cached_property
    def source(self) -> DataSource:
        """Raises ValueError where it cannot be read."""
        return open_source(self.data, self.modalities)

    @property
    def judged(self) -> str:
        """The data that judge, as on the command line."""
        if not self.built_in:
            return self.data
        subjects = PROTOCOLS[self.protocol].phantom[2]
        return f"{self.data}:seed={JUDGED_SEED},subjects={subjects},difficulty={self.difficulty}"

    def targets(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Modalities by their names in any case; raises ValueError for others."""
        known = {name.lower(): name for name in self.source.modalities}
        if strange := [name for name in names if name.lower() not in known]:
            raise ValueError(f"target is {strange[0]!r}; expected one of {', '.join(known.values())}")
        return tuple(known[name.lower()] for name in names)

    def folds(self, given: tuple[int, ...]) -> tuple[int, ...]:
        """Folds that were asked for, or the protocol's; raises ValueError where the data have none."""
        if self.built_in and any(given):
            raise ValueError(f"--folds is {' '.join(map(str, given))}; the phantom has no folds, take --seeds")
        return given or ((0,) if self.built_in else PROTOCOLS[self.protocol].folds)

    def options(
        self, method: str, variant: str, target: str, annotations: float, fold: int, seed: int
    ) -> dict[str, Any]:
        """Options of train.py for one training; for a method without training those of a DAFNet on the same data."""
        protocol = PROTOCOLS[self.protocol]
        options: dict[str, Any] = {"data": self.data, **protocol.options, "seed": seed, "device": self.device}
        if self.built_in:
            train, val, _ = protocol.phantom
            options |= {"difficulty": self.difficulty, "subjects": train, "validation_subjects": val}
        else:
            options |= {"fold": fold, "modalities": self.modalities}
            options |= {"warp": EVALUATION_WARP} if self.source.registered else {}
        if method in trainable():
            options |= {"method": method, "target": target, "annotations": annotations}
        if method == "dafnet":
            options |= dafnet_terms(variant, options["recipe"])
        return options | VARIANTS[variant] | self._options

    def split(self, fold: int, seed: int) -> Split:
        """Names of the subjects of a training's parts; raises ValueError for a fold that does not exist."""
        options = self.options("copy", "", "", 1.0, fold, seed)
        return self.source.split(TrainConfig.of(**options).data, seed)

    def in_words(self) -> str:
        """What all trainings have in common, for the lines below a table."""
        shared = PROTOCOLS[self.protocol].options | self._options
        config = TrainConfig.of(**{k: v for k, v in shared.items() if k in TrainConfig.options()})
        data, schedule = config.data, config.schedule
        length = f"{schedule.epochs} epochs" if schedule.epochs else f"{schedule.steps} steps"
        rows, columns = data.grid
        parts = [
            f"{rows} x {columns} pixels",
            f"{length} of {schedule.batch_size} pairs, or as many single images",
            f"rotations up to {data.rotation:g} degrees",
            f"{config.model.size} widths",
            f"weights by {schedule.averaging}",
            f"masks by --dice {config.losses.dice} and --ce {config.losses.ce:g}",
            "the best of validations "
            + ("after each epoch" if schedule.epochs else f"every {schedule.validate_every} steps")
            + " by volume Dice of the validation masks that the run may use",
        ]
        recipe = config.schedule.recipe
        theirs = "--recipe paper" if recipe == "paper" else "--recipe plain --w-fused 0"
        return (
            f"Protocol {self.protocol}: {', '.join(parts)}. "
            f"DAFNet has the paper's terms ({theirs}), DAFNet clean those of "
            "--recipe clean, other methods the weights of their own papers; all else is as --recipe "
            f"{recipe} has it."
        )

    def arguments(self) -> list[str]:
        """The command line that gives this setting."""
        given = {
            "--data": (self.data, None),
            "--protocol": (self.protocol, Setting.protocol),
            "--difficulty": (self.difficulty, Setting.difficulty),
            "--device": (self.device, Setting.device),
            "--options": (self.further, Setting.further),
            "--results": (str(self.results), str(RESULTS)),
            "--runs": (str(self.runs), str(Setting.runs)),
        }
        # one word, as argparse takes "--options '--steps 2'" for an option without a value
        words = [f"{name}={value}" for name, (value, default) in given.items() if value != default]
        return [*words, *(["--modalities", *self.modalities] if self.modalities else [])]

    @classmethod
    def add_to(cls, parser: argparse.ArgumentParser) -> None:
        """The options of a setting."""
        known = DataConfig.options()
        parser.add_argument("--data", required=True, help=f"phantom, or patients: {DATA_HELP}")
        parser.add_argument("--protocol", default=cls.protocol, choices=tuple(PROTOCOLS))
        parser.add_argument(
            "--difficulty",
            default=cls.difficulty,
            choices=known["difficulty"].metadata["choices"],
            help=f"of the phantom (default: {cls.difficulty})",
        )
        parser.add_argument("--modalities", nargs="+", default=(), help=known["modalities"].metadata["help"])
        parser.add_argument("--device", default=cls.device, choices=("auto", "cpu", "cuda", "mps"))
        parser.add_argument(
            "--options",
            default=cls.further,
            help="further options of train.py, in one string that begins with =, such as --options='--steps 100'",
        )
        parser.add_argument("--results", type=Path, default=cls.results, help="folder of the numbers")
        parser.add_argument("--runs", type=Path, default=cls.runs, help="folder of runs, checkpoints and masks")

    @classmethod
    def of(cls, given: argparse.Namespace) -> Setting:
        """The setting of a command line; raises ValueError for one that cannot be."""
        return cls(
            given.data,
            given.protocol,
            given.difficulty,
            tuple(given.modalities),
            given.device,
            given.options,
            given.results,
            given.runs,
        )


def slug(text: str) -> str:
    """Text as a part of a file's name."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.") or "data"

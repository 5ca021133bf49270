"""The data section of a training run: source, annotations, pairing and augmentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from dafnet_core.config import Config, ModelConfig, option, short
from dafnet_core.data.intensity import CONVOLUTIONS, MILD, STRONG, IntensityChange

INTENSITIES: dict[str, IntensityChange | None] = {
    "off": None,
    "mild": MILD,
    "strong": STRONG,
    "convolutions": CONVOLUTIONS,
}
SCALINGS = {"percentiles": (0.5, 99.5), "range": (0.0, 100.0)}


@dataclass(frozen=True)
class DataConfig(Config):
    """Data, annotations (Sec. V-A, V-B), pairing (Sec. III-F) and augmentation of a training run.

    Which options apply depends on the source: `sources.check_options` raises for the others.
    """

    source: str = option("phantom", "phantom, chaos:PATH, chaos-out:PATH, or an nnU-Net v2 folder", flag="data")
    modalities: tuple[str, ...] = option((), "channels of an nnU-Net folder, in this order; all of them by default")
    subject_pattern: str = option(
        "",
        "regular expression that finds the patient in the name of a folder's case, by its first group or its whole "
        r"match, such as pat\d+: cases of one patient stay in one part of the split",
    )
    fold: int = option(0, "which split of the subjects: the data's own folds where they have some, else 0 to 2")
    splits: str = option(
        "given", "given: the data set's own folds if it has some; drawn: from --seed; or a file like splits_final.json"
    )
    target: str = option("", "modality with limited annotations; the last one by default")
    annotations: float = option(1.0, "share of subjects whose target masks are used, 0 to 1 (Sec. V-A, V-B)")
    pairing: str = option(
        "expert",
        "expert: by position; neighbours: weighted candidates (III-F); shuffled: one or two positions off (V-C); "
        "shuffled-phases: other frames of the same slice (footnote 8)",
        ("expert", "neighbours", "shuffled", "shuffled-phases"),
    )
    candidates: int = option(1, "k, images of another modality that one image may be paired with (Sec. III-F)")
    difficulty: str = option(
        "mixed",
        "phantom difficulty; wide: hearts and images of every kind; mixed: every other subject is hard; varied: every "
        "other one is wide, the others standard and hard by turns",
        ("standard", "hard", "wide", "mixed", "varied"),
    )
    subjects: int = option(480, "training subjects of the phantom")
    validation_subjects: int = option(12, "validation subjects of the phantom, never trained on")
    phases: int = option(1, "frames of the phantom's cine over the cardiac cycle")
    size: tuple[int, ...] = option(
        (128,), "side in pixels, or rows and columns; the grid is padded to multiples of 16, which are not scored"
    )
    spacing: float = option(
        0.0,
        "mm per pixel to resample files to; 0 for the data set's own (CHAOS: 192 x 1.89 mm), else pictures fit",
    )
    scaling: str = option(
        "percentiles",
        "intensities that become -1 and 1: 0.5 and 99.5 per cent of a slice, or its range",
        tuple(SCALINGS),
    )
    rotation: float = option(0.0, "augmentation: largest angle in degrees (the paper has 20)")
    warp: float = option(
        0.0,
        "augmentation: known random warp of each modality, RMS of the relative displacement in pixels of a "
        "96-pixel side; registered data need it to teach the aligner",
    )
    intensity: str = option(
        "off",
        "augmentation: other intensities in every training image (curves, bias field, noise), or random convolutions",
        tuple(INTENSITIES),
    )
    copy_intensity: str = option(
        "mild", "how far intensities are changed in the second copy that w_invariance compares", tuple(INTENSITIES)[1:]
    )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the pictures."""
        return self.size[0], self.size[-1]

    LIMITS: ClassVar[dict[str, tuple[float, float]]] = {
        "fold": (0, 1000),
        "annotations": (0, 1),
        "candidates": ModelConfig.LIMITS["candidates"],
        "subjects": (1, 10**5),
        "validation_subjects": (1, 10**5),
        "phases": (1, 100),
        "size": (64, 1024),
        "spacing": (0, 999),
        "rotation": (0, 180),
        "warp": (0, 48),
    }

    def __post_init__(self) -> None:
        size: Any = self.size
        if isinstance(size, int):  # as older files have it
            object.__setattr__(self, "size", (size,))
        super().__post_init__()
        try:
            re.compile(self.subject_pattern)
        except re.error as error:
            raise ValueError(
                f"subject_pattern is {short(self.subject_pattern)}; expected a regular expression ({error})"
            ) from None
        if not 1 <= len(self.size) <= 2:
            raise ValueError(f"size is {short(self.size)}; expected one side, or rows and columns")
        if len({name.casefold() for name in self.modalities}) < len(self.modalities):
            raise ValueError(f"modalities are {short(self.modalities)}; expected each name once")
        if self.pairing == "neighbours" and self.candidates < 2:
            raise ValueError("pairing is neighbours with 1 candidate; expected --candidates 2 or more")

"""The data section of a training run: source, annotations, pairing and augmentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from dafnet_core.config import Config, ModelConfig, option, short


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
    target: str = option("", "modality with limited annotations; the last one by default")
    annotations: float = option(1.0, "share of subjects whose target masks are used, 0 to 1 (Sec. V-A, V-B)")
    pairing: str = option(
        "expert",
        "expert: by position; neighbours: weighted candidates (III-F); shuffled: up to two positions off",
        ("expert", "neighbours", "shuffled"),
    )
    candidates: int = option(1, "k, images of another modality that one image may be paired with (Sec. III-F)")
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
        super().__post_init__()
        try:
            re.compile(self.subject_pattern)
        except re.error as error:
            raise ValueError(
                f"subject_pattern is {short(self.subject_pattern)}; expected a regular expression ({error})"
            ) from None
        if self.size % 16:
            raise ValueError(f"size is {self.size}; expected a multiple of 16, from 64 on")
        if len({name.casefold() for name in self.modalities}) < len(self.modalities):
            raise ValueError(f"modalities are {short(self.modalities)}; expected each name once")
        if self.pairing == "neighbours" and self.candidates < 2:
            raise ValueError("pairing is neighbours with 1 candidate; expected --candidates 2 or more")

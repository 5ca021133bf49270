"""A method that learns and has no factors, and a checkpoint of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dafnet_core.checkpoints.file import Checkpoint, load, save
from dafnet_core.config import ModelConfig
from dafnet_core.evaluate import evaluate_checkpoint
from dafnet_core.methods import METHODS
from dafnet_core.methods.base import Estimate, PredictedMask, SliceInput
from tests.helpers.paths import SHIPPED


class Threshold(nn.Module):
    """One convolution an image; `config` is that of the shipped checkpoint."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.head = nn.Conv2d(1, len(config.classes), 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images)


class MasksOnly:
    """Predicts a mask of each image and nothing else."""

    name, title, kinds, needs_source_masks = "masks-only", "Masks only", ("single",), False
    discriminators, description = None, "threshold"
    own_options, presets, pools = frozenset(), {}, None

    def __init__(self, networks: Threshold) -> None:
        self.networks, self.config = networks, networks.config
        self.modalities, self.classes = networks.config.modalities, networks.config.classes

    def facts(self) -> dict[str, str]:
        return {}

    networks_of = Threshold

    @classmethod
    def of(cls, networks: Threshold) -> MasksOnly:
        return cls(networks)

    @classmethod
    def for_training(cls, config: ModelConfig) -> MasksOnly:
        return cls(Threshold(config))

    def predict(self, given: SliceInput) -> Estimate:
        with torch.inference_mode():
            labels = self.networks(torch.from_numpy(given.images[:, :1])).argmax(1).byte().numpy()
        return Estimate(tuple(PredictedMask("single", i, None, mask) for i, mask in enumerate(labels)))


def write(path: Path, monkeypatch: Any) -> Checkpoint:
    """Make the method known, and write a checkpoint of it with numbers, for the modalities of the shipped one."""
    monkeypatch.setitem(METHODS, MasksOnly.name, MasksOnly)
    shipped = load(SHIPPED)
    facts = shipped.preparation, shipped.colours, shipped.training
    torch.manual_seed(0)
    made = Checkpoint(Threshold(shipped.config).eval(), *facts, method_name=MasksOnly.name)
    spec = "phantom:subjects=2,difficulty=standard"
    save(
        Checkpoint(
            made.model, *facts, {"standard": evaluate_checkpoint(made, spec).result}, method_name=MasksOnly.name
        ),
        path,
    )
    return load(path)

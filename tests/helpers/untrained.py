"""Checkpoints of methods with random weights, for the modalities and classes of a shipped one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from dafnet_core.checkpoints.file import Checkpoint, load, save
from dafnet_core.evaluate import evaluate_checkpoint
from dafnet_core.methods import METHODS
from tests.helpers.paths import SHIPPED


def write(path: Path, method: str, **choices: Any) -> Checkpoint:
    """Write a checkpoint of a method with compact networks and the numbers of two subjects."""
    shipped = load(SHIPPED)
    config = METHODS[method].configure("compact", shipped.config.modalities, shipped.config.classes, **choices)
    torch.manual_seed(0)
    networks = METHODS[method].networks_of(config).eval()
    facts = shipped.preparation, shipped.colours, shipped.training
    made = Checkpoint(networks, *facts, method_name=method)
    numbers = {"standard": evaluate_checkpoint(made, "phantom:subjects=2,difficulty=standard").result}
    save(Checkpoint(networks, *facts, numbers, method_name=method), path)
    return load(path)

"""Differences of weights by module, on networks whose difference is known."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from dafnet_core.checkpoints.file import load
from dafnet_core.checkpoints.weights import weight_differences
from tests.helpers.paths import ROOT


@pytest.fixture(scope="module")
def checkpoint():
    return load(ROOT / "checkpoints" / "cardiac-film.safetensors")


def test_a_checkpoint_does_not_differ_from_itself(checkpoint):
    found = weight_differences(checkpoint, checkpoint)
    assert [d.module for d in found] == [name for name, _ in checkpoint.model.named_children()]
    assert all(d.relative == 0 and d.cosine == pytest.approx(1) for d in found)
    assert sum(d.shared for d in found) == sum(p.numel() for p in checkpoint.model.parameters())


def test_only_the_module_that_was_changed_differs(checkpoint):
    changed = deepcopy(checkpoint.model)
    with torch.no_grad():
        for p in changed.segmentor.parameters():
            p *= 3
        for p in changed.decoder.parameters():
            p.copy_(torch.randn_like(p))
    found = {d.module: d for d in weight_differences(checkpoint, replace(checkpoint, model=changed))}
    # |3w - w| over sqrt((9 + 1) / 2) |w|
    assert found["segmentor"].relative == pytest.approx(2 / 5**0.5)
    assert found["segmentor"].cosine == pytest.approx(1)
    assert found["decoder"].cosine == pytest.approx(0, abs=0.05)
    assert found["aligner"].relative == 0


def test_modules_of_other_shapes_are_not_compared(checkpoint):
    other = load(ROOT / "checkpoints" / "cardiac-spade.safetensors")
    found = {d.module: d for d in weight_differences(checkpoint, other)}
    assert 0 < found["decoder"].shared < found["decoder"].parameters[0]
    assert found["segmentor"].shared == found["segmentor"].parameters[1]
    other.model.decoder = torch.nn.Conv2d(1, 1, 1)
    decoder = {d.module: d for d in weight_differences(checkpoint, other)}["decoder"]
    assert (decoder.shared, decoder.relative, decoder.cosine) == (0, None, None)

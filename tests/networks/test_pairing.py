"""Weights of candidate pairs."""

import pytest
import torch

from dafnet_core.networks.pairing import PairWeighting, anatomy_dice


def test_pair_weights_follow_the_overlap_of_anatomies(make_config):
    fixed = torch.eye(4)[torch.randint(0, 4, (1, 8, 8))].movedim(-1, 1)
    candidates = torch.stack([fixed, fixed.roll(3, 3)], 1)
    dice = anatomy_dice(fixed[:, None], candidates)
    same = (fixed[0].argmax(0) == fixed[0].roll(3, 2).argmax(0)).float().mean()
    assert dice[0].tolist() == pytest.approx([1.0, same.item()])
    weigh = PairWeighting(make_config(candidates=2))
    assert weigh(fixed, candidates[:, :1]).tolist() == [[1.0]]
    with pytest.raises(ValueError, match="3 candidates"):
        weigh(fixed, candidates[:, [0, 0, 1]])

"""Names of directions come from what a decoder does along them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dafnet_core.analysis.effects import effect_name, region_changes, region_shares
from dafnet_core.analysis.traversal import traverse

NAMES = ["air", "blood", "liver", "fat", "nodule"]
LABELS = np.repeat([0, 1, 2, 3], 64 * 16).reshape(64, 64)
LABELS[0, :4] = 4  # of fewer pixels than a name mentions
EFFECT = np.array(  # change of intensity by each dimension of z, in each region, for each unit of z
    [
        [0.00, 0.10, 0.00, 0.00, 0.0],
        [0.00, -0.10, 0.09, 0.00, 0.0],
        [0.08, 0.08, 0.10, 0.05, 0.0],
        [0.01, 0.00, -0.01, 0.01, 0.0],
        [0.00, 0.00, 0.00, -0.10, 0.3],
    ]
)


class Stub:
    """A decoder whose dimensions brighten regions by known amounts: the regions are the channels."""

    config = SimpleNamespace(channels=len(NAMES), z_dim=len(EFFECT))

    def parameters(self):
        return iter([torch.zeros(1)])

    @property
    def decoder(self):
        effect = torch.from_numpy(EFFECT).float()
        return SimpleNamespace(condition=lambda s: s, render=lambda s, z: torch.einsum("ochw,nc->nohw", s, z @ effect))


@pytest.fixture
def changes():
    s = np.eye(len(NAMES), dtype=np.float32)[LABELS].transpose(2, 0, 1)
    moved = traverse(Stub(), s, np.zeros(len(EFFECT)))
    return region_changes(moved.difference, LABELS, len(NAMES))


def test_changes_of_regions_are_those_that_the_decoder_makes(changes):
    assert changes == pytest.approx(6 * EFFECT, abs=1e-6)  # from -3 to 3


def test_dimensions_are_named_after_what_they_do(changes):
    shares = region_shares(LABELS, len(NAMES))
    assert shares.sum() == pytest.approx(1)
    assert [effect_name(change, shares, NAMES) for change in changes] == [
        "blood brighter",
        "liver brighter, blood darker",
        "everything brighter",
        "hardly anything",
        "fat darker",
    ]


def test_another_decoder_gives_other_names(changes):
    shares = region_shares(LABELS, len(NAMES))
    assert effect_name(-changes[0], shares, NAMES) == "blood darker"
    assert effect_name(changes[0], shares, ["a", "b", "c", "d", "e"]) == "b brighter"


def test_of_many_regions_the_largest_are_named_and_absent_ones_are_not():
    names, shares = ["air", *"abcdef"], np.array([0.3, 0.1, 0.2, 0.05, 0.15, 0.2, 0.0])
    change = np.array([0.0, 0.5, 0.5, 0.5, 0.5, -0.5, np.nan])
    assert effect_name(change, shares, names) == "b and 3 more brighter, e darker"
    change[5] = 0
    assert effect_name(change, shares, names) == "b, d and 2 more brighter"
    change[1] = 0.1
    assert effect_name(change, shares, names) == "b, d and c brighter"
    assert np.isnan(region_changes(np.zeros((1, 8, 8)), np.zeros((8, 8), int), 2)[0, 1])

"""Small pieces of masks are dropped everywhere that masks are made, and only where a checkpoint asks for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from dafnet_core.analysis.candidates import weigh
from dafnet_core.analysis.editing import segment
from dafnet_core.analysis.mixing import mix
from dafnet_core.config import ModelConfig
from dafnet_core.methods import METHODS, trainable
from dafnet_core.methods.base import SliceInput
from dafnet_core.methods.pieces import without_small_pieces
from dafnet_core.networks.dafnet import DAFNet

SMALLEST = 12
LABELS = np.array(
    [
        [1, 1, 0, 2, 2, 2],
        [1, 0, 1, 2, 0, 2],
        [0, 0, 0, 2, 2, 2],
        [1, 2, 0, 0, 0, 0],
    ],
    np.uint8,
)


def smallest_of(masks):
    """Pixels of the smallest piece of any class in labels (..., H, W)."""
    sizes = [masks.size]
    for mask in masks.reshape(-1, *masks.shape[-2:]):
        for label in set(mask[mask > 0].tolist()):
            sizes += np.bincount(ndimage.label(mask == label)[0].ravel())[1:].tolist()
    return min(sizes)


def test_pieces_below_the_size_become_background_each_class_by_itself():
    found = without_small_pieces(LABELS, 3)
    expected = LABELS.copy()
    expected[1, 2] = expected[3, 0] = expected[3, 1] = 0  # by a corner is not connected
    assert np.array_equal(found, expected)
    assert found[1, 4] == 0  # holes stay holes
    assert np.array_equal(without_small_pieces(LABELS, 4)[:2, :2], np.zeros((2, 2)))


@pytest.mark.parametrize("size", [0, 1])
def test_nothing_is_dropped_by_default(size):
    assert without_small_pieces(LABELS, size) is LABELS


def test_every_mask_of_a_stack_is_cleaned_by_itself_and_the_input_stays():
    stack, before = np.stack([LABELS, np.zeros_like(LABELS)])[None], LABELS.copy()
    found = without_small_pieces(stack, 3)
    assert np.array_equal(found[0, 0], without_small_pieces(LABELS, 3))
    assert not found[0, 1].any()
    assert np.array_equal(LABELS, before)


@pytest.fixture(scope="module")
def noise():
    """A slice of two modalities (2, 1, H, W) of which untrained networks make many small pieces."""
    return np.random.default_rng(0).uniform(-1, 1, (2, 1, 32, 32)).astype(np.float32)


@pytest.mark.parametrize("name", trainable())
def test_masks_of_all_methods_keep_no_smaller_piece(name, noise):
    torch.manual_seed(0)
    kind = METHODS[name]
    config = kind.configure("compact", ("a", "b"), ("none", "x", "y"), target="b")
    networks = kind.networks_of(config).eval()

    def masks_of(networks):
        return np.stack([m.labels for m in kind.of(networks).predict(SliceInput(noise, (0, 1))).masks])

    masks = masks_of(networks)
    assert smallest_of(masks) < SMALLEST
    networks.config = replace(config, smallest_piece=SMALLEST)
    cleaned = masks_of(networks)
    assert np.array_equal(cleaned, without_small_pieces(masks, SMALLEST))


def test_analyses_make_the_same_masks(noise):
    torch.manual_seed(0)
    config = ModelConfig.compact(("a", "b"), ("none", "x", "y"), candidates=2, smallest_piece=SMALLEST)
    model = DAFNet(config).eval()
    s = np.eye(config.channels, dtype=np.float32)[np.random.default_rng(1).integers(0, config.channels, (2, 32, 32))]
    s = np.ascontiguousarray(s.transpose(0, 3, 1, 2))
    assert smallest_of(segment(model, s)) >= SMALLEST
    found = weigh(model, np.repeat(noise, 2, 1), (0, 1), (0, 1))
    assert smallest_of(np.concatenate([found.masks, found.weighted[None]])) >= SMALLEST
    mixed, whole = mix(model, s, np.zeros((1, config.z_dim)), (0,)), replace(config, smallest_piece=0)
    model.config = whole
    assert not np.array_equal(mixed.dice, mix(model, s, np.zeros((1, config.z_dim)), (0,)).dice)

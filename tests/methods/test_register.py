"""Register: it undoes known warps, repeats itself, and says what it needs."""

import sys

import numpy as np
import pytest
import torch

from dafnet_core.data.deform import deform, smooth_displacement
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.evaluate import main
from dafnet_core.geometry import identity_pixels
from dafnet_core.methods.base import SliceInput, predict_all
from dafnet_core.methods.register import Register, registration, sample_labels
from dafnet_core.metrics.segmentation import dice_per_class, nanmean

pytest.importorskip("SimpleITK")
SIDE = 96


@pytest.fixture(scope="module")
def slice_():
    """A phantom slice."""
    return phantom_slices(0, range(1), size=SIDE)[3]


def affine():
    """A displacement (H, W, 2) of up to eight pixels."""
    centred = identity_pixels(SIDE, SIDE) - (SIDE - 1) / 2
    return centred @ np.array([[0.05, 0.08], [-0.1, -0.05]]).T + [3, -2]


def smooth():
    return smooth_displacement(np.random.default_rng(0), SIDE, SIDE, 3.0)


@pytest.mark.slow
@pytest.mark.parametrize(("known", "pixels"), [(affine, 0.5), (smooth, 1.0)])
def test_it_undoes_a_known_warp(slice_, known, pixels):
    field = known()
    image, mask = slice_.images[0, 0], slice_.masks[0]
    fixed = deform(torch.from_numpy(image)[None, None], field[None]).numpy()[0, 0]
    truth = deform(torch.from_numpy(mask)[None, None], field[None], labels=True).numpy()[0, 0]
    found = registration(fixed, image)
    organs = truth > 0
    error = np.linalg.norm(found - identity_pixels(SIDE, SIDE) - field, axis=-1)[organs].mean()
    assert np.linalg.norm(field, axis=-1)[organs].mean() > 2
    assert error < pixels
    assert nanmean(dice_per_class(sample_labels(mask, found), truth, 4)) > 0.93
    assert np.array_equal(registration(fixed, image), found)  # nothing is random


def test_images_without_any_contrast_are_not_moved():
    flat, image = np.full((SIDE, SIDE), -1.0), np.eye(SIDE)
    assert np.array_equal(registration(flat, image), identity_pixels(SIDE, SIDE))


def test_labels_are_those_of_the_nearest_pixel_and_of_the_border_beyond_it():
    labels = np.arange(6).reshape(2, 3)
    positions = np.array([[[0.4, 0.6], [9.0, -3.0]]])
    assert sample_labels(labels, positions).tolist() == [[3, 2]]


@pytest.mark.slow
def test_each_target_gets_the_other_modality_s_mask_and_where_it_came_from(slice_):
    method = Register(("cine", "LGE"), ("background", "LV", "myocardium", "RV"))
    found = predict_all(method, SliceInput(slice_.images, (0, 1), dict(enumerate(slice_.masks))))
    assert [(m.kind, m.fixed, m.moving) for m in found.masks] == [("registered", 0, 1), ("registered", 1, 0)]
    assert set(found.positions) == {(0, 1), (1, 0)}
    for mask in found.masks:
        assert np.array_equal(
            mask.labels, sample_labels(slice_.masks[mask.moving], found.positions[mask.fixed, mask.moving])
        )


def test_without_simpleitk_one_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    assert main(["register", "--data", "phantom:subjects=1"]) == 2
    said = capsys.readouterr().err
    assert said == "evaluate: Register needs the package SimpleITK: pip install .[experiments]\n"

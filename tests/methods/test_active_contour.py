"""Active contours: they find edges, keep rings, are tuned on training subjects, and say what they need."""

import sys

import numpy as np
import pytest

from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.sources import open_source, tuning_data
from dafnet_core.evaluate import main
from dafnet_core.methods import active_contour
from dafnet_core.methods.active_contour import ActiveContour
from dafnet_core.methods.base import SliceInput
from dafnet_core.metrics.segmentation import dice_per_class

pytest.importorskip("skimage")
SIDE = 64


def disc(y, x, radius):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.hypot(rows - y, columns - x) < radius


def method(*values, classes=("background", "one", "two")):
    return ActiveContour(("a", "b"), classes, *values)


def dice(a, b):
    return dice_per_class(a.astype(np.uint8), b.astype(np.uint8), 2)[0]


def test_it_finds_a_disc_from_one_that_lies_beside_it():
    truth, start = disc(32, 30, 14), disc(34, 31, 16)
    image = np.where(truth, 0.6, -0.6).astype(np.float32)
    found = method(0.01, 0.15, 0.1).drawn_to_edges(start.astype(np.uint8), image)
    assert dice(start, truth) < 0.88
    assert dice(found, truth) > 0.97


def test_a_ring_stays_a_ring_and_structures_move_one_at_a_time():
    ring = disc(32, 32, 20) & ~disc(32, 32, 10)
    labels = np.where(ring, 1, np.where(disc(32, 32, 10), 2, 0)).astype(np.uint8)
    image = (labels.astype(np.float32) - 1) * 0.8
    found = method(0.01, 0.15, 0.1).drawn_to_edges(labels, image)
    assert (dice_per_class(found, labels, 3) > 0.95).all()


def test_tiny_structures_and_those_at_the_border_are_kept():
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[:5, :9], labels[40, 40] = 1, 2
    found = method(0.0, 0.15, 0.7).drawn_to_edges(labels, np.zeros((SIDE, SIDE), np.float32))
    assert found[40, 40] == 2
    assert dice(found == 1, labels == 1) > 0.8


def test_every_modality_without_a_mask_gets_a_contour_of_each_source():
    images = np.zeros((2, 1, SIDE, SIDE), np.float32)
    found = method().predict(SliceInput(images, (0, 1), {0: disc(32, 32, 9).astype(np.uint8)}))
    assert [(m.kind, m.fixed, m.moving) for m in found.masks] == [("contour", 1, 0)]


def test_its_parameters_are_those_of_the_grid_with_the_highest_dice(monkeypatch):
    monkeypatch.setattr(active_contour, "TUNED_ON", 1)
    monkeypatch.setattr(active_contour, "LENGTHS", (0.01, 0.5))
    monkeypatch.setattr(active_contour, "SMOOTHNESSES", (0.15,))
    monkeypatch.setattr(active_contour, "STEPS", (0.1,))
    data = phantom_slices(0, range(1), size=64)
    found = ActiveContour.tuned(data)
    scores = {
        n: ActiveContour(data.modalities, data.classes, n, 0.15, 0.1)._dice(data, np.array([0])) for n in (0.01, 0.5)
    }
    assert found.length == max(scores, key=scores.get)
    assert (found.smoothness, found.step) == (0.15, 0.1)


def test_it_is_tuned_on_training_subjects():
    data, parts = tuning_data("phantom:subjects=2")
    assert set(data.subjects) == {name for name, part in parts.items() if part == "train"}
    assert set(data.subjects).isdisjoint(open_source("phantom:subjects=2").names())


def test_without_scikit_image_one_sentence_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    assert main(["active-contour", "--data", "phantom:subjects=1"]) == 2
    said = capsys.readouterr().err
    assert said == "evaluate: Active contour needs the package scikit-image: pip install .[experiments]\n"

"""Numbers of single slices: against the core's own, by hand, and on the command line."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from dafnet_core.config import ModelConfig
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.evaluation.run import evaluate_method
from dafnet_core.evaluation.slices import JudgedSlice, disagreement, leakage_of_slices
from dafnet_core.methods.copy import Copy
from dafnet_core.methods.dafnet import DAFNetMethod
from dafnet_core.metrics.probe import leakage
from dafnet_core.networks.dafnet import DAFNet
from tests.helpers.commands import call
from tests.helpers.paths import ROOT


def judged(mask, place=("a", 0, 0)):
    labels = None if mask is None else np.array(mask, np.uint8)
    return JudgedSlice(place[0], 0, 0, place[1], place[2], 0.5, 0.1, labels, np.zeros((2, 2), np.uint8))


@pytest.fixture(scope="module")
def data():
    return phantom_slices(9000, range(3), size=64)


@pytest.fixture(scope="module")
def evaluation(data):
    model = DAFNet(ModelConfig.compact(data.modalities, data.classes)).eval()
    return evaluate_method(DAFNetMethod(model), data)


def test_disagreement_by_hand():
    half = judged([[1, 1], [0, 0]]), judged([[1, 0], [1, 0]])  # of class 1 they share one of two and two pixels
    assert disagreement(half[:1], half[1:]) == pytest.approx([0.5])
    only_a = judged([[1, 2], [0, 0]]), judged([[1, 0], [0, 0]])  # class 1 alike, class 2 in one alone
    assert disagreement(only_a[:1], only_a[1:]) == pytest.approx([0.5])
    nothing = judged([[0, 0], [0, 0]])
    assert disagreement([nothing], [nothing]).tolist() == [0]
    unknown = disagreement([half[0], judged(None), half[0]], [judged([[1, 1], [0, 0]], ("b", 0, 0)), judged(None)])
    assert np.isnan(unknown).all()


def test_every_slice_of_every_modality_is_judged_once(data, evaluation):
    assert len(evaluation.slices) == len(data) * len(data.modalities)
    assert len({s.place for s in evaluation.slices}) == len(evaluation.slices)
    assert [s.number for s in evaluation.slices if s.modality == 0][:9] == [*range(8), 0]
    assert all(s.picture.dtype == np.uint8 and max(s.picture.shape) <= 96 for s in evaluation.slices)


def test_the_mean_of_slices_is_the_error_that_evaluate_gives(evaluation):
    table = evaluation.of_slices(evaluation)
    for m, name in enumerate(("cine", "LGE")):
        rows = np.array([s.modality == m for s in evaluation.slices])
        expected = evaluation.result.reconstruction[name].own_l1
        assert table["L1 (intensity)"][rows].mean() == pytest.approx(expected, rel=1e-5)  # as many slices each
    assert not table["disagreement (1 - Dice)"].any()
    assert np.isfinite(table["leakage (probability)"]).all()


def test_leakage_is_what_s_tells_beyond_the_masks(evaluation):
    e = evaluation.statistics.encodings
    same = SimpleNamespace(
        anatomies=e.masks, masks=e.masks, channels=len(e.classes), classes=e.classes, subjects=e.subjects,
        modality=e.modality, names=e.names,
    )  # fmt: skip
    leak = leakage(e.masks, len(e.classes), e.masks, len(e.classes), e.modality, e.subjects)
    assert leakage_of_slices(evaluation.slices, same, leak) == pytest.approx(0)
    telling = np.where(e.modality[:, None, None] == 0, 0, 3) * np.ones_like(e.masks)
    same.anatomies = telling.astype(np.uint8)
    leak = leakage(same.anatomies, len(e.classes), e.masks, len(e.classes), e.modality, e.subjects)
    assert (leakage_of_slices(evaluation.slices, same, leak) > 0).all()


def test_methods_without_factors_have_slices_too(data, evaluation):
    found = evaluate_method(Copy(data.modalities, data.classes), data)
    table = found.of_slices(evaluation)
    assert set(table) == {"Dice", "L1 (intensity)", "disagreement (1 - Dice)"}
    assert np.isnan(table["L1 (intensity)"]).all()
    assert np.nanmean(table["Dice"]) > 0.3


def test_training_keeps_none(data):
    method = Copy(data.modalities, data.classes)
    assert evaluate_method(method, data, limit=2, statistics=False).slices == ()


@pytest.mark.slow
def test_the_command_line_writes_the_same_numbers(tmp_path):
    one, other = (ROOT / "checkpoints" / f"cardiac-{name}.safetensors" for name in ("film", "spade"))
    spec = "phantom:subjects=2,difficulty=standard"
    done = call(
        *(one, "--data", spec, "--against", other, "--measures", "brief", "--slices", tmp_path / "slices.csv"),
        module="dafnet_core.evaluate",
    )
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "slices.csv").read_text().splitlines()))
    assert len(rows) == 2 * 8 * 2
    assert rows[0].keys() == {"subject", "slice", "modality", "Dice", "L1 (intensity)", "disagreement (1 - Dice)"}
    assert 0 < float(rows[0]["disagreement (1 - Dice)"]) < 1

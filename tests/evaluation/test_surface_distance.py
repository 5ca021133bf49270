"""Surface distances in mm and Dice by subject: their keys, their means, and why one is not known."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from dafnet_core.config import ModelConfig
from dafnet_core.data.dataset import PairedSlices
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.studies import Study
from dafnet_core.evaluate import main
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.evaluation.run import evaluate_method
from dafnet_core.methods.base import Estimate, PredictedMask
from dafnet_core.methods.copy import Copy
from dafnet_core.methods.dafnet import DAFNetMethod
from dafnet_core.networks.dafnet import DAFNet

SIDE = 48


@dataclass(frozen=True)
class Square:
    """Predicts the same square in every image; nothing for "empty"."""

    modalities: tuple[str, ...] = ("a", "b")
    classes: tuple[str, ...] = ("background", "square")

    name: ClassVar[str] = "square"
    title: ClassVar[str] = "Square"
    kinds: ClassVar[tuple[str, ...]] = ("single", "empty")
    needs_source_masks: ClassVar[bool] = False

    def predict(self, given):
        masks = [PredictedMask("single", i, None, square()) for i in range(len(given.modalities))]
        empty = [PredictedMask("empty", i, None, square() * 0) for i in range(len(given.modalities))]
        return Estimate((*masks, *empty))


def square(shift=0):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[16:32, 12 + shift : 28 + shift] = 1
    return mask


def subject(name, shifts, spacing):
    """A subject whose masks lie `shifts` columns away in a and b; the last slice shows no square."""
    masks = tuple(np.stack([square(shift), square(shift), square() * 0]) for shift in shifts)
    images = tuple(mask[None].astype(np.float32) for mask in masks)
    return Study(name, images, masks, (np.arange(3.0),) * 2, spacing=spacing)


def evaluated(*studies, method=None, preparation=None, **options):
    data = PairedSlices(
        ("a", "b"), ("background", "square"), preparation or Preparation(SIDE, SIDE), studies, **options
    )
    return evaluate_method(method or Square(), data)


def test_distances_are_in_mm_of_each_modality_and_averaged_over_subjects():
    one = subject("one", (0, 3), ((1.0, 2.0), (1.0, 0.5)))
    two = subject("two", (5, 0), ((1.0, 1.0), (1.0, 1.0)))
    found = evaluated(one, two)
    surface = found.result.surface
    assert found.by_subject["surface.a.single.hd95_mm"].tolist() == [0, 5]
    assert found.by_subject["surface.b.single.hd95_mm"].tolist() == [1.5, 0]
    assert surface["a"]["single"].hd95_mm == 2.5
    assert surface["a"]["single"].n_subjects == 2
    assert 0 < surface["a"]["single"].assd_mm < 2.5
    # a's mask for b and b's for a, as many columns apart, in the pixels of the one that is scored
    assert found.by_subject["surface.a.copy.hd95_mm"].tolist() == [6, 5]
    assert found.by_subject["surface.b.copy.hd95_mm"].tolist() == [1.5, 5]
    diagonals = [np.hypot(SIDE * 1.0, SIDE * 2.0), np.hypot(SIDE, SIDE)]
    assert found.by_subject["surface.a.empty.hd95_mm"] == pytest.approx(diagonals)
    assert surface["a"]["empty"].assd_mm == pytest.approx(np.mean(diagonals))


def test_the_diagonal_is_that_of_the_picture_without_its_padding():
    preparation = Preparation(SIDE, SIDE, window=(30, 40))
    found = evaluated(subject("one", (0, 0), ((1.0, 1.0),) * 2), preparation=preparation)
    assert found.result.surface["a"]["empty"].hd95_mm == 50


def test_without_a_known_size_of_the_pixels_the_reason_is_told():
    known, unknown = subject("one", (0, 3), ((1.0, 2.0), None)), subject("two", (5, 0), ())
    found = evaluated(known, unknown)
    assert found.result.surface["a"]["single"].n_subjects == 1
    assert found.result.surface["a"]["single"].hd95_mm == 0
    assert np.array_equal(found.by_subject["surface.a.single.hd95_mm"], [0, np.nan], equal_nan=True)
    assert found.result.segmentation["a"]["single"].n_subjects == 2
    for key in ("hd95_mm", "assd_mm"):
        for kind in ("single", "empty", "copy"):
            assert found.result.why[f"surface.b.{kind}.{key}"] == "the size of the pixels in mm is not known"
    assert found.result.to_json()["surface"]["b"]["single"] == {"hd95_mm": None, "assd_mm": None, "n_subjects": 0}
    assert EvaluationResult.from_json(found.result.to_json()) == found.result


def test_without_masks_the_reason_is_another():
    bare = replace(subject("one", (0, 3), ((1.0, 1.0),) * 2), masks=(None, None))
    assert "both such a mask and a true one" in evaluated(bare).result.why["surface.a.single.hd95_mm"]
    half = replace(bare, masks=(np.stack([square()] * 3), None))
    found = evaluated(half).result
    assert found.surface["a"]["single"].hd95_mm == 0
    assert "both such a mask and a true one" in found.why["surface.a.copy.hd95_mm"]


def test_copy_has_its_distances_once():
    found = evaluated(subject("one", (0, 4), ((1.0, 1.0),) * 2), method=Copy(("a", "b"), ("background", "square")))
    assert list(found.result.surface["b"]) == ["copy"]
    assert found.result.surface["b"]["copy"].hd95_mm == 4


class MasksOfDAFNet(DAFNetMethod):
    """Without factors, whose statistics take longer."""

    def predict(self, given):
        return replace(super().predict(given), factors=None)


@pytest.fixture(scope="module")
def phantom():
    data = phantom_slices(9000, range(2), size=64, slices=2)
    method = MasksOfDAFNet(DAFNet(ModelConfig.compact(data.modalities, data.classes)).eval())
    return method, data, evaluate_method(method, data)


def test_numbers_by_subject_have_the_means_of_the_result(phantom):
    _, data, found = phantom
    assert found.subjects == data.subjects
    for name in data.modalities:
        paths = {f"copy.{name}": found.result.copy[name]}
        for kind in ("single", "deformed", "fused"):
            paths[f"segmentation.{name}.{kind}"] = found.result.segmentation[name][kind]
        for path, summary in paths.items():
            mean, volume = (found.by_subject[f"{path}.{key}"] for key in ("dice_mean", "dice_volume"))
            assert mean.shape == volume.shape == (2,)
            assert np.nanmean(mean) == pytest.approx(summary.dice_mean)
            assert np.nanmean(volume) == pytest.approx(summary.dice_volume_mean)
        for kind in ("single", "deformed", "fused", "copy"):
            summary = found.result.surface[name][kind]
            for key in ("hd95_mm", "assd_mm"):
                values = found.by_subject[f"surface.{name}.{kind}.{key}"]
                assert values.shape == (2,)
                assert np.nanmean(values) == pytest.approx(getattr(summary, key))
            assert summary.assd_mm > 0
            assert summary.n_subjects == 2


def test_validations_while_training_do_not_take_them(phantom):
    method, data, _ = phantom
    found = evaluate_method(method, data, limit=1, statistics=False)
    assert found.result.surface is None
    assert not any(path.startswith("surface") for path in found.by_subject)
    assert "segmentation.LGE.fused.dice_volume" in found.by_subject


def test_evaluate_prints_them(capsys):
    assert main(["copy", "--data", "phantom:subjects=1,difficulty=wide"]) == 0
    found = json.loads(capsys.readouterr().out)["surface"]
    for name in ("cine", "LGE"):
        assert set(found[name]["copy"]) == {"hd95_mm", "assd_mm", "n_subjects"}
        assert 1 < found[name]["copy"]["assd_mm"] < found[name]["copy"]["hd95_mm"] < 50

"""A toy method, data source, measure and loss: each is one file (here a class or function) and one line elsewhere."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch

from dafnet_core import methods
from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import load
from dafnet_core.data import sources
from dafnet_core.data.chaos import ChaosInPhase
from dafnet_core.data.config import DataConfig
from dafnet_core.data.phantom.source import Phantom
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.source import DataSource, FileSource
from dafnet_core.data.studies import Study
from dafnet_core.evaluate import evaluate_untrained, main
from dafnet_core.evaluation.result import EvaluationResult, measured_by
from dafnet_core.evaluation.run import evaluate_method
from dafnet_core.losses.weights import LossWeights, generator_terms, weight
from dafnet_core.methods.base import Estimate, Method, PredictedMask, Trainable
from dafnet_core.methods.copy import Copy
from dafnet_core.methods.dafnet import DAFNetMethod
from dafnet_core.networks.discriminators import Discriminators
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.loop import train
from dafnet_core.types import Noise
from tests.helpers.chaos_tree import write_chaos

# --- a method: a class, and a line in METHODS ------------------------------------------------------------------


@dataclass(frozen=True)
class Nothing:
    """Predicts background everywhere."""

    modalities: tuple[str, ...]
    classes: tuple[str, ...]

    name: ClassVar[str] = "nothing"
    title: ClassVar[str] = "Nothing"
    kinds: ClassVar[tuple[str, ...]] = ("single",)
    needs_source_masks: ClassVar[bool] = False

    def predict(self, given):
        empty = np.zeros(given.images.shape[2:], np.uint8)
        return Estimate(tuple(PredictedMask("single", i, None, empty) for i in range(len(given.modalities))))


def test_a_method_is_a_class_and_a_line(monkeypatch, capsys):
    monkeypatch.setitem(methods.METHODS, "nothing", Nothing)
    assert isinstance(Nothing((), ()), Method)
    found = evaluate_untrained("nothing", "phantom:subjects=2").result
    assert found.method == "nothing"
    assert found.segmentation["LGE"]["single"].dice_mean == 0
    assert 0.5 < found.copy["LGE"].dice_mean < 0.9  # every method is compared with Copy
    assert found.paired["LGE"]["single_minus_copy"].difference < -0.5
    assert found.probe is None
    assert found.why["probe"] == "Nothing has no modality factor"
    assert found.why["registration"] == "Nothing has no positions"
    assert EvaluationResult.from_json(found.to_json()) == found
    assert main(["nothing", "--data", "phantom:subjects=1"]) == 0
    assert '"method": "nothing"' in capsys.readouterr().out


class Renamed(DAFNetMethod):
    """A method that learns: DAFNet under another name, without adversarial terms."""

    name: ClassVar[str] = "renamed"
    title: ClassVar[str] = "DAFNet without adversaries"
    description = title

    @classmethod
    def for_training(cls, config):
        return cls(cls.networks_of(config))

    def terms(self, networks, batch, noise, weights):
        outputs = networks(batch, noise)
        return generator_terms(outputs, batch, None, weights.without(("adv_mask", "adv_image"))), outputs

    def discriminator_terms(self, made, batch, weights):
        return {}


@pytest.mark.slow
def test_a_method_that_learns_is_trained_kept_and_judged(monkeypatch, tmp_path):
    monkeypatch.setitem(methods.METHODS, "renamed", Renamed)
    small = {"subjects": 1, "validation_subjects": 1, "size": 64, "batch_size": 2, "steps": 2}
    config = TrainConfig.of(method="renamed", **small)
    train(config, tmp_path / "run")
    found = load(tmp_path / "run" / "best.safetensors")
    assert found.method_name == "renamed"
    assert isinstance(found.method, Renamed)
    assert "A DAFNet without adversaries" in card(found, "best.safetensors")
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()[0]
    assert "sup" in log
    assert "adv_mask" not in log


def test_copy_never_sees_the_target_s_mask():
    seen = []

    class Spy(Copy):
        def predict(self, given):
            seen.append(set(given.source_masks))
            return super().predict(given)

    data = phantom_slices(9000, range(1), size=64)
    found = evaluate_method(Spy(data.modalities, data.classes), data, limit=1).result
    assert seen[:2] == [{1}, {0}]
    assert list(found.segmentation["cine"]) == ["copy"]
    assert found.segmentation["cine"]["copy"].dice_mean == found.copy["cine"].dice_mean


# --- a data source: a class, and a line in SOURCES -------------------------------------------------------------


class Squares(FileSource):
    """Two modalities of squares; two subjects are enough to train and validate."""

    kind: ClassVar[str] = "squares"
    help: ClassVar[str] = "squares"
    own_options: ClassVar[frozenset[str]] = frozenset()
    synthetic: ClassVar[bool] = True
    built_in: ClassVar[bool] = True
    licence = "MIT"
    modalities = ("bright", "dark")
    classes = ("background", "square")
    registered = False

    def __init__(self, spec):
        super().__init__(spec, "squares", ())

    @classmethod
    def open(cls, spec, modalities=()):
        return cls(spec)

    @classmethod
    def for_training(cls, config, seed):
        return cls(config.source)

    def names(self):
        return ("a", "b", "c")

    def study(self, name, preparation: Preparation):
        mask = np.zeros((2, preparation.height, preparation.width), np.uint8)
        mask[:, 16:40, 20:44] = 1
        images = tuple((sign * (2.0 * mask - 1)[None]).astype(np.float32) for sign in (1, -1))
        return Study(name, images, (mask, mask), (np.arange(2.0), np.arange(2.0)))


def test_a_data_source_is_a_class_and_a_line(monkeypatch):
    monkeypatch.setitem(sources.SOURCES, "squares", Squares)
    data = sources.training_data(DataConfig(source="squares", size=64), 0)
    assert data.train.modalities == ("bright", "dark")
    assert len(data.train) == len(data.val) == 2
    assert sources.public_name("squares") == "squares"
    assert evaluate_untrained("copy", "squares").result.copy["dark"].dice_mean == 1
    with pytest.raises(ValueError, match="subjects is 3, which means nothing for --data 'squares'"):
        TrainConfig.of(data="squares", subjects=3)
    assert sources.source_class("phantom:subjects=2") is Phantom


# --- a measure: a class, and a field of the result -------------------------------------------------------------


class Size:
    """Mean share of pixels that a method segments."""

    needs: ClassVar[frozenset[str]] = frozenset()
    costly: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    why: ClassVar[dict[str, str]] = {}

    def observe(self, seen):
        return np.mean([(mask.labels > 0).mean() for mask in seen.estimate.masks])

    def summarise(self, rows, context):
        return {"size": float(np.mean(rows))}


@dataclass(frozen=True)
class WithSize(EvaluationResult):
    size: float | None = measured_by(Size)
    why: dict[str, str] = field(default_factory=dict)


def test_a_measure_is_a_class_and_a_field():
    data = phantom_slices(9000, range(1), size=64)
    found = evaluate_method(Copy(data.modalities, data.classes), data, limit=2, result=WithSize).result
    assert 0 < found.size < 0.5
    assert found.to_json()["size"] == found.size
    assert WithSize.from_json(found.to_json()) == found


# --- a loss: a function, and a field of the weights ------------------------------------------------------------


def mean_intensity(f):
    """Mean intensity of own reconstructions."""
    return f.outputs.images.mean()


@dataclass(frozen=True)
class MoreWeights(LossWeights):
    intensity: float = weight(2.0, mean_intensity, "the mean intensity of reconstructions")


def test_a_loss_is_a_function_and_a_field(make_model, make_batch):
    model, batch = make_model(), make_batch()
    outputs = model(batch, Noise.draw(2, 2, model.config.z_dim))
    weights = MoreWeights()
    terms = generator_terms(outputs, batch, Discriminators(model.config), weights)
    assert torch.equal(terms["intensity"], outputs.images.mean())
    without = {name: value for name, value in terms.items() if name != "intensity"}
    assert torch.isclose(weights.total(terms), weights.total(without) + 2 * outputs.images.mean())
    assert MoreWeights.options()["w_intensity"].default == 2
    assert MoreWeights.from_dict(weights.to_dict()) == weights
    with pytest.raises(ValueError, match="w_intensity is -1"):
        MoreWeights(intensity=-1.0)


# --- what stands in the dictionaries fits the protocols ----------------------------------------------------------


def members(protocol):
    """Names of the attributes and methods that a protocol asks for."""
    found = set(protocol.__annotations__) | {name for name in vars(protocol) if not name.startswith("_")}
    return found.union(*(members(base) for base in protocol.__mro__[1:] if getattr(base, "_is_protocol", False)))


def test_every_method_and_source_has_what_its_protocol_asks_for(make_model, tmp_path):
    assert isinstance(DAFNetMethod(make_model()), Method)
    assert isinstance(Copy((), ()), Method)
    assert members(Trainable) - set(dir(DAFNetMethod(make_model()))) == set()
    squares = Squares("squares")
    assert members(DataSource) - set(dir(squares)) == set()
    assert members(DataSource) - set(dir(Phantom.open("phantom"))) == set()
    write_chaos(tmp_path, (1,))
    assert members(DataSource) - set(dir(ChaosInPhase(tmp_path))) == set()

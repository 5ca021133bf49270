"""Speckle, invariance, sensitivity and prior flag an anatomy that holds intensities, and not a perfect one."""

from dataclasses import dataclass
from itertools import permutations
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from dafnet_core.config import ModelConfig
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.evaluation.base import Context, ScoredSlice
from dafnet_core.evaluation.measures.cleanness import Speckle
from dafnet_core.evaluation.measures.invariance import Invariance
from dafnet_core.evaluation.measures.prior import PriorStyles
from dafnet_core.evaluation.measures.sensitivity import Sensitivity
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.evaluation.run import evaluate_method
from dafnet_core.methods.base import Estimate
from dafnet_core.methods.dafnet import DAFNetMethod
from dafnet_core.methods.decomposition import decompose
from dafnet_core.networks.dafnet import DAFNet

SIDE = 32
TRUTH = np.zeros((SIDE, SIDE), np.uint8)
TRUTH[8:24, 8:24] = 1
DITHERED = np.random.default_rng(0).random((SIDE, SIDE)) < 0.25
BRIGHTNESS = torch.tensor([-0.4, 0.4, -0.4, 0.4])  # of each channel


class Stub:
    """Networks of 4 channels. The perfect ones see tissues whatever the intensities; those that leak put two channels

    that depend on the intensity into a quarter of the pixels, scattered, and read them when they make an image.
    """

    aligns = True
    config = ModelConfig.compact(("a", "b"), ("background", "one"), channels=4)

    def __init__(self, leaky):
        self.leaky = leaky
        self.brightness = float(self.decode(self.one_hot(torch.zeros(1, SIDE, SIDE)), torch.zeros(1, 1)).mean())

    def parameters(self):
        return iter([torch.zeros(1)])

    def one_hot(self, images):
        labels = torch.from_numpy(TRUTH).long().expand(images.shape)
        code = 2 + torch.floor(8 * (images + 1)).long() % 2
        if self.leaky:
            labels = torch.where(torch.from_numpy(DITHERED), code, labels)
        return F.one_hot(labels, 4).movedim(-1, -3).float()

    def decode(self, s, z):
        smooth = F.avg_pool2d(torch.einsum("bchw,c->bhw", s, BRIGHTNESS)[:, None], 3, 1, 1, count_include_pad=False)
        return 2 * smooth + z[:, :, None, None] if self.leaky else smooth + 0.1 * z[:, :, None, None]

    def predict(self, images, modalities=None, *, precision="auto"):
        n, batch = images.shape[1], len(images)
        pairs = tuple(permutations(range(n), 2))
        s = self.one_hot(images.movedim(1, 0))[:, :, None]
        single = torch.stack([1 - s[:, :, 0, 1], s[:, :, 0, 1]], 2)
        fixed = torch.tensor([i for i, _ in pairs], dtype=torch.long)
        return SimpleNamespace(
            modalities=modalities or tuple(range(n)),
            pairs=pairs,
            s=s,
            deformed=s[fixed],
            fused=s,
            grid=torch.zeros(len(pairs), batch, 1, SIDE, SIDE, 2),
            offsets=torch.zeros(len(pairs), batch, 1, 4, 2),
            weights=torch.ones(len(pairs), batch, 1),
            single=single,
            deformed_masks=single[fixed],
            fused_masks=single,
        )

    def encode_modality(self, s, images):
        mean = (images.mean((-1, -2)) - self.brightness) / 0.1
        mean = torch.zeros_like(mean) if self.leaky else mean
        return mean, mean * 0

    def reconstruct(self, prediction, images):
        own = images.movedim(1, 0)
        mean = torch.stack([self.encode_modality(None, x[:, None])[0] for x in own])
        cross = own[[i for i, _ in prediction.pairs]] if prediction.pairs else own[:0]
        return SimpleNamespace(mean=mean, logvar=mean * 0, own=own, cross=cross[:, :, None], swapped=cross)


@dataclass(frozen=True)
class StubMethod:
    networks: Any
    name: ClassVar[str] = "stub"
    title: ClassVar[str] = "Stub"
    kinds: ClassVar[tuple[str, ...]] = ("single",)
    needs_source_masks: ClassVar[bool] = False
    modalities: ClassVar[tuple[str, ...]] = ("a", "b")
    classes: ClassVar[tuple[str, ...]] = ("background", "one")

    def predict(self, given):
        return Estimate((), factors=decompose(self.networks, given.images))


def measured(measure, leaky):
    method = StubMethod(Stub(leaky))
    a = np.where(TRUTH == 1, 0.4, -0.4).astype(np.float32)
    images = np.stack([a, -a])[:, None]
    estimate = method.predict(SimpleNamespace(images=images[:, 0]))
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    places = {pair: np.stack([x, y], -1) for pair in ((0, 1), (1, 0))}
    both, picture = {0: TRUTH, 1: TRUTH}, (slice(None), slice(None))
    rows = [
        measure.observe(
            ScoredSlice(method, name, 0, images, both, estimate, places, {}, frozenset((0, 1)), picture, both, {})
        )
        for name in ("p0", "p1")
    ]
    return next(iter(measure.summarise(rows, Context(method, [], None, ("p0", "p1"))).values()))


def test_speckle_is_that_of_the_truth_or_more():
    clean, leaky = (measured(Speckle(), kind)["a"] for kind in (False, True))
    assert clean.share == clean.truth_share < 0.01
    assert clean.boundary_ratio == 1
    assert leaky.share > leaky.truth_share + 0.1
    assert leaky.boundary_ratio > 3


def test_invariance_falls_where_channels_follow_intensities_and_modality():
    clean, leaky = (measured(Invariance(), kind) for kind in (False, True))
    assert clean.intensity == {"a": 1, "b": 1}
    assert clean.modality.agreement == clean.modality.bound == 1
    assert max(leaky.intensity.values()) < 0.95
    assert leaky.modality.agreement < 0.9
    assert leaky.modality.bound == 1


def test_sensitivity_is_larger_where_single_pixels_are_read():
    clean, leaky = (measured(Sensitivity(), kind)["a"] for kind in (False, True))
    assert 0 < clean.p01 < clean.p05 < 0.05
    assert leaky.p01 > 1.5 * clean.p01
    assert leaky.p05 > 1.5 * clean.p05


def test_styles_of_the_prior_keep_a_perfect_anatomy_and_their_z():
    clean, leaky = (measured(PriorStyles(), kind) for kind in (False, True))
    assert clean.dice_kept == clean.channels_kept == 1
    assert clean.z_l1 == pytest.approx(0, abs=1e-4)
    assert leaky.channels_kept < 0.95
    assert leaky.z_l1 > 0.5


def test_slow_measures_are_asked_for_and_give_a_reason_for_each_null():
    data = phantom_slices(9000, range(1), size=64)
    method = DAFNetMethod(DAFNet(ModelConfig.compact(data.modalities, data.classes)).eval())
    found = evaluate_method(method, data, limit=2, measures="all").result
    assert {"leakage.cnn", "iob.s.value", "style.z.linear.mean_r2"} <= set(found.why)
    assert "at least 96 are needed" in found.why["style.shape.s.nonlinear.mean_r2"]
    assert found.prior.channels_kept is not None
    assert EvaluationResult.from_json(found.to_json()) == found
    alone = evaluate_method(method, data, limit=2, measures="slow").result
    assert (alone.prior, alone.iob, alone.style) == (found.prior, found.iob, found.style)
    assert alone.segmentation is alone.probe is alone.speckle is None
    assert EvaluationResult.from_json(alone.to_json()) == alone
    with pytest.raises(ValueError, match="measures is 'every'; expected one of brief, default, all, slow"):
        evaluate_method(method, data, limit=2, measures="every")
    assert [found.speckle.keys(), found.sensitivity.keys()] == [set(data.modalities)] * 2

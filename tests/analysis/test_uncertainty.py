"""Entropy of classes, and the spread over samples of s and z, on models whose spread is known."""

import numpy as np
import pytest
import torch
from torch import nn

from dafnet_core.analysis.uncertainty import entropy, sample_factors
from dafnet_core.methods.sdnet import SDNetMulti
from dafnet_core.networks.dafnet import DAFNet

IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32)).astype(np.float32)


@pytest.fixture
def model(make_model):
    return make_model(decoder="film").eval()


def test_entropy_of_known_distributions():
    equal, sure = np.full((4, 2, 3), 0.25), np.eye(4)[:, :3, None]
    assert entropy(equal) == pytest.approx(np.log(4))
    assert entropy(sure) == pytest.approx(0)


def test_the_largest_logit_is_the_channel_of_s(model):
    logits = model.channel_logits(torch.from_numpy(IMAGES)[None], (0, 1))
    s = model.encode(torch.from_numpy(IMAGES)[None, :, None], (0, 1))
    assert torch.equal(logits.argmax(2), s[:, :, 0].argmax(2))


class Fixed(nn.Module):
    """An encoder whose logits are given, whatever the image."""

    def __init__(self, logits):
        super().__init__()
        self.given = logits

    def logits(self, images, modalities):
        return self.given.expand(len(modalities), -1, *images[0].shape[2:])

    def forward(self, images, modalities):
        raise AssertionError


def test_a_model_that_is_sure_of_s_and_of_z_has_no_spread(model):
    channels = model.config.channels
    model.anatomy_encoder = Fixed(1e4 * torch.eye(channels)[0].view(1, channels, 1, 1))
    with torch.no_grad():
        model.modality_encoder.logvar.weight.zero_()
        model.modality_encoder.logvar.bias.fill_(-60)
    found = sample_factors(model, IMAGES, (0, 1), samples=4)
    assert found.disagreement == pytest.approx(0, abs=1e-5)
    assert found.image_std == pytest.approx(0, abs=1e-5)
    assert found.image_std_z == pytest.approx(0, abs=1e-5)
    assert np.allclose(found.total, entropy(found.probabilities), atol=1e-5)


def test_channels_are_drawn_as_often_as_the_encoder_says(model):
    """A segmentor that shows s itself: the mean over samples is the softmax of the encoder."""
    channels, classes = model.config.channels, len(model.config.classes)
    logits = torch.linspace(0, 2, channels).view(1, channels, 1, 1)
    model.anatomy_encoder = Fixed(logits)

    class Shows(nn.Module):
        def forward(self, s):
            return 50 * s[:, :classes]  # of other channels the classes are equal

    model.segmentor = Shows()
    found = sample_factors(model, IMAGES, (0, 1), samples=64)
    p = logits.softmax(1).flatten().numpy()
    expected = p[:classes] + p[classes:].sum() / classes
    assert found.probabilities.mean((0, 2, 3)) == pytest.approx(expected, abs=0.01)
    # all that the samples do not share: the entropy of the mean, without the share of those that show nothing
    assert found.disagreement.mean() == pytest.approx(
        found.total.mean() - p[classes:].sum() * np.log(classes), abs=0.01
    )


@pytest.mark.parametrize("of", ["dafnet", "sdnet"])
def test_numbers_of_any_model_are_consistent_and_follow_the_seed(model, make_config, of):
    if of == "sdnet":
        torch.manual_seed(0)
        config = SDNetMulti.configure("compact", ("a", "b"), ("background", "one", "two"))
        model = SDNetMulti.networks_of(config).eval()
    else:
        assert isinstance(model, DAFNet)
    found, again, other = (sample_factors(model, IMAGES, (0, 1), samples=3, seed=n) for n in (0, 0, 1))
    assert found.probabilities.sum(1) == pytest.approx(1, abs=1e-4)
    assert (found.disagreement >= 0).all()
    assert (found.total >= found.disagreement - 1e-6).all()
    assert found.total.max() <= np.log(len(model.config.classes)) + 1e-6
    assert (found.image_std > 0).any()
    for name in ("probabilities", "total", "image_std", "image_std_z"):
        assert np.array_equal(getattr(found, name), getattr(again, name))
    assert not np.array_equal(found.image_std, other.image_std)
    with pytest.raises(ValueError, match="1 sample; a spread needs at least 2"):
        sample_factors(model, IMAGES, (0, 1), samples=1)

"""Anatomy and modality encoders, the segmentor, and the sizes of all networks."""

import pytest
import torch

from dafnet_core.config import ModelConfig
from dafnet_core.networks.blocks import instance_norm, one_hot
from dafnet_core.networks.dafnet import DAFNet
from dafnet_core.networks.discriminators import Discriminators
from dafnet_core.networks.encoders import AnatomyEncoder, sample_z

CARDIAC = (("cine", "LGE"), ("background", "LV", "myocardium", "RV"))


def test_anatomy_is_exactly_one_hot_and_its_gradient_is_the_softmax_s():
    logits = torch.randn(2, 8, 16, 16, requires_grad=True)
    weights = torch.randn(2, 8, 16, 16)
    s = one_hot(logits)
    assert set(s.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(s.sum(1), torch.ones(2, 16, 16))
    (found,) = torch.autograd.grad((s * weights).sum(), logits)
    (expected,) = torch.autograd.grad((logits.softmax(1) * weights).sum(), logits)
    assert torch.allclose(found, expected, atol=1e-7)


def test_ties_and_flat_logits_still_give_one_channel():
    # rounding, as the published code does, would leave these pixels empty
    s = one_hot(torch.zeros(1, 8, 4, 4))
    assert torch.equal(s.sum(1), torch.ones(1, 4, 4))


def test_encoding_paths_are_own_and_decoding_path_is_shared(make_config):
    encoder = AnatomyEncoder(make_config())
    image = torch.rand(1, 1, 32, 48)
    encoder.logits([image], [1]).sum().backward()
    assert all(p.grad is None for p in encoder.down[0].parameters())
    assert all(p.grad is not None for p in [*encoder.down[1].parameters(), *encoder.up.parameters()])


def test_z_is_sampled_from_its_posterior_by_the_given_noise():
    mean, logvar = torch.tensor([[1.0, -2.0]]).expand(20000, 2), torch.tensor([[0.0, -2.0]]).expand(20000, 2)
    z = sample_z(mean, logvar, torch.randn(20000, 2))
    assert torch.equal(sample_z(mean, logvar, torch.zeros(20000, 2)), mean)
    # 20,000 samples: the mean's standard error is 0.007, so 0.03 is four of them
    assert torch.allclose(z.mean(0), mean[0], atol=0.03)
    assert torch.allclose(z.std(0), torch.exp(logvar[0] / 2), atol=0.03)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("plane", [(16, 24), (32, 40), (7, 5)])
def test_instance_norm_and_its_gradient_are_torch_s(memory, affine, plane):
    x = torch.randn(3, 5, *plane).contiguous(memory_format=memory).requires_grad_()
    weight, bias = (torch.rand(5, requires_grad=True) for _ in range(2))
    inputs = [x, weight, bias] if affine else [x]
    upstream = torch.randn_like(x)
    y = instance_norm(*inputs)
    reference = torch.nn.functional.instance_norm(x, weight=weight if affine else None, bias=bias if affine else None)
    assert y.is_contiguous(memory_format=memory)
    assert torch.allclose(y, reference, atol=1e-5)
    found, expected = (torch.autograd.grad(t, inputs, upstream) for t in (y, reference))
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a, b, atol=2e-4)  # sums over 3,840 values in float32


@pytest.mark.parametrize("decoder", ["film", "spade"])
def test_published_sizes(decoder):
    """Parameters of each part at the published widths; the paper says about 52 million in all."""
    config = ModelConfig.published(*CARDIAC, decoder=decoder)
    with torch.device("meta"):
        model, critics = DAFNet(config), Discriminators(config)
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert {name: count(part) for name, part in model.named_children()} == {
        "anatomy_encoder": 39_205_640,
        "modality_encoder": 688_688,
        "aligner": 4_641_210,
        "segmentor": 41_988,
        "decoder": 5_841 if decoder == "film" else 4_285_649,
        "pairing": 16,
    }
    assert count(critics.masks) + count(critics.images) == 9_150_275


def test_compact_model_fits_into_eight_megabytes_of_half_precision():
    for decoder in ("film", "spade"):
        model = DAFNet(ModelConfig.compact(*CARDIAC, decoder=decoder))
        assert 2 * sum(p.numel() for p in model.parameters()) < 8e6


def test_configuration_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="two different names"):
        ModelConfig(("cine",), ("background", "LV"))
    with pytest.raises(ValueError, match="film, spade"):
        ModelConfig(*CARDIAC, decoder="unet")
    with pytest.raises(ValueError, match="has no depths"):
        ModelConfig.from_dict({"modalities": ["a", "b"], "classes": ["x", "y"], "depths": 3})


def test_configuration_survives_json():
    import json

    config = ModelConfig.compact(*CARDIAC, decoder="spade")
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config

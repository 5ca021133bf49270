"""FiLM and SPADE decoders."""

import pytest
import torch
import torch.nn.functional as F

from dafnet_core.networks.decoders import SpadeLayer, decode, film, make_decoder


def anatomy(b=2, c=8, h=48, w=80):
    return F.one_hot(torch.randint(0, c, (b, h, w)), c).movedim(-1, 1).float()


@pytest.mark.parametrize("kind", ["film", "spade"])
@pytest.mark.parametrize(("height", "width"), [(32, 48), (96, 80), (192, 112)])
def test_condition_then_render_equals_decode_at_any_size(make_config, kind, height, width):
    decoder, s, z = make_decoder(make_config(decoder=kind)), anatomy(1, h=height, w=width), torch.randn(1, 8)
    image = decode(decoder, s, z)
    assert image.shape == (1, 1, height, width)
    assert image.abs().max() <= 1
    assert torch.equal(decoder.render(decoder.condition(s), z), image)


@pytest.mark.parametrize("kind", ["film", "spade"])
def test_one_conditioning_serves_many_z(make_config, kind):
    decoder, s, z = make_decoder(make_config(decoder=kind)), anatomy(1), torch.randn(5, 8)
    shared = decoder.render(decoder.condition(s), z)
    alone = torch.cat([decode(decoder, s, one) for one in z.split(1)])
    assert torch.allclose(shared, alone, atol=1e-5)
    assert not torch.allclose(shared[0], shared[1], atol=1e-4)  # z is not ignored


def test_film_against_hand_computation():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    found = film(features, torch.tensor([[2.0, -1.0]]), torch.tensor([[0.5, 10.0]]))
    assert torch.equal(found, torch.tensor([[[[2.5, 4.5]], [[7.0, 6.0]]]]))


def test_spade_against_hand_computation():
    features = torch.tensor([[[[1.0, 3.0]]]])  # mean 2, standard deviation 1
    gamma, beta = torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[[[5.0, 0.0]]]])
    found = SpadeLayer.modulate(features, 1 + gamma, beta)
    assert torch.allclose(found, torch.tensor([[[[4.0, 2.0]]]]), atol=1e-4)  # (1 + gamma) * (-1, 1) + beta


def test_spade_layer_makes_its_maps_from_the_anatomy_by_its_own_weights():
    layer, s = SpadeLayer(3, 4, 2), torch.rand(1, 3, 6, 6)
    h = F.conv2d(s, layer.shared.weight, layer.shared.bias, padding=1).clamp_min(0)
    scale, shift = layer.maps(s)
    assert torch.allclose(scale, 1 + F.conv2d(h, layer.gamma.weight, layer.gamma.bias, padding=1))
    assert torch.allclose(shift, F.conv2d(h, layer.beta.weight, layer.beta.bias, padding=1))


def test_film_block_is_the_published_one(make_config):
    decoder, s, z = make_decoder(make_config(film_blocks=1)), anatomy(1), torch.randn(1, 8)
    block = decoder.blocks[0]
    leaky = lambda t: F.leaky_relu(t, 0.2)  # noqa: E731
    a = leaky(block.first(leaky(decoder.stem(s))))
    gamma, beta = leaky(block.gamma(z)), leaky(block.beta(z))
    out = a + leaky(gamma[:, :, None, None] * block.second(a) + beta[:, :, None, None])
    assert torch.allclose(decode(decoder, s, z), torch.tanh(decoder.head(out)), atol=1e-6)

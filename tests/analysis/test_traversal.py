"""Traversals of z against separate decodes and numpy's correlation."""

import numpy as np
import pytest
import torch

from dafnet_core.analysis.traversal import (
    STILL,
    Traversal,
    interpolate,
    kept_share,
    render,
    sheet,
    steps_between,
    traverse,
    traverse_one,
)
from dafnet_core.methods.decomposition import decompose
from dafnet_core.networks.decoders import FilmDecoder, SpadeDecoder


@pytest.fixture(params=["film", "spade"])
def model(request, make_model):
    """In float64: how a CPU rounds, which depends on the batch, stays far below what the tests ask for."""
    return make_model(decoder=request.param).double().eval()


@pytest.fixture
def s():
    labels = torch.randint(0, 8, (32, 48), generator=torch.Generator().manual_seed(3))
    return torch.nn.functional.one_hot(labels, 8).movedim(-1, 0).double().numpy()


def decoded(model, s, z):
    with torch.inference_mode():
        return model.decode(torch.from_numpy(s)[None], torch.tensor(z, dtype=torch.float64)[None])[0, 0].numpy()


def test_every_tile_is_what_decode_gives_and_the_anatomy_is_conditioned_on_once(model, s, monkeypatch):
    kind, calls = type(model.decoder), []
    assert kind in (FilmDecoder, SpadeDecoder)
    own = kind.condition
    monkeypatch.setattr(kind, "condition", lambda self, x: calls.append(len(x)) or own(self, x))
    z = np.linspace(-1, 1, 8)
    found = traverse(model, s, z)
    assert calls == [1]
    assert found.images.shape == (8, 7, 32, 48)
    for d, step in ((0, 0), (3, 5), (7, 6)):
        moved = z.copy()
        moved[d] = found.values[step]
        assert np.allclose(found.images[d, step], decoded(model, s, moved), atol=1e-10)


def test_along_a_direction_its_coordinate_takes_the_values_and_the_rest_of_z_stays(model, s):
    z, values = np.linspace(-1, 1, 8), np.array([-2.0, 0.0, 1.5])
    direction = np.array([3.0, 0, 0, -4, 0, 0, 0, 0]) / 5
    found = traverse(model, s, z, values, direction[None])
    assert found.images.shape == (1, 3, 32, 48)
    for n, value in enumerate(values):
        moved = z + (value - z @ direction) * direction
        assert moved @ direction == pytest.approx(value)
        assert np.allclose(found.images[0, n], decoded(model, s, moved), atol=1e-10)
    assert np.allclose(found.images[0], traverse_one(model, s, z, direction, values), atol=1e-10)
    with pytest.raises(ValueError, match=r"expected \(n, 8\) of length 1"):
        traverse(model, s, z, values, 2 * direction[None])
    with pytest.raises(ValueError, match="expected"):
        traverse(model, s, z, values, np.eye(7))


def test_the_share_of_kept_channels_is_that_of_a_second_encoding(model):
    model = model.float()
    images = np.random.default_rng(0).uniform(-1, 1, (3, 32, 48)).astype(np.float32)
    again = np.stack([decompose(model, image[None], (1,)).s[0] for image in images])
    assert kept_share(model, images[:1], 1, again[0]) == pytest.approx([1.0])
    expected = (again.argmax(1) == again[0].argmax(0)).mean((1, 2))
    assert kept_share(model, images, 1, again[0]) == pytest.approx(expected, abs=0.01)  # rounding may tip a pixel
    assert expected[1:].max() < 0.9


def test_correlation_is_numpy_s_and_undefined_where_nothing_moves():
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (2, 5, 4, 4)).astype(np.float32)
    images[:, :, 0] = 0.3 + rng.uniform(0, 0.9 * STILL, (2, 5, 4))  # noise under the threshold
    found = Traversal(np.linspace(-3, 3, 5), np.zeros(2), images)
    assert np.isnan(found.correlation[:, 0]).all()
    for d in range(2):
        for y in range(1, 4):
            for x in range(4):
                expected = np.corrcoef(found.values, images[d, :, y, x])[0, 1]
                assert found.correlation[d, y, x] == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(found.difference, images[:, 4] - images[:, 0])
    assert found.effect == pytest.approx(np.abs(images[:, 4] - images[:, 0]).mean((1, 2)))


def test_interpolation_ends_where_it_should(model, s):
    a, b = np.random.default_rng(0).normal(size=(2, 8))
    found = interpolate(model, s, a, b, 5)
    assert np.allclose(found[[0, 2, 4]], [decoded(model, s, z) for z in (a, (a + b) / 2, b)], atol=1e-10)


def test_sheet_has_the_first_dimension_down_and_the_second_across(model, s):
    z, values = np.zeros(8), np.array([-2.0, 0.0, 1.0])
    found = sheet(model, s, z, (5, 1), values)
    z[5], z[1] = -2.0, 1.0
    assert np.allclose(found[0, 2], decoded(model, s, z), atol=1e-10)
    with pytest.raises(ValueError, match=r"\(1, 8\).* from 0 to 7"):
        sheet(model, s, z, (1, 8))


def test_steps_are_odd_and_hold_zero():
    assert steps_between().tolist() == [-3, -2, -1, 0, 1, 2, 3]
    with pytest.raises(ValueError, match="steps are 4"):
        steps_between(count=4)


def test_what_does_not_fit_the_model_is_refused(model, s):
    with pytest.raises(ValueError, match=r"z is \(2, 7\); expected \(N, 8\)"):
        render(model, s, np.zeros((2, 7)))

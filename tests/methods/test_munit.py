"""Translation and DADR, which share MUNIT."""

from functools import partial

import numpy as np
import pytest
import torch

from dafnet_core.analysis.content import principal_maps
from dafnet_core.analysis.style_codes import StyleRenderer, content_change, encode_again, mix_styles
from dafnet_core.analysis.traversal import traverse
from dafnet_core.evaluation.base import Context
from dafnet_core.evaluation.measures.modality_probe import ModalityProbe
from dafnet_core.losses.weights import LossWeights
from dafnet_core.methods import METHODS
from dafnet_core.methods.base import Method, SliceInput, Trainable
from tests.helpers.squares import CLASSES, MODALITIES, all_numbers, garbage, method_of, noise_for, overfitted, squares
from tests.test_extending import members

NAMES = "translation", "dadr"
WEIGHTS = LossWeights(adv_image=1.0, rec=10.0, rec_s=1.0, rec_z=1.0, cycle=10.0)
MUNIT = "content", "style", "decoder"


@pytest.mark.parametrize("name", NAMES)
def test_outputs_have_the_shapes_of_modalities_and_pairs(name):
    method, batch = method_of(name, content_width=2), squares(b=3)
    terms, made = method.terms(method.networks, batch, noise_for(method, batch, WEIGHTS), WEIGHTS)
    assert made.content.shape == made.content_again.shape == (2, 3, 8, 16, 16)
    assert made.images.shape == made.translated.shape == made.cycled.shape == (2, 3, 64, 64)
    assert made.z_again.shape == made.z_prior.shape == (2, 3, 8)
    assert made.logits.shape == (2, 3, 3, 64, 64)
    assert made.labelled == ((1, 0) if name == "translation" else (0, 1))
    assert set(terms) == {"sup", "rec", "rec_z", "rec_s", "cycle", "adv_image"}
    assert set(method.discriminator_terms(made, batch, WEIGHTS)) == {"images_0", "images_1"}


@pytest.mark.parametrize("name", NAMES)
def test_it_predicts_masks_and_reconstructions_of_every_modality(name):
    method = method_of(name, content_width=2)
    assert isinstance(method, Method)
    assert members(Trainable) - set(dir(method)) == set()
    method.networks.eval()
    images = squares(b=1).images[0].numpy()
    found = method.predict(SliceInput(images, (0, 1)))
    assert [(mask.kind, mask.fixed) for mask in found.masks] == [("single", 0), ("single", 1)]
    assert np.allclose(found.probabilities.sum(1), 1, atol=1e-3)
    assert np.array_equal(method.predict(SliceInput(images[1:], (1,))).masks[0].labels, found.masks[1].labels)
    with pytest.raises(ValueError, match="this model knows 0 to 1"):
        method.predict(SliceInput(images, (0, 2)))


@pytest.mark.parametrize("name", NAMES)
def test_the_segmentor_and_munit_do_not_change_each_other(name):
    method, batch = method_of(name, content_width=2), squares()
    noise = noise_for(method, batch, WEIGHTS)
    terms, _ = method.terms(method.networks, batch, noise, WEIGHTS)
    terms["sup"].backward()
    for part in MUNIT:
        assert all(p.grad is None for p in getattr(method.networks, part).parameters())
    method.networks.zero_grad()
    terms, _ = method.terms(method.networks, batch, noise, WEIGHTS)
    WEIGHTS.total(terms | {"sup": 0.0}).backward()
    assert all(p.grad is None for p in method.networks.segmentor.parameters())
    assert all(p.grad is not None for part in MUNIT for p in getattr(method.networks, part).parameters())


@pytest.mark.parametrize("name", NAMES)
def test_masks_that_are_not_annotated_change_nothing(name):
    method, batch = method_of(name, content_width=2), squares(annotated=(True, False))
    before, after = (all_numbers(method, b, WEIGHTS) for b in (batch, garbage(batch, 1)))
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_generators_learn_from_discriminators_and_these_from_detached_images():
    method, batch = method_of("translation", content_width=2), squares()
    terms, made = method.terms(method.networks, batch, noise_for(method, batch, WEIGHTS), WEIGHTS)
    terms["adv_image"].backward()
    assert any(p.grad is not None and p.grad.any() for p in method.networks.decoder.parameters())
    assert terms["adv_image"] > 0
    assert made.translated.shape[0] == len(made.pairs)


@pytest.mark.parametrize(("name", "unet"), [("translation", 34.5e6), ("dadr", 34.7e6)])
def test_the_published_width(name, unet):
    """MUNIT as its paper describes it has 15 million weights a modality; that on DAFNet counts about 26 for both."""
    config = METHODS[name].configure("published", MODALITIES, CLASSES)
    with torch.device("meta"):
        networks = METHODS[name].networks_of(config)
    counts = {part: sum(p.numel() for p in module.parameters()) for part, module in networks.named_children()}
    assert sum(counts[part] for part in MUNIT) == pytest.approx(30e6, rel=0.01)
    assert counts["segmentor"] == pytest.approx(unet, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_overfits_one_batch_and_munit_reconstructs_it(name):
    method, batch = method_of(name, content_width=4, width=8), squares()
    terms = overfitted(method, batch, LossWeights(adv_image=0.0, rec=10.0, rec_s=1.0, rec_z=1.0, cycle=10.0), 150)
    assert terms["sup"] < 0.15
    assert terms["rec"] < 0.1
    method.networks.eval()
    found = method.predict(SliceInput(batch.images[0].numpy(), (0, 1)))
    own = next(image.pixels for image in found.images if image.fixed == 1)
    assert np.abs(own - batch.images[0, 1, 0].numpy()).mean() < 0.15
    assert np.mean(found.masks[1].labels == batch.masks[0, 1].numpy()) > 0.97


@pytest.fixture
def munit(monkeypatch):
    """Translation with random weights in float32 on every machine, and its estimate of one batch of squares."""
    method = method_of("translation", content_width=2)
    method.networks.eval()
    monkeypatch.setattr(method.networks, "predict", partial(method.networks.predict, precision="fp32"))
    return method, method.predict(SliceInput(squares(b=1).images[0].numpy(), (0, 1)))


def test_a_style_at_its_own_value_gives_the_own_reconstruction(munit):
    method, found = munit
    own = {image.fixed: image.pixels for image in found.images}
    for m in (0, 1):
        z = found.style[m]
        moved = traverse(StyleRenderer(method.networks, m), found.content[m], z, np.array([-3.0, z[0], 3.0]))
        assert moved.images.shape == (8, 3, 64, 64)
        assert np.allclose(moved.images[0, 1], own[m], atol=1e-5)
        assert moved.effect.max() > 0
    with pytest.raises(ValueError, match="modality is 2; this model knows 0 to 1"):
        StyleRenderer(method.networks, 2)


def test_mixed_styles_are_scored_by_encoding_again(munit):
    method, found = munit
    masks = np.stack([mask.labels for mask in found.masks])
    made = mix_styles(method.networks, found.content, masks, found.style, (0, 1))
    own = np.stack([image.pixels for image in found.images])
    assert np.allclose(made.images[[0, 1], [0, 1]], own, atol=1e-5)
    changes = [content_change(method.networks, own[m][None], m, found.content[m])[0] for m in (0, 1)]
    assert np.allclose(made.content_change[[0, 1], [0, 1]], changes, atol=1e-4)
    assert (made.content_change > 0).all()
    assert (made.style_error > 0).all()
    with pytest.raises(ValueError, match="1 modalities for 2 styles"):
        mix_styles(method.networks, found.content, masks, found.style, (0,))


def test_no_change_of_content_is_zero_and_all_of_it_is_one(munit):
    method, found = munit
    image = found.images[0].pixels[None]
    again = content_change(method.networks, image, 0, found.content[0])
    networks = method.networks
    (code,), _, _ = encode_again(networks, image, 0)
    assert content_change(networks, image, 0, code)[0] == pytest.approx(0, abs=1e-6)
    assert content_change(networks, image, 0, 1e6 * code)[0] == pytest.approx(1, abs=1e-4)
    assert again[0] > 0


def test_the_modality_is_probed_in_styles_of_several_subjects(munit):
    method, _ = munit
    rng = np.random.default_rng(0)
    styles = [(f"subject {n}", rng.standard_normal((2, 8))) for n in range(6)]
    apart = [(name, style + np.array([[5.0], [0.0]])) for name, style in styles]
    context = Context(method, [], None, tuple(name for name, _ in styles))
    values = ModalityProbe().summarise(apart, context)
    assert values["z"] == "style code"
    assert values["probe"].accuracy == 1
    assert ModalityProbe().summarise(styles, context)["probe"].accuracy < 0.9
    assert ModalityProbe().summarise(styles[:1], context)["probe"].accuracy is None
    assert context.reasons["probe"].startswith("1 subject in 2 rows")


def test_principal_maps_of_content_with_one_direction_explain_all_of_it():
    pattern = np.random.default_rng(0).standard_normal((2, 1, 4, 6))
    maps, shares = principal_maps(pattern * np.array([1.0, -3.0, 2.0])[:, None, None], 2)
    expected = -(pattern - pattern.mean()) / pattern.std()  # the sign of the largest weight, -3, is made positive
    assert np.allclose(shares, [1, 0])
    assert np.allclose(maps[:, :1], expected)
    with pytest.raises(ValueError, match="expected 1 to the 3 channels"):
        principal_maps(np.zeros((1, 3, 2, 2)), 4)

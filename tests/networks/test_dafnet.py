"""DAFNet as a whole."""

from dataclasses import fields, replace

import pytest
import torch

from dafnet_core.checkpoints.file import load
from dafnet_core.config import ModelConfig
from dafnet_core.data.dataset import collate
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.losses.weights import generator_terms
from dafnet_core.networks.discriminators import Discriminators
from dafnet_core.training.step import noise_of_step, train_step
from dafnet_core.types import Batch, Noise
from tests.helpers.paths import SHIPPED

CPU = torch.device("cpu")


def step(state, batch, config):
    config = config.with_options(batch_size=len(batch.images))
    return train_step(state, batch, noise_of_step(config, state.step, state.method), config)


@pytest.mark.parametrize("decoder", ["film", "spade"])
@pytest.mark.parametrize("modalities", [("a", "b"), ("a", "b", "c")])
@pytest.mark.parametrize("k", [1, 2])
def test_forward_gives_every_documented_shape(make_model, make_batch, decoder, modalities, k):
    m, b = len(modalities), 2
    p = m * (m - 1)
    model = make_model(decoder=decoder, modalities=modalities, candidates=2)
    noise = replace(Noise.draw(m, b, model.config.z_dim, rec_z_share=0.5), swapped=1)
    out = model(make_batch(b, m, k), noise)
    plane = (32, 48)
    expected = {
        "s": (m, b, k, 8, *plane),
        "mean": (m, b, 8),
        "logvar": (m, b, 8),
        "z": (m, b, 8),
        "deformed": (p, b, k, 8, *plane),
        "offsets": (p, b, k, 25, 2),
        "grid": (p, b, *plane, 2),
        "weights": (p, b, k),
        "logits": (m, b, 3, *plane),
        "deformed_logits": (p, b, k, 3, *plane),
        "fused_logits": (m, b, k, 3, *plane),
        "images": (m, b, *plane),
        "deformed_images": (p, b, k, *plane),
        "z_prior": (m, 1, 8),
        "z_reencoded": (m, 1, 8),
        "z_swapped": (p, 1, 8),
        "z_swapped_reencoded": (p, 1, 8),
        "again": (m + p, *plane),  # a drawn style for each modality, a swapped one for each pair
        "again_logits": (m + p, 8, *plane),
        "channel_logits": (m, b, 8, *plane),
    }
    shapes = {f.name: getattr(out, f.name) for f in fields(out) if f.name != "pairs"}
    assert {name: tuple(value.shape) for name, value in shapes.items() if value is not None} == expected
    assert torch.allclose(out.weights.sum(-1), torch.ones(p, b))
    terms = generator_terms(out, make_batch(b, m, k), Discriminators(model.config))
    assert all(t.isfinite() and t.ndim == 0 for t in terms.values())


def test_the_forward_pass_can_be_traced_by_the_compiler(make_model, make_batch):
    model, batch, noise = make_model(), make_batch(), Noise.draw(2, 2, 8)
    plain, traced = model(batch, noise), torch.compile(model, backend="eager")(batch, noise)
    assert torch.allclose(traced.fused_logits, plain.fused_logits, atol=1e-5)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_a_batch_equals_its_samples_one_by_one_in_eval_mode(make_model, make_batch, norm):
    model = make_model(norm=norm).eval()
    images = make_batch(3).images
    together = model.predict(images, precision="fp32")
    for b in range(3):
        alone = model.predict(images[b : b + 1], precision="fp32")
        for name in ("s", "deformed", "fused", "single", "deformed_masks", "fused_masks"):
            assert torch.allclose(getattr(alone, name)[:, 0], getattr(together, name)[:, b], atol=1e-5), name


def test_predict_takes_one_two_or_more_modalities(make_model, make_batch):
    model = make_model(modalities=("a", "b", "c")).eval()
    images = make_batch(2, 3).images[:, :, 0]
    everything = model.predict(images, precision="fp32")
    assert len(everything.pairs) == 6
    two = model.predict(images[:, 1:], (1, 2), precision="fp32")
    assert torch.equal(two.s, everything.s[1:])
    one = model.predict(images[:, 2:], (2,), precision="fp32")
    assert one.pairs == ()
    assert torch.allclose(one.single[0], everything.single[2], atol=1e-6)
    assert torch.equal(one.fused_masks, one.single)  # nothing to fuse with


def test_fused_anatomy_is_the_maximum_and_its_mask_the_segmentor_s(make_model, make_batch):
    model = make_model().eval()
    found = model.predict(make_batch().images, precision="fp32")
    expected = torch.maximum(found.s[0, :, 0], found.deformed[0, :, 0])
    assert torch.equal(found.fused[0, :, 0], expected)
    with torch.inference_mode():
        assert torch.allclose(found.fused_masks[0], model.segment(expected).softmax(1), atol=1e-5)


def test_candidates_masks_are_the_paper_s_weighted_sum(make_model, make_batch):
    model = make_model(candidates=3).eval()
    found = model.predict(make_batch(k=3).images, precision="fp32")
    with torch.inference_mode():
        masks = torch.stack([model.segment(found.fused[0, :, k]).softmax(1) for k in range(3)], 1)
    weights = found.weights[found.pairs.index((0, 1))]
    assert torch.allclose(weights.sum(1), torch.ones(2))
    assert torch.allclose(found.fused_masks[0], (weights[:, :, None, None, None] * masks).sum(1), atol=1e-5)


def test_reconstruction_is_the_decoder_s_at_the_posterior_mean(make_model, make_batch):
    model, images = make_model().eval(), make_batch().images
    found = model.predict(images)
    made = model.reconstruct(found, images)
    with torch.inference_mode():
        assert torch.allclose(made.own[1], model.decode(found.s[1, :, 0], made.mean[1])[:, 0], atol=1e-5)
        cross = model.decode(found.deformed[0, :, 0], made.mean[0])[:, 0]
        assert torch.allclose(made.cross[0, :, 0], cross, atol=1e-5)


def test_the_fastest_precision_changes_few_masks_of_the_shipped_checkpoint():
    model = load(SHIPPED).model
    data = phantom_slices(9000, range(1), difficulty="hard")
    images = collate([data[i] for i in range(8)]).images
    labels = [model.predict(images, precision=p).fused_masks.argmax(2) for p in ("auto", "fp32")]
    assert (labels[0] != labels[1]).float().mean() < 0.001
    with pytest.raises(ValueError, match="fp16"):
        model.predict(images, precision="fp16")


def test_wrong_sizes_are_refused_in_words(make_model, make_batch):
    model = make_model()
    with pytest.raises(ValueError, match="40x48; 4 poolings need multiples of 16"):
        model.predict(torch.zeros(1, 2, 40, 48))
    with pytest.raises(ValueError, match="knows 0 to 1"):
        model.predict(torch.zeros(1, 1, 32, 48), (2,))
    batch = make_batch()
    with pytest.raises(ValueError, match="expected"):
        Batch(batch.images[:, :, :, :16], batch.masks, batch.annotated)


@pytest.mark.parametrize("kind", ["compact", "published"])
def test_one_set_of_weights_runs_at_any_size(kind):
    changes = dict(width=4, critic_width=4) if kind == "published" else {}
    config = getattr(ModelConfig, kind)(("a", "b"), ("background", "one"), decoder="spade", **changes)
    from dafnet_core.networks.dafnet import DAFNet

    model = DAFNet(config).eval()
    for height, width in [(32, 48), (64, 64), (112, 96)]:
        found = model.predict(torch.zeros(1, 2, height, width))
        assert found.fused_masks.shape == (2, 1, 2, height, width)
        assert model.reconstruct(found, torch.zeros(1, 2, height, width)).own.shape == (2, 1, height, width)

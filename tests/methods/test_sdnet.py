"""SDNet-single and SDNet-multi."""

import numpy as np
import pytest
import torch

from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.pools import PooledImages
from dafnet_core.data.studies import DataError
from dafnet_core.losses.weights import LossWeights
from dafnet_core.methods import METHODS
from dafnet_core.methods.base import FactorMethod, Method, SliceInput, Trainable
from tests.helpers.squares import CLASSES, MODALITIES, all_numbers, garbage, method_of, noise_for, overfitted, squares
from tests.test_extending import members

NAMES = "sdnet-single", "sdnet-multi"
WEIGHTS = LossWeights(adv_mask=10.0, kl=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_have_the_shapes_of_the_batch(name):
    method, batch = method_of(name), squares(b=3)
    terms, made = method.terms(method.networks, batch, noise_for(method, batch, WEIGHTS), WEIGHTS)
    assert made.logits.shape == (2, 3, 3, 64, 64)
    assert made.images.shape == (2, 3, 64, 64)
    assert made.z_reencoded.shape == made.z_prior.shape == made.mean.shape == (2, 3, 8)
    assert set(terms) == {"sup", "rec", "rec_z", "kl", "adv_mask"}
    assert set(method.discriminator_terms(made, batch, WEIGHTS)) == {"masks"}


@pytest.mark.parametrize("name", NAMES)
def test_it_has_factors_and_no_alignment(name):
    method = method_of(name)
    assert isinstance(method, Method)
    assert isinstance(method, FactorMethod)
    assert members(Trainable) - set(dir(method)) == set()
    method.networks.eval()
    images = squares(b=1).images[0].numpy()
    found = method.predict(SliceInput(images, (0, 1)))
    assert found.positions == {}
    assert {mask.kind for mask in found.masks} == {"single"}
    assert {image.kind for image in found.images} == {"own"}
    assert not found.factors.aligned
    assert found.factors.pairs == ((0, 1), (1, 0))
    assert np.array_equal(found.factors.deformed, found.factors.s[[1, 0]])
    assert (found.factors.s.sum(1) == 1).all()
    assert [mask.fixed for mask in found.masks] == [image.fixed for image in found.images]
    assert [mask.fixed for mask in found.masks] == ([1] if name == "sdnet-single" else [0, 1])
    alone = method.predict(SliceInput(images[1:], (1,)))
    assert alone.factors.pairs == ()
    assert np.array_equal(alone.masks[0].labels, found.masks[-1].labels)


def test_single_sees_images_of_the_target_only_with_and_without_masks():
    data = phantom_slices(0, range(2), size=64)
    pools = method_of("sdnet-single", target="a").pools
    assert method_of("sdnet-multi").pools is None
    data.unannotated = {0: frozenset(data.subjects[:1])}
    batches = [PooledImages(data, pools).batch_at(n, 4, 0) for n in range(2)]  # as many as there are of the target
    drawn = {tuple(x.ravel().tolist()) for b in batches for x in b.images.flatten(0, 2).numpy()}
    assert drawn == {tuple(data[n].images[0, 0].ravel().tolist()) for n in range(len(data))}
    assert sum(int(b.annotated.sum()) for b in batches) == len(drawn) / 2
    assert not any(b.masks[~b.annotated].any() for b in batches)
    data.unannotated = {0: frozenset(data.subjects)}
    with pytest.raises(DataError, match="no image of cine is annotated"):
        PooledImages(data, pools)


@pytest.mark.parametrize("name", NAMES)
def test_masks_that_are_not_annotated_change_nothing(name):
    method, batch = method_of(name), squares(annotated=(True, False))
    before, after = (all_numbers(method, b, WEIGHTS) for b in (batch, garbage(batch, 1)))
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_published_width_has_the_paper_s_parameters(name):
    config = METHODS[name].configure("published", MODALITIES, CLASSES)
    with torch.device("meta"):
        networks = METHODS[name].networks_of(config)
    assert sum(p.numel() for p in networks.parameters()) == pytest.approx(35e6, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_overfits_one_batch(name):
    method, batch = method_of(name, width=8), squares()
    terms = overfitted(method, batch, LossWeights(adv_mask=0.0, kl=0.01), steps=250, rate=5e-3)
    assert terms["sup"] < 0.35  # 0.95 before
    assert terms["rec"] < 0.15
    method.networks.eval()
    found = method.predict(SliceInput(batch.images[0].numpy(), (0, 1)))
    assert np.mean(found.masks[-1].labels == batch.masks[0, 1].numpy()) > 0.9

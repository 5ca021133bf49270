"""U-Nets and DualStream: shapes, sizes, what they learn from, and that they learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.pools import PooledImages, Pools
from dafnet_core.data.studies import DataError
from dafnet_core.methods import METHODS
from dafnet_core.methods.base import SliceInput
from dafnet_core.networks.dual_stream import DualStream
from dafnet_core.networks.unet import UNet
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.step import TrainState, noise_of_step, train_step
from dafnet_core.types import Batch

NAMES = ("unet-single", "unet-multi", "unet-augmented", "dual-stream")
CHAOS = (("T1", "T2"), ("background", "liver", "right kidney", "left kidney", "spleen"))


def small(name, **choices):
    """A tiny configuration of a method."""
    config = METHODS[name].configure("compact", ("a", "b"), ("background", "one", "two"), **choices)
    return replace(config, width=8)


def tiny(name):
    torch.manual_seed(0)
    method = METHODS[name].for_training(small(name))
    method.networks.eval()
    return method


@pytest.mark.parametrize("name", NAMES)
def test_masks_and_probabilities_have_the_image_s_shape(name):
    method = tiny(name)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 1, 32, 48)).astype(np.float32)
    found = method.predict(SliceInput(images, (0, 1)))
    served = [1] if name == "unet-single" else [0, 1]
    assert [(m.kind, m.fixed, m.moving, m.labels.shape) for m in found.masks] == [
        ("single", i, None, (32, 48)) for i in served
    ]
    if name == "unet-single":
        assert method.predict(SliceInput(images[:1], (0,))).masks == ()
        assert method.predict(SliceInput(images[1:], (1,))).probabilities.shape == (1, 3, 32, 48)
    assert found.probabilities.shape == (2, 3, 32, 48)
    assert np.allclose(found.probabilities[served].sum(1), 1, atol=1e-5)
    with pytest.raises(ValueError, match="image is 32x44; expected multiples of"):
        method.predict(SliceInput(images[..., :44], (0, 1)))


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_is_the_same_whatever_other_image_comes_with_it(name):
    method = tiny(name)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 1, 32, 32)).astype(np.float32)
    both = method.predict(SliceInput(images, (0, 1))).masks[-1]
    alone = method.predict(SliceInput(images[1:], (1,))).masks[0]
    assert (both.labels == alone.labels).mean() > 0.999  # bfloat16 sums differ by batch


def parameters(name, size):
    return sum(p.numel() for p in METHODS[name].networks_of(METHODS[name].configure(size, *CHAOS)).parameters())


@pytest.mark.parametrize("name", NAMES[:3])
def test_the_published_u_net_has_the_paper_s_35_million_parameters(name):
    with torch.device("meta"):
        assert parameters(name, "published") == pytest.approx(35e6, rel=0.05)
        assert parameters(name, "compact") < 2e6


def test_dual_stream_has_two_streams_and_shares_the_deepest_scale():
    # the paper counts 56 million; see PAPER_NOTES.md
    with torch.device("meta"):
        model = DualStream(METHODS["dual-stream"].configure("published", *CHAOS))
    shared = sum(p.numel() for p in model.deepest.parameters())
    assert len(model.streams) == 2
    assert shared == pytest.approx(12.98e6, rel=0.01)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(21.5e6, rel=0.01)


def test_streams_share_nothing_but_the_deepest_scale():
    model = DualStream(small("dual-stream"))
    image = torch.rand(2, 1, 32, 32)
    model([image], [1]).sum().backward()
    assert all(p.grad is None for p in model.streams[0].parameters())
    assert all(p.grad is not None for p in [*model.streams[1].parameters(), *model.deepest.parameters()])


def test_a_u_net_ignores_the_modality():
    model = UNet(small("unet-multi")).eval()
    image = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        assert torch.equal(model([image], [0]), model([image], [1]))


def squares():
    """A square and a bar in both modalities, which show them with opposite contrasts."""
    masks = torch.zeros(2, 2, 32, 32, dtype=torch.long)
    masks[:, :, 6:16, 8:20], masks[1, :, 20:26, 4:28] = 1, 2
    images = masks[:, :, None] * torch.tensor([0.9, -0.9]).view(1, 2, 1, 1, 1)
    return Batch(images, masks, torch.ones(2, 2, dtype=torch.bool))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_overfits_one_batch(name):
    config = TrainConfig.of(
        method=name, steps=40, finish_steps=0, warmup=0, decay="none", lr=1e-2, batch_size=2, precision="fp32"
    )
    state = TrainState.create(replace(small(name), depth=2), config, torch.device("cpu"))
    first, *_, last = (
        train_step(state, squares(), noise_of_step(config, n, state.method), config)["sup"] for n in range(40)
    )
    assert first > 0.5
    assert last < 0.1


def test_batches_hold_annotated_images_only_and_as_many_as_pairs():
    data = phantom_slices(0, range(2), size=64)
    hidden = phantom_slices(0, range(2), size=64)
    hidden.unannotated = {1: frozenset(hidden.subjects[:1])}
    for source, pools in ((data, ((0, 1),)), (hidden, ((0, 1),)), (hidden, ((0,), (1,))), (hidden, ((1,),))):
        batch = PooledImages(source, Pools(pools)).batch_at(3, 4, 0)
        assert batch.images.shape == (4, 2, 1, 64, 64)
        assert batch.annotated.all()
        assert len(batch.masks.unique()) > 1
    counts = [len(source.slices_of(m, annotated=True)) for source, m in ((hidden, 0), (data, 1), (hidden, 1))]
    assert counts[0] == counts[1] == 2 * counts[2] == len(hidden.slices_of(1, annotated=False))


def test_every_annotated_image_is_drawn_once_before_any_comes_again():
    data = phantom_slices(0, range(1), size=64)  # 8 slices, 16 images
    images = PooledImages(data, Pools(((0, 1),)))
    drawn = torch.cat([images.batch_at(n, 4, 0).images.flatten(0, 2) for n in range(2)])
    assert len({tuple(x.flatten().tolist()) for x in drawn}) == 16
    target = PooledImages(data, Pools(((1,),))).batch_at(0, 4, 0).images.flatten(0, 2)
    lge = {tuple(data[n].images[1, 0].ravel().tolist()) for n in range(8)}
    assert {tuple(x.flatten().tolist()) for x in target} == lge


def test_shards_of_a_batch_are_its_rows():
    images = PooledImages(phantom_slices(0, range(1), size=64), Pools(((0,), (1,))))
    whole = images.batch_at(1, 4, 0).images
    parts = [images.batch_at(1, 4, 0, shard=(r, 2)).images for r in range(2)]
    assert torch.equal(whole[0::2], parts[0])
    assert torch.equal(whole[1::2], parts[1])


def test_without_annotations_a_stream_learns_from_the_other_modality_and_a_single_u_net_from_nothing():
    data = phantom_slices(0, range(1), size=64)
    data.unannotated = {1: frozenset(data.subjects)}
    batch = PooledImages(data, Pools(((0,), (1,)))).batch_at(0, 4, 0)
    cine = {tuple(data[n].images[0, 0].ravel().tolist()) for n in range(8)}
    assert {tuple(x.flatten().tolist()) for x in batch.images.flatten(0, 2)} <= cine
    with pytest.raises(DataError, match="no image of LGE is annotated"):
        PooledImages(data, Pools(((1,),)))


def test_options_of_other_methods_are_refused_and_left_out_of_recipes():
    config = TrainConfig.of(method="unet-multi", recipe="clean")
    assert (config.losses.dice, config.schedule.lr) == ("every", 1.5e-3)
    assert config.final_weights.invariance == 0
    assert config.in_words() == {"recipe clean": "dice every, ce 0.2, lr 0.0015"}
    assert TrainConfig.of(method="unet-augmented").data.intensity == "convolutions"
    assert TrainConfig.of(method="unet-augmented", intensity="mild").data.intensity == "mild"
    assert TrainConfig.from_dict(config.to_dict()) == config
    for values in (
        {"w_rec": 8.0},
        {"decoder": "spade"},
        {"candidates": 3},
        {"without": ("aligner",)},
        {"w_cycle": 1.0},
    ):
        with pytest.raises(ValueError, match="which means nothing for --method dual-stream; leave it out"):
            TrainConfig.of(method="dual-stream", **values)
    assert TrainConfig.of(recipe="clean").final_weights.invariance == 0.5


def test_the_target_of_a_single_u_net_is_that_of_the_run():
    assert TrainConfig.of(method="unet-single", target="CINE").networks(("cine", "LGE"), CHAOS[1]).target == "cine"
    assert TrainConfig.of(method="unet-single").networks(("cine", "LGE"), CHAOS[1]).target == "LGE"
    assert TrainConfig.of(target="cine").networks(("cine", "LGE"), CHAOS[1]).target == ""

"""Terms that clean the anatomy: what each rewards, where its gradient goes, and that all are off by default."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dafnet_core.data.config import DataConfig
from dafnet_core.data.dataset import Augmentation
from dafnet_core.data.intensity import MILD, STRONG, IntensityChange, change_intensity, contrast_curve
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.sources import training_data
from dafnet_core.losses import disentangle
from dafnet_core.losses.terms import Forward
from dafnet_core.losses.weights import LossWeights, generator_terms
from dafnet_core.networks.discriminators import Discriminators
from dafnet_core.training.config import CLEAN, TrainConfig
from dafnet_core.training.step import TrainState, noise_of_step, train_step
from dafnet_core.types import Noise

CPU = torch.device("cpu")


@pytest.fixture
def forward(make_model, make_batch):
    """Outputs of a forward pass with everything that the terms need."""
    model, batch = make_model(), make_batch()
    b, m, h, w = batch.masks.shape
    batch = replace(
        batch,
        changed=batch.images[:, :, 0].flip(-1),
        displacements=torch.zeros(b, m, h, w, 2),
        regions=torch.ones(b, m, h, w, dtype=torch.bool),
    )
    flips = torch.randint(-1, 8, (m, b, h, w), generator=torch.Generator().manual_seed(1))
    noise = replace(Noise.draw(m, b, model.config.z_dim), flips=flips)
    return Forward(model(batch, noise), batch, Discriminators(model.config))


def with_labels(forward, labels):
    """The same outputs with anatomies and confident logits of these channels, (M, B, H, W)."""
    s = torch.nn.functional.one_hot(labels, 8).movedim(-1, 2).float()
    return replace(forward, outputs=replace(forward.outputs, s=s[:, :, None], channel_logits=30 * s))


def test_boundaries_and_confidence_cost_what_they_are(forward):
    m, b, h, w = forward.outputs.s[:, :, 0].argmax(2).shape
    flat = torch.zeros(m, b, h, w, dtype=torch.long)
    board = (torch.arange(h)[:, None] + torch.arange(w)) % 2
    halves = flat.clone()
    halves[..., w // 2 :] = 1
    assert disentangle.boundary(with_labels(forward, flat)).item() == 0
    assert disentangle.boundary(with_labels(forward, board.expand(m, b, h, w))).item() == 1
    assert disentangle.boundary(with_labels(forward, halves)).item() == pytest.approx(0.5 / (w - 1))
    assert disentangle.confidence(with_labels(forward, flat)).item() == pytest.approx(0, abs=1e-6)
    undecided = replace(forward, outputs=replace(forward.outputs, channel_logits=torch.zeros(m, b, 8, h, w)))
    assert disentangle.confidence(undecided).item() == pytest.approx(np.log(8), rel=1e-5)


def test_channels_without_pixels_cost_and_those_of_one_modality_do_not(forward):
    m, b, h, w = forward.outputs.s[:, :, 0].argmax(2).shape
    none = torch.zeros(m, b, h, w, dtype=torch.long)
    all_of_them = (torch.arange(h)[:, None] + torch.arange(w)).expand(m, b, h, w) % 8
    in_one_modality, at_the_edge = all_of_them.clone(), all_of_them % 7
    in_one_modality[0] %= 7
    at_the_edge[..., -2:, :] = 7
    assert disentangle.balance(with_labels(forward, none)).item() == pytest.approx(30 * 7 / 8)
    assert disentangle.balance(with_labels(forward, at_the_edge)).item() == pytest.approx(30 / 8)
    for labels in (all_of_them, in_one_modality):
        assert disentangle.balance(with_labels(forward, labels)).item() == pytest.approx(0, abs=1e-6)


def test_errors_count_in_and_about_the_organs_that_are_found(forward):
    logits, images = torch.zeros_like(forward.outputs.logits), forward.x.clone()
    logits[:, :, 0] = 1
    logits[..., 1, 10:14, 10:14] = 2
    images[..., 20:, :] += 0.5

    def cost(changed, labels=logits):
        return disentangle.organs(replace(forward, outputs=replace(forward.outputs, images=changed, logits=labels)))

    assert cost(images).item() == 0
    assert cost(forward.x + 0.25).item() == pytest.approx(0.25, rel=1e-5)
    images[..., 9, 10:14] += 0.64  # one pixel away: 4 of 8 x 8
    assert cost(images).item() == pytest.approx(0.64 * 4 / 64, rel=1e-5)
    logits[..., 1, :, :] = 0
    assert cost(images, logits).item() == 0


def test_styles_that_do_not_tell_the_modality_cost(forward):
    m, b, n_z = forward.outputs.mean.shape
    apart = torch.zeros(m, b, n_z)
    apart[1, :, 3] = 8

    def cost(mean):
        return disentangle.told_modality(replace(forward, outputs=replace(forward.outputs, mean=mean)))

    assert cost(torch.zeros(m, b, n_z)).item() == pytest.approx(np.log(m), rel=1e-6)
    assert cost(apart).item() == pytest.approx(0, abs=1e-6)
    assert cost(apart.roll(1, 0)).item() == pytest.approx(0, abs=1e-6)
    assert cost(torch.cat([apart[:, : b // 2], apart[:, b // 2 :].roll(1, 0)], 1)).item() > 0.5


def test_grey_levels_that_are_not_read_from_z_cost(forward):
    labels = torch.zeros_like(forward.outputs.channel_logits.argmax(2))
    labels[..., :10] = 3
    found = with_labels(forward, labels)
    levels = torch.full((8,), 9.0)  # of channels without pixels: they do not count
    levels[0], levels[3] = -0.5, 0.25
    image = torch.where(labels == 3, 0.25, -0.5)
    found = replace(found, batch=replace(found.batch, images=image.transpose(0, 1)[:, :, None]))
    reader = found.discriminators.contrast
    with torch.no_grad():
        reader.weight.zero_()
        reader.bias.copy_(levels)
    assert disentangle.contrast(found).item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        reader.bias[3] += 0.5  # one of two channels, however few its pixels
    assert disentangle.contrast(found).item() == pytest.approx(0.25, rel=1e-5)


def test_z_and_the_reader_learn_contrast_and_s_does_not(forward):
    outputs = replace(forward.outputs, **{n: getattr(forward.outputs, n).detach().requires_grad_() for n in ("z", "s")})
    found = replace(forward, outputs=outputs)
    disentangle.contrast(found).backward()
    assert outputs.z.grad.abs().sum() > 0
    assert outputs.s.grad is None
    outputs.z.grad = None
    found.discriminators.zero_grad()
    disentangle.contrast_reader(found).backward()
    assert outputs.z.grad is None
    assert found.discriminators.contrast.weight.grad.abs().sum() > 0


def test_channels_that_follow_intensities_cost(forward):
    labels = forward.outputs.channel_logits.argmax(2)
    stays = 30 * torch.nn.functional.one_hot(labels, 8).movedim(-1, 2).float()
    same = replace(forward, outputs=replace(forward.outputs, changed_logits=stays))
    moved = replace(forward, outputs=replace(forward.outputs, changed_logits=stays.roll(1, 2)))
    assert disentangle.invariance(same).item() == pytest.approx(0, abs=1e-6)
    assert disentangle.invariance(moved).item() > 20


def test_agreement_follows_the_known_warp(forward):
    """One anatomy, displaced by three columns in the second modality."""
    m, b, h, w = forward.outputs.s[:, :, 0].argmax(2).shape
    labels = torch.zeros(m, b, h, w, dtype=torch.long)
    labels[0, ..., 10:20], labels[1, ..., 13:23] = 1, 1
    shift = torch.zeros(b, m, h, w, 2)
    shift[:, 1, ..., 0] = -3 * 2 / w  # the second shows at p what the first shows at p - 3
    found = with_labels(forward, labels)
    known = replace(found, batch=replace(found.batch, displacements=shift))
    assert disentangle.agreement(known).item() < 0.01
    assert disentangle.agreement(found).item() > 0.05
    assert disentangle.agreement(replace(found, batch=replace(found.batch, displacements=None))) is None


@pytest.mark.parametrize("name", CLEAN)
def test_each_term_teaches_the_anatomy_encoder(forward, make_model, make_batch, name):
    model = make_model()
    b, m, h, w = forward.batch.masks.shape
    flips = torch.full((m, b, h, w), -1)
    flips[..., ::5] = 3
    outputs = model(forward.batch, replace(Noise.draw(m, b, model.config.z_dim), flips=flips))
    weights = replace(LossWeights.paper(), **{name: 1.0})
    terms = generator_terms(outputs, forward.batch, Discriminators(model.config), weights)
    terms[name].backward()
    gradient = model.anatomy_encoder.up.head.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_all_are_off_by_default_and_in_the_paper_s_recipe_and_rise_late():
    for config in (TrainConfig(), TrainConfig.of(recipe="paper")):
        assert not any(getattr(config.final_weights, name) for name in CLEAN)
    config = TrainConfig.of(steps=1000, finish_steps=100, w_boundary=2.0, clean_from=100, clean_ramp=200)
    assert [config.weights_at(step).boundary for step in (0, 100, 200, 300, 950)] == [0, 0, 1, 2, 2]


def test_a_step_takes_all_terms_and_trains_the_classifier(make_config):
    on = {f"w_{name}": 0.1 for name in CLEAN}
    config = TrainConfig.of(batch_size=2, size=64, clean_from=-1, clean_ramp=1, finish_steps=0, precision="fp32", **on)
    data = phantom_slices(3, range(1), size=64, known_warps=True)
    state = TrainState.create(make_config(modalities=("cine", "LGE")), config, CPU)
    batch = data.batch_at(0, 2, 0, augmentation=Augmentation(copy=MILD))
    batch = replace(batch, masks=batch.masks.clamp_max(2))
    before = state.critics.modality.head.weight.clone()
    scalars = train_step(state, batch, noise_of_step(config, 0, state.method), config)
    assert set(CLEAN) <= set(scalars)
    assert "critic_modality" in scalars
    assert not torch.equal(before, state.critics.modality.head.weight)


def test_agreement_uses_warps_where_they_are_known_and_says_where_not():
    data = training_data(DataConfig(subjects=1, validation_subjects=1, size=64), 0, agreeing=True)
    pair = data.train.studies[0].pair(2)
    fields = data.train.sample(2, np.random.default_rng(0)).displacements
    assert np.allclose(fields, pair.displacement, atol=1e-5)
    assert not any("w_agree" in note for note in data.notes)
    shuffled = DataConfig(subjects=1, validation_subjects=1, size=64, pairing="shuffled")
    data = training_data(shuffled, 0, agreeing=True)
    assert "w_agree has no effect: the warps between these pairs are not known" in data.notes
    assert data.train.sample(2, np.random.default_rng(0)).displacements is None


def test_augmentation_by_warps_does_not_make_unknown_warps_known():
    moved = Augmentation(warp=4.0)
    for unknown in (True, False):
        data = phantom_slices(3, range(1), size=64, unknown_warps=unknown)
        batch = data.batch_at(0, 2, 0, augmentation=moved)
        assert (batch.displacements is None) is unknown


# ---- intensities ----


@pytest.mark.parametrize("change", [MILD, STRONG])
def test_other_intensities_keep_the_anatomy_where_it_is(change):
    y, x = np.mgrid[:64, :64]
    image = np.where((y - 32) ** 2 + (x - 30) ** 2 < 150, 0.5, -0.4).astype(np.float32)
    image[:6] = -1
    rng = np.random.default_rng(0)
    for _ in range(10):
        changed = change_intensity(image, change, rng)
        assert changed.dtype == np.float32
        assert (changed[:6] == -1).all()
        assert np.abs(changed).max() <= 1
    plain = change_intensity(image, IntensityChange(bias=0, noise=0), rng)
    assert len(np.unique(plain)) == 3  # a curve maps each value to one
    assert plain[32, 30] > plain[32, 60] > -1  # and keeps their order


def test_curves_rise_from_corner_to_corner():
    rng = np.random.default_rng(1)
    for _ in range(20):
        curve = contrast_curve(1.0, rng)
        assert (np.diff(curve) >= -1e-9).all()
        assert (curve[0], curve[-1]) == pytest.approx((0, 1))

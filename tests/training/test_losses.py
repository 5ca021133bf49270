"""Losses against known answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score, log_loss
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from dafnet_core.data.deform import sampling, smooth_displacement
from dafnet_core.geometry import pixel_centres
from dafnet_core.losses.functions import (
    cross_entropy,
    dice_loss,
    kl_divergence,
    modality_reconstruction_loss,
    reconstruction_loss,
    warp_error,
)
from dafnet_core.losses.weights import LossWeights, discriminator_terms, generator_terms
from dafnet_core.networks.discriminators import Discriminators
from dafnet_core.training.config import TrainConfig
from dafnet_core.types import Batch, Noise


def test_kl_is_that_of_torch_distributions():
    mean, logvar = torch.randn(5, 8), torch.randn(5, 8)
    reference = torch_kl(Normal(mean, torch.exp(logvar / 2)), Normal(0.0, 1.0))
    assert torch.allclose(kl_divergence(mean, logvar), reference, atol=1e-5)


def test_dice_of_hard_masks_is_scikit_learn_s():
    pred, truth = torch.randint(0, 4, (3, 16, 16)), torch.randint(0, 4, (3, 16, 16))
    probs = F.one_hot(pred, 4).movedim(-1, 1).float()
    expected = [
        1 - f1_score(t.flatten(), p.flatten(), labels=[1, 2, 3], average="macro")
        for p, t in zip(pred, truth, strict=True)
    ]
    assert np.allclose(dice_loss(probs, truth), expected, atol=1e-6)


def test_dice_leaves_out_background_and_absent_classes():
    truth = torch.zeros(1, 4, 4, dtype=torch.long)
    truth[0, 0, 0] = 2
    probs = F.one_hot(truth, 3).movedim(-1, 1).float()
    assert dice_loss(probs, truth).item() == pytest.approx(0)
    assert dice_loss(probs, torch.zeros_like(truth)).item() == 0  # nothing but background: nothing to say


def test_cross_entropy_is_scikit_learn_s_with_frequency_weights():
    logits, truth = torch.randn(1, 3, 8, 8), torch.randint(0, 3, (1, 8, 8))
    labels = truth.flatten().numpy()
    weight = 1 - np.bincount(labels, minlength=3) / labels.size
    probs = logits.softmax(1).movedim(1, -1).reshape(-1, 3).double().numpy()
    probs /= probs.sum(1, keepdims=True)
    expected = log_loss(labels, probs, labels=[0, 1, 2], sample_weight=weight[labels])
    assert cross_entropy(logits, truth).item() == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_falls_as_prediction_approaches_truth():
    truth = torch.randint(0, 3, (1, 8, 8))
    right = F.one_hot(truth, 3).movedim(-1, 1).float()
    losses = [cross_entropy(confidence * right, truth).item() for confidence in (0, 1, 2, 4)]
    assert losses == sorted(losses, reverse=True)


def test_reconstruction_is_the_mean_absolute_error_whatever_the_size():
    assert torch.allclose(
        reconstruction_loss(torch.zeros(2, 8, 8), torch.full((2, 8, 8), 0.5)), torch.tensor([0.5, 0.5])
    )
    assert modality_reconstruction_loss(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])).item() == 1.5


def test_warp_error_is_the_distance_from_the_true_sampling_position():
    height, width = 48, 64
    units = np.float32([2 / width, 2 / height])
    rng = np.random.default_rng(0)
    fixed, moving = (smooth_displacement(rng, height, width, 1.5) for _ in range(2))
    given = [torch.from_numpy(d * units)[None] for d in (fixed, moving)]
    true = torch.from_numpy((2 * sampling(fixed, moving) + 1) / 2 * units - 1)[None].float()
    region = torch.ones(1, height, width, dtype=torch.bool)
    assert warp_error(true, *given, region).item() < 1e-4
    still = pixel_centres(height, width, torch.float32).view(1, height, width, 2)
    region[:, :, 20:] = False
    expected = np.linalg.norm((fixed - moving) * units, axis=-1)[:, :20].mean()
    assert warp_error(still, *given, region).item() == pytest.approx(expected, rel=1e-4)
    assert warp_error(still, *given, region & False).item() == 0


def test_known_warps_teach_the_aligner_where_they_are_asked_for(make_model, make_batch):
    model, batch = make_model(), make_batch()
    b, m, h, w = batch.masks.shape
    shifts = 0.1 * torch.randn(b, m, 1, 1, 2).expand(b, m, h, w, 2)
    known = replace(batch, displacements=shifts, regions=torch.ones(b, m, h, w, dtype=torch.bool))
    outputs = model(known, Noise.draw(m, b, model.config.z_dim))
    critics = Discriminators(model.config)
    assert "warp" not in generator_terms(outputs, known, critics, LossWeights())
    assert "warp" not in generator_terms(outputs, batch, critics)
    generator_terms(outputs, known, critics)["warp"].backward()
    assert model.aligner.offsets.bias.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.segmentor.parameters())


def test_total_refuses_a_term_without_a_weight():
    assert LossWeights().total({"sup": 1.0, "kl": 2.0}) == pytest.approx(10.2)
    with pytest.raises(KeyError, match="surprise"):
        LossWeights().total({"surprise": 1.0})


def test_last_steps_use_exactly_the_configured_weights_which_are_the_paper_s():
    config = TrainConfig.of(steps=1000, finish_steps=200)
    assert config.weights_at(800) == LossWeights(10.0, 1.0, 1.0, 1.0, 1.0, 0.1, fused=5.0)
    assert LossWeights.paper() == LossWeights(10.0, 1.0, 1.0, 1.0, 1.0, 0.1, fused=0.0, dice="paper")
    assert config.weights_at(0).adv_mask == 0


def noise(rec_z_share=1.0):
    return Noise.draw(2, 2, 8, torch.Generator().manual_seed(5), rec_z_share)


def gradients(model, batch, critics):
    model.zero_grad()
    terms = generator_terms(model(batch, noise()), batch, critics)
    LossWeights().total(terms).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_garbage_in_an_unannotated_mask_changes_no_gradient_bit(make_model, make_batch):
    model, batch = make_model(), make_batch()
    annotated = torch.tensor([[True, False], [True, True]])
    garbage = batch.masks.clone()
    garbage[0, 1] = 250  # not even a class
    found = []
    for masks in (batch.masks, garbage):
        torch.manual_seed(7)
        critics = Discriminators(model.config)
        sample = Batch(batch.images, masks, annotated)
        loss_of_critics = sum(discriminator_terms(model(sample, noise()), sample, critics).values())
        critic_gradients = torch.autograd.grad(loss_of_critics, list(critics.parameters()))
        found.append(list(gradients(model, sample, critics).values()) + list(critic_gradients))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_an_annotated_mask_does_change_the_gradient(make_model, make_batch):
    model, batch = make_model(), make_batch()
    critics = Discriminators(model.config)
    a = gradients(model, batch, critics)
    b = gradients(model, Batch(batch.images, batch.masks.flip(0), batch.annotated), critics)
    assert any(not torch.equal(a[name], b[name]) for name in a)


def test_no_annotation_at_all_gives_no_supervision_and_no_nan(make_model, make_batch):
    model, batch = make_model(), make_batch()
    bare = Batch(batch.images, batch.masks, torch.zeros(2, 2, dtype=torch.bool))
    terms = generator_terms(model(bare, noise()), bare, Discriminators(model.config))
    assert terms["sup"].item() == 0
    assert all(t.isfinite() for t in terms.values())


def test_cross_segmentation_reaches_the_aligner_and_the_other_encoder(make_model, make_batch):
    model, batch = make_model(), make_batch()
    only_a = Batch(batch.images, batch.masks, torch.tensor([[True, False]] * 2))
    outputs = model(only_a, noise(0.0))
    assert outputs.pairs == ((0, 1), (1, 0))
    masks = batch.masks[:, 0]
    dice_loss(outputs.deformed_logits[0, :, 0].softmax(1), masks).sum().backward()
    assert model.aligner.offsets.weight.grad.abs().sum() > 0
    assert sum(p.grad.abs().sum() for p in model.anatomy_encoder.down[1].parameters()) > 0


def test_swapped_styles_teach_the_decoder_and_never_the_z_that_they_are_compared_with(make_model, make_batch):
    model, batch = make_model(), make_batch()
    outputs = model(batch, replace(noise(0.0), swapped=1))
    assert torch.equal(outputs.z_swapped, torch.stack([outputs.mean[i, :1] for i, _ in outputs.pairs]))
    assert not outputs.z_swapped.requires_grad
    terms = generator_terms(outputs, batch, Discriminators(model.config))
    assert torch.isclose(terms["swap"], (outputs.z_swapped_reencoded - outputs.z_swapped).abs().mean())
    terms["swap"].backward()
    assert all(p.grad.abs().sum() > 0 for p in model.decoder.parameters() if p.grad is not None)
    assert model.modality_encoder.mean.weight.grad.abs().sum() > 0


def test_critics_gradient_never_reaches_the_generator(make_model, make_batch):
    model, batch = make_model(), make_batch()
    critics = Discriminators(model.config)
    sum(discriminator_terms(model(batch, noise()), batch, critics).values()).backward()
    assert all(p.grad is None for p in model.parameters())
    assert all(p.grad is not None for p in critics.parameters())

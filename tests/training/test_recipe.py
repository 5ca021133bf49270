"""The paper's recipe (Sec. IV-A): its options, batch statistics, averages, and what zero annotations may not see."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dafnet_core.checkpoints.file import load
from dafnet_core.config import EVALUATION_SEED, ModelConfig
from dafnet_core.data.config import DataConfig
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.phantom.write import write_folder
from dafnet_core.data.sources import training_data
from dafnet_core.data.studies import DataError
from dafnet_core.evaluation.run import Evaluation
from dafnet_core.losses.functions import (
    DICE,
    TOLERATED,
    dice_loss,
    dice_loss_of_all,
    dice_loss_of_every,
    supervised_loss,
)
from dafnet_core.losses.weights import LossWeights
from dafnet_core.networks.dafnet import DAFNet
from dafnet_core.networks.pairing import PairWeighting
from dafnet_core.training import export as exporting
from dafnet_core.training.config import RECIPES, TrainConfig
from dafnet_core.training.export import load_start
from dafnet_core.training.step import TrainState, noise_of_step, train_step
from dafnet_core.types import Noise
from tests.helpers.commands import call

CPU = torch.device("cpu")


@pytest.fixture
def published(make_config) -> ModelConfig:
    """The published layers, batch normalisation among them, with narrow widths."""
    narrow = dict(width=4, segmentor_width=4, modality_grid=2, aligner_width=4, aligner_grid=2, critic_width=4)
    return ModelConfig.published(("a", "b"), ("background", "one", "two"), **narrow, critic_grid=2, depth=3)


def test_the_recipe_is_the_paper_s_and_other_options_come_on_top():
    config = TrainConfig.of(recipe="paper")
    assert config.final_weights == LossWeights.paper()
    assert (config.model.size, config.data.grid, config.data.scaling) == ("published", (192, 192), "range")
    schedule = config.schedule.for_epochs_of(100)
    assert (schedule.steps, schedule.validate_every, schedule.patience) == (50_000, 100, 60)
    assert schedule.swa_from * schedule.steps == 40 * 100
    resolved = replace(config, schedule=schedule)
    for step in (0, 1, 4000, 49_999):
        assert schedule.learning_rate_factor(step) == 1
        assert resolved.weights_at(step) == LossWeights.paper()
    other = TrainConfig.of(recipe="paper", model="compact", lr=1e-3)
    assert (other.model.size, other.schedule.lr, other.schedule.batch_size) == ("compact", 1e-3, 6)
    assert TrainConfig.from_dict(json.loads(json.dumps(other.to_dict()))) == other
    assert "epochs 500" in config.in_words()["recipe paper"]
    assert set(RECIPES["paper"]) <= set(TrainConfig.options())


@pytest.mark.slow
def test_the_command_trains_published_widths_through_the_first_averaging_step(tmp_path):
    run = tmp_path / "run"
    tiny = ["--subjects", 1, "--validation-subjects", 1, "--size", 64, "--batch-size", 2]
    recipe = ["--data", "phantom", "--recipe", "paper", "--epochs", 1, "--swa-from", 0.5]
    done = call(*recipe, *tiny, "--out", run)
    assert done.returncode == 0, done.stderr
    assert "recipe paper: model published, size 64, scaling range" in done.stdout
    found = load(run / "last.safetensors")
    assert found.training.step == 4
    assert found.preparation.percentiles == (0, 100)
    assert "--recipe paper" in found.training.command
    assert "--dice" not in found.training.command  # part of the recipe


def test_plain_averages_copy_the_counter_of_batch_normalisation(published, make_batch):
    config = TrainConfig.of(averaging="swa", swa_from=0.0, steps=3, batch_size=2, dice="paper", w_fused=0.0)
    state = TrainState.create(published, config, CPU)
    seen = []
    for _ in range(3):
        train_step(state, make_batch(), noise_of_step(config, state.step, state.method), config)
        seen.append({k: v.clone() for k, v in state.model.state_dict().items()})
    average = state.average.module.state_dict()
    name = next(k for k in average if k.endswith("num_batches_tracked"))
    assert average[name] == seen[-1][name]
    weights = next(k for k in average if k.endswith("head.weight"))
    assert torch.allclose(average[weights], torch.stack([s[weights] for s in seen]).mean(0), atol=1e-6)


def test_batch_statistics_never_mix_modalities_nor_contain_fused_anatomies(published, make_batch):
    model, batch = DAFNet(published).train(), make_batch()
    changed = replace(batch, images=batch.images.clone())
    changed.images[:, 1] = changed.images[:, 1].flip(-1) * 0.3
    noise = Noise.draw(2, 2, published.z_dim, fused=False)
    with torch.no_grad():
        logits = [model(b, noise).logits[0] for b in (batch, changed)]
    assert torch.equal(*logits)  # those of modality 0, whatever modality 1 shows
    norm = next(m for m in model.segmentor.modules() if isinstance(m, nn.BatchNorm2d))
    before = int(norm.num_batches_tracked)
    outputs = model(batch, noise)
    assert int(norm.num_batches_tracked) == before + 4  # two own and two deformed anatomies
    assert outputs.fused_logits.shape[2] == 0
    assert (
        noise_of_step(TrainConfig.of(recipe="paper"), 0, TrainState.create(published, TrainConfig(), CPU).method).fused
        is False
    )


def test_pair_weights_are_computed_in_float32(published):
    weighting = PairWeighting(replace(published, candidates=3))
    fixed = torch.zeros(1, 8, 32, 32)
    fixed[:, 0] = 1
    deformed = fixed[:, None].repeat(1, 3, 1, 1, 1)
    deformed[0, 1, 0, 0, :2], deformed[0, 1, 1, 0, :2] = 0, 1  # overlaps that differ by 0.2 %
    with torch.autocast("cpu", torch.bfloat16):
        low = weighting(fixed, deformed)
    assert low.dtype == torch.float32
    assert torch.equal(low, weighting(fixed, deformed))


def test_the_paper_s_dice_is_one_ratio_to_which_absent_classes_count():
    masks = torch.zeros(1, 4, 4, dtype=torch.long)
    masks[0, :2] = 1
    probs = torch.zeros(1, 3, 4, 4)
    probs[0, 1, :2], probs[0, 2, 2:] = 1, 1  # the absent class 2 in all other pixels
    assert dice_loss(probs, masks).item() == pytest.approx(0)
    assert dice_loss_of_all(probs, masks).item() == pytest.approx(1 - 2 * 8 / (16 + 8))
    assert dice_loss_of_every(probs, masks).item() == pytest.approx(0.5 / (0.5 + TOLERATED) / 2)
    masks[0, 2, 0] = 2
    assert dice_loss_of_every(probs, masks).item() == pytest.approx(dice_loss(probs, masks).item())


@pytest.mark.parametrize("dice", DICE)
def test_every_dice_falls_as_the_prediction_improves(dice):
    masks = torch.zeros(1, 8, 8, dtype=torch.long)
    masks[0, :4, :4] = 1
    logits = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    before = supervised_loss(logits, masks, dice)
    before.sum().backward()
    assert supervised_loss(logits.detach() - 10 * logits.grad, masks, dice) < before


def test_validation_without_annotations_hides_the_organs_of_the_target_as_regions_too():
    hidden = phantom_slices(3, range(1), size=64, unannotated={1: frozenset({"phantom_s3_0000"})})
    where, regions = hidden.truth(2)
    assert set(where) == {(0, 1), (1, 0)}
    assert set(regions) == {0}


def test_a_run_does_not_start_from_masks_that_it_hides():
    """The shipped cardiac-film was trained with all masks of LGE."""
    config = TrainConfig.of(start="checkpoints/cardiac-film.safetensors", annotations=0.0)
    with pytest.raises(
        ValueError, match=r"trained with masks of LGE of \d+ subjects, \d+ of which this run does not use"
    ):
        load_start(config, training_data(config.data, 0))
    zero = TrainConfig.of(start="checkpoints/cardiac-film-zero.safetensors", annotations=0.0)
    assert load_start(zero, training_data(zero.data, 0)).training.annotated_target_subjects == ()


def test_a_folder_of_evaluation_subjects_is_not_trained_on(tmp_path):
    write_folder(tmp_path / "judge", 3, EVALUATION_SEED, difficulty="standard", size=64, slices=2)
    with pytest.raises(DataError, match="seeds from 9000 on are for evaluation only"):
        training_data(DataConfig(source=str(tmp_path / "judge"), size=64), 0)


def test_export_judges_the_statistics_that_it_stores(published, tmp_path, monkeypatch):
    shipped = load("checkpoints/cardiac-film.safetensors")
    network = DAFNet(published)
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.copy_(1 + torch.rand(buffer.shape) / 3)
    checkpoint = replace(shipped, model=network, metrics={}, colours=shipped.colours[:3])
    judged = {}

    def judge(found, spec, **options):
        judged.update({k: v.clone() for k, v in found.model.state_dict().items()})
        return Evaluation(shipped.training.validation)

    monkeypatch.setattr(exporting, "load", lambda path: checkpoint)
    monkeypatch.setattr(exporting, "evaluate_checkpoint", judge)
    monkeypatch.setattr(exporting, "judged_part", lambda found, spec: "test")
    stored = {}
    monkeypatch.setattr(
        exporting, "write_checkpoint", lambda found, path, half: stored.update(found.model.state_dict())
    )
    exporting.export(tmp_path / "best.safetensors", tmp_path / "x.safetensors", {"test": "phantom"})
    for name, value in judged.items():
        kept = stored[name].half().to(value.dtype) if value.is_floating_point() else stored[name]
        assert torch.equal(value, kept), name


def test_without_a_segmentor_the_channels_are_the_classes(make_batch):
    config = TrainConfig.of(without=("segmentor",), batch_size=2)
    networks = config.networks(("a", "b"), ("background", "one", "two"))
    assert (networks.channels, networks.segmentor) == (3, "off")
    state = TrainState.create(networks, config, CPU)
    scalars = train_step(state, make_batch(), noise_of_step(config, 0, state.method), config)
    assert np.isfinite(scalars["sup"])
    gradient = state.model.anatomy_encoder.up.head.weight.grad
    assert gradient.abs().sum() > 0
    prediction = state.model.eval().predict(make_batch().images[:, :, 0])
    assert torch.equal(prediction.single[0].argmax(1), prediction.s[0, :, 0].argmax(1))
    with pytest.raises(ValueError, match="each of the 3 classes is a channel"):
        ModelConfig.compact(("a", "b"), ("background", "one", "two"), segmentor="off")


def test_sizes_of_rows_and_columns_are_padded_and_not_scored(tmp_path):
    write_folder(tmp_path / "hearts", 4, 1, difficulty="standard", size=128, slices=2)
    data = training_data(DataConfig(source=str(tmp_path / "hearts"), size=(96, 114), spacing=2.8125), 0)
    preparation = data.train.preparation
    assert (preparation.height, preparation.width, preparation.window) == (96, 128, (96, 114))
    image, mask = data.train[0].images[0, 0], data.train[0].masks[0]
    assert preparation.picture == (slice(0, 96), slice(7, 121))
    assert (image[:, :7] == -1).all()
    assert (image[:, 121:] == -1).all()
    assert image[:, 7:121].max() > 0.5
    assert not mask[:, :7].any()

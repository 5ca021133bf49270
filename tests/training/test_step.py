"""Training steps: learning rate, one batch by heart, NaN, and resuming."""

import pytest
import torch

from dafnet_core.training.config import TrainConfig
from dafnet_core.training.step import NotFiniteError, TrainState, noise_of_step, train_step
from dafnet_core.types import Batch

CPU = torch.device("cpu")


def step(state, batch, config):
    config = config.with_options(batch_size=len(batch.images))
    return train_step(state, batch, noise_of_step(config, state.step, state.method), config)


def test_learning_rate_warms_up_decays_and_ends_with_the_finish():
    config = TrainConfig.of(steps=1000, finish_steps=200, warmup=10)
    rates = [config.schedule.learning_rate_factor(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[300] == 1
    assert rates[799] < 0.11
    assert rates[800] == pytest.approx(0.5)


@pytest.mark.slow
def test_a_model_overfits_one_batch(make_config):
    blob = torch.zeros(32, 32, dtype=torch.long)
    blob[8:20, 8:20], blob[20:28, 6:26] = 1, 2
    images = torch.stack([blob / 2 * 2 - 1, 1 - blob.float()])[None, :, None].repeat(2, 1, 1, 1, 1)
    batch = Batch(images, blob.expand(2, 2, 32, 32), torch.ones(2, 2, dtype=torch.bool))
    # from some seeds so small a decoder draws one flat grey for the first hundred steps; not from this one
    config = TrainConfig.of(steps=10_000, precision="fp32", adversarial_from=10_000, warmup=1, lr=3e-3, seed=1)
    state = TrainState.create(make_config(width=8, segmentor_width=8), config, CPU)
    losses = [step(state, batch, config) for _ in range(160)]
    assert losses[-1]["sup"] < 0.1 * losses[0]["sup"]
    assert losses[-1]["rec"] < 0.2 * losses[0]["rec"]


def test_a_loss_that_is_not_finite_stops_before_any_weight_changes(make_batch, make_config):
    config = TrainConfig.of(precision="fp32")
    state = TrainState.create(make_config(), config, CPU)
    before = {k: v.clone() for k, v in state.model.state_dict().items()}
    batch = make_batch()
    batch.images[0, 0, 0, 3, 3] = float("nan")
    with pytest.raises(NotFiniteError, match="step 0"):
        step(state, batch, config)
    assert all(torch.equal(v, before[k]) for k, v in state.model.state_dict().items())


def test_resumed_training_is_bitwise_the_undisturbed_one(make_batch, make_config):
    config, batch = TrainConfig(), make_batch()
    straight = TrainState.create(make_config(), config, CPU)
    for _ in range(4):
        step(straight, batch, config)
    first = TrainState.create(make_config(), config, CPU)
    for _ in range(2):
        step(first, batch, config)
    again = TrainState.create(make_config(), config.with_options(seed=5), CPU)
    again.load_state_dict(first.state_dict())
    for _ in range(2):
        step(again, batch, config)
    for name, value in straight.average.state_dict().items():
        assert torch.equal(value, again.average.state_dict()[name]), name

"""SDNet, Translation and DADR by the command line, and resumed."""

import json

import pytest
import torch

from dafnet_core.checkpoints.file import load
from dafnet_core.data.sources import training_data
from dafnet_core.methods import METHODS
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.step import TrainState, noise_of_step, train_step
from tests.helpers.commands import TINY, call

NAMES = "sdnet-single", "sdnet-multi", "translation", "dadr"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_method_is_trained_and_evaluated_by_the_command_line(name, tmp_path):
    run, result = tmp_path / "run", tmp_path / "result.json"
    done = call("--method", name, *TINY, "--steps", 2, "--annotations", 0.5, "--out", run)
    assert done.returncode == 0, done.stderr
    found = load(run / "best.safetensors")
    assert type(found.method) is METHODS[name]
    assert found.training.option("recipe") == METHODS[name].recipe
    assert METHODS[name].title in (run / "best.md").read_text()
    done = call(
        run / "best.safetensors", "--data", "phantom:subjects=1", "--json", result, module="dafnet_core.evaluate"
    )
    assert done.returncode == 0, done.stderr
    numbers = json.loads(result.read_text())
    assert numbers["method"] == name
    assert 0 <= numbers["segmentation"]["LGE"]["single"]["dice_mean"] <= 1
    assert numbers["why"]["registration"].endswith("has no positions")
    if name == "sdnet-single":
        assert numbers["segmentation"]["cine"]["single"]["dice_mean"] is None
        assert numbers["why"]["segmentation.cine.single.dice_mean"] == "SDNet-single predicts no mask of cine"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(name):
    config = TrainConfig.of(method=name, recipe=METHODS[name].recipe, subjects=1, validation_subjects=1, size=(64,))
    data = training_data(config.data, 0)
    networks = config.networks(data.train.modalities, data.train.classes)

    def step(state):
        batch = data.train.batch_at(state.step, 2, 0)
        noise = noise_of_step(config, state.step, state.method, (0, 2))
        return train_step(state, batch, noise, config)

    first = TrainState.create(networks, config, torch.device("cpu"))
    step(first)
    second = TrainState.create(networks, config, torch.device("cpu"))
    second.load_state_dict(first.state_dict())
    assert step(first) == step(second)

"""Several processes, and devices that are not here."""

import os
import subprocess
import sys

import pytest
import torch

from dafnet_core.methods.dafnet import DAFNetMethod
from dafnet_core.training import step as training_step
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.step import TrainState, noise_of_step, pick_device, recompute_statistics, train_step
from dafnet_core.types import Batch
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.slow

META = torch.device("meta")


def together(size, folder):
    """What each of `size` processes found after two steps on one batch of 4."""
    outs = [folder / f"{size}-{rank}.pt" for rank in range(size)]
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "tests/helpers/one_of_several.py",
                str(rank),
                str(size),
                str(folder / f"store{size}"),
                str(out),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, out in enumerate(outs)
    ]
    errors = [p.communicate(timeout=180)[1] for p in processes]
    assert [p.returncode for p in processes] == [0] * size, errors
    return [torch.load(out, weights_only=True) for out in outs]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    return together(1, folder)[0], together(2, folder)


def flat(gradients):
    return torch.cat([gradients[name].flatten() for name in sorted(gradients)]).double()


def test_two_processes_have_the_gradients_of_one_with_the_whole_batch(runs):
    """Also where one of the two sees no annotation at all."""
    alone, both = runs
    reference = alone["gradients"][0]
    assert len(reference) > 100
    for found in both:
        # without candidates the pair weighting has no gradient; DDP fills in zeros
        same = {k: v for k, v in found["gradients"][0].items() if k in reference}
        assert all(v.abs().max() == 0 for k, v in found["gradients"][0].items() if k not in reference)
        error = (flat(same) - flat(reference)).norm() / flat(reference).norm()
        # float32 sums in another order move single activations across the kink of a ReLU, which changes single
        # elements by some per cent; dividing by a process's own number of annotated samples is off by 18 %
        assert error < 5e-3


def test_processes_stay_equal_and_log_the_whole_batch(runs):
    alone, (first, second) = runs
    assert all(torch.equal(v, second["weights"][k]) for k, v in first["weights"].items())
    assert first["terms"] == second["terms"]
    for name, value in alone["terms"].items():
        assert first["terms"][name] == pytest.approx(value, rel=2e-3, abs=1e-5), name


def test_noise_belongs_to_the_sample_and_not_to_the_process(make_model):
    config, method = TrainConfig.of(batch_size=4), DAFNetMethod(make_model())
    whole = noise_of_step(config, 7, method)
    parts = [noise_of_step(config, 7, method, (r, 2)) for r in range(2)]
    assert torch.equal(whole.z[:, 0::2], parts[0].z)
    assert torch.equal(torch.stack([p.drawn[:, 0] for p in parts], 1), whole.drawn)
    assert not torch.equal(whole.z, noise_of_step(config, 8, method).z)


@pytest.fixture
def nothing_fetched(monkeypatch):
    """The one place of a step that may wait for the device gives zeros."""
    monkeypatch.setattr(training_step, "_fetch", lambda values: [0.0] * len(values))


@pytest.mark.parametrize("decoder", ["film", "spade"])
@pytest.mark.parametrize("averaging", ["ema", "swa"])
def test_a_training_step_leaves_nothing_on_the_cpu(make_config, make_batch, nothing_fetched, decoder, averaging):
    """On torch's meta device any tensor that was left on the CPU, and any hidden fetch, is an error."""
    config = TrainConfig.of(
        batch_size=2, averaging=averaging, adversarial_from=-1, adversarial_ramp=0, swa_from=0.0, w_swap=1.0
    )
    state = TrainState.create(make_config(decoder=decoder, candidates=2), config, META)
    batch = make_batch(k=2).to(META)
    for step in range(2):
        found = train_step(state, batch, noise_of_step(config, step, state.method).to(META), config)
    assert {"adv_mask", "adv_image", "critic_masks", "weight_2", "fused", "swap"} <= set(found)
    assert state.step == 2


@pytest.mark.parametrize("kind", ["compact", "published"])
def test_prediction_leaves_nothing_on_the_cpu(make_config, kind):
    from dafnet_core.config import ModelConfig
    from dafnet_core.networks.dafnet import DAFNet

    model = DAFNet(getattr(ModelConfig, kind)(("a", "b"), ("background", "x"), candidates=2)).to(META).eval()
    images = torch.zeros(1, 2, 2, 192, 192, device=META)
    found = model.predict(images)
    assert found.fused_masks.shape == (2, 1, 2, 192, 192)
    assert model.reconstruct(found, images).swapped.device == META


def test_a_tensor_left_behind_is_caught(make_config, make_batch, nothing_fetched):
    config = TrainConfig.of(batch_size=2)
    state = TrainState.create(make_config(), config, META)
    batch = make_batch()
    half = Batch(batch.images.to(META), batch.masks, batch.annotated.to(META))  # masks stay on the CPU
    with pytest.raises(RuntimeError):
        train_step(state, half, noise_of_step(config, 0, state.method).to(META), config)


def test_a_hidden_fetch_is_caught(make_config, make_batch):
    config = TrainConfig.of(batch_size=2)
    state = TrainState.create(make_config(), config, META)
    with pytest.raises(RuntimeError):  # `_fetch` itself, here not replaced
        train_step(state, make_batch().to(META), noise_of_step(config, 0, state.method).to(META), config)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_training_step_runs_on_a_gpu(make_config, make_batch, precision):
    device = torch.device("cuda", 0)
    config = TrainConfig.of(batch_size=2, precision=precision)
    state = TrainState.create(make_config(), config, device)
    for step in range(3):
        found = train_step(state, make_batch().to(device), noise_of_step(config, step, state.method).to(device), config)
    assert found["loss"] > 0


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_precision_learns_on_this_machine(make_config, make_batch, precision):
    config = TrainConfig.of(batch_size=2, precision=precision, warmup=1)
    state = TrainState.create(make_config(), config, torch.device("cpu"))
    terms = [train_step(state, make_batch(), noise_of_step(config, n, state.method), config) for n in range(12)]
    assert terms[-1]["rec"] < terms[0]["rec"]


def test_a_device_that_is_not_there_is_said():
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device is cuda"):
            pick_device("cuda")
    assert pick_device("cpu").type == "cpu"


def test_published_sizes_refuse_several_processes_without_cuda(make_config, monkeypatch):
    monkeypatch.setattr(training_step, "rank_and_size", lambda: (0, 2))
    with pytest.raises(ValueError, match="CUDA only"):
        TrainState.create(make_config(norm="batch"), TrainConfig(), torch.device("cpu"))


def test_batch_statistics_of_averaged_weights_are_recomputed(make_config, make_batch):
    config = TrainConfig.of(batch_size=2, precision="fp32")
    state = TrainState.create(make_config(norm="batch"), config, torch.device("cpu"))
    batch = make_batch()
    for step in range(3):
        train_step(state, batch, noise_of_step(config, step, state.method), config)
    model = state.average.module
    recompute_statistics(DAFNetMethod(model), [batch, batch])
    norm = model.anatomy_encoder.down[0].levels[0][1]
    x = model.anatomy_encoder.down[0].levels[0][0](batch.images[:, 0])
    assert not model.training
    assert torch.allclose(norm.running_mean, x.mean((0, 2, 3)), atol=1e-5)

"""Training whose data other processes read."""

import re
import signal
import subprocess
import sys
import time

import pytest
import torch

from benchmarks.machine import family, private_bytes
from dafnet_core.checkpoints.file import load
from dafnet_core.data.phantom import write_folder
from dafnet_core.training import cli, loop
from dafnet_core.training.config import TrainConfig
from dafnet_core.training.run_folder import configured
from tests.helpers.commands import interruptible
from tests.helpers.paths import ROOT

SMALL = dict(size=64, batch_size=2, steps=5, save_every=1, validate_every=5, rotation=20.0)


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "hearts"
    write_folder(folder, 5, 1, difficulty="standard", size=64, slices=3)
    return folder


@pytest.fixture(autouse=True)
def _denormals():
    yield
    torch.set_flush_denormal(False)  # training sets it


def test_workers_change_nothing_also_where_a_resumed_run_has_others(hearts, tmp_path, monkeypatch, capsys):
    config = TrainConfig.of(data=str(hearts), **SMALL)
    runs = {name: tmp_path / name for name in ("alone", "two", "resumed")}
    loop.train(config, runs["alone"])
    assert re.search(r"\d+ prepared subjects, .*--clear removes them", capsys.readouterr().out)
    loop.train(config.with_options(workers=2), runs["two"])

    really = loop.train_step

    def stops(state, *arguments):
        if state.step == 3:
            raise KeyboardInterrupt
        return really(state, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", stops)
        with pytest.raises(KeyboardInterrupt):
            loop.train(config.with_options(workers=1), runs["resumed"])
    again = configured({"workers": 2}, runs["resumed"], True)
    assert again == config.with_options(workers=2)
    loop.train(again, runs["resumed"])

    logs = {(run / "log.csv").read_bytes() for run in runs.values()}
    assert len(logs) == 1
    weights = [load(run / "last.safetensors").model.state_dict() for run in runs.values()]
    assert all(torch.equal(value, other[name]) for other in weights[1:] for name, value in weights[0].items())


def test_an_error_in_a_worker_is_one_sentence(hearts, tmp_path, monkeypatch, capsys):
    """Prepared slices that go away during a run end it with what to do."""
    monkeypatch.setenv("DAFNET_CACHE", str(tmp_path / "cache"))
    really = loop.training_data

    def robbed(*arguments, **options):
        data = really(*arguments, **options)
        for stack in (tmp_path / "cache").glob("*/images0.npy"):
            stack.unlink()
        return data

    monkeypatch.setattr(loop, "training_data", robbed)
    options = ["--data", str(hearts), "--size", "64", "--batch-size", "2", "--steps", "2", "--workers", "1"]
    assert cli.main([*options, "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("train.py: ")
    assert said.endswith("images0.npy: a prepared slice is damaged or gone; start again, it is then made anew.")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed as Linux has it")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_worker(hearts, tmp_path, how):
    options = ["--data", hearts, "--size", 64, "--batch-size", 2, "--workers", 2, "--save-every", 1, "--steps", 1000]
    command = [sys.executable, "train.py", *map(str, options), "--out", str(tmp_path / "run")]
    pipes = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    process = subprocess.Popen(command, cwd=ROOT, preexec_fn=interruptible, **pipes)
    state = tmp_path / "run" / "state.pt"
    try:
        _until(lambda: state.exists() or process.poll() is not None, 180)
        workers = family(process.pid)[1:]
        assert len(workers) == 2
        process.send_signal(how)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()  # or a failure would leave it training
    _until(lambda: not any(map(private_bytes, workers)), 20)
    if how == signal.SIGINT:
        assert process.returncode == 2
        assert f"stopped; --out {tmp_path / 'run'} --resume continues it" in said
        assert "Traceback" not in said


def _until(done, seconds):
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)

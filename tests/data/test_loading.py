"""Batches of steps are the same whoever reads them, and readers end with what they read for."""

import multiprocessing
import os
import pickle
import signal

import numpy as np
import pytest
import torch

from dafnet_core.data.dataset import Augmentation
from dafnet_core.data.loading import Steps, batches
from dafnet_core.data.phantom.study import Kept, PhantomStudy, phantom_slices
from dafnet_core.data.studies import DataError
from dafnet_core.types import Batch

AUGMENTED = Augmentation(rotation=20, warp=4)


@pytest.fixture(scope="module")
def steps():
    return Steps(phantom_slices(0, range(2), size=64, pairing="shuffled"), 3, 5, AUGMENTED)


@pytest.fixture(autouse=True)
def _nobody_left():
    yield
    assert multiprocessing.active_children() == []


def equal(first, second):
    pairs = [(getattr(first, name), getattr(second, name)) for name in vars(first)]
    return all(a is b if a is None or b is None else torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_depend_on_the_seed_and_the_step_alone(steps, workers):
    """From the start, and resumed in the middle of the second epoch."""
    with batches(steps, 0, 12, workers=workers) as found:
        whole = list(found)
    assert all(equal(batch, steps[n]) for n, batch in enumerate(whole))
    assert not equal(whole[0], whole[5])  # the first steps of two epochs
    with batches(steps, 7, 12, workers=workers) as found:
        assert all(equal(batch, whole[7 + n]) for n, batch in enumerate(found))


def test_shards_together_are_the_batch(steps):
    parts = [Steps(steps.data, 4, 5, AUGMENTED, (r, 2)) for r in range(2)]
    whole = Steps(steps.data, 4, 5, AUGMENTED)[3]
    for r, part in enumerate(parts):
        with batches(part, 3, 4, workers=1) as found:
            assert torch.equal(next(found).images, whole.images[r::2])


def test_torch_s_own_random_numbers_are_left_alone(steps):
    state = torch.random.get_rng_state()
    with batches(steps, 0, 2, workers=1) as found:
        next(found)
    assert torch.equal(torch.random.get_rng_state(), state)


class Failing:
    """Data of which one step cannot be read."""

    def __init__(self, how):
        self.how = how

    def batch_at(self, step, *_, **__):
        if step == 2:
            self.how()
        return Batch(torch.zeros(1, 1, 1, 2, 2), torch.zeros(1, 1, 2, 2).long(), torch.zeros(1, 1).bool())


def _damaged():
    raise DataError("images0.npy: a prepared slice is damaged")


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_keeps_its_words(workers):
    with batches(Steps(Failing(_damaged), 1, 0), 0, 5, workers=workers) as found:
        next(found)
        next(found)
        with pytest.raises(DataError, match=r"^images0.npy: a prepared slice is damaged$"):
            next(found)


def test_a_worker_that_dies_is_said():
    with (
        pytest.raises(DataError, match=r"a process that reads the data has ended, .*--workers, or 0"),
        batches(Steps(Failing(_die), 1, 0), 0, 5, workers=1) as found,
    ):
        list(found)


@pytest.mark.skipif(multiprocessing.get_start_method() != "fork", reason="workers do not inherit what is patched")
def test_full_shared_memory_is_said(steps, monkeypatch):
    def full(_):
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with (
        pytest.raises(DataError, match=r"no space for batches in shared memory, /dev/shm; .*--workers, or 0"),
        batches(steps, 0, 5, workers=1) as found,
    ):
        list(found)


def test_steps_can_be_sent_to_workers_that_are_not_forked(steps):
    assert equal(pickle.loads(pickle.dumps(steps))[3], steps[3])


def test_leaving_early_ends_the_workers(steps):
    with batches(steps, 0, 100, workers=2) as found:
        next(found)
        assert len(multiprocessing.active_children()) == 2


def test_the_slices_of_a_phantom_are_kept_within_bounds():
    made = []

    def make(value):
        made.append(value)
        return (np.zeros(60, np.uint8),), np.zeros(30, np.uint8), np.zeros(10, np.uint8)

    kept = Kept(250)
    for key in (1, 2, 1, 3, 1, 2):
        kept.get((key,), lambda key=key: make(key))
    assert made == [1, 2, 3, 2]  # 2 had to go for 3, since 1 was asked for after it
    study = PhantomStudy(3, 1, 64, 4, "hard", kept=Kept(1))
    first = study.images[0][0, 2]
    study.images[0][0, 1]
    assert np.array_equal(study.images[0][0, 2], first)

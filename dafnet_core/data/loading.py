"""Batches of training steps, read ahead in other processes or in this one.

A batch is a function of its step, so that neither the number of processes nor where a run was resumed changes it.
"""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader, Dataset

from dafnet_core.data.dataset import UNCHANGED, Augmentation
from dafnet_core.data.studies import DataError
from dafnet_core.types import Batch

AHEAD = 2  # batches that each worker reads ahead
_FEWER = "--resume with fewer --workers, or 0, goes on"


class BatchSource(Protocol):
    """Data that give the batch of a step: `PairedSlices`, or `PooledImages`."""

    def batch_at(
        self, step: int, batch_size: int, seed: int, *, augmentation: Augmentation, shard: tuple[int, int]
    ) -> Batch:
        """The batch of a training step, a deterministic function of its arguments."""
        ...


@dataclass(frozen=True)
class Steps(Dataset[Batch]):
    """The batches of a run: item n is that of step n.

    Attributes:
        data: what to draw from.
        batch_size, seed, augmentation, shard: of `PairedSlices.batch_at`.
    """

    data: BatchSource
    batch_size: int
    seed: int
    augmentation: Augmentation = UNCHANGED
    shard: tuple[int, int] = (0, 1)

    def __getitem__(self, step: int) -> Batch:
        return self.data.batch_at(step, self.batch_size, self.seed, augmentation=self.augmentation, shard=self.shard)


class _Caught(Dataset[Any]):
    """Steps whose errors are items: raised in a worker, they would reach the user with its traceback in their words.

    Batches are put into shared memory here, since where that is full torch's own attempt lets the main process wait
    for ever.
    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def __getitem__(self, step: int) -> Batch | Exception:
        try:
            batch = self.steps[step]
        except (ValueError, OSError) as error:
            return error
        try:
            return batch.share_memory()
        except RuntimeError:
            return DataError(f"there is no space for batches in shared memory, /dev/shm; {_FEWER}")


@contextmanager
def batches(steps: Steps, first: int, last: int, *, workers: int = 0, pin: bool = False) -> Iterator[Iterator[Batch]]:
    """The batches of steps `first` to `last` - 1 in order; workers end with the context.

    Args:
        workers: processes that read ahead, each with one thread; 0 reads here, when the next batch is asked for.
        pin: put batches into pinned memory, for CUDA.

    Raises:
        DataError: a worker has died; else as `batch_at`.
    """
    loader = DataLoader(
        _Caught(steps) if workers else steps,
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        prefetch_factor=AHEAD if workers else None,
        pin_memory=pin,
        worker_init_fn=_begin,
        generator=torch.Generator(),  # or it would draw a number from torch's own, and change what others draw
    )
    found = _raising(loader)
    try:
        yield found
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise _ended(error) from None
    finally:
        found.close()  # ends the workers


def _raising(loader: DataLoader[Any]) -> Generator[Batch]:
    try:
        for item in loader:
            if isinstance(item, Exception):
                raise item
            yield item
    except (ConnectionError, EOFError) as error:  # a batch was announced by a worker that has died since
        raise _ended(error) from None


def _ended(error: Exception) -> DataError:
    """The words for a worker that has died.

    Its traceback would keep torch's iterator: until that goes, what it does about dead workers, an error in the midst
    of whatever runs, can come a second time.
    """
    error.__traceback__ = None
    said = (str(error) or type(error).__name__).splitlines()[0]
    return DataError(f"a process that reads the data has ended, perhaps for want of memory ({said}); {_FEWER}")


def _begin(_: int) -> None:
    """Start a worker as training starts its main process, to which alone Ctrl+C speaks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_flush_denormal(True)

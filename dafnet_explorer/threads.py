"""Threads of what pages and evaluations compute.

Pages leave one core to the browser: where all cores compute, each layer of a network waits for the slowest thread.
Evaluations use as many threads as the command line, since rounding, and so their numbers, depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from dafnet_core.parallel import usable_cores

FOUND = torch.get_num_threads()  # as OMP_NUM_THREADS says, or one for each core


def leave_a_core() -> None:
    """Let this thread and all that begin later compute with at most one thread less than there are cores."""
    torch.set_num_threads(max(1, min(FOUND, usable_cores() - 1)))


@contextmanager
def as_found() -> Iterator[None]:
    """Let this thread alone compute with as many threads as the command line does."""
    from threadpoolctl import ThreadpoolController  # looks through all libraries: not before it is needed

    torch.get_num_threads()  # a new thread takes the number of all pages at its first call, which must not be later
    with ThreadpoolController().limit(limits=FOUND, user_api="openmp"):
        yield

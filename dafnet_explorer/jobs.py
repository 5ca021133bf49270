"""Background job queue, one job at a time for all sessions, with progress, cancellation and cached results.

Does not import streamlit or torch. Clients with the same key share one job. A disconnected client may reconnect for a
while; after that, jobs without other clients are cancelled.
"""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from functools import partial
from typing import Any

ENOUGH = 0.02  # finished fraction from which on the time left is estimated
Work = Callable[[Callable[[float], None]], Any]


class Cancelled(Exception):
    """Ends a job that no client waits for."""


class Job:
    """One piece of work.

    Attributes:
        number: position in the order of submission.
        share: finished fraction, in [0, 1].
        seconds_left: estimated from the time that the finished fraction took; None as long as that is too little.
        waiting: clients that wait for the result.
    """

    def __init__(self, number: int = 0, work: Work | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.number = number
        self.work = work  # references a model, so it is released as soon as possible
        self.share = 0.0
        self.waiting: set[str] = set()
        self.future: Future[Any] = Future()
        self._stop = threading.Event()
        self._clock, self._started = clock, clock()

    def start(self) -> None:
        """Called when the work begins, after waiting in the queue."""
        self._started = self._clock()
        self.progress(0.0)

    @property
    def seconds_left(self) -> float | None:
        if self.share < ENOUGH:
            return None
        return (self._clock() - self._started) * (1 - self.share) / self.share

    def progress(self, share: float) -> None:
        """Called by the work; raises Cancelled once no client waits."""
        if self._stop.is_set():
            raise Cancelled
        self.share = share

    @property
    def done(self) -> bool:
        return self.future.done()

    @property
    def stopped(self) -> bool:
        """Whether it is cancelled, or will be at its next progress call."""
        return self._stop.is_set()

    def stop(self) -> None:
        self._stop.set()
        self.work = None
        self.future.cancel()

    @property
    def result(self) -> Any:
        """Return value of the work; raises its exception."""
        return self.future.result()


class Jobs:
    """Work by key, in one background thread.

    Args:
        max_results: number of cached results, least recently used evicted first.
        max_per_client: unfinished jobs per client; beyond it the client leaves its least recently submitted ones.
        reconnect_seconds: seconds in which a disconnected client may reconnect.
        clock: time in seconds.
    """

    def __init__(
        self,
        max_results: int = 6,
        max_per_client: int = 3,
        reconnect_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_results, self._max_per_client = max_results, max_per_client
        self._reconnect_seconds, self._clock = reconnect_seconds, clock
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._disconnected: dict[str, float] = {}  # time of disconnection
        self._lock = threading.Lock()
        self._submitted = 0
        # not an executor, whose thread would keep a stopping server alive until its work is done
        self._thread = threading.Thread(target=self._serve, name="jobs", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def submit(self, key: Hashable, client: str, work: Work) -> Job:
        """Job of a key, queued unless it exists; `work(progress)` runs in the background."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None or job.stopped:
                self._submitted += 1
                job = self._jobs[key] = Job(self._submitted, work, self._clock)
                self._queue.put(job)
            job.waiting.add(client)
            self._jobs.move_to_end(key)
            of_client = [key for key, job in self._jobs.items() if client in job.waiting and not job.done]
            for oldest in of_client[: -self._max_per_client]:
                self._withdraw(oldest, client)
            self._evict_results()
            return job

    def find(self, key: Hashable) -> Job | None:
        """Job of a key; None if there is none or it was cancelled."""
        with self._lock:
            job = self._jobs.get(key)
            return None if job is None or job.stopped else job

    def withdraw(self, key: Hashable, client: str) -> None:
        """Remove a client from a job; without clients it is cancelled, and if it failed it can be submitted again."""
        with self._lock:
            if key in self._jobs:
                self._withdraw(key, client)

    def mark_disconnected(self, client: str) -> None:
        """A client is disconnected; unless it reconnects in time, it leaves all its jobs."""
        with self._lock:
            self._disconnected.setdefault(client, self._clock())

    def mark_connected(self, client: str) -> None:
        """A client is connected (again)."""
        with self._lock:
            self._disconnected.pop(client, None)

    def results(self) -> dict[Hashable, Any]:
        """Cached results by key."""
        with self._lock:
            done = {key: job.future for key, job in self._jobs.items() if job.done and not job.stopped}
        return {key: future.result() for key, future in done.items() if not future.exception()}

    def queue_position(self, job: Job) -> int:
        """Number of unfinished jobs submitted before this one."""
        with self._lock:
            self._remove_expired_clients()
            return sum(other.number < job.number and not other.done for other in self._jobs.values())

    def close(self, timeout: float = 5.0) -> None:
        """Cancel all jobs and wait up to `timeout` seconds for the running one to end."""
        with self._lock:
            for job in self._jobs.values():
                job.stop()
        self._queue.put(None)
        self._thread.join(timeout)

    def _serve(self) -> None:
        while job := self._queue.get():
            with self._lock:
                self._remove_expired_clients()
                work = job.work
            if work is None or not job.future.set_running_or_notify_cancel():
                continue
            try:
                job.start()
                job.future.set_result(work(partial(self._progress, job)))
            except BaseException as error:  # raised by `Job.result`
                job.future.set_exception(error)
            job.work = None
            del job, work

    def _progress(self, job: Job, share: float) -> None:
        with self._lock:
            self._remove_expired_clients()
        job.progress(share)

    def _remove_expired_clients(self) -> None:
        """Remove clients that did not reconnect in time; the caller holds the lock."""
        now = self._clock()
        for client in [client for client, since in self._disconnected.items() if now - since > self._reconnect_seconds]:
            del self._disconnected[client]
            for key in [key for key, job in self._jobs.items() if client in job.waiting]:
                self._withdraw(key, client)

    def _withdraw(self, key: Hashable, client: str) -> None:
        job = self._jobs[key]
        job.waiting.discard(client)
        if not job.waiting and (not job.done or job.future.exception()):
            job.stop()
            del self._jobs[key]

    def _evict_results(self) -> None:
        finished = [key for key, job in self._jobs.items() if job.done]
        for key in finished[: max(0, len(finished) - self._max_results)]:
            del self._jobs[key]

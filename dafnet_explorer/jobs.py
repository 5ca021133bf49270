"""Long work beside the pages: one piece at a time for all sessions, with progress, cancelling and kept results.

Knows neither streamlit nor torch. Whoever asks for work that is queued, running or done shares it. Who goes without a
word may come back for a while; after that, work that only they waited for is cancelled like any that nobody wants.
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

Work = Callable[[Callable[[float], None]], Any]


class Cancelled(Exception):
    """Ends work that nobody waits for any more."""


class Job:
    """One piece of work.

    Attributes:
        number: jobs of lower ones were asked for earlier.
        share: of it that is done, in [0, 1].
        waiting: who wants the result.
    """

    def __init__(self, number: int = 0, work: Work | None = None) -> None:
        self.number = number
        self.work = work  # holds a model, so it goes as soon as it is of no use
        self.share = 0.0
        self.waiting: set[str] = set()
        self.future: Future[Any] = Future()
        self._stop = threading.Event()

    def progress(self, share: float) -> None:
        """For the work to call; raises Cancelled once nobody waits."""
        if self._stop.is_set():
            raise Cancelled
        self.share = share

    @property
    def done(self) -> bool:
        return self.future.done()

    @property
    def stopped(self) -> bool:
        """Whether it was cancelled, or will be at its next step."""
        return self._stop.is_set()

    def stop(self) -> None:
        self._stop.set()
        self.work = None
        self.future.cancel()

    @property
    def result(self) -> Any:
        """What the work returned; raises what it raised."""
        return self.future.result()


class Jobs:
    """Work by key, in one background thread.

    Args:
        keep: finished results that are kept, the latest used ones.
        each: unfinished jobs that one may wait for; who asks for more leaves those that were not asked for for longest.
        patience: seconds in which those who are `away` may come back.
        clock: gives seconds.
    """

    def __init__(
        self, keep: int = 6, each: int = 3, patience: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keep, self._each, self._patience, self._clock = keep, each, patience, clock
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._away: dict[str, float] = {}  # since when
        self._lock = threading.Lock()
        self._asked = 0
        # a thread of our own: an executor's would keep a server that was asked to stop alive until its work is done
        self._thread = threading.Thread(target=self._serve, name="jobs", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def ask(self, key: Hashable, who: str, work: Work) -> Job:
        """The job of a key, started or queued unless there is one; `work(progress)` runs in the background."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None or job.stopped:
                self._asked += 1
                job = self._jobs[key] = Job(self._asked, work)
                self._queue.put(job)
            job.waiting.add(who)
            self._jobs.move_to_end(key)
            mine = [key for key, job in self._jobs.items() if who in job.waiting and not job.done]
            for oldest in mine[: -self._each]:
                self._leave(oldest, who)
            self._forget()
            return job

    def find(self, key: Hashable) -> Job | None:
        """The job of a key, unless there is none or it was cancelled."""
        with self._lock:
            job = self._jobs.get(key)
            return None if job is None or job.stopped else job

    def leave(self, key: Hashable, who: str) -> None:
        """Somebody no longer wants it; work that nobody wants is cancelled. What failed can then be tried again."""
        with self._lock:
            if key in self._jobs:
                self._leave(key, who)

    def away(self, who: str) -> None:
        """Somebody is no longer there; unless they are `back` in time, they leave everything that they wait for."""
        with self._lock:
            self._away.setdefault(who, self._clock())

    def back(self, who: str) -> None:
        """Somebody is there (again)."""
        with self._lock:
            self._away.pop(who, None)

    def results(self) -> dict[Hashable, Any]:
        """What was returned and is still kept, by key."""
        with self._lock:
            done = {key: job.future for key, job in self._jobs.items() if job.done and not job.stopped}
        return {key: future.result() for key, future in done.items() if not future.exception()}

    def before(self, job: Job) -> int:
        """How many unfinished jobs were asked for before this one."""
        with self._lock:
            self._give_up()
            return sum(other.number < job.number and not other.done for other in self._jobs.values())

    def close(self, patience: float = 5.0) -> None:
        """Cancel everything and wait up to `patience` seconds for the running piece to notice."""
        with self._lock:
            for job in self._jobs.values():
                job.stop()
        self._queue.put(None)
        self._thread.join(patience)

    def _serve(self) -> None:
        while job := self._queue.get():
            with self._lock:
                self._give_up()
                work = job.work
            if work is None or not job.future.set_running_or_notify_cancel():
                continue
            try:
                job.progress(0.0)
                job.future.set_result(work(partial(self._progress, job)))
            except BaseException as error:  # whoever asks for the result gets it
                job.future.set_exception(error)
            job.work = None
            del job, work

    def _progress(self, job: Job, share: float) -> None:
        with self._lock:
            self._give_up()
        job.progress(share)

    def _give_up(self) -> None:
        """Whoever has been away for too long leaves; needs the lock, and no thread or timer of its own."""
        now = self._clock()
        for who in [who for who, since in self._away.items() if now - since > self._patience]:
            del self._away[who]
            for key in [key for key, job in self._jobs.items() if who in job.waiting]:
                self._leave(key, who)

    def _leave(self, key: Hashable, who: str) -> None:
        job = self._jobs[key]
        job.waiting.discard(who)
        if not job.waiting and (not job.done or job.future.exception()):
            job.stop()
            del self._jobs[key]

    def _forget(self) -> None:
        finished = [key for key, job in self._jobs.items() if job.done]
        for key in finished[: max(0, len(finished) - self._keep)]:
            del self._jobs[key]

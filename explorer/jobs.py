"""Long work beside the pages: one piece at a time for all sessions, with progress, cancelling and kept results.

Knows neither streamlit nor torch. Whoever asks for work that is queued, running or done shares it.
"""

from __future__ import annotations

import atexit
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
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

    def __init__(self, number: int = 0) -> None:
        self.number = number
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
        self.future.cancel()

    @property
    def result(self) -> Any:
        """What the work returned; raises what it raised."""
        return self.future.result()


class Jobs:
    """Work by key, in one background thread.

    Args:
        keep: finished results that are kept, the latest used ones.
    """

    def __init__(self, keep: int = 6) -> None:
        self._keep = keep
        self._queue: queue.SimpleQueue[tuple[Job, Work] | None] = queue.SimpleQueue()
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
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
                job = self._jobs[key] = Job(self._asked)
                self._queue.put((job, work))
            job.waiting.add(who)
            self._jobs.move_to_end(key)
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
            job = self._jobs.get(key)
            if job is None:
                return
            job.waiting.discard(who)
            if not job.waiting and (not job.done or job.future.exception()):
                job.stop()
                del self._jobs[key]

    def before(self, job: Job) -> int:
        """How many unfinished jobs were asked for before this one."""
        with self._lock:
            return sum(other.number < job.number and not other.done for other in self._jobs.values())

    def close(self, patience: float = 5.0) -> None:
        """Cancel everything and wait up to `patience` seconds for the running piece to notice."""
        with self._lock:
            for job in self._jobs.values():
                job.stop()
        self._queue.put(None)
        self._thread.join(patience)

    def _serve(self) -> None:
        while asked := self._queue.get():
            job, work = asked
            if not job.future.set_running_or_notify_cancel():
                continue
            try:
                job.progress(0.0)
                job.future.set_result(work(job.progress))
            except BaseException as error:  # whoever asks for the result gets it
                job.future.set_exception(error)
            del asked, job, work

    def _forget(self) -> None:
        finished = [key for key, job in self._jobs.items() if job.done]
        for key in finished[: max(0, len(finished) - self._keep)]:
            del self._jobs[key]

"""Background jobs: shared, one at a time, cancelled when no session waits, evicted in the end."""

import gc
import threading
import time
import weakref

import pytest

from dafnet_explorer.jobs import Jobs


def until(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen within five seconds")


@pytest.fixture
def gate():
    """Work that goes on until the gate is opened, counting its runs."""

    class Gate:
        def __init__(self):
            self.open, self.runs, self.ended = threading.Event(), 0, 0

        def work(self, progress):
            self.runs += 1
            try:
                while not self.open.is_set():
                    progress(0.5)
                    time.sleep(0.005)
            finally:
                self.ended += 1
            return "done"

    found = Gate()
    yield found
    found.open.set()


def test_two_who_ask_for_the_same_share_one_run(gate):
    jobs = Jobs()
    first, second = jobs.submit("key", "a", gate.work), jobs.submit("key", "b", gate.work)
    assert first is second
    until(lambda: first.share == 0.5)
    gate.open.set()
    until(lambda: first.done)
    assert first.result == "done"
    assert jobs.submit("key", "c", gate.work) is first  # kept
    assert gate.runs == 1


def test_work_ends_only_when_the_last_one_leaves(gate):
    jobs = Jobs()
    job = jobs.submit("key", "a", gate.work)
    jobs.submit("key", "b", gate.work)
    until(lambda: job.share == 0.5)
    jobs.withdraw("key", "a")
    assert not job.stopped
    jobs.withdraw("key", "b")
    until(lambda: gate.ended == 1)
    assert jobs.find("key") is None
    again = jobs.submit("key", "a", lambda progress: "new")
    until(lambda: again.done)
    assert again.result == "new"


def test_work_queues_and_says_how_many_are_ahead(gate):
    jobs = Jobs()
    first = jobs.submit(1, "a", gate.work)
    second, third = jobs.submit(2, "a", lambda progress: 2), jobs.submit(3, "b", lambda progress: 3)
    jobs.submit(1, "b", gate.work)  # asked for again: keeps its place
    assert [jobs.queue_position(j) for j in (first, second, third)] == [0, 1, 2]
    jobs.withdraw(2, "a")
    assert jobs.queue_position(third) == 1
    gate.open.set()
    until(lambda: third.done)
    assert third.result == 3
    assert second.future.cancelled()


def test_unused_results_are_evicted():
    jobs = Jobs(max_results=2)
    for n in range(5):
        job = jobs.submit(n, "a", lambda progress, n=n: n)
        until(lambda job=job: job.done)
    jobs.submit(4, "a", lambda progress: None)
    assert [n for n in range(5) if jobs.find(n)] == [3, 4]


def test_a_failure_reaches_who_asked_and_can_be_tried_again():
    jobs = Jobs()

    def fail(progress):
        raise ValueError("no such folder")

    job = jobs.submit("key", "a", fail)
    until(lambda: job.done)
    with pytest.raises(ValueError, match="no such folder"):
        job.result  # noqa: B018 - asking raises
    jobs.withdraw("key", "a")
    assert jobs.submit("key", "a", lambda progress: 1) is not job


def test_closing_ends_what_runs_and_what_waits(gate):
    jobs = Jobs()
    first, second = jobs.submit(1, "a", gate.work), jobs.submit(2, "a", lambda progress: 2)
    until(lambda: first.share == 0.5)
    start = time.monotonic()
    jobs.close()
    assert time.monotonic() - start < 4
    assert gate.ended == 1
    assert second.future.cancelled()


def test_work_of_who_went_without_a_word_ends_unless_they_come_back_in_time(gate):
    now = [0.0]
    jobs = Jobs(reconnect_seconds=30, clock=lambda: now[0])
    job, second = jobs.submit(1, "a", gate.work), jobs.submit(2, "a", lambda progress: 2)
    third = jobs.submit(3, "b", lambda progress: 3)
    until(lambda: job.share == 0.5)
    jobs.mark_disconnected("a")
    now[0] = 29
    assert jobs.queue_position(third) == 2
    jobs.mark_connected("a")
    now[0] = 100
    assert jobs.queue_position(third) == 2  # came back: nothing ends
    jobs.mark_disconnected("a")
    now[0] = 129
    jobs.mark_disconnected("a")  # said twice: the first counts
    now[0] = 131
    until(lambda: third.done)  # the running work itself noticed it, and what waited behind it was left out
    assert third.result == 3
    assert (gate.ended, second.future.cancelled(), jobs.find(1), jobs.find(2)) == (1, True, None, None)


def test_work_goes_on_for_those_who_stay_and_its_result_is_kept(gate):
    now = [0.0]
    jobs = Jobs(reconnect_seconds=30, clock=lambda: now[0])
    job = jobs.submit("key", "a", gate.work)
    jobs.submit("key", "b", gate.work)
    jobs.mark_disconnected("a")
    now[0] = 60
    until(lambda: job.waiting == {"b"})
    assert not job.stopped
    gate.open.set()
    until(lambda: job.done)
    jobs.mark_disconnected("b")
    now[0] = 120
    assert jobs.find("key") is job
    assert jobs.submit("other", "c", lambda progress: None) is not job
    assert jobs.find("key").result == "done"


def test_work_lets_go_of_its_model_when_it_ends_or_is_of_no_use(gate):
    class Model:
        def evaluate(self, progress):
            return gate.work(progress)

    models = [Model(), Model()]
    gone = [weakref.ref(model) for model in models]
    jobs = Jobs()
    running, waiting = (jobs.submit(n, "a", model.evaluate) for n, model in enumerate(models))
    until(lambda: running.share == 0.5)
    jobs.withdraw(1, "a")
    del models, waiting
    gc.collect()
    assert [ref() is None for ref in gone] == [False, True]  # though the queue still holds its place
    gate.open.set()
    until(lambda: running.done)
    until(lambda: gc.collect() >= 0 and gone[0]() is None)


def test_nobody_piles_up_work(gate):
    jobs = Jobs(max_per_client=2)
    first = jobs.submit(0, "a", gate.work)
    jobs.submit(1, "b", lambda progress: 1)
    asked = [jobs.submit(n, "a", lambda progress, n=n: n) for n in (1, 2, 3)]
    until(lambda: first.stopped)  # the newest two are still wanted, and so is what somebody else waits for
    assert jobs.find(1).waiting == {"b"}
    gate.open.set()
    until(lambda: all(job.done for job in asked))
    assert [job.result for job in asked] == [1, 2, 3]


def test_the_time_left_follows_from_the_work_s_own_time_and_share(gate):
    now = [0.0]
    jobs = Jobs(clock=lambda: now[0])
    first, second = jobs.submit("first", "a", gate.work), jobs.submit("second", "a", gate.work)
    until(lambda: first.share == 0.5)
    now[0] = 30.0
    assert first.seconds_left == 30
    assert second.seconds_left is None  # nothing of it is finished
    gate.open.set()
    until(lambda: second.done)
    assert second.result == "done"

"""Jobs that wait for a device: order, places in the line, cancelling, what ends them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from decontext.app.jobs import MOST_VALUES, Job, Queue
from decontext.errors import CancelledError, InputError


@pytest.fixture
def queue() -> Iterator[Queue]:
    queue = Queue(["cpu"], most=3)
    yield queue
    queue.close()


def _until_told(gate: threading.Event) -> Callable[[Job, str], Any]:
    """Work that lasts until the gate opens or the job is cancelled."""

    def work(job: Job, device: str) -> str:
        while not gate.wait(0.01):
            if job.is_set():
                raise CancelledError("stopped.")
        return f"{job.visit} on {device}"

    return work


def _wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_jobs_are_done_one_at_a_time_in_the_order_in_which_they_came(queue: Queue) -> None:
    gate, order = threading.Event(), []

    def note(job: Job, device: str) -> None:
        assert queue.count()[0] == 1
        order.append(job.visit)

    first = queue.submit(Job("a", _until_told(gate)))
    _wait_for(lambda: first.state == "running")
    others = [queue.submit(Job(name, note)) for name in "bcd"]
    assert [queue.position(job) for job in (first, *others)] == [0, 0, 1, 2]
    gate.set()
    assert all(job.wait(10) for job in others)
    assert (first.result, order) == ("a on cpu", ["b", "c", "d"])
    assert first.part == 1.0 and first.seconds > 0


def test_each_device_has_a_job_of_its_own() -> None:
    gate, queue = threading.Event(), Queue(["cuda:0", "cuda:1"], most=3)
    jobs = [queue.submit(Job(str(number), _until_told(gate))) for number in range(3)]
    _wait_for(lambda: queue.count() == (2, 1))
    gate.set()
    assert all(job.wait(10) for job in jobs)
    queue.close()
    assert {job.result for job in jobs[:2]} == {"0 on cuda:0", "1 on cuda:1"} or {
        job.result for job in jobs[:2]
    } == {"0 on cuda:1", "1 on cuda:0"}


def test_more_than_may_wait_are_refused(queue: Queue) -> None:
    gate = threading.Event()
    first = queue.submit(Job("a", _until_told(gate)))
    _wait_for(lambda: first.state == "running")
    for _ in range(3):
        queue.submit(Job("b", _until_told(gate)))
    with pytest.raises(InputError, match="3 jobs are waiting already"):
        queue.submit(Job("c", _until_told(gate)))


def test_a_waiting_job_leaves_the_line_at_once_and_a_running_one_stops(queue: Queue) -> None:
    gate = threading.Event()
    running, waiting, last = (queue.submit(Job(n, _until_told(gate))) for n in "abc")
    _wait_for(lambda: running.state == "running")
    queue.cancel(waiting)
    assert waiting.state == "cancelled" and queue.position(last) == 0
    queue.cancel(running)
    assert running.wait(10) and running.state == "cancelled"
    gate.set()
    assert last.wait(10) and last.state == "done"


def test_a_visitor_who_leaves_takes_his_own_jobs_with_him(queue: Queue) -> None:
    gate = threading.Event()
    mine, theirs, mine_too = (queue.submit(Job(n, _until_told(gate))) for n in "aba")
    _wait_for(lambda: mine.state == "running")
    assert queue.cancel_visit("a") == [mine_too, mine]
    assert mine.wait(10)
    gate.set()
    assert theirs.wait(10)
    assert (mine.state, theirs.state, mine_too.state) == ("cancelled", "done", "cancelled")


def test_what_goes_wrong_ends_the_job_and_not_the_line(queue: Queue) -> None:
    def fail(job: Job, device: str) -> None:
        raise InputError("this is no photo.", "Give one.")

    def break_down(job: Job, device: str) -> None:
        raise ZeroDivisionError("by zero")

    first, second, third = (
        queue.submit(Job("a", work)) for work in (fail, break_down, lambda job, device: 7)
    )
    assert third.wait(10) and third.result == 7
    assert first.state == second.state == "failed"
    assert str(first.error) == "this is no photo. Give one."
    assert str(second.error) == "unexpected error: ZeroDivisionError: by zero"


def test_closing_stops_everything_and_takes_nothing_more() -> None:
    queue = Queue(["cpu"], most=9)
    jobs = [queue.submit(Job("a", _until_told(threading.Event()))) for _ in range(3)]
    queue.close(10)
    assert {job.state for job in jobs} == {"cancelled"}
    assert not any(thread.is_alive() for thread in queue._threads)
    with pytest.raises(InputError, match="the program is stopping"):
        queue.submit(Job("a", _until_told(threading.Event())))


def test_part_and_time_left_count_all_photos_of_a_job() -> None:
    job = Job("a", lambda job, device: None, photos=4)
    job.state, job.started = "running", time.monotonic() - 30
    job.next_photo(2)
    job.done, job.total = 50, 100
    assert job.part == pytest.approx(0.375)
    assert job.seconds_left == pytest.approx(50, abs=1)
    job.cancel()
    with pytest.raises(CancelledError):
        job.next_photo(3)


def test_the_curve_of_a_long_run_stays_short_and_keeps_its_beginning() -> None:
    job = Job("a", lambda job, device: None)
    for number in range(5000):
        job.add_value(float(number))
    assert MOST_VALUES / 2 - 1 <= len(job.values) <= MOST_VALUES
    assert job.values[0] == 0 and job.values == sorted(job.values) and job.values[-1] > 4900

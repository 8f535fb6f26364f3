"""A hung read costs its own item; the rest goes on, with a bounded number of threads."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from cgroupfs.hangs import still_wanted
from cgstatd.feed import sampling_thread, sampling_worker
from cgstatd.feed.job import Job
from cgstatd.feed.known_hangs import REMEMBERED_SECONDS, KnownHangs
from cgstatd.feed.sampling_thread import SamplingThread
from cgstatd.feed.thread_calls import ThreadCalls
from cgstatd.sampling.sampler import Sampler
from cgstatd.sampling.work_item import Again
from fakehost import no_thread_left, sampling_threads
from patience import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 0.05)
    monkeypatch.setattr(sampling_worker, "CHECK_SECONDS", 0.01)
    with no_thread_left():
        yield


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
async def team() -> Any:
    team = SamplingThread()
    team.start()
    yield team
    team.stop()


def hanging(released: threading.Event, then: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """An item that hangs until it is released."""

    def item() -> None:
        released.wait()
        then()

    return item


def computing(released: threading.Event) -> Callable[[], None]:
    """An item that computes until it is released."""

    def item() -> None:
        while not released.is_set():
            sum(range(1000))

    return item


def raising(error: BaseException) -> Callable[[], None]:
    def item() -> None:
        raise error

    return item


def job_of(*items: Callable[[], None]) -> tuple[Job, list[float]]:
    """A job, and when it was finished (once, it is hoped)."""
    job, finished = Job(deque(items)), []
    job.finished = lambda: finished.append(time.monotonic())
    return job, finished


async def test_jobs_and_items_are_done_in_order_with_those_that_an_item_adds(team: SamplingThread) -> None:
    done: list[int] = []
    first, finished = job_of(*(partial(done.append, n) for n in range(50)))
    first.items.append(lambda: first.items.extend([partial(done.append, 50), partial(done.append, 51)]))
    empty, empty_finished = job_of()
    last, last_finished = job_of(partial(done.append, 52))
    for job in (first, empty, last):
        team.submit(job)
    await until(lambda: last.done and empty.done)
    assert done == list(range(53))
    assert len(finished) == len(empty_finished) == len(last_finished) == 1


async def test_a_hung_item_costs_only_itself(team: SamplingThread, released: threading.Event) -> None:
    done: list[str] = []
    hang = hanging(released, partial(done.append, "hung"))
    job, finished = job_of(partial(done.append, "a"), hang, partial(done.append, "b"), partial(done.append, "c"))
    later, _ = job_of(partial(done.append, "later"))
    team.submit(job)
    team.submit(later)
    await until(lambda: done == ["a", "b", "c", "later"])
    assert team.overruns == 1 and team.stuck == 1
    assert finished == []  # one is still under way
    released.set()
    await until(lambda: job.done)
    assert done == ["a", "b", "c", "later", "hung"]
    await until(lambda: team.stuck == 0)
    assert len(finished) == 1


async def test_a_thread_that_gets_no_processor_is_not_taken_for_a_hung_one(
    team: SamplingThread, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def running(thread: int) -> str:
        looks.append(thread)
        return "R"

    monkeypatch.setattr(sampling_worker, "thread_state", running)
    job, _ = job_of(hanging(released))
    team.submit(job)
    await until(lambda: len(looks) > 5)
    assert team.overruns == 0
    monkeypatch.setattr(sampling_worker, "thread_state", lambda _: "S")
    await until(lambda: team.overruns == 1)


@pytest.mark.parametrize("apart", [0.1, 0.025])
@pytest.mark.parametrize(("used", "hangs"), [(0.02, False), (0.001, True)])
def test_a_thread_that_computes_a_little_does_not_hang_however_often_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, apart: float, used: float, hangs: bool
) -> None:
    looks = iter(range(1000))
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 0.5)
    monkeypatch.setattr(sampling_worker, "thread_state", lambda _: "S")
    monkeypatch.setattr(sampling_worker, "thread_cpu_seconds", lambda _: next(looks) * apart * used)
    worker = sampling_worker.Worker()
    worker.thread, worker.item, worker.since = threading.current_thread(), lambda: None, 1.0
    for _ in range(int(0.6 / apart) + 1):
        worker.look(apart, late=False)
    assert worker.hangs is hangs


def test_an_item_that_was_looked_at_is_not_kept_with_what_it_read() -> None:
    worker = sampling_worker.Worker()

    def item() -> None: ...

    worker.thread, worker.item, worker.since = threading.current_thread(), item, 1.0
    worker.look(0.1, late=False)
    kept, worker.item, worker.since = weakref.ref(item), None, None
    del item
    assert kept() is None


async def test_time_without_the_event_loop_is_not_the_items(team: SamplingThread, released: threading.Event) -> None:
    job, _ = job_of(hanging(released))
    team.submit(job)
    time.sleep(0.2)  # as on a host that gives this process no processor
    await asyncio.sleep(0)
    team._supervise(time.monotonic() - 0.2, 0.01)
    assert team.overruns == 0
    await until(lambda: team.overruns == 1)


async def test_work_about_many_is_begun_anew_where_it_hangs_and_the_thread_it_held_touches_nothing(
    team: SamplingThread, released: threading.Event
) -> None:
    done: list[int] = []
    calls: list[int] = []

    def work() -> None:
        calls.append(len(calls) + 1)
        number = calls[-1]
        if number == 1:
            released.wait()  # a file; the second time it is refused
        still_wanted()
        done.append(number)

    job, finished = job_of(Again(work), lambda: done.append(0))
    team.submit(job)
    await until(lambda: done == [2, 0])
    assert job.only_hangs and not job.done and team.stuck == 1
    released.set()
    await until(lambda: job.done)
    assert done == [2, 0] and job.failure is None and len(finished) == 1
    await until(lambda: len(sampling_threads()) == 1)


async def test_work_about_many_that_is_busy_for_long_is_not_begun_twice(team: SamplingThread) -> None:
    calls: list[int] = []

    def work() -> None:
        calls.append(len(calls) + 1)
        while team.overruns == 0 and calls == [1]:
            sum(range(1000))

    job, _ = job_of(Again(work))
    team.submit(job)
    await until(lambda: job.done)
    assert calls == [1] and team.overruns == 1 and team.hung_files() == []


async def test_slow_items_cost_no_thread(team: SamplingThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 0.4)
    job, _ = job_of(*[lambda: time.sleep(0.03)] * 20)
    team.submit(job)
    await until(lambda: job.done)
    assert team.overruns == 0 and len(sampling_threads()) == 1


async def test_a_left_thread_that_computes_does_not_hang(team: SamplingThread, released: threading.Event) -> None:
    slow, _ = job_of(computing(released))
    team.submit(slow)
    await until(lambda: team.overruns == 1)  # slow: another thread goes on
    seen, ended = team.left_moved, team.ended(slow)
    await until(lambda: team.left_moved > seen and team.ended(slow) > ended)
    seen, ended = team.left_moved, team.ended(slow)
    released.set()
    await until(lambda: slow.done and len(sampling_threads()) == 1)
    team.check(0.01)
    # what was seen stays: who asks in that moment waits for what the thread did
    assert team.left_moved >= seen and team.ended(slow) >= ended


async def test_a_job_that_waits_in_the_line_gets_on_while_the_one_before_it_computes(
    team: SamplingThread, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 3600.0)

    over, slow, waiting = (job_of(item)[0] for item in (lambda: None, computing(released), lambda: None))
    team.submit(over)
    await until(lambda: over.done)
    team.submit(slow)
    team.submit(waiting)
    seen = time.monotonic()
    await until(lambda: team.moved([over, waiting]) > seen and team.ended(waiting) > seen)


async def test_a_job_that_waits_in_the_line_gets_on_while_a_slow_thread_is_left_behind(
    team: SamplingThread, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn, starting = SamplingThread._spawn, list[Any]()
    monkeypatch.setattr(SamplingThread, "_spawn", lambda *how: starting.append(how))  # it gets no processor yet
    slow, waiting = (job_of(item)[0] for item in (computing(released), lambda: None))
    began = time.monotonic()
    team.submit(slow)
    await until(lambda: not slow.items)
    team.submit(waiting)
    await until(lambda: team.overruns == 1)
    assert team.ended(waiting) > began
    spawn(*starting.pop())
    released.set()
    await until(lambda: slow.done and waiting.done)


async def test_the_end_waits_for_a_part_whose_thread_is_slow(team: SamplingThread, released: threading.Event) -> None:
    """The history made a round of what the other parts had read."""
    done: list[str] = []
    slow = computing(released)

    def first() -> None:
        slow()
        done.append("first")

    def second() -> None:
        done.append("second")
        released.set()

    calls = ThreadCalls(cast(Sampler, None), team)
    found, job = await calls.in_parts(lambda: [first, second], lambda: list(done))
    assert found == ["second", "first"] and team.overruns >= 1
    await until(lambda: job.done)
    assert await calls.in_parts(list, lambda: "nothing to do")


async def test_a_thread_that_hangs_does_not_get_on_but_where_nobody_looked_it_is_not_known_that_it_hangs(
    team: SamplingThread, released: threading.Event
) -> None:
    hung, _ = job_of(hanging(released))
    team.submit(hung)
    await until(lambda: team.overruns == 1)
    seen = team.moved([hung]), team.left_moved, team.ended(hung)
    for _ in range(5):
        team.check(0.01)
    assert seen == (team.moved([hung]), team.left_moved, team.ended(hung))
    over = time.monotonic()
    team._supervise(over - 0.2, 0.01)  # as on a host that gives this process no processor
    assert team.ended(hung) >= over and team.left_moved >= over


async def test_the_number_of_threads_is_bounded_and_all_end_afterwards(
    team: SamplingThread, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling_thread, "MAX_THREADS", 3)
    most = 0
    job, finished = job_of(*[hanging(released)] * 12)
    later, _ = job_of(lambda: None)
    team.submit(job)
    team.submit(later)
    await until(lambda: team.stuck == 3)
    for _ in range(30):
        most = max(most, len(sampling_threads()))
        await asyncio.sleep(0.01)
    assert most == 3 + 1
    assert team.stuck == 3 and not later.done
    released.set()
    await until(lambda: job.done and later.done)
    assert len(finished) == 1
    await until(lambda: len(sampling_threads()) == 1)


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(), MemoryError()], ids=repr)
@pytest.mark.parametrize("hangs", [False, True])
async def test_an_item_that_raises_is_told_and_the_others_go_on(
    team: SamplingThread,
    released: threading.Event,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
    hangs: bool,
) -> None:
    done: list[str] = []
    item = hanging(released, raising(error)) if hangs else raising(error)
    with caplog.at_level(logging.ERROR, "cgstatd"):
        job, finished = job_of(item, partial(done.append, "b"))
        later, _ = job_of(partial(done.append, "later"))
        team.submit(job)
        team.submit(later)
        await until(lambda: later.done)
        assert done == ["b", "later"]
        released.set()
        await until(lambda: job.done)
    assert len(finished) == 1 and job.failure is error
    assert [r.exc_info[1] for r in caplog.records if r.exc_info] == [error]


async def test_nothing_is_lost_where_the_hung_item_returns_as_its_thread_is_left_behind(
    team: SamplingThread, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    thread, worker = cast(threading.Thread, team._active.thread), sampling_worker.Worker

    def replacement() -> Any:
        released.set()
        thread.join(2)
        return worker()

    monkeypatch.setattr(sampling_thread, "Worker", replacement)
    job, _ = job_of(hanging(released), lambda: done.append("b"))
    team.submit(job)
    await until(lambda: job.done)
    assert done == ["b"] and not thread.is_alive()


async def test_nothing_is_lost_where_the_thread_had_begun_another_job_as_it_was_left_behind(
    team: SamplingThread, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    busy, look = threading.Event(), sampling_worker.Worker.look
    first, _ = job_of(hanging(released))

    def slow() -> None:
        busy.set()
        time.sleep(0.1)

    def and_goes_on(worker: Any, seconds: float, *, late: bool) -> None:  # from look to decision, to the next job
        look(worker, seconds, late=late)
        if worker.hangs and not released.is_set():
            released.set()
            assert busy.wait(2)

    second, _ = job_of(slow, lambda: done.append("b"))
    monkeypatch.setattr(sampling_worker.Worker, "look", and_goes_on)
    team.submit(first)
    team.submit(second)
    await until(lambda: second.done)
    assert done == ["b"] and first.done


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Callable[[str], Callable[[], None]]]:
    """Makes items that hang while they open a FIFO of that name."""
    made: list[Path] = []

    def item_of(name: str) -> Callable[[], None]:
        made.append(tmp_path / name)
        os.mkfifo(made[-1])
        return lambda: os.close(os.open(tmp_path / name, os.O_RDONLY))

    yield item_of
    for each in made:
        with suppress(OSError):  # nobody waits there
            os.close(os.open(each, os.O_WRONLY | os.O_NONBLOCK))


async def test_a_file_that_hung_a_short_time_ago_is_not_waited_for_as_long_and_another_is(
    team: SamplingThread, opening: Callable[[str], Callable[[], None]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    item, looks, look = opening("again"), list[float](), sampling_worker.Worker.look
    team.submit(job_of(item)[0])
    await until(lambda: str(tmp_path / "again") in team._known)
    assert team.hung_files() == [str(tmp_path / "again")]
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 3600.0)  # for what is not known
    done: list[str] = []
    team.submit(job_of(item, partial(done.append, "the next"))[0])
    await until(lambda: done == ["the next"])
    assert team.overruns == 2

    def counted(worker: Any, seconds: float, *, late: bool) -> None:
        looks.append(seconds)
        look(worker, seconds, late=late)

    monkeypatch.setattr(sampling_worker.Worker, "look", counted)
    team.submit(job_of(opening("another"))[0])
    await until(lambda: sum(looks) > 4 * 3 * sampling_worker.KNOWN_STUCK_SECONDS)  # of three threads
    assert team.overruns == 2


async def test_a_file_that_is_slow_only_is_waited_for_as_ever_a_minute_after_it_hung(
    team: SamplingThread, opening: Callable[[str], Callable[[], None]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now, file = [0.0], tmp_path / "slow"
    team._known = KnownHangs(lambda: now[0])
    team._known.note(str(file))
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 3600.0)
    now[0] = REMEMBERED_SECONDS - 1
    job, _ = job_of(opening("slow"))
    team.submit(job)
    await until(lambda: team.overruns == 1)  # given up early
    os.close(os.open(file, os.O_WRONLY))  # and answers
    await until(lambda: job.done)
    now[0] = REMEMBERED_SECONDS
    assert str(file) not in team._known


async def test_threads_take_turns_faster_while_a_job_computes(team: SamplingThread, released: threading.Event) -> None:
    often, usual = map(pytest.approx, (sampling_thread.BUSY_SWITCH_SECONDS, sampling_thread.SWITCH_SECONDS))
    slow, _ = job_of(computing(released))
    team.submit(slow)
    await until(lambda: sys.getswitchinterval() == often)
    released.set()
    await until(lambda: sys.getswitchinterval() == usual)
    released.clear()
    hung, _ = job_of(hanging(released))
    team.submit(hung)
    await until(lambda: hung.only_hangs)
    await until(lambda: sys.getswitchinterval() == usual)
    assert not hung.done


async def test_an_idle_crew_does_not_wake_up(team: SamplingThread) -> None:
    job, _ = job_of(lambda: None)
    team.submit(job)
    await until(lambda: job.done)
    await until(lambda: team._timer is None)
    again, _ = job_of(lambda: None)
    team.submit(again)
    assert team._timer is not None
    await until(lambda: again.done)


async def test_stop_ends_the_idle_thread_and_lets_a_hung_one_end_by_itself(released: threading.Event) -> None:
    team = SamplingThread()
    team.start()
    job, _ = job_of(hanging(released))
    team.submit(job)
    await until(lambda: team.stuck == 1)
    assert len(sampling_threads()) == 2
    assert all(thread.daemon for thread in sampling_threads())
    team.stop()
    await until(lambda: len(sampling_threads()) == 1)
    released.set()
    await until(lambda: not sampling_threads())

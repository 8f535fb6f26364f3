"""Requests share passes, a hung file costs its own container, and a new container gets a real CPU figure at once."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cgroupfs import CgroupGone
from cgstatd.feed import job, patience, reading_pass, sampling_thread, sampling_worker
from cgstatd.feed.sampling_thread import SamplingThread
from cgstatd.feed.shared_passes import Feed
from cgstatd.host.discovery import Discovery
from cgstatd.host.runtimes.base import State
from cgstatd.sampling import pass_work, registry
from cgstatd.sampling.container import Container
from cgstatd.sampling.lookup import NotFound
from cgstatd.sampling.rates import CpuWindow
from cgstatd.sampling.reading_failed import ReadingFailed
from cgstatd.sampling.registry import ListingFailed
from fakehost import FakeHost, Hang, burn_once_read, container_id, no_thread_left, sampling_threads
from patience import until


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    for name in ("a", "b", "c"):
        host.add(name)
    return host


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hang]:
    with no_thread_left():
        hang = Hang(monkeypatch)
        yield hang
        hang.release()


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What hangs waits for it."""
    with no_thread_left():
        event = threading.Event()
        yield event
        event.set()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling_worker, "STUCK_SECONDS", 0.1)
    monkeypatch.setattr(sampling_worker, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.05)
    monkeypatch.setattr(CpuWindow, "MINIMUM_NS", 20_000_000)
    monkeypatch.setattr(reading_pass, "_ONLY_HUNG_SECONDS", 0.4)


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that waits for a hung file waits for ever."""
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 3600.0)


@asynccontextmanager
async def feeding(host: FakeHost, *, freshness: float = 0.5, baseline: float = 0.0) -> AsyncIterator[Feed]:
    source = host.sampler()
    fed = Feed(source, freshness_seconds=freshness, baseline_seconds=baseline)
    fed.start()
    try:
        yield fed
    finally:
        fed.stop()
        source.close()


async def names_of(fed: Feed) -> list[str]:
    return sorted(stats.identity.name for stats in await fed.round().wait())


async def named(fed: Feed, name: str) -> Container:
    """A container as a listing finds it."""
    found = await fed.run(fed.sampler.containers)
    return next(each for each in found if each.identity.id == container_id(name))


def aged(fed: Feed, seconds: float) -> None:
    """The latest pass was begun so long ago."""
    assert fed.last_pass is not None
    fed.last_pass.began -= seconds


def failing(monkeypatch: pytest.MonkeyPatch, kind: type, method: str, error: Exception, name: str = "") -> None:
    """Let a method raise; with a name, of that container's alone."""
    original = getattr(kind, method)

    def fail(of: Any, *more: Any) -> Any:
        if not name or of.identity.name == name:
            raise error
        return original(of, *more)

    monkeypatch.setattr(kind, method, fail)


DENIED = PermissionError(13, "Permission denied", "/sys/fs/cgroup")
BUG = RuntimeError("a bug")


# -- sharing


async def test_requests_share_the_pass_under_way_and_that_of_the_window_and_each_container_is_read_once(
    host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_work, "_GROUP", 2)
    async with feeding(host, freshness=60.0) as fed:
        rounds = await asyncio.gather(*(names_of(fed) for _ in range(100)))
        assert rounds == [["a", "b", "c"]] * 100
        assert await fed.round().wait() is await fed.round().wait()
        assert (fed.passes, hang.listings, sorted(hang.reads)) == (1, 1, ["a", "b", "c"])
        host.add("d")
        host.remove("a")
        aged(fed, 60.0)
        assert await names_of(fed) == ["b", "c", "d"]
        assert (fed.passes, sorted(hang.reads)) == (2, ["a", "b", "b", "c", "c", "d"])
        fed._freshness = 0.0
        await asyncio.gather(*(names_of(fed) for _ in range(10)))
        await names_of(fed)
        assert fed.passes == 4


async def test_overloaded_nobody_waits_who_can_have_late_figures(host: FakeHost, hang: Hang, endless: None) -> None:
    async with feeding(host, freshness=0.0) as fed:
        first = fed.round()
        await first.wait()
        fed._load = SimpleNamespace(overloaded=True)
        hang.names.add("b")
        under_way = fed.round()  # whoever begins it
        assert fed.round(late_will_do=True) is first
        assert under_way is not first and fed.round(late_will_do=True) is first and fed.round() is under_way
        (found,) = [each for each in first.stats if each.identity.name == "b"]
        assert await fed.one(container_id("b")) is found
        first.began -= 5.0
        assert fed.round(late_will_do=True) is under_way
        await until(lambda: under_way.only_hung)
        assert fed.round(late_will_do=True) is under_way  # those that do not hang
        fed._load = None
        assert fed.round(late_will_do=True) not in (first, under_way)


async def test_the_event_loop_reads_no_file(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    readers = set()
    original = Container.counters

    def read(container: Container, *arguments: Any) -> Any:
        readers.add(threading.current_thread().name)
        return original(container, *arguments)

    monkeypatch.setattr(Container, "counters", read)
    async with feeding(host) as fed:
        await names_of(fed)
        await fed.one("a")
        assert readers == {"cgstatd-sampler"}
        assert len(sampling_threads()) == 1


async def test_a_host_without_containers_has_an_empty_round(tmp_path: Path) -> None:
    async with feeding(FakeHost(tmp_path)) as fed:
        assert await names_of(fed) == []


async def test_each_stats_is_handed_out_once(host: FakeHost) -> None:
    async with feeding(host) as fed:
        spans = [span async for span in fed.round().batches()]
        assert spans[0][0] == 0 and spans[-1][1] == 3
        assert all(a[1] == b[0] for a, b in pairwise(spans))
        assert spans == [span async for span in fed.round().batches()], "a client that comes later shares them"
        assert [last for *_, last in spans] == [False] * (len(spans) - 1) + [True]


async def test_a_pass_is_gone_as_soon_as_nobody_holds_it(host: FakeHost) -> None:
    """Without the collector: each holds every container's figures, and their answers."""
    async with feeding(host, freshness=0.0) as fed:
        gc.disable()
        try:
            first = fed.round()
            await first.wait()
            ended = weakref.ref(first)
            del first
            await fed.round().wait()
            await until(lambda: ended() is None)
        finally:
            gc.enable()


# -- what hangs


@pytest.mark.parametrize("method", ["counters", "second_cpu"])
async def test_a_container_that_hangs_is_left_out_of_the_pass_and_what_it_says_later_is_not_added(
    host: FakeHost,
    released: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.8)
    original = getattr(Container, method)

    def reading(container: Container, *more: Any) -> Any:
        if container.identity.name == "b":
            released.wait()
        return original(container, *more)

    monkeypatch.setattr(Container, method, reading)
    async with feeding(host) as fed:
        round_ = fed.round()
        assert sorted(stats.identity.name for stats in await round_.wait()) == ["a", "c"]
        assert "left out: reading its files takes over" in caplog.text
        released.set()
        await until(lambda: fed._sampling_thread.stuck == 0)
        await fed.run(lambda: None)
        assert len(round_.stats) == 2


@pytest.mark.parametrize("baseline", [60, 0], ids=["with a baseline", "each needs a second reading"])
@pytest.mark.parametrize("passed", ["traffic", "counters"])
@pytest.mark.parametrize("hung", ["a", "b", "c"])
async def test_what_is_known_is_handed_on_at_once_wherever_another_hangs(
    host: FakeHost, hang: Hang, hung: str, passed: str, baseline: float, endless: None
) -> None:
    hang.passed = passed
    async with feeding(host, baseline=baseline) as fed:
        if baseline:
            await until(lambda: len(hang.baselines) == 3)
            await asyncio.sleep(CpuWindow.MINIMUM_NS / 1e9)  # the baseline is a window by now
        hang.names.add(hung)
        round_ = fed.round()
        known: list[str] = []
        async for first, end, _ in round_.batches():
            known += [stats.identity.name for stats in round_.stats[first:end]]
            if len(known) == 2:
                break
        assert sorted([*known, hung]) == ["a", "b", "c"]


async def test_a_pass_that_hangs_does_not_block_a_new_round(host: FakeHost, hang: Hang, endless: None) -> None:
    async with feeding(host) as fed:
        await names_of(fed)
        aged(fed, 0.5)
        hang.names.add("b")
        stuck = fed.round()
        await until(lambda: stuck.only_hung)
        aged(fed, 0.5)
        assert await names_of(fed) == ["a", "c"]
        assert not stuck.complete
        hang.release()
        await until(lambda: stuck.complete)
        aged(fed, 0.5)
        assert await names_of(fed) == ["a", "b", "c"]


async def test_many_that_hang_cost_few_threads(tmp_path: Path, hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling_thread, "MAX_THREADS", 4)
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.4)
    host = FakeHost(tmp_path)
    hang.names.update(f"hung{n}" for n in range(10))
    for name in hang.names:
        host.add(name)
    async with feeding(host) as fed:
        assert await names_of(fed) == []
        assert len(sampling_threads()) <= 5
        hang.release()


# -- listing


async def test_a_listing_that_fails_says_why_and_is_made_again(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with feeding(host, freshness=60) as fed:
        for error, why in ((DENIED, "cannot list the containers: /sys/fs/cgroup: Permission denied"), (BUG, "a bug")):
            with monkeypatch.context() as broken:
                failing(broken, Discovery, "refresh", error)
                with pytest.raises(ListingFailed, match=why):
                    await fed.round().wait()
        with monkeypatch.context() as broken:
            failing(broken, Discovery, "refresh", DENIED)
            with pytest.raises(ListingFailed, match="Permission denied"):
                await fed.one("a")
        assert await names_of(fed) == ["a", "b", "c"]


async def test_a_listing_that_hangs_fails_after_its_time_and_is_waited_for_by_all_together(
    host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (registry, reading_pass):
        monkeypatch.setattr(module, "LISTING_SECONDS", 0.5)
    async with feeding(host, freshness=0.0) as fed:
        hang.listing = True
        ended = await asyncio.gather(*(fed.round().wait() for _ in range(5)), return_exceptions=True)
        assert fed.passes == 1
        assert all(isinstance(e, ListingFailed) and "listing the containers takes over" in str(e) for e in ended)
        hang.release()
        await until(lambda: fed._sampling_thread.stuck == 0)
        assert await names_of(fed) == ["a", "b", "c"]


async def test_requests_beside_a_long_listing_wait_for_it_and_hold_no_thread(host: FakeHost, hang: Hang) -> None:
    async with feeding(host, baseline=60) as fed:  # the baseline lists first
        hang.listing = True
        await until(lambda: fed._sampling_thread.overruns > 0)
        everyone, one = asyncio.create_task(names_of(fed)), asyncio.create_task(fed.one("a"))
        await asyncio.sleep(0)
        await until(lambda: fed.passes == 1)
        assert len(sampling_threads()) <= 2
        hang.release()
        assert await everyone == ["a", "b", "c"] and (await one).identity.name == "a"


async def test_a_container_that_fails_is_left_out_and_said_once(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    host.make_unreadable("b", "memory.current")
    async with feeding(host, freshness=0.0) as fed:
        for _ in range(3):
            assert await names_of(fed) == ["a", "c"]
        said = [r.getMessage() for r in caplog.records if "left out" in r.getMessage()]
        assert len(said) == 1 and said[0].startswith(f"container={container_id('b')[:12]} left out: cannot read memory")
        with pytest.raises(ReadingFailed, match=r"cannot read memory: .*/memory\.current: "):
            await fed.one("b")
        failing(monkeypatch, Container, "counters", BUG, "c")
        assert await names_of(fed) == ["a"]


# -- one container


async def test_one_container_is_read_alone_and_not_again_within_the_window(host: FakeHost, hang: Hang) -> None:
    async with feeding(host, freshness=60) as fed:
        first = await fed.one("a")
        assert first.identity.id == container_id("a")
        assert hang.reads == ["a"] and hang.seconds == ["a"] and fed.passes == 0
        assert await fed.one("a") is first and hang.reads == ["a"]
        await names_of(fed)
        read = len(hang.reads)
        await fed.one("b")
        assert len(hang.reads) == read


async def test_with_a_baseline_the_first_answer_is_immediate_and_measured_from_it(host: FakeHost, hang: Hang) -> None:
    host.set("a", "cpu.stat", "usage_usec 5000000\n")
    async with feeding(host, baseline=60) as fed:
        await until(lambda: len(hang.baselines) == 3)
        await asyncio.sleep(0.2)
        host.burn("a", 5_000_000 + 100_000)
        stats = await fed.one("a")
        assert hang.seconds == [], "no second reading is waited for"
        assert stats.cpu_percent is not None and 0 < stats.cpu_percent < 51


@pytest.mark.parametrize("whole_round", [False, True])
async def test_a_new_container_gets_a_real_percentage_within_the_request(
    host: FakeHost, whole_round: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.2)  # the true ones
    monkeypatch.setattr(CpuWindow, "MINIMUM_NS", 100_000_000)
    host.add("new", usage_usec=3_600_000_000)
    burn_once_read(host, "new", 3_600_000_000 + 100_000, monkeypatch)
    async with feeding(host) as fed:
        if whole_round:
            stats = {s.identity.name: s for s in await fed.round().wait()}["new"]
        else:
            stats = await fed.one("new")
        shortest = 0.2 - reading_pass.TOGETHER_SECONDS
        assert stats.cpu_percent is not None and 0 < stats.cpu_percent <= 100 * 0.1 / shortest  # 0.1 s of CPU


async def test_a_new_container_that_any_listing_finds_needs_no_second_reading_where_there_is_a_baseline(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 3600.0)
    async with feeding(host, freshness=0.0, baseline=3600.0) as fed:
        await fed.run(fed.sampler.containers)
        await fed.run(partial(host.add, "new"))  # where it is listed: no listing finds half of its files
        found = await named(fed, "new")
        await until(lambda: not found.window.is_empty)
        read = len(found.window._readings)
        await fed.run(partial(fed.sampler.first_baseline, found))
        assert len(found.window._readings) == read, "it was read meanwhile"
        await asyncio.sleep(CpuWindow.MINIMUM_NS / 1e9)
        async with asyncio.timeout(60):
            assert (await fed.one(container_id("new"))).cpu_percent == 0
        fed._baseline = 0.0
        await fed.run(partial(host.add, "other"))
        found = await named(fed, "other")
        await fed.run(lambda: None)
        assert found.window.is_empty, "read when somebody asks"


@pytest.mark.parametrize(("age_ns", "wait"), [(0, 0.2), (150_000_000, 0.05), (300_000_000, 0.0)])
def test_the_second_reading_counts_from_the_baseline(age_ns: int, wait: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.2)
    pending: Any = SimpleNamespace(base_age_ns=age_ns)
    assert pass_work.wait_seconds(pending) == pytest.approx(wait)


async def test_several_requests_for_one_new_container_all_get_a_figure(host: FakeHost) -> None:
    async with feeding(host, freshness=0.0) as fed:
        for _ in range(2):
            found = await asyncio.gather(*(fed.one("a") for _ in range(20)))
            assert [stats.cpu_percent for stats in found] == [0.0] * 20
            host.recreate("a", usage_usec=10)  # restarted: no negative, no lifetime figure


@pytest.mark.parametrize("reading", ["second_cpu", "counters"])
@pytest.mark.parametrize("stays", [True, False])
async def test_a_container_that_goes_as_it_is_read_is_answered_from_disk_or_not_found(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, reading: str, stays: bool
) -> None:
    def goes(container: Container, *_: Any) -> Any:
        host.remove("a", from_disk=not stays)
        if stays:
            host.on_disk("a", limit=64 << 20)
        raise CgroupGone(container.ref.path)

    monkeypatch.setattr(Container, reading, goes)
    async with feeding(host) as fed:
        if stays:
            stats = await fed.one("a")
            assert stats.state is State.EXITED and stats[2:8] == (0.0, 0, 0, 64 << 20, 0, 0)
        else:
            with pytest.raises(NotFound):
                await fed.one("a")


async def test_a_container_that_goes_during_a_round_is_left_out_quietly(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing(monkeypatch, Container, "second_cpu", CgroupGone("/c"), "b")
    async with feeding(host) as fed:
        assert await names_of(fed) == ["a", "c"]
        assert caplog.records == []


async def test_one_container_that_hangs_fails_after_its_time_and_others_are_answered_meanwhile(
    host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch, endless: None
) -> None:
    async with feeding(host) as fed:
        hang.names.update("ac")
        stuck = asyncio.create_task(fed.one("a"))
        await until(lambda: "a" in hang.reads)
        await fed.one("b")
        assert not stuck.done()
        stuck.cancel()
        monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.4)
        with pytest.raises(ReadingFailed, match="reading the container takes over"):
            await fed.one("c")
        monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 3600.0)
        for name in "ac":
            with pytest.raises(ReadingFailed, match=r"an earlier reading of .* still hangs"):
                await fed.one(name)
        hang.release()
        await until(lambda: fed._sampling_thread.stuck == 0)
        assert (await fed.one("a")).identity.name == "a"


async def test_giving_up_leaves_nothing_behind(host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch) -> None:
    async with feeding(host) as fed:
        with monkeypatch.context() as never:
            never.setattr(pass_work, "CPU_WINDOW_SECONDS", 3600.0)
            task = asyncio.create_task(fed.one("a"))
            await until(lambda: hang.reads)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await fed.one("a")).cpu_percent == 0.0


# -- the baseline


async def test_without_requests_only_cpu_time_is_read_and_with_baseline_0_nothing(host: FakeHost, hang: Hang) -> None:
    async with feeding(host, baseline=0.0) as fed:
        await fed.run(lambda: None)
        assert hang.baselines == [] and hang.listings == 0
        fed.retime(freshness_seconds=0.5, baseline_seconds=0.1, max_cpu_percent=0.0)
        await until(lambda: len(hang.baselines) >= 9)
        assert hang.reads == [] and hang.seconds == [] and fed.passes == 0


async def test_a_baseline_is_skipped_while_the_one_before_overruns(host: FakeHost, hang: Hang) -> None:
    async with feeding(host, baseline=0.05) as fed:
        await until(lambda: len(hang.baselines) >= 3)
        hang.names.add("b")
        await until(lambda: fed._sampling_thread.stuck == 1)
        seen = len(hang.baselines)
        await asyncio.sleep(0.4)
        assert len(hang.baselines) <= seen + 2 and fed._sampling_thread.overruns == 1
        hang.release()
        await until(lambda: len(hang.baselines) > seen + 6)


async def test_a_baseline_is_skipped_where_a_pass_has_just_done_the_same(host: FakeHost, hang: Hang) -> None:
    hour = {"freshness_seconds": 0.0, "baseline_seconds": 3600.0, "max_cpu_percent": 0.0}
    async with feeding(host, baseline=3600.0, freshness=0.0) as fed:
        await until(lambda: len(hang.baselines) == 3)
        await until(lambda: fed._baseline_job is not None and fed._baseline_job.done)
        await names_of(fed)
        fed.retime(**hour)  # it is due at once
        assert fed._baseline_job is not None and fed._baseline_job.done and len(hang.baselines) == 3
        aged(fed, 1801)  # half of the time between two ago
        fed.retime(**hour)
        await until(lambda: len(hang.baselines) == 6)


@pytest.mark.parametrize(("regular", "baselines"), [(0.0, 3), (1000.0, 0), (1001.0, 3)])
async def test_passes_made_anyway_are_the_baseline(host: FakeHost, hang: Hang, regular: float, baselines: int) -> None:
    async with feeding(host, baseline=1000.0) as fed:
        await until(lambda: len(hang.baselines) == 3)
        await names_of(fed)
        fed.regular_seconds = regular
        aged(fed, 700.0)  # more than half of the baseline, less than one and a half
        fed._tick()
        await fed.each(lambda _: None, [1])  # behind the baseline, which is as long a job
        assert len(hang.baselines) == 3 + baselines


async def test_a_baseline_that_fails_is_said_and_tried_again(
    host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with feeding(host, baseline=0.05) as fed:
        with monkeypatch.context() as broken:
            failing(broken, Container, "read_cpu", BUG)
            await until(lambda: "a bug" in caplog.text)
            assert await names_of(fed) == ["a", "b", "c"]
            failing(broken, Discovery, "refresh", DENIED)
            await until(lambda: "baseline: cannot list the containers" in caplog.text)
        await until(lambda: "a" in hang.baselines)


# -- the end


async def test_stop_ends_every_pass_and_what_comes_after_at_once(host: FakeHost, hang: Hang, endless: None) -> None:
    """Those that wait for a hung file too, not only the last."""
    async with feeding(host, freshness=0.0) as fed:
        hang.names.add("b")
        superseded = fed.round()
        await until(lambda: superseded.only_hung)
        last = fed.round()
        assert last is not superseded
        waiting = asyncio.create_task(names_of(fed))
        await until(lambda: len(last.stats) == 2)
        fed.stop()
        assert superseded.complete and last.complete and await waiting == ["a", "c"]
        with pytest.raises(ListingFailed, match="stopping"):
            await fed.round().wait()
        with pytest.raises(ReadingFailed, match="stopping"):
            await fed.one("a")


@pytest.mark.parametrize("after", [0.0, 0.05], ids=["at once", "between the two readings"])
async def test_stop_ends_a_request_for_one_container(host: FakeHost, after: float) -> None:
    async with feeding(host) as fed:
        task = asyncio.create_task(fed.one("a"))
        await asyncio.sleep(after)
        fed.stop()
        with pytest.raises(ReadingFailed, match="stopping"):
            await task


# -- a busy host


class Computed:
    """The clock by which readings are waited for. It goes on only as something computes, which is looked at after each
    step: so what it says does not depend on how busy the machine is.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = time.monotonic()
        self._looked = threading.Event()
        check = SamplingThread.check

        def looking(team: SamplingThread, seconds: float, *, late: bool = False) -> None:
            check(team, seconds, late=late)
            self._looked.set()

        monkeypatch.setattr(SamplingThread, "check", looking)
        monkeypatch.setattr(sampling_worker, "thread_cpu_seconds", lambda _: self._now)
        clock = SimpleNamespace(**vars(time) | {"monotonic": lambda: self._now})
        for module in (job, patience, sampling_worker):
            monkeypatch.setattr(module, "time", clock)

    def go_on(self, seconds: float) -> None:
        """In the sampling thread: compute for so long, as on a host that has little time for the agent."""
        for _ in range(round(seconds / sampling_worker.CHECK_SECONDS)):
            self._now += sampling_worker.CHECK_SECONDS
            self._looked.clear()
            self._looked.wait()


@pytest.fixture
def computed(quick: None, monkeypatch: pytest.MonkeyPatch) -> Computed:
    return Computed(monkeypatch)


async def test_what_computes_is_waited_for(host: FakeHost, monkeypatch: pytest.MonkeyPatch, computed: Computed) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.2)
    for module in (registry, reading_pass):
        monkeypatch.setattr(module, "LISTING_SECONDS", 0.1)
    refresh = Discovery.refresh

    def listing(self: Discovery) -> Any:
        computed.go_on(0.3)
        return refresh(self)

    def long() -> str:
        computed.go_on(0.5)
        return "done"

    async with feeding(host) as fed:
        assert [*await asyncio.gather(fed.run(long), fed.run(lambda: "next"))] == ["done", "next"]
        monkeypatch.setattr(Discovery, "refresh", listing)
        found, one = await asyncio.gather(names_of(fed), fed.one(container_id("a")))
        assert (found, one.identity.name) == (["a", "b", "c"], "a")

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
from cgstatd.sampling.lookup import Ambiguous, NotFound
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


class Clocked:
    """How long the inside took."""

    def __enter__(self) -> Clocked:
        self.began = time.monotonic()
        return self

    def __exit__(self, *exc: object) -> None:
        self.seconds = time.monotonic() - self.began


# -- sharing


async def test_requests_that_come_together_share_one_pass(host: FakeHost, hang: Hang) -> None:
    async with feeding(host) as fed:
        rounds = await asyncio.gather(*(names_of(fed) for _ in range(100)))
        assert rounds == [["a", "b", "c"]] * 100
        assert fed.passes == 1 and hang.listings == 1
        assert sorted(hang.reads) == ["a", "b", "c"]


async def test_a_request_within_the_freshness_window_reads_nothing(host: FakeHost, hang: Hang) -> None:
    async with feeding(host, freshness=5.0) as fed:
        first = await fed.round().wait()
        await asyncio.sleep(0.05)
        assert await fed.round().wait() is first
        assert fed.passes == 1 and len(hang.reads) == 3


async def test_a_request_after_the_window_gets_a_new_pass(host: FakeHost, hang: Hang) -> None:
    async with feeding(host, freshness=0.1) as fed:
        await names_of(fed)
        await asyncio.sleep(0.15)
        await names_of(fed)
        assert fed.passes == 2 and sorted(hang.reads) == ["a", "a", "b", "b", "c", "c"]


async def test_without_a_window_requests_still_join_the_pass_under_way(host: FakeHost, hang: Hang) -> None:
    async with feeding(host, freshness=0.0) as fed:
        await asyncio.gather(*(names_of(fed) for _ in range(10)))
        assert fed.passes == 1
        await names_of(fed)
        assert fed.passes == 2


async def test_overloaded_nobody_waits_for_figures_who_can_have_those_of_five_seconds_ago(
    host: FakeHost, hang: Hang, endless: None
) -> None:
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


async def test_a_new_pass_sees_what_came_and_what_went(host: FakeHost) -> None:
    async with feeding(host, freshness=0.0) as fed:
        assert await names_of(fed) == ["a", "b", "c"]
        host.add("d")
        host.remove("a")
        assert await names_of(fed) == ["b", "c", "d"]


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


async def test_every_container_of_more_than_one_group_is_read_once(
    host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_work, "_GROUP", 2)
    for name in "defg":
        host.add(name)
    async with feeding(host) as fed:
        assert await names_of(fed) == list("abcdefg")
        assert sorted(hang.reads) == list("abcdefg")


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


async def test_a_container_that_hangs_is_left_out_and_the_others_are_there(
    host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.6)
    async with feeding(host) as fed:
        hang.names.add("b")
        with Clocked() as clocked:
            assert await names_of(fed) == ["a", "c"]
        assert clocked.seconds > 0.5
        assert "left out: reading its files takes over" in caplog.text


@pytest.mark.parametrize("passed", ["traffic", "counters"])
@pytest.mark.parametrize("hung", ["a", "b", "c"])
async def test_what_is_known_is_handed_on_at_once_wherever_another_hangs(
    host: FakeHost, hang: Hang, hung: str, passed: str, endless: None
) -> None:
    hang.passed = passed
    async with feeding(host, baseline=60) as fed:
        await until(lambda: len(hang.baselines) == 3)
        await asyncio.sleep(0.15)  # the baseline is a window by now
        hang.names.add(hung)
        round_ = fed.round()
        known: list[str] = []
        async for first, end, _ in round_.batches():
            known += [stats.identity.name for stats in round_.stats[first:end]]
            if len(known) == 2:
                break
        assert sorted([*known, hung]) == ["a", "b", "c"]


@pytest.mark.parametrize("passed", ["traffic", "counters"])
@pytest.mark.parametrize("hung", ["a", "b", "c"])
async def test_a_hung_container_costs_new_containers_neither_their_figures_nor_time(
    host: FakeHost, hang: Hang, hung: str, passed: str, endless: None
) -> None:
    hang.passed = passed
    async with feeding(host) as fed:  # nobody has a baseline: each needs a second reading
        hang.names.add(hung)
        round_ = fed.round()
        known: list[str] = []
        async for first, end, _ in round_.batches():
            known += [stats.identity.name for stats in round_.stats[first:end]]
            if len(known) == 2:
                break
        assert sorted([*known, hung]) == ["a", "b", "c"]


async def test_a_second_reading_that_hangs_costs_only_itself(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.8)
    released, original = threading.Event(), Container.second_cpu

    def second_cpu(container: Container, *more: Any) -> Any:
        if container.identity.name == "b":
            released.wait(10)
        return original(container, *more)

    monkeypatch.setattr(Container, "second_cpu", second_cpu)
    with no_thread_left():
        async with feeding(host) as fed:
            assert await names_of(fed) == ["a", "c"]
        released.set()


async def test_a_pass_that_hangs_does_not_block_a_new_round(host: FakeHost, hang: Hang, endless: None) -> None:
    async with feeding(host, freshness=0.1) as fed:
        await names_of(fed)
        await asyncio.sleep(0.15)
        hang.names.add("b")
        stuck = fed.round()
        await until(lambda: stuck.only_hung)
        assert await names_of(fed) == ["a", "c"]
        assert not stuck.complete
        hang.release()
        await until(lambda: stuck.complete)
        await asyncio.sleep(0.15)
        assert await names_of(fed) == ["a", "b", "c"]


async def test_stopping_ends_every_pass_that_waits_for_a_hung_file_not_only_the_last(
    host: FakeHost, hang: Hang
) -> None:
    async with feeding(host, freshness=0.0) as fed:
        hang.names.add("b")
        superseded = fed.round()
        await until(lambda: superseded.only_hung)
        last = fed.round()
        assert last is not superseded
        fed.stop()
        assert superseded.complete and last.complete
        hang.release()


async def test_a_result_that_comes_after_the_end_is_not_added(
    host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.4)
    async with feeding(host) as fed:
        hang.names.add("b")
        round_ = fed.round()
        assert len(await round_.wait()) == 2
        hang.release()
        await until(lambda: fed._sampling_thread.stuck == 0)
        await asyncio.sleep(0.05)
        assert len(round_.stats) == 2


async def test_many_hung_containers_cost_a_bounded_number_of_threads(
    tmp_path: Path, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling_thread, "MAX_THREADS", 4)
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 1.0)
    host = FakeHost(tmp_path)
    for n in range(10):
        host.add(f"hung{n}")
    async with feeding(host) as fed:
        hang.names.update(f"hung{n}" for n in range(10))
        assert await names_of(fed) == []
        assert len(sampling_threads()) <= 5
        hang.release()


# -- listing


async def test_a_listing_that_fails_says_why_and_the_next_request_tries_again(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refresh(discovery: Discovery) -> Any:
        raise PermissionError(13, "Permission denied", "/sys/fs/cgroup")

    async with feeding(host, freshness=60) as fed:
        with monkeypatch.context() as broken:
            broken.setattr(Discovery, "refresh", refresh)
            with pytest.raises(ListingFailed, match=r"cannot list the containers: /sys/fs/cgroup: Permission denied"):
                await fed.round().wait()
            with pytest.raises(ListingFailed, match="Permission denied"):
                await fed.one("a")
        assert await names_of(fed) == ["a", "b", "c"]


async def test_an_unexpected_error_while_listing_is_a_failure_too(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refresh(discovery: Discovery) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Discovery, "refresh", refresh)
    async with feeding(host) as fed:
        with pytest.raises(ListingFailed, match="a bug"):
            await fed.round().wait()


async def test_a_listing_that_hangs_fails_after_its_time_and_is_waited_for_by_all_together(
    host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (registry, reading_pass):
        monkeypatch.setattr(module, "LISTING_SECONDS", 0.5)
    async with feeding(host, freshness=0.0) as fed:
        hang.listing = True
        with Clocked() as clocked:
            ended = await asyncio.gather(*(fed.round().wait() for _ in range(5)), return_exceptions=True)
        assert clocked.seconds > 0.4 and fed.passes == 1
        assert all(isinstance(e, ListingFailed) and "listing the containers takes over" in str(e) for e in ended)
        hang.release()
        await until(lambda: fed._sampling_thread.stuck == 0)
        assert await names_of(fed) == ["a", "b", "c"]


async def test_requests_beside_a_listing_that_takes_long_wait_for_it_and_hold_no_thread(
    host: FakeHost, hang: Hang
) -> None:
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
    host: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host.make_unreadable("b", "memory.current")
    async with feeding(host, freshness=0.0) as fed:
        for _ in range(3):
            assert await names_of(fed) == ["a", "c"]
        assert len([r for r in caplog.records if "left out: cannot read memory" in r.getMessage()]) == 1
        with pytest.raises(ReadingFailed, match=r"cannot read memory: .*/memory\.current: "):
            await fed.one("b")


async def test_an_unexpected_error_costs_its_own_container_only(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Container.counters

    def read(container: Container, *arguments: Any) -> Any:
        if container.identity.name == "b":
            raise RuntimeError("a bug")
        return original(container, *arguments)

    monkeypatch.setattr(Container, "counters", read)
    async with feeding(host) as fed:
        assert await names_of(fed) == ["a", "c"]


# -- one container


async def test_one_container_is_read_alone(host: FakeHost, hang: Hang) -> None:
    async with feeding(host) as fed:
        assert (await fed.one("a")).identity.id == container_id("a")
        assert hang.reads == ["a"] and hang.seconds == ["a"] and fed.passes == 0


async def test_one_container_that_was_read_just_now_is_not_read_again(host: FakeHost, hang: Hang) -> None:
    async with feeding(host, freshness=60) as fed:
        first = await fed.one("a")
        assert await fed.one("a") is first
        assert len(hang.reads) == 1


async def test_one_container_is_answered_from_a_fresh_pass(host: FakeHost, hang: Hang) -> None:
    async with feeding(host, freshness=60) as fed:
        await names_of(fed)
        await fed.one("b")
        assert len(hang.reads) == 3


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


async def test_a_new_container_that_any_listing_finds_needs_no_second_reading(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 3600.0)
    async with feeding(host, freshness=0.0, baseline=3600.0) as fed:
        await fed.run(fed.sampler.containers)
        await fed.run(partial(host.add, "new"))  # where it is listed: no listing finds half of its files
        found = next(each for each in await fed.run(fed.sampler.containers) if each.identity.id == container_id("new"))
        await until(lambda: not found.window.is_empty)
        await asyncio.sleep(CpuWindow.MINIMUM_NS / 1e9)
        async with asyncio.timeout(60):
            assert (await fed.one(container_id("new"))).cpu_percent == 0


async def test_without_a_baseline_new_containers_are_read_when_somebody_asks(host: FakeHost, hang: Hang) -> None:
    async with feeding(host) as fed:
        await fed.run(fed.sampler.containers)
        host.add("new")
        found = next(each for each in await fed.run(fed.sampler.containers) if each.identity.id == container_id("new"))
        await fed.run(lambda: None)
        assert found.window.is_empty


@pytest.mark.parametrize(("age_ns", "wait"), [(0, 0.2), (150_000_000, 0.05), (300_000_000, 0.0)])
def test_the_second_reading_is_counted_from_the_baseline(
    age_ns: int, wait: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.2)
    pending: Any = SimpleNamespace(base_age_ns=age_ns)
    assert pass_work.wait_seconds(pending) == pytest.approx(wait)


async def test_a_container_that_was_restarted_is_a_new_one(host: FakeHost) -> None:
    async with feeding(host, freshness=0.0) as fed:
        await fed.one("a")
        await asyncio.sleep(0.15)
        host.recreate("a", usage_usec=10)
        stats = await fed.one("a")
        assert stats.cpu_percent == 0.0  # and no negative, no lifetime figure


async def test_several_requests_for_one_new_container_all_get_a_figure(host: FakeHost) -> None:
    async with feeding(host, freshness=0.0) as fed:
        found = await asyncio.gather(*(fed.one("a") for _ in range(20)))
        assert [stats.cpu_percent for stats in found] == [0.0] * 20


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
            assert (stats.state, stats.memory_limit_bytes) == (State.EXITED, 64 << 20)
            assert (stats.cpu_percent, stats.memory_usage_bytes) == (0.0, 0)
        else:
            with pytest.raises(NotFound):
                await fed.one("a")


async def test_a_container_that_goes_during_a_round_is_left_out_quietly(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = Container.second_cpu

    def second_cpu(container: Container, *more: Any) -> Any:
        if container.identity.name == "b":
            raise CgroupGone(container.ref.path)
        return original(container, *more)

    monkeypatch.setattr(Container, "second_cpu", second_cpu)
    async with feeding(host) as fed:
        assert await names_of(fed) == ["a", "c"]
        assert caplog.records == []


async def test_a_stopped_container_has_zeros_and_its_configured_limit(host: FakeHost) -> None:
    host.on_disk("old", limit=128 << 20)
    async with feeding(host) as fed:
        stats = await fed.one("old")
        assert stats[2:8] == (0.0, 0, 0, 128 << 20, 0, 0)
        assert await names_of(fed) == ["a", "b", "c"]


async def test_names_prefixes_and_what_fits_nothing(host: FakeHost) -> None:
    async with feeding(host, freshness=60) as fed:
        whole = container_id("a")
        for wanted in (whole, "a", whole[:12], whole[:5], "docker:a", f"docker:{whole[:8]}"):
            assert (await fed.one(wanted)).identity.id == whole
        for wanted in ("nobody", whole + "0", whole[1:], "podman:a", "A", ":", "docker:", ":a"):
            with pytest.raises(NotFound):
                await fed.one(wanted)


async def test_a_prefix_of_several_is_ambiguous_and_names_them(tmp_path: Path) -> None:
    host, by_digit = FakeHost(tmp_path), dict[str, list[str]]()
    for n in range(40):
        by_digit.setdefault(container_id(f"n{n}")[0], []).append(f"n{n}")
    digit, names = next((d, found) for d, found in sorted(by_digit.items()) if len(found) > 1 and d.isdigit())
    for name in names:
        host.add(name)
    async with feeding(host) as fed:
        with pytest.raises(Ambiguous) as caught:
            await fed.one(digit)
        assert all(f"docker:{name} ({container_id(name)[:12]})" in str(caught.value) for name in names)


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


async def test_a_request_that_is_given_up_leaves_nothing_behind(
    host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def test_without_requests_only_cpu_time_is_read(host: FakeHost, hang: Hang) -> None:
    async with feeding(host, baseline=0.1) as fed:
        await until(lambda: len(hang.baselines) >= 9)
        assert hang.reads == [] and hang.seconds == [] and fed.passes == 0


async def test_baseline_0_reads_nothing(host: FakeHost, hang: Hang) -> None:
    async with feeding(host, baseline=0.0):
        await asyncio.sleep(0.3)
        assert hang.baselines == [] and hang.listings == 0


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
        assert fed.last_pass is not None
        fed.last_pass.began -= 1801  # half of the time between two ago
        fed.retime(**hour)
        await until(lambda: len(hang.baselines) == 6)


@pytest.mark.parametrize(("regular", "baselines"), [(0.0, 3), (1000.0, 0), (1001.0, 3)])
async def test_passes_that_are_made_anyway_are_the_baseline(
    host: FakeHost, hang: Hang, regular: float, baselines: int
) -> None:
    async with feeding(host, baseline=1000.0) as fed:
        await until(lambda: len(hang.baselines) == 3)
        await names_of(fed)
        fed.regular_seconds = regular
        assert fed.last_pass is not None
        fed.last_pass.began -= 700.0  # more than half of the baseline, less than one and a half
        fed._tick()
        await fed.each(lambda _: None, [1])  # behind the baseline, which is as long a job
        assert len(hang.baselines) == 3 + baselines


async def test_an_unexpected_error_in_the_baseline_is_not_lost(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def read_cpu(container: Container) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Container, "read_cpu", read_cpu)
    async with feeding(host, baseline=60) as fed:
        await until(lambda: "a bug" in caplog.text)
        assert await names_of(fed) == ["a", "b", "c"]


async def test_a_baseline_whose_listing_fails_is_tried_again(
    host: FakeHost, hang: Hang, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refresh(discovery: Discovery) -> Any:
        raise PermissionError(13, "Permission denied", "/sys/fs/cgroup")

    with monkeypatch.context() as broken:
        broken.setattr(Discovery, "refresh", refresh)
        async with feeding(host, baseline=0.05):
            await until(lambda: "baseline: cannot list the containers" in caplog.text)
            broken.undo()
            await until(lambda: "a" in hang.baselines)


# -- the end


async def test_stop_ends_a_round_with_what_it_has(host: FakeHost, hang: Hang, endless: None) -> None:
    async with feeding(host) as fed:
        await names_of(fed)
        await asyncio.sleep(0.6)
        hang.names.add("b")
        waiting = asyncio.create_task(names_of(fed))
        await until(lambda: len(hang.reads) == 6)
        await until(lambda: fed.last_pass is not None and len(fed.last_pass.stats) == 2)
        fed.stop()
        assert await waiting == ["a", "c"]


@pytest.mark.parametrize("after", [0.0, 0.05], ids=["at once", "between the two readings"])
async def test_stop_ends_a_request_for_one_container(host: FakeHost, after: float) -> None:
    async with feeding(host) as fed:
        task = asyncio.create_task(fed.one("a"))
        await asyncio.sleep(after)
        fed.stop()
        with pytest.raises(ReadingFailed, match="stopping"):
            await task


async def test_what_comes_after_stop_ends_at_once(host: FakeHost) -> None:
    async with feeding(host) as fed:
        fed.stop()
        with pytest.raises(ListingFailed, match="stopping"):
            await fed.round().wait()
        with pytest.raises(ReadingFailed, match="stopping"):
            await fed.one("a")


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
        clock = SimpleNamespace(**vars(time) | {"monotonic": lambda: self._now})
        for module in (job, patience, sampling_worker):
            monkeypatch.setattr(module, "time", clock)

    def go_on(self, seconds: float) -> None:
        """In the sampling thread: compute for so long, as on a host that has little time for the agent."""
        for _ in range(round(seconds / sampling_worker.CHECK_SECONDS)):
            until = time.thread_time() + sampling_worker.CHECK_SECONDS / 2
            while time.thread_time() < until:
                sum(range(1000))
            self._now += sampling_worker.CHECK_SECONDS
            self._looked.clear()
            self._looked.wait()


@pytest.fixture
def computed(quick: None, monkeypatch: pytest.MonkeyPatch) -> Computed:
    return Computed(monkeypatch)


async def test_what_computes_is_waited_for_however_long_it_takes(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, computed: Computed
) -> None:
    monkeypatch.setattr(reading_pass, "CONTAINER_SECONDS", 0.2)
    async with feeding(host) as fed:

        def long() -> str:
            computed.go_on(0.5)
            return "done"

        assert [*await asyncio.gather(fed.run(long), fed.run(lambda: "next"))] == ["done", "next"]


async def test_a_listing_that_computes_is_waited_for_however_long_it_takes(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, computed: Computed
) -> None:
    for module in (registry, reading_pass):
        monkeypatch.setattr(module, "LISTING_SECONDS", 0.1)
    refresh = Discovery.refresh

    def long(self: Discovery) -> Any:
        computed.go_on(0.3)
        return refresh(self)

    monkeypatch.setattr(Discovery, "refresh", long)
    async with feeding(host) as fed:
        found, one = await asyncio.gather(names_of(fed), fed.one(container_id("a")))
        assert (found, one.identity.name) == (["a", "b", "c"], "a")

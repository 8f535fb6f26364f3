"""What the history says of any window is what the files said, and what it cannot know it says is unknown."""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cgroupfs import CounterReader, Directory
from cgstatd.feed.cpu_budget import CpuBudget
from cgstatd.feed.history import gaps
from cgstatd.feed.history.memory import Memory
from cgstatd.feed.history.recorder import FIRST_SECONDS, Recorder
from cgstatd.feed.history.rows import Who, best_fit
from cgstatd.feed.history.short_lines import FIGURES, most_points
from cgstatd.feed.history.steps import grid
from cgstatd.feed.history.steps_reading import Asked
from cgstatd.outputs.history_types import ContainerHistory
from cgstatd.sampling import pass_work
from cgstatd.sampling.history_model import Subject
from cgstatd.sampling.lookup import Ambiguous, NotFound
from cgstatd.sampling.pressure.found import Found, Waiting
from cgstatd.sampling.registry import ListingFailed
from cgstatd.sampling.sampler import Sampler
from fakehost import FakeHost, Hang, container_id, no_thread_left
from kepthistory import BEGAN_MS, Kept, keeping, life, sample, taken

ALL = Asked(None, None, 10)
STARTED_MS = 1_795_604_200_719
"""As the engine's state of a made-up host says."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pass_work, "CPU_WINDOW_SECONDS", 0.0)
    with no_thread_left():
        yield


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    host.add("web", usage_usec=1_000_000)
    return host


def point(number: int) -> int:
    """The wall clock of a point of the grid."""
    return BEGAN_MS + 10_000 * number


def at(answer: Any, name: str, number: int, what: str = "mean") -> float | None:
    """A figure of the step that ends with a point of the grid."""
    found: float | None = getattr(answer.figures[name], what)[answer.timestamps.index(point(number))]
    return found


async def test_a_wait_is_marked_when_it_begins_and_when_it_is_over_with_how_long_it_was(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        (web,) = kept.memory.living
        kept.times.on(3)

        def looked(*causes: str) -> None:
            waits = [(Waiting(web, "cpu", cause), None) for cause in causes]
            kept.memory.looked(Found(waits, 1.5, 15.5, kept.times.monotonic_ns, kept.times.time_ms))

        looked("own_limit")
        await kept.point(7)
        begun = (await kept.history.container("web", ALL)).marks
        assert [(each.event, each.resource, each.cause, each.seconds) for each in begun if each.event != "start"] == [
            ("pressure", "cpu", "own_limit", None)
        ]
        looked("own_limit", "neighbours")
        for _ in range(7):
            await kept.point(10)
        answer = await kept.history.container("web", ALL)
        waits = [each for each in answer.marks if each.event == "pressure"]
        assert [(each.cause, each.seconds, each.timestamp - BEGAN_MS) for each in waits] == [
            ("own_limit", None, 3000), ("neighbours", None, 10_000), ("own_limit", 8.5, 10_000),
            ("neighbours", 1.5, 10_000),
        ]  # fmt: skip


async def test_how_much_a_quota_throttles_is_a_figure_and_takes_no_file_of_those_without_one(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, content = list[str](), Directory.content

    def noting(directory: Directory, name: str) -> object:
        read.append(f"{directory.path.rpartition('/')[2]}/{name}")
        return content(directory, name)

    host.add("free")
    (host.scope("web") / "cpu.max").write_text("50000 100000\n")
    (host.scope("free") / "cpu.max").write_text("max 100000\n")

    def throttle(number: int) -> None:
        text = f"usage_usec {number}\nnr_periods {number}\nnr_throttled 1\nthrottled_usec {number * 4_000_000}\n"
        for name in ("web", "free"):
            (host.scope(name) / "cpu.stat").write_text(text)

    async with keeping(host, monkeypatch) as kept:
        throttle(0)
        await kept.point()
        monkeypatch.setattr(Directory, "content", noting)
        for number in range(1, 6):
            throttle(number)
            await kept.point(10)
        web, free = [await kept.history.container(name, ALL) for name in ("web", "free")]
        assert at(web, "throttledRate", 3) == 0.4 and at(free, "throttledRate", 3) is None
        assert web.last is not None and web.last.cpu_throttled_nsec == 20 * 10**9
        quotas = [each for each in read if each.endswith("cpu.max")]
        assert quotas == [f"{host.scope('web').name}/cpu.max"] * 5
        for number in range(6, 9):
            throttle(number)
            await kept.point(10)
        assert f"{host.scope('free').name}/cpu.max" in read  # a quota may have been set since


def probed(host: FakeHost, name: str, status: str) -> None:
    """What Docker's file says of its health check, whose next probe is far away."""
    health = {"Status": status, "FailingStreak": 0, "Log": []}
    host.config(name, State={"Health": health}, Config={"Healthcheck": {"Interval": 10**18}})


async def test_a_change_of_health_is_a_mark(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    probed(host, "web", "starting")
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        await kept.point(10)
        assert "health" not in [each.event for each in (await kept.history.container("web", ALL)).marks]
        for status in ("healthy", "healthy", "unhealthy"):
            probed(host, "web", status)
            for each in kept.sampler.containers():
                each.due_ns = 0  # its state is looked at again
            await kept.point(10)
        marks = (await kept.history.container("web", ALL)).marks
        assert [each.health for each in marks if each.event == "health"] == ["healthy", "unhealthy"]
        await kept.point(10)  # a mark is of the round behind it
        page = [json.loads(line) for line in await kept.history.page(-1, False, 100)]
        marked = [mark for line in page[1:] for mark in line["marks"] if mark["event"] == "health"]
        assert [mark["health"] for mark in marked] == ["healthy", "unhealthy"]


def reason(answer: Any, number: int) -> str | None:
    return next((gap.reason for gap in answer.gaps if gap.since <= point(number) <= gap.until), None)


def events(answer: ContainerHistory) -> list[str]:
    return [mark.event for mark in answer.marks]


async def pages(kept: Kept, cursor: str = "", limit: int = 1000) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    place = kept.history.after(cursor)
    assert place is not None
    head, *rounds = [msgspec.json.decode(line) for line in await kept.history.page(*place, limit)]
    return head, rounds


# -- the truth


async def test_short_lines_are_the_differences_of_the_files(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch) as kept:
        usage = [1_000_000]
        for number in range(50):
            if number == 20:
                host.add("new", usage_usec=5)
            if number == 40:
                host.remove("new", from_disk=True)
            await kept.point()
            kept.times.on(10)
            usage.append(usage[-1] + 1000 * number)
            host.burn("web", usage[-1])
        kept.times.on(-10)
        found = msgspec.json.decode(await kept.history.lines(None, 60.0, FIGURES))
        [web] = found["containers"]  # without the one that is gone
        assert web["name"] == "web" and found["step"] == 60 and found["until"] - found["since"] == 60_000 * 8
        ends = [(time - BEGAN_MS) // 10_000 for time in found["timestamps"]]
        for end, before, value in zip(ends[1:], ends, web["figures"]["cpuPercent"][1:], strict=False):
            last = min(end, 49)
            assert value == pytest.approx((usage[last] - usage[before]) / ((last - before) * 1e5), abs=0.006)
        fine = msgspec.json.decode(await kept.history.lines(point(0), 0.1, ["memoryUsage"]))
        assert fine["step"] == 10 and fine["containers"][0]["figures"] == {"memoryUsage": [float(2 << 20)] * 50}


async def test_all_who_ask_for_the_same_lines_share_them_until_the_next_round(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        first = await kept.history.lines(None, 60.0, FIGURES)
        assert await kept.history.lines(None, 60.0, FIGURES) is first
        await kept.point(10)
        assert await kept.history.lines(None, 60.0, FIGURES) is not first


def test_an_answer_has_so_many_values_whatever_the_host() -> None:
    assert most_points(100, 6) == 120 and most_points(0, 6) == 120
    assert most_points(5000, 6) * 5000 * 6 <= 500_000 and most_points(1_000_000, 6) == 2


async def test_a_rate_over_any_window_is_the_difference_of_the_files(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    async with keeping(host, monkeypatch) as kept:
        said: list[tuple[int, int]] = []
        usage, read = 1_000_000, 4096
        for number in range(70):
            said.append((usage, read))
            await kept.point()
            kept.times.on(10)
            usage, read = usage + chance.randrange(15_000_000), read + chance.randrange(1 << 30)
            host.burn("web", usage)
            host.set("web", "io.stat", f"8:0 rbytes={read} wbytes=8192 rios=1 wios=1 dbytes=0 dios=0\n")
            assert kept.memory.last == number
        for step in (1, 2, 6, 7):
            found = await kept.history.container("web", Asked(None, None, 10 * step))
            assert found.step == 10 * step
            for end in range(step, 70):
                if point(end) in found.timestamps:
                    grown = said[end][0] - said[end - step][0]
                    assert at(found, "cpuPercent", end) == pytest.approx(grown / (step * 1e5), abs=0.006)
                    usages = [each for each, _ in said[end - step : end + 1]]
                    largest = max(after - before for before, after in pairwise(usages))
                    assert at(found, "cpuPercent", end, "max") == pytest.approx(largest / 1e5, abs=0.006)
                    rate = (said[end][1] - said[end - step][1]) / (10 * step)
                    assert at(found, "blockReadRate", end) == pytest.approx(rate, abs=0.006)
        found = await kept.history.container("web", Asked(point(13), point(60), 10))
        assert found.first is not None and found.last is not None
        grown = (found.last.cpu_usage_nsec or 0) - (found.first.cpu_usage_nsec or 0)
        assert grown == 1000 * (said[60][0] - said[13][0])
        assert at(found, "cpuPercent", 13) == pytest.approx((said[13][0] - said[12][0]) / 1e5, abs=0.006)
        _, rounds = await pages(kept)
        assert [each["containers"][0]["cpuUsageNsec"] for each in rounds] == [1000 * usage for usage, _ in said]
        assert [each["containers"][0]["blockRead"] for each in rounds] == [read for _, read in said]


async def test_network_and_disk_are_divided_by_the_time_of_their_own_reading(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread has to wait for a processor after it read the CPU time, and again before the network."""
    traffic, io_whole, slow = Sampler.traffic, CounterReader._io_whole, [0.0]
    net_dev = host.path / f"proc/{(host.scope('web') / 'cgroup.procs').read_text().strip()}/net/dev"
    async with keeping(host, monkeypatch) as kept:

        def reading_io(reader: CounterReader) -> tuple[int, int]:
            kept.times.on(slow[0])
            return io_whole(reader)

        def reading_network(sampler: Sampler, *arguments: Any) -> Any:
            kept.times.on(slow[0])
            return traffic(sampler, *arguments)

        monkeypatch.setattr(CounterReader, "_io_whole", reading_io)
        monkeypatch.setattr(Sampler, "traffic", reading_network)
        for number, late in enumerate((0.0, 0.8, 0.0)):
            slow[0] = late
            block, network = ((10.0 * number + times * late) * 1e6 for times in (1, 2))
            host.set("web", "io.stat", f"8:0 rbytes={int(block)} wbytes=0 rios=1 wios=1 dbytes=0 dios=0\n")
            net_dev.write_text(re.sub(r"(eth0: +)\d+", rf"\g<1>{int(network)}", net_dev.read_text()))
            await kept.point()
            kept.times.on(10 - 2 * late)
        found = await kept.history.container("web", ALL)
        for name in ("blockReadRate", "networkRxRate"):
            known = [each for each in found.figures[name].mean if each is not None]
            assert known == [1e6, 1e6], name
        _, rounds = await pages(kept)
        [one] = rounds[1]["containers"]
        began = one["monotonicNsec"]
        assert [one[f"{name}MonotonicNsec"] - began for name in ("block", "network")] == [800_000_000, 1_600_000_000]


async def test_gauges_have_the_mean_and_the_largest(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch) as kept:
        sizes = [4 << 20, 9 << 20, 2 << 20, 5 << 20, 6 << 20, 4 << 20, 8 << 20, 8 << 20, 8 << 20]
        for size in sizes:
            host.set("web", "memory.current", f"{size}\n")
            await kept.point()
            kept.times.on(10)
        found = await kept.history.container("web", Asked(None, None, 30))
        whole = [n for n in range(2, 9) if point(n) in found.timestamps]
        assert whole
        for end in whole:
            those = sizes[end - 2 : end + 1]
            assert at(found, "memoryRaw", end) == pytest.approx(sum(those) / 3, abs=0.006)
            assert at(found, "memoryRaw", end, "max") == max(those)
            assert at(found, "memoryUsage", end, "max") == max(those) - (1 << 20)


async def test_memory_has_the_kernels_own_peak_between_two_rounds(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host.scope("web") / "memory.peak").write_text(f"{50 << 20}\n")
    async with keeping(host, monkeypatch) as kept:
        for number, peak in enumerate((50, 50, 90, 90)):
            host.set("web", "memory.peak", f"{peak << 20}\n")
            host.burn("web", 1_000_000 + number)
            await kept.point()
            kept.times.on(10)
        host.add("new")
        (host.scope("new") / "memory.peak").write_text(f"{70 << 20}\n")
        await kept.point()
        found = await kept.history.container("web", ALL)
        own = 3 << 20
        assert [at(found, "memoryRaw", number, "max") for number in range(4)] == [own, own, 90 << 20, own]
        assert {each for each in found.figures["memoryRaw"].mean if each is not None} == {own}
        assert at(await kept.history.container("new", ALL), "memoryRaw", 4, "max") == 70 << 20


async def test_what_a_client_saw_between_two_rounds_is_the_largest(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        usage = 1_000_000
        for second in range(1, 31):
            kept.times.on(1)
            usage += 900_000 if second == 13 else 100_000
            host.burn("web", usage)
            host.set("web", "memory.current", f"{(200 if second == 13 else 3) << 20}\n")
            if second >= 13:
                host.set("web", "io.stat", "8:0 rbytes=5000000 wbytes=0 rios=1 wios=1 dbytes=0 dios=0\n")
            await (kept.recorder.point() if second % 10 == 0 else kept.feed.round(0.0).wait())
        found = await kept.history.container("web", ALL)
        assert [at(found, "cpuPercent", number, "max") for number in (1, 2, 3)] == [10.0, 90.0, 10.0]
        assert [at(found, "cpuPercent", number) for number in (1, 2, 3)] == [10.0, 18.0, 10.0]
        for name, largest in (("memoryRaw", 200 << 20), ("memoryUsage", 199 << 20)):
            assert [at(found, name, number, "max") for number in (1, 2)] == [largest - (197 << 20), largest], name
        assert at(found, "blockReadRate", 2, "max") == pytest.approx(5e6, rel=0.2)
        assert at(found, "blockReadRate", 3, "max") == 0


async def test_the_host_in_steps(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        kept.host_used(100 + 500, 900 + 1500)
        await kept.point(10)
        found = await kept.history.host(ALL)
        assert at(found, "cpuPercent", 1) == 50.0  # a quarter of two cores
        assert at(found, "cpuPercent", 0) is None and reason(found, 0) is None
        assert (at(found, "load1", 1), at(found, "containers", 1)) == (1.5, 1)


async def test_what_the_kernel_does_not_say_is_null(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.scope("web") / "io.stat").unlink()
    (host.scope("web") / "pids.current").unlink()
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        await kept.point(10)
        found = await kept.history.container("web", ALL)
        assert at(found, "blockReadRate", 1) is None and at(found, "pids", 1) is None
        assert found.last is not None and (found.last.block_read, found.last.pids, found.last.oom_kills) == (None,) * 3
        assert at(found, "memoryRaw", 1) == 3 << 20


# -- lives


async def test_a_container_that_is_gone_has_its_marks(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        host.add("job")
        (host.scope("job") / "memory.events").write_text("oom 0\noom_kill 0\n")
        await kept.point(10)
        (host.scope("job") / "memory.events").write_text("oom 2\noom_kill 2\n")
        host.burn("job", 1_000_001)  # what is killed runs to its end
        await kept.point(10)
        host.remove("job", from_disk=True)
        await kept.point(10)
        await kept.point(10)
        for wanted in ("job", container_id("job"), container_id("job")[:9]):
            found = await kept.history.container(wanted, ALL)
            assert found.id == container_id("job") and events(found) == ["start", "oom", "exit"]
            assert found.marks[1].kills == 2
        assert [reason(found, number) for number in range(5)] == [
            gaps.NO_CONTAINER, None, None, gaps.STOPPED, gaps.STOPPED
        ]  # fmt: skip
        with pytest.raises(NotFound):
            await kept.history.container("nothing", ALL)


def test_a_name_is_found_by_an_index_however_many_ended() -> None:
    memory = Memory(100, 10)
    many = [life(number, 1000 + number % 3) for number in range(300)]
    for number in range(3):
        some, before = many[100 * number : 100 * number + 100], many[100 * number - 100 : 100 * number]
        memory.add(number, taken(number, {each: sample(number) for each in some}, before), 0)
    connection, plans = memory.reader(), list[str]()
    connection.set_trace_callback(plans.append)
    for wanted in ("nothing", "f" * 64, "0" * 60 + "bb7"):
        assert best_fit(connection, wanted) is None
    with pytest.raises(Ambiguous, match="300 containers"):
        best_fit(connection, "0" * 40)
    connection.set_trace_callback(None)
    for statement in plans:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        assert "SEARCH lives USING" in plan[0][-1], plan


def test_the_latest_with_a_name_is_meant_and_the_systems_first() -> None:
    memory, one, two, users = Memory(5, 10), life(1), life(2), life(3, 1000)
    connection = memory.reader()

    def newest(wanted: str) -> Who | None:
        found = best_fit(connection, wanted, memory.first)
        return None if found is None else found.who

    memory.add(0, taken(0, {one: None, two: None, users: None}), 0)
    memory.add(1, taken(1, {two: None, users: None}, [one]), 0)
    assert newest("web") == two[:3]
    memory.add(2, taken(2, {users: None}, [two]), 0)
    assert newest("web") == two[:3] and newest("0" * 60) == two[:3]
    listed = {users: Subject("db", None, None)}
    memory.add(3, taken(3, {users: None})._replace(listed=listed), 0)
    assert newest("db") == users[:3] and newest(users.id) == users[:3]
    for number in range(4, 10):
        memory.add(number, taken(number, {users: None})._replace(listed=listed), 0)
    assert newest("web") is None and newest("0" * 60) == users[:3]


async def test_answers_are_encoded_where_they_were_computed(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set[int]()

    def encoding(answer: Any) -> bytes:
        threads.add(threading.get_ident())
        return msgspec.json.encode(answer)

    monkeypatch.setattr("cgstatd.feed.history.reading.encode", encoding)
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        for answer in (await kept.history.host(ALL), await kept.history.container("web", ALL)):
            assert msgspec.json.decode(await kept.history.encoded(answer))["interval"] == 10
        assert threads and threading.get_ident() not in threads


async def test_counters_begin_anew_with_each_life(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        await kept.point(10)
        host.recreate("web", usage_usec=90_000_000)  # more than before: it is no fall that tells
        await kept.point(10)
        host.burn("web", 95_000_000)
        await kept.point(10)
        found = await kept.history.container("web", ALL)
        assert [at(found, "cpuPercent", number) for number in range(4)] == [None, 0.0, None, 50.0]
        assert sorted(events(found)) == ["exit", "start"]
        _, rounds = await pages(kept)
        lives = [each["life"] for line in rounds for each in line["containers"]]
        assert lives[0] == lives[1] != lives[2] == lives[3]


async def test_a_container_that_is_only_on_disk_has_a_history_without_figures(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.on_disk("stopped")
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        found = await kept.history.container("stopped", ALL)
        assert (found.id, found.first, reason(found, 0)) == (container_id("stopped"), None, gaps.NO_CONTAINER)


async def test_a_container_that_cannot_be_read_is_not_gone(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        content = (host.scope("web") / "memory.current").read_text()
        host.set("web", "memory.current", "no number\n")
        await kept.point(10)
        host.set("web", "memory.current", content)
        await kept.point(10)
        found = await kept.history.container("web", ALL)
        assert [reason(found, number) for number in range(3)] == [None, gaps.UNREAD, None]
        assert events(found) == []


# -- gaps


async def test_points_without_a_round_say_why(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    containers = Sampler.containers

    def fail(sampler: Sampler, hurry: bool = False) -> Any:
        raise ListingFailed("no")

    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        monkeypatch.setattr(Sampler, "containers", fail)
        await kept.point(10)
        monkeypatch.setattr(Sampler, "containers", containers)
        await kept.point(10)  # 2
        with monkeypatch.context() as patch:
            patch.setattr(CpuBudget, "interval_seconds", property(lambda _: 1000.0))
            await kept.point(10)
        await kept.point(10)  # 4
        await kept.point(20)  # 6
        kept.times.on(30, asleep=True)
        await kept.point(10)
        found = await kept.history.host(ALL)
        known = [reason(found, number) for number in range(7 + 3 + 1)]
        words = gaps.WORDS
        assert known[:7] == [None, words[gaps.Gap.FAILED], None, words[gaps.Gap.RESTRAINED], None,
                             words[gaps.Gap.BUSY], None]  # fmt: skip
        assert known[7:] == [words[gaps.Gap.ASLEEP]] * 3 + [None]
        _, rounds = await pages(kept)
        assert [(each["round"], each["gap"]) for each in rounds] == [
            (0, None), (2, words[gaps.Gap.FAILED]), (4, words[gaps.Gap.RESTRAINED]), (6, words[gaps.Gap.BUSY]),
            (7, words[gaps.Gap.ASLEEP]),
        ]  # fmt: skip
        found = await kept.history.host(Asked(0, None, 10))
        assert found.gaps[0].reason == gaps.BEFORE and found.since >= point(0) - 3_600_000


async def test_a_run_whose_first_rounds_failed_says_why_they_are_missing(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(sampler: Sampler, hurry: bool = False) -> Any:
        raise ListingFailed("no")

    async with keeping(host, monkeypatch) as kept:
        with monkeypatch.context() as patch:
            patch.setattr(Sampler, "containers", fail)
            await kept.point()
        await kept.point(10)
        _, rounds = await pages(kept)
        assert [(each["round"], each["gap"]) for each in rounds] == [(1, gaps.WORDS[gaps.Gap.FAILED])]


@pytest.mark.parametrize("late", [0.4, 0.95, 1.2, 1.9])
async def test_a_number_that_is_left_out_has_a_reason_however_late_the_rounds_around_it_were(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, late: float
) -> None:
    async with keeping(host, monkeypatch) as kept:
        take, slow = kept.recorder._work.take, [10 * late]

        def taking(*arguments: Any) -> Any:
            if kept.memory.last == 0 and slow:
                kept.times.on(slow.pop())  # the reading of round 1
            return take(*arguments)

        monkeypatch.setattr(kept.recorder._work, "take", taking)
        await kept.point()
        await kept.point(10)
        behind = 10 * (late - int(late))
        await kept.point(10 - behind)  # the next point of the grid
        await kept.point(10)
        _, rounds = await pages(kept)
        numbers = [each["round"] for each in rounds]
        assert numbers == [0, 1, 2 + int(late), 3 + int(late)]
        assert [each["gap"] for each in rounds] == [
            None, None, gaps.WORDS[gaps.Gap.BUSY] if int(late) else None, None
        ]  # fmt: skip


async def test_a_clock_that_was_set_moves_no_round_against_the_others(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        for seconds in (-3600, 86_400):
            kept.times.time_ms += seconds * 1000
            await kept.point(10)
        found = await kept.history.host(ALL)
        moved = 82_800_000
        assert [time - moved for time in found.timestamps[-3:]] == [point(0), point(1), point(2)]
        assert all(each is not None for each in found.figures["load1"].mean[-3:])
        _, rounds = await pages(kept)
        assert [each["timestamp"] - moved for each in rounds] == [point(0), point(1), point(2)]
        kept.times.time_ms += 300  # clocks that were not read at the same instant: nothing was set
        assert (await pages(kept))[1][-1]["timestamp"] == rounds[-1]["timestamp"]


@pytest.mark.parametrize("set_by", [-3_600_000, 86_400_000])
async def test_a_clock_that_was_set_moves_no_mark_against_the_rounds(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, set_by: int
) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        host.add("job")
        await kept.point(10)
        host.remove("job", from_disk=True)
        await kept.point(10)
        before = (await kept.history.container("job", ALL)).marks
        assert [each.event for each in before] == ["start", "exit"]
        kept.times.time_ms += set_by
        after = (await kept.history.container("job", ALL)).marks
        assert [each.timestamp for each in after] == [each.timestamp + set_by for each in before]
        _, rounds = await pages(kept)
        marked = [each["timestamp"] for line in rounds for each in line["marks"]]
        assert marked == [each.timestamp for each in after]


async def test_a_point_has_one_round(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        first = kept.feed.read_all_at
        await kept.point(3)
        assert first is not None and (kept.memory.last, kept.feed.read_all_at) == (0, first)


async def test_a_round_that_no_client_asked_for_needs_no_pass_and_is_a_base_of_first_answers(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        assert (kept.memory.last, kept.feed.passes) == (0, 0)
        kept.times.on(5)
        host.burn("web", 3_500_000)
        [found] = [each for each in await kept.feed.round(0.0).wait() if each.identity.name == "web"]
        assert found.cpu_percent == 50.0


async def test_the_first_round_gives_way_to_whoever_waits_for_a_first_answer(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch) as kept:
        slept: list[float] = []
        may_go_on = asyncio.Event()

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            await may_go_on.wait()
            may_go_on.clear()

        recorder = Recorder(kept.feed, kept.memory, now=kept.times.now, sleep=sleep)
        recorder.start()
        for wanted in [FIRST_SECONDS], [FIRST_SECONDS, 10.0]:
            async with asyncio.timeout(60):
                while slept != wanted:
                    await asyncio.sleep(0)
            assert kept.memory.last == len(wanted) - 2, "the first round comes after the first pause"
            may_go_on.set()
        recorder.stop()


async def test_rounds_that_nobody_asks_for_keep_to_the_bound_of_cpu_time_though_they_be_a_minute_apart(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of readings that take 0.3 s each ten seconds 1 % of a core was no bound: 10 s apart was the most."""
    async with keeping(host, monkeypatch) as kept:
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        kept.feed.cpu_budget.percent = 1.0
        made: list[float] = []
        for _ in range(19):
            kept.recorder._job = None
            kept.recorder._own_budget.spent(0.3)
            before = kept.memory.last
            await kept.point(10)
            kept.feed.read_all_at = now[0] if kept.memory.last > before else kept.feed.read_all_at
            made += [now[0]] * (kept.memory.last > before)
            now[0] += 10.0
        assert made[3:] and all(each - last >= 30.0 for last, each in pairwise(made[2:]))


async def test_a_pass_that_a_client_asked_for_is_taken_over(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch) as kept:
        monkeypatch.setattr("cgstatd.feed.history.recorder._SHARED_SECONDS", 1000.0)
        monkeypatch.setattr(CpuBudget, "interval_seconds", property(lambda _: 1000.0))
        await kept.feed.round(1000.0).wait()
        await kept.point()
        assert (kept.memory.last, kept.feed.passes) == (0, 1)


async def test_of_a_container_in_which_nothing_runs_the_rest_is_read_once_a_minute(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        host.set("web", "pids.current", "7\n")
        host.set("web", "memory.stat", "inactive_file 4096\n")
        for _ in range(7):
            await kept.point(10)
        host.set("web", "pids.current", "8\n")
        host.burn("web", 1_000_001)
        await kept.point(10)
        host.set("web", "pids.current", "9\n")
        host.set("web", "memory.current", "8192\n")
        await kept.point(10)
        _, rounds = await pages(kept)
        found = [each["containers"][0] for each in rounds]
        assert [each["pids"] for each in found] == [1, 1, 1, 1, 1, 1, 7, 7, 8, 9]
        assert [each["memoryCache"] for each in found] == [1 << 20] * 6 + [4096] * 4


async def test_a_container_that_hangs_costs_its_own_row_and_no_other(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.add("db")
    hang = Hang(monkeypatch)
    async with keeping(host, monkeypatch) as kept:
        for half in ("traffic", "counters"):  # the one that does not hang
            hang.passed = half
            hang.names.add("web")
            await kept.point(10)
            _, rounds = await pages(kept)
            assert [each["name"] for each in rounds[-1]["containers"]] == ["db"]
            hang.release()
            while kept.feed.sampling_thread.stuck:
                await asyncio.sleep(0.001)
            hang.hold()
        hang.release()
        await kept.point(10)
        _, rounds = await pages(kept)
        assert {each["name"] for each in rounds[-1]["containers"]} == {"db", "web"}


# -- round by round


async def test_a_cursor_gets_every_round_once_and_in_order(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch, rounds=50) as kept:
        cursor, had = "", list[int]()
        for number in range(40):
            await kept.point(10 if number else 0)
            if number % 7 == 0:
                caught_up = False
                while not caught_up:
                    head, rounds = await pages(kept, cursor, limit=3)
                    assert head["truncated"] is False
                    had += [each["round"] for each in rounds]
                    cursor = rounds[-1]["cursor"] if rounds else cursor
                    caught_up = cursor == head["latest"]
        assert had == list(range(36))
        assert (await pages(kept, cursor, limit=100))[1][0]["round"] == 36


async def test_a_cursor_that_is_left_behind_is_told_so(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch, rounds=5) as kept:
        await kept.point()
        cursor = (await pages(kept))[1][0]["cursor"]
        for _ in range(5):
            await kept.point(10)
        assert (await pages(kept, cursor))[0]["truncated"] is False  # the ring has 1 to 5
        await kept.point(10)
        head, rounds = await pages(kept, cursor)
        assert head["truncated"] is True and [each["round"] for each in rounds] == [2, 3, 4, 5, 6]
        assert [each["gap"] for each in rounds] == [gaps.NO_LONGER, None, None, None, None]  # there is no disk
        head, rounds = await pages(kept, "0123abcd-3")  # of another run of the agent
        assert head["truncated"] is True and len(rounds) == 5
        assert (await pages(kept, head["latest"]))[1] == []


async def test_it_says_how_far_back_the_rounds_go_that_there_are(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch, rounds=5) as kept:
        said = [kept.history.reached_seconds()]
        for number in range(8):
            await kept.point(10 if number else 0)
            kept.times.time_ms += 86_400_000  # a clock that is set
            said.append(kept.history.reached_seconds())
        assert said == [0, 0, 10, 20, 30, 40, 40, 40, 40]


async def test_before_the_first_round_there_is_nothing(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch) as kept:
        head, rounds = await pages(kept)
        assert (head["latest"], rounds) == (None, [])
        found = await kept.history.container("web", ALL)
        assert {gap.reason for gap in found.gaps} <= {gaps.BEFORE, gaps.NOT_YET}


async def test_a_page_ends_where_it_is_long_enough(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgstatd.feed.history.rounds_reading.PAGE_BYTES", 2000)
    async with keeping(host, monkeypatch) as kept:
        for _ in range(10):
            await kept.point(10)
        _, rounds = await pages(kept)
        assert 1 <= len(rounds) < 5


@pytest.mark.parametrize("cursor", ["x", "0-", "0-1x", "g-1", "0-" + "1" * 13, "0" * 17 + "-1", "0-1\n", "0-\u0661"])
async def test_what_is_no_cursor_is_none(host: FakeHost, monkeypatch: pytest.MonkeyPatch, cursor: str) -> None:
    async with keeping(host, monkeypatch) as kept:
        assert kept.history.after(cursor) is None


# -- steps


@pytest.mark.parametrize("step", [0.1, 10, 15, 60, 86_400])
@pytest.mark.parametrize(("since", "until"), [(0, 0), (5, 3_600_000), (9_999, 10_001), (123_456, 86_400_000)])
def test_steps_cover_what_was_asked_for_and_each_time_is_in_one(step: float, since: int, until: int) -> None:
    found = grid(10_000, 70_003, since, until, step)
    times = found.timestamps
    assert len(times) <= 2002 and found.step_ms % 10_000 == 0
    assert times[0] - found.step_ms < since <= times[0] and times[-1] >= until
    for number, stamp in enumerate(times):
        assert stamp % 10_000 == 3
        assert [found.step_of(stamp + each) for each in (-4_999, 0, 5_000)] == [number] * 3


async def test_a_life_that_no_round_has_seen_is_found_and_has_its_marks(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        host.add("job")
        kept.times.on(3)
        kept.look()
        host.remove("job", from_disk=True)
        kept.times.on(1)
        kept.look()
        for more in (0, 6, 10):  # also before the next round
            await kept.point(more)
            for wanted in ("job", container_id("job"), container_id("job")[:9]):
                found = await kept.history.container(wanted, ALL)
                assert found.id == container_id("job") and found.name == "job"
                told = [(each.event, each.timestamp - BEGAN_MS) for each in found.marks]
                assert told == [("start", STARTED_MS - BEGAN_MS), ("exit", 4000)]
        assert [reason(found, number) for number in range(3)] == [gaps.NO_CONTAINER, gaps.STOPPED, gaps.STOPPED]
        _, rounds = await pages(kept)
        assert [[mark["event"] for mark in line["marks"]] for line in rounds] == [[], ["start", "exit"], []]


EARLIER, LATER = "2026-11-25T10:56:41Z", "2026-11-25T10:57:00Z"


def written(host: FakeHost, name: str, created: str = "", **state: object) -> None:
    """What the engine's state says of a container."""
    host.on_disk(name)
    host.config(name, State=state, **({"Created": created} if created else {}))


async def test_between_two_lives_a_restarting_container_is_restarting(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        host.remove("web")
        written(host, "web", Running=True, Restarting=True, ExitCode=1, FinishedAt=EARLIER)
        await kept.point(10)
        await kept.point(10)
        found = await kept.history.container("web", ALL)
        assert [(each.event, each.exit_code, each.restarting) for each in found.marks] == [("exit", 1, True)]
        assert [reason(found, number) for number in range(3)] == [None, gaps.RESTARTING, gaps.RESTARTING]
        host.add("web")
        await kept.point(10)
        host.remove("web")
        written(host, "web", ExitCode=0, FinishedAt=LATER)
        await kept.point(10)
        found = await kept.history.container("web", ALL)
        assert events(found) == ["exit", "start", "exit"] and reason(found, 4) == gaps.STOPPED


async def test_one_that_was_there_before_its_first_mark_did_not_run(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(host, "stopped", EARLIER)
    written(host, "restarting", EARLIER, Running=True, Restarting=True)
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        for name, said in (("stopped", gaps.STOPPED), ("restarting", gaps.RESTARTING)):
            assert reason(await kept.history.container(name, ALL), 0) == said


async def test_a_workload_that_is_there_is_answered_before_the_first_round(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch) as kept:
        found = await kept.history.workload("docker:web", ALL)
        assert (found.id, found.first) == (container_id("web"), None)
        with pytest.raises(NotFound):
            await kept.history.workload("docker:nothing", ALL)

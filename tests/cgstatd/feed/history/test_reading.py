"""What the history says of any window is what the files said, and what it cannot know it says is unknown."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cgstatd.feed.cpu_budget import CpuBudget
from cgstatd.feed.history import gaps, recorder
from cgstatd.feed.history.recorder import FIRST_SECONDS, Recorder
from cgstatd.feed.history.short_lines import FIGURES, most_points
from cgstatd.feed.history.steps import grid
from cgstatd.feed.history.steps_reading import Asked
from cgstatd.outputs.history_types import ContainerHistory
from cgstatd.sampling import pass_work
from cgstatd.sampling.lookup import NotFound
from cgstatd.sampling.registry import ListingFailed
from cgstatd.sampling.sampler import Sampler
from fakehost import FakeHost, Hang, container_id, no_thread_left
from kepthistory import BEGAN_MS, Kept, keeping

ALL = Asked(None, None, 10)


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
            assert kept.ring.last == number
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
            gaps.NO_CONTAINER, None, None, gaps.NO_CONTAINER, gaps.NO_CONTAINER
        ]  # fmt: skip
        with pytest.raises(NotFound):
            await kept.history.container("nothing", ALL)


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
        assert [each["timestamp"] - BEGAN_MS for each in rounds] == [0, 10_000 - 3_600_000, 20_000 + moved]


async def test_a_point_has_one_round(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        first = kept.feed.read_all_at
        await kept.point(3)
        assert first is not None and (kept.ring.last, kept.feed.read_all_at) == (0, first)


async def test_a_round_that_no_client_asked_for_needs_no_pass_and_is_a_base_of_first_answers(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with keeping(host, monkeypatch) as kept:
        await kept.point()
        assert (kept.ring.last, kept.feed.passes) == (0, 0)
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

        recorder = Recorder(kept.feed, kept.ring, kept.times.now, sleep)
        recorder.start()
        for wanted in [FIRST_SECONDS], [FIRST_SECONDS, 10.0]:
            async with asyncio.timeout(20):
                while slept != wanted:
                    await asyncio.sleep(0)
            assert kept.ring.last == len(wanted) - 2, "the first round comes after the first pause"
            may_go_on.set()
        recorder.stop()


async def test_rounds_that_nobody_asks_for_keep_to_the_bound_of_cpu_time_though_they_be_a_minute_apart(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of readings that take 0.3 s each ten seconds 1 % of a core was no bound: 10 s apart was the most."""
    async with keeping(host, monkeypatch) as kept:
        now = [1000.0]
        monkeypatch.setattr(recorder.time, "monotonic", lambda: now[0])
        kept.feed.cpu_budget.percent = 1.0
        made: list[float] = []
        for _ in range(19):
            kept.recorder._job = None
            kept.recorder._own_budget.spent(0.3)
            before = kept.ring.last
            await kept.point(10)
            kept.feed.read_all_at = now[0] if kept.ring.last > before else kept.feed.read_all_at
            made += [now[0]] * (kept.ring.last > before)
            now[0] += 10.0
        assert made[3:] and all(each - last >= 30.0 for last, each in pairwise(made[2:]))


async def test_a_pass_that_a_client_asked_for_is_taken_over(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async with keeping(host, monkeypatch) as kept:
        monkeypatch.setattr("cgstatd.feed.history.recorder._SHARED_SECONDS", 1000.0)
        monkeypatch.setattr(CpuBudget, "interval_seconds", property(lambda _: 1000.0))
        await kept.feed.round(1000.0).wait()
        await kept.point()
        assert (kept.ring.last, kept.feed.passes) == (0, 1)


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
        head, rounds = await pages(kept, "0123abcd-3")  # of another run of the agent
        assert head["truncated"] is True and len(rounds) == 5
        assert (await pages(kept, head["latest"]))[1] == []


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
    for number, time in enumerate(times):
        assert time % 10_000 == 3
        assert [found.step_of(time + each) for each in (-4_999, 0, 5_000)] == [number] * 3

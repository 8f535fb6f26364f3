"""The watch: asleep until a trigger fires, two looks, one event, a pause. Time and triggers are the test's."""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from cgstatd.feed.pressure.watch import (
    BETWEEN_SECONDS,
    COSTLIEST_SECONDS,
    FIRST_SECONDS,
    KEPT,
    LONGEST_IN_VAIN_SECONDS,
    LONGEST_SECONDS,
    OFF,
    PAUSE_SECONDS,
    PressureWatch,
)
from cgstatd.feed.shared_passes import Feed
from cgstatd.host.identity import Identity
from cgstatd.host.pressure_triggers import NOT_LIVE, Trigger, Triggers
from cgstatd.outputs.pressure_types import FollowPressure
from cgstatd.sampling.history_model import Life
from cgstatd.sampling.pressure.found import Found, Waiting
from cgstatd.sampling.pressure.verdict import Cause, Verdict
from cgstatd.sampling.reading_failed import ReadingFailed
from cgstatd.sampling.sampler import Sampler
from fakehost import FakeHost, container_id, no_thread_left

STALL = "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
WEB = container_id("web")


class World:
    """A host whose web has a quota, triggers that the test fires, and a clock that stands until it is moved."""

    def __init__(self, path: Path) -> None:
        self.host = FakeHost(path)
        self.host.add("web")
        self.host.add("db")
        self.usec = 0
        for name in ("web", "db"):
            (self.host.scope(name) / "cpu.pressure").write_text(STALL.format(0))
        (self.host.scope("web") / "cpu.max").write_text("50000 100000\n")
        self.throttle()
        self.feed = Feed(self.host.sampler(), freshness_seconds=0.5, baseline_seconds=0.0, max_cpu_percent=1.0)
        self.ends: list[int] = []
        self.opened: list[Trigger] = []
        self.told: list[FollowPressure] = []
        self.slept: list[float] = []
        self.absent: dict[str, str] = {}
        self.during: Callable[[], None] = self.throttle
        """What happens between the two looks."""
        self.at_first: Callable[[], None] = lambda: None
        """What happens while it does not listen yet."""
        self.paused = asyncio.Event()
        self.again = asyncio.Event()
        self.watch = PressureWatch(self.feed, self.told.append, opened=self.triggers, sleep=self.sleep)

    def throttle(self) -> None:
        self.usec += 900_000
        periods = self.usec // 100_000
        (self.host.scope("web") / "cpu.pressure").write_text(STALL.format(self.usec * 100))
        text = f"usage_usec 5\nnr_periods {periods}\nnr_throttled {periods}\nthrottled_usec {self.usec * 100}\n"
        (self.host.scope("web") / "cpu.stat").write_text(text)

    def triggers(self, _root: object) -> Triggers:
        found = Triggers([], self.absent)
        for resource in ("cpu", "memory", "io"):
            if resource not in self.absent:
                readable, writable = os.pipe()
                waits = select.epoll()
                waits.register(readable, select.EPOLLIN | select.EPOLLET)  # once with each event, as the kernel's
                found.open.append(Trigger(resource, readable, waits))
                self.ends.append(writable)
        self.opened = found.open
        return found

    def fire(self, resource: str) -> None:
        os.write(self.ends[[each.resource for each in self.opened].index(resource)], b"x")

    async def sleep(self, seconds: float) -> None:
        if seconds == FIRST_SECONDS:
            self.at_first()
            return
        self.slept.append(seconds)
        if seconds == BETWEEN_SECONDS:
            self.during()
            return
        self.again.clear()
        self.paused.set()
        await self.again.wait()

    async def begin(self) -> None:
        self.feed.start()
        self.watch.want(True)
        await self.until(lambda: bool(self.watch.facts().watched) or "starting" not in str(self.watch.facts().absent))

    async def round(self, *resources: str) -> float:
        """Fire; the pause that follows, which has ended."""
        self.paused.clear()
        for each in resources:
            self.fire(each)
        async with asyncio.timeout(60):
            await self.paused.wait()
        self.again.set()
        for _ in range(5):
            await asyncio.sleep(0)
        return self.slept[-1]

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not true():
                await asyncio.sleep(0.001)

    def close(self) -> None:
        self.watch.stop()
        self.feed.stop()
        for fd in self.ends:
            os.close(fd)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr("fakehost.LiveRoot.live", True, raising=False)
    with no_thread_left():
        made = World(tmp_path)
        yield made
        made.close()
        await asyncio.sleep(0)


@pytest.fixture
async def begun(world: World) -> World:
    """It listens."""
    await world.begin()
    return world


async def test_a_calm_host_is_not_looked_at_and_no_timer_runs(begun: World) -> None:
    for _ in range(100):
        await asyncio.sleep(0)
    assert (begun.slept, begun.told, begun.watch.looks) == ([], [], 0)
    loop: Any = asyncio.get_running_loop()
    until = time.monotonic() + 20
    while [each for each in loop._scheduled if not each.cancelled()]:  # the sampling thread is still looked after
        assert time.monotonic() < until
        await asyncio.sleep(0)
    assert begun.watch.facts() == (["cpu", "memory", "io"], {}, 0)


async def test_what_the_start_of_the_agent_itself_makes_wait_is_not_looked_at(world: World) -> None:
    world.at_first = lambda: world.fire("cpu")
    await world.begin()
    for _ in range(100):
        await asyncio.sleep(0)
    assert (world.watch.looks, world.watch.fires) == (0, {})
    await world.round("cpu")
    assert (world.watch.looks, world.watch.fires) == (1, {"cpu": 1})


async def test_when_a_trigger_fires_two_looks_tell_who_waits_and_why(begun: World) -> None:
    heard: list[Found] = []
    begun.watch._observers = (heard.append,)
    assert await begun.round("cpu") == PAUSE_SECONDS
    (event,), (found,) = begun.told, heard
    assert event.resources == ["cpu"] and event.more == 0 and event.valid_seconds > PAUSE_SECONDS
    (wait,) = event.waits
    assert (wait.id, wait.name, wait.resource, wait.cause, wait.limit) == (WEB, "web", "cpu", "own_limit", "cpu.max")
    assert begun.slept == [BETWEEN_SECONDS, PAUSE_SECONDS]
    assert begun.watch.waits == {WEB: {("cpu", "own_limit"): 1}}
    web = Life(0, "docker", WEB, begun.host.scope("web").stat().st_ino)
    assert found.waits == [(Waiting(web, "cpu", "own_limit", "cpu.max"), 1.0)], "the history hears it, too"
    assert (found.seconds, found.valid_seconds, found.time_ms) == (event.seconds, event.valid_seconds, event.timestamp)
    figures = begun.watch.figures()
    assert (figures.looks, figures.fires, figures.watched["io"]) == (1, {"cpu": 1}, True)


async def test_triggers_that_fire_together_share_a_look_and_where_none_waits_nothing_is_told(begun: World) -> None:
    await begun.round("cpu", "io")
    assert sorted(begun.told[0].resources) == ["cpu", "io"] and begun.watch.looks == 1
    begun.during = lambda: None
    await begun.round("cpu")
    assert (len(begun.told), begun.watch.looks) == (1, 2)


async def test_what_fires_during_the_looks_and_the_pause_is_forgotten(begun: World) -> None:

    def during() -> None:
        begun.throttle()
        begun.fire("cpu")

    begun.during = during
    await begun.round("cpu")
    for _ in range(100):
        await asyncio.sleep(0)
    assert begun.watch.looks == 1
    await begun.round("cpu")
    assert begun.watch.looks == 2


async def test_pressure_without_end_is_looked_at_more_and_more_rarely_until_something_changes(begun: World) -> None:
    pauses = [await begun.round("cpu") for _ in range(5)]
    assert pauses == [10.0, 20.0, 40.0, LONGEST_SECONDS, LONGEST_SECONDS]
    begun.during = lambda: None
    assert [await begun.round("cpu") for _ in range(2)] == [LONGEST_IN_VAIN_SECONDS] * 2
    assert begun.watch.waits == {WEB: {("cpu", "own_limit"): 5}}
    begun.during = begun.throttle  # again, as a few looks ago
    assert await begun.round("cpu") == LONGEST_SECONDS
    (begun.host.scope("web") / "cpu.max").write_text("max 100000\n")  # the same container, for another reason
    assert await begun.round("cpu") == PAUSE_SECONDS


async def test_looks_that_cost_much_are_further_apart(begun: World) -> None:
    looker: Any = begun.watch._looker
    begun.during = lambda: setattr(looker, "cpu_seconds", looker.cpu_seconds + 0.5)
    assert 50.0 <= await begun.round("cpu") <= 100.0  # 1 % of a core, and the looks' own cost
    begun.during = lambda: setattr(looker, "cpu_seconds", looker.cpu_seconds + 60)
    assert await begun.round("cpu") == COSTLIEST_SECONDS


async def test_a_look_that_fails_is_tried_again_after_the_pause(begun: World, monkeypatch: pytest.MonkeyPatch) -> None:

    def hangs(_sampler: Sampler) -> Any:
        raise ReadingFailed("hangs")

    monkeypatch.setattr(Sampler, "containers", hangs)
    await begun.round("cpu")
    assert begun.watch.looks == 0
    monkeypatch.undo()
    await begun.round("cpu")
    assert len(begun.told) == 1


async def test_a_container_that_hangs_does_not_keep_the_others_from_a_verdict(begun: World) -> None:
    hung = next(each for each in begun.feed.sampler.containers() if each.identity.name == "db")
    with hung.reading():
        await begun.round("cpu")
    assert [wait.name for wait in begun.told[0].waits] == ["web"]


async def test_stopping_closes_every_descriptor_and_it_can_begin_again(begun: World) -> None:
    first = list(begun.opened)
    begun.watch.want(False)
    assert all(each.waits.closed for each in first)
    for each in first:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(each.fd)
    assert begun.watch.facts().absent == dict.fromkeys(("cpu", "memory", "io"), OFF)
    for fd in begun.ends:
        os.close(fd)
    begun.ends = []
    begun.watch.want(True)
    await begun.until(lambda: begun.watch.facts().watched != [])
    await begun.round("memory")
    assert begun.watch.looks == 1


async def test_stopped_while_the_triggers_are_opened_it_closes_them(world: World) -> None:
    world.feed.start()
    world.watch.want(True)
    await asyncio.sleep(0)
    world.watch.want(False)
    await world.until(lambda: bool(world.opened) and all(each.waits.closed for each in world.opened))


async def test_a_kernel_that_gives_no_trigger_says_why_and_nothing_waits(world: World) -> None:
    world.absent = {"cpu": "no", "io": "never"}
    await world.begin()
    assert world.watch.facts() == (["memory"], {"cpu": "no", "io": "never"}, 0)
    world.watch.stop()
    world.absent["memory"] = "nor this"
    world.watch.want(True)
    await world.until(lambda: "memory" in world.watch.facts().absent)


async def test_a_recorded_host_has_no_pressure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fakehost.LiveRoot.live", False)
    await world.begin()
    await world.until(lambda: world.watch.facts().absent["cpu"] == NOT_LIVE)
    assert world.opened == []


def test_what_is_counted_is_bounded_and_the_oldest_gives_way(tmp_path: Path) -> None:
    feed = Feed(FakeHost(tmp_path).sampler(), freshness_seconds=0.5, baseline_seconds=0.0)
    watch = PressureWatch(feed, lambda _: None)
    for number in range(KEPT + 5):
        identity = Identity(str(number), str(number), "docker", 0, None)
        watch._count([Verdict(identity, "cpu", Cause.ITSELF, 0.5)])
    assert len(watch.waits) == KEPT and "4" not in watch.waits and "5" in watch.waits

"""First processes are watched without clients, and nothing else is done."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cgstatd.feed.follow.listing_pace import FAILED_SECONDS, LEAST_SECONDS, LONGEST_SECONDS, MOST_SECONDS
from cgstatd.feed.follow.unattended import Unattended
from cgstatd.sampling.registry import ListingFailed
from patience import until


class World:
    """A feed, looks and a clock that only note what is asked of them."""

    def __init__(self, fd: int | None) -> None:
        self.now = 100.0
        self.done: list[str] = []
        self.registry = SimpleNamespace(news_fd=fd, came_or_went=lambda: None, number=0)
        self.sampler = SimpleNamespace(registry=self.registry)
        self.cpu_budget = SimpleNamespace(apart=lambda cost: 100 * cost)
        self.all_armed, self.waiting, self.cost_seconds = True, False, 0.0
        self.fails = False
        self.comes = 1
        """Containers that each listing finds come."""
        self.records_fd: int | None = None
        self.found: list[str] = []
        self.told: list[Any] = []
        deaths = SimpleNamespace(watch=lambda several: None)
        self.made = Unattended(cast(Any, self), cast(Any, self), cast(Any, deaths), self.told.extend, lambda: self.now)
        self.wake = self.made.wake

    async def run(self, work: Callable[[], Any]) -> Any:
        return work()

    def between(self, *, all_containers: bool) -> None:
        self.done.append("all" if all_containers else "between")

    def take(self, stats: dict[str, Any]) -> None:
        assert stats == {}
        self.done.append("take")
        self.registry.number += self.comes
        if self.fails:
            raise ListingFailed("no")

    def rest(self) -> None:
        self.done.append("rest")

    def pidfds(self) -> list[Any]:
        return []

    def changes(self) -> list[str]:
        found, self.found = self.found, []
        return found

    async def step(self, *, dead: bool = False) -> tuple[list[str], float | None]:
        self.done = []
        if dead:
            self.made.wake_now()
        pause = await self.made.step()
        return self.done, None if pause is None else round(pause, 6)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)


@pytest.fixture
async def fresh(pipe: tuple[int, int]) -> AsyncIterator[World]:
    """Nothing was done yet; what is written to the pipe is news of cgroups."""
    made = World(pipe[0])
    yield made
    made.made.stop()


@pytest.fixture
async def world(fresh: World) -> World:
    """Its first step was made."""
    assert await fresh.step() == (["take", "rest"], None)
    return fresh


@pytest.fixture
async def deaf() -> AsyncIterator[World]:
    """Without inotify."""
    made = World(None)
    yield made
    made.made.stop()


async def test_once_all_are_watched_it_sleeps_without_a_timer(world: World) -> None:
    world.now += 1000
    assert await world.step() == ([], None)
    assert await world.step(dead=True) == (["between"], None)


async def test_kills_in_containers_that_live_on_are_looked_for_when_someone_wants_to_know(world: World) -> None:
    world.made.look_for_kills()  # nothing runs yet: the first look finds them
    assert await world.step() == ([], None)
    world.made.start()
    await until(lambda: world.done == ["take", "rest"])
    world.done = []
    world.made.look_for_kills()
    await until(lambda: world.done == ["all"])


async def test_an_end_that_is_held_back_is_looked_for_until_it_is_told(world: World) -> None:
    world.waiting = True
    assert await world.step() == (["between"], 0.25)


async def test_a_cgroup_that_comes_or_goes_makes_a_listing_not_too_many(world: World, pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"x")
    await world.wake.wait()
    assert await world.step() == ([], LEAST_SECONDS)  # the first was just now
    world.wake.clear()
    await asyncio.sleep(0)
    assert not world.wake.is_set()  # still readable: it would wake without pause
    world.now += LEAST_SECONDS
    os.read(pipe[0], 1)
    assert await world.step() == (["take"], None)


async def test_listings_that_cost_much_are_further_apart(fresh: World) -> None:
    fresh.cost_seconds = 0.003
    await fresh.step()
    fresh.made._something_new()
    assert await fresh.step() == ([], 0.3)
    fresh.now += 1
    fresh.cost_seconds = 1.0
    await fresh.step()
    fresh.made._something_new()
    assert await fresh.step() == ([], MOST_SECONDS)


async def test_a_container_without_a_process_is_looked_at_again_later_and_later(fresh: World) -> None:
    fresh.all_armed = False
    _, pause = await fresh.step()
    pauses = [pause]
    for _ in range(10):
        assert pause is not None
        fresh.now += pause + 1e-9
        done, pause = await fresh.step()
        assert done == ["take"]
        pauses.append(pause)
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8] and pauses[-1] == LONGEST_SECONDS
    fresh.made._something_new()  # another one is made
    fresh.now += 1
    assert await fresh.step() == (["take"], LEAST_SECONDS)


async def test_what_other_listings_found_is_looked_at_too_until_a_client_comes(fresh: World) -> None:

    async def done(what: list[str]) -> None:
        while fresh.done != what:
            await asyncio.sleep(0.001)

    fresh.made.start()
    await done(["take", "rest"])
    fresh.now += 1
    fresh.found = ["ended"]
    fresh.registry.came_or_went()
    await done(["take", "rest", "take"])
    assert fresh.told == ["ended"]
    told = fresh.registry.came_or_went
    fresh.made.stop()
    told()
    for _ in range(3):
        await asyncio.sleep(0)
    assert fresh.done == ["take", "rest", "take"] and not fresh.wake.is_set()
    fresh.made.start()  # the client left
    await done(["take", "rest", "take", "take", "rest"])


async def test_without_inotify_it_lists_from_time_to_time(deaf: World) -> None:
    _, pause = await deaf.step()
    assert pause is not None and pause <= LONGEST_SECONDS
    for _ in range(12):
        deaf.now += pause + 1e-9
        done, pause = await deaf.step()
        assert done == ["take"] and pause is not None
    assert pause == LONGEST_SECONDS


async def test_a_listing_that_fails_is_made_again_a_second_later(fresh: World) -> None:
    fresh.fails = True
    assert await fresh.step() == (["take"], FAILED_SECONDS)
    fresh.now += FAILED_SECONDS
    fresh.fails = False
    assert (await fresh.step())[0] == ["take"]


async def test_cgroups_of_no_container_make_listings_further_apart_until_a_container_comes(world: World) -> None:
    world.now += LONGEST_SECONDS + 1

    async def distance() -> float:
        """Of two listings while cgroups come and go without pause."""
        world.made._something_new()
        done, pause = await world.step()
        while done != ["take"]:
            assert pause is not None
            world.now += pause + 1e-9
            done, pause = await world.step()
        world.made._something_new()
        _, pause = await world.step()
        assert pause is not None
        return pause

    world.comes = 0
    assert [round(await distance(), 3) for _ in range(5)] == [0.05, 0.1, 0.2, MOST_SECONDS, MOST_SECONDS]
    world.comes = 1
    assert round(await distance(), 3) == LEAST_SECONDS
    world.comes = 0
    assert round(await distance(), 3) == 0.1
    world.now += LONGEST_SECONDS + 1
    assert round(await distance(), 3) == LEAST_SECONDS  # it was calm


async def test_records_written_without_pause_are_looked_at_now_and_then(deaf: World, pipe: tuple[int, int]) -> None:
    deaf.records_fd = pipe[0]
    os.write(pipe[1], b"x")  # and the look does not read it: it is written again at once
    await deaf.step()
    began = asyncio.get_running_loop().time()
    for woken in range(1, 4):
        await deaf.wake.wait()
        deaf.wake.clear()
        assert asyncio.get_running_loop().time() - began >= 0.9 * woken * LEAST_SECONDS
        assert (await deaf.step())[0][:1] == ["between"]

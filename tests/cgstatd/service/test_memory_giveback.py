"""What was freed goes back to the system, whatever the C library makes of it by itself."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from cgstatd.config import Settings
from cgstatd.feed.shared_passes import Feed
from cgstatd.service import background, memory_giveback
from cgstatd.service.background import Background
from cgstatd.service.memory_giveback import GiveBack
from cgstatd.service.systemd import Notifier
from cgstatd.web.server.gate import Gate
from cgstatd.web.server.limits import Limits
from wire import ENVIRONMENT

glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
MIB = 1 << 20
HEAPS = """
import ctypes, sys, threading
from cgstatd.service import memory_giveback as giveback
if sys.argv[1] == "set up":
    giveback.set_up()
together = threading.Barrier(4)
def work():
    together.wait()
    kept = [bytes(5000) for _ in range(2000)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
ctypes.CDLL(None).malloc_stats()
"""
HOLES = """
from cgstatd.service.memory_giveback import resident, set_up, trim
set_up()
before = resident()
blocks = [b"x" * 100_000 for _ in range(640)]
most, kept = resident(), blocks[::64]
del blocks
freed = resident()
trim()
print(most - before, freed - before, resident() - before)
"""


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=ENVIRONMENT, check=True, capture_output=True, encoding="utf-8"
    )


@glibc
def test_all_threads_have_one_heap() -> None:
    assert "Arena 1:" in _run(HEAPS, "as it is").stderr  # else this shows nothing
    assert "Arena 1:" not in _run(HEAPS, "set up").stderr


@glibc
def test_what_is_freed_between_blocks_in_use_is_given_back() -> None:
    most, freed, after = map(int, _run(HOLES).stdout.split())
    assert most > 60 * MIB
    assert freed > 40 * MIB  # else this shows nothing
    assert after < 5 * MIB


@pytest.mark.parametrize("libc", [object()])
def test_a_libc_without_these_calls_is_left_alone(libc: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_giveback, "_libc", libc)
    memory_giveback.set_up()
    memory_giveback.trim()


class Process:
    """Its memory, in MiB, and how often it was trimmed."""

    def __init__(self) -> None:
        self.memory = 60.0
        self.free = 0.0
        self.trimmed = 0

    def resident(self) -> int:
        return int(self.memory * MIB)

    def trim(self) -> None:
        self.trimmed += 1
        self.memory -= self.free
        self.free = 0.0


def test_it_is_given_back_where_it_is_above_the_least_there_was_and_not_while_it_stays() -> None:
    process = Process()
    look = GiveBack(process.resident, process.trim, lambda: None).look
    process.free = 5
    assert look() and process.memory == 55  # what the start left
    process.memory, process.free = 60, 5
    assert not look() and process.trimmed == 1  # 9 % more
    process.memory, process.free = 100, 45
    assert look() and process.memory == 55
    assert [look() for _ in range(5)] == [False] * 5
    process.memory = 50
    assert not look()
    process.memory, process.free = 56, 6
    assert look() and process.memory == 50  # more than the least since


def test_what_was_in_use_beside_is_given_back_later() -> None:
    process = Process()
    look = GiveBack(process.resident, process.trim, lambda: None).look
    assert look()
    process.memory = 90
    assert [look() for _ in range(30)] == [True] * 30  # a quarter of an hour
    process.free = 20
    assert look() and process.memory == 70


def test_more_is_what_it_is_used_to_in_the_end() -> None:
    process = Process()
    look = GiveBack(process.resident, process.trim, lambda: None).look
    assert look()
    process.memory = 120
    assert [look() for _ in range(141)][-1] is False


def test_what_grows_quickly_is_given_back_at_once_and_less_often_where_little_comes_of_it() -> None:
    process, now = Process(), [100.0]
    give_back = GiveBack(process.resident, process.trim, lambda: None, lambda: now[0])
    process.memory = 200
    assert not give_back.is_wanted(), "nothing is known of the least yet"
    process.memory = 60
    give_back.look()
    process.memory, process.free = 74, 14
    assert not give_back.is_wanted()
    process.memory, process.free = 160, 80
    assert not give_back.is_wanted(), "it was looked at a moment ago"
    now[0] += 1
    assert give_back.is_wanted()
    give_back.relieve()
    assert process.memory == 80 and not give_back.is_wanted()
    now[0] += 1
    assert give_back.is_wanted()
    give_back.relieve()  # all of it is in use
    now[0] += 29
    assert not give_back.is_wanted()
    now[0] += 1
    assert give_back.is_wanted()


class Circle:
    def __init__(self) -> None:
        self.itself = self


def test_what_is_in_circles_is_freed_before() -> None:
    gc.disable()
    try:
        gone = weakref.ref(Circle())
        assert gone() is not None
        seen: list[bool] = []
        GiveBack(lambda: 1, lambda: seen.append(gone() is None)).look()
    finally:
        gc.enable()
    assert seen == [True]


def test_it_is_looked_at_in_the_sampling_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "EACH_SECONDS", 0.0)
    assert asyncio.run(_looker()) == "cgstatd-sampler"


def _sampler() -> Any:
    return SimpleNamespace(registry=SimpleNamespace(number=0))


def _beside(feed: Any) -> Background:
    agent: Any = SimpleNamespace(feed=feed, gate=Gate(Limits()))
    return Background(agent, Notifier({}), Settings(), "here")


async def _looker() -> str:
    loop, found = asyncio.get_running_loop(), asyncio.Event()
    names: list[str] = []

    class Looks(GiveBack):
        def look(self) -> bool:
            names.append(threading.current_thread().name)
            loop.call_soon_threadsafe(found.set)
            return False

    feed = Feed(_sampler(), freshness_seconds=0.5, baseline_seconds=0)
    feed.start()
    beside = _beside(feed)
    beside.give_back = Looks()
    beside.start()
    try:
        await asyncio.wait_for(found.wait(), 60)
    finally:
        beside.stop()
        feed.stop()
    return names[0]


class Thread:
    """A feed whose sampling thread does what it is asked at once, and counts how often it was woken."""

    def __init__(self) -> None:
        self.sampler = _sampler()
        self.passes = 0
        self.woken = 0

    async def run(self, work: Callable[[], object]) -> object:
        self.woken += 1
        return work()


async def test_the_thread_sleeps_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "EACH_SECONDS", 0.0)
    thread = Thread()
    beside = _beside(thread)
    beside.give_back = GiveBack(lambda: 1, lambda: None)
    beside.start()

    async def woken() -> int:
        before = thread.woken
        for _ in range(50):
            await asyncio.sleep(0)
        return thread.woken - before

    try:
        assert await woken() == 1  # what the start left
        assert await woken() == 0
        thread.passes += 1
        assert await woken() == 2  # and once more, for what was under way
        beside._agent.gate.admitted += 1
        assert await woken() == 2
        thread.sampler.registry.number += 1
        assert await woken() == 2
        assert await woken() == 0
    finally:
        beside.stop()

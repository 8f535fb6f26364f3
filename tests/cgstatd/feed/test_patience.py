"""On a busy host readings go on as long as containers come to their end, and no longer than the bound.

The clock is the test's: it leaps by seconds with each container that is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cgstatd.feed.engine_readings import EngineReadings
from cgstatd.feed.follow.follower import Follower
from cgstatd.feed.patience import MOST_SECONDS
from cgstatd.feed.reading_pass import CONTAINER_SECONDS
from cgstatd.feed.scrape import Scraper
from cgstatd.feed.shared_passes import Feed
from cgstatd.sampling.engine_figures import EngineReader
from cgstatd.sampling.exported_metrics import MetricsReader
from cgstatd.sampling.reading_failed import ReadingFailed
from cgstatd.sampling.sampler import Sampler
from fakehost import FakeHost, no_thread_left

NAMES = [f"c{number}" for number in range(12)]
SLOW = CONTAINER_SECONDS - 1


class Clock:
    """The process' monotonic clock, which leaps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead, real = 0.0, time.monotonic
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(time, "monotonic", lambda: real() + self._ahead)

    def advance(self, seconds: float) -> None:
        """From any thread; the event loop gets its turn before the thread goes on."""
        self._ahead += seconds
        for _ in range(3):
            seen = threading.Event()
            with contextlib.suppress(RuntimeError):  # the loop is closed: no one waits any more
                self._loop.call_soon_threadsafe(seen.set)
                seen.wait(1)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    for name in NAMES:
        host.add(name)
    return host


Slow = Callable[[type, str, float], None]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Slow:
    """Make a method take so many seconds each time."""

    def slow(kind: type, method: str, seconds: float) -> None:
        original = getattr(kind, method)

        def slowly(*arguments: Any) -> Any:
            found = original(*arguments)
            clock.advance(seconds)
            return found

        monkeypatch.setattr(kind, method, slowly)

    return slow


async def with_feed(host: FakeHost, ask: Callable[[Feed], Any]) -> Any:
    with no_thread_left():
        feed = Feed(host.sampler(), freshness_seconds=0.5, baseline_seconds=0.0)
        feed.start()
        try:
            return await ask(feed)
        finally:
            feed.stop()


async def scraped(feed: Feed) -> list[str]:
    containers, _, _ = await Scraper(feed, Follower(feed, 1)).scrape.get()
    return sorted(each.identity.name for each in containers)


async def passed(feed: Feed) -> list[str]:
    return sorted(each.identity.name for each in await feed.round().wait())


async def engine_read(feed: Feed) -> list[str]:
    readings = EngineReadings(feed)
    found = await asyncio.gather(*map(readings.get, NAMES), return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return sorted(NAMES)


WAYS = [
    pytest.param(scraped, MetricsReader, "read", id="scrape"),
    pytest.param(passed, Sampler, "begin", id="pass"),
    pytest.param(engine_read, EngineReader, "read", id="engine"),
]


@pytest.mark.parametrize(("ask", "kind", "method"), WAYS)
async def test_what_gets_on_is_waited_for_but_not_without_end(
    host: FakeHost, slow: Slow, ask: Callable[[Feed], Any], kind: type, method: str
) -> None:
    slow(kind, method, (MOST_SECONDS - 1) / len(NAMES))
    assert await with_feed(host, ask) == sorted(NAMES)
    slow(kind, method, SLOW)
    if ask is passed:
        assert len(await with_feed(host, ask)) < len(NAMES)
        return
    with pytest.raises(ReadingFailed, match="takes over 8 s"):
        await with_feed(host, ask)

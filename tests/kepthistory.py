"""A made-up host whose clocks a test moves, with the history over it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from cgroupfs import Clock
from cgstatd.feed.follow.round_work import RoundWork
from cgstatd.feed.history import recorder as recorder_module
from cgstatd.feed.history.memory import Memory
from cgstatd.feed.history.reading import History
from cgstatd.feed.history.recorder import Recorder
from cgstatd.feed.shared_passes import Feed
from cgstatd.recording.recorded_root import Reading
from cgstatd.sampling.history_model import ContainerSample, HostSample, Life, Subject, Taken
from cgstatd.sampling.history_work import Clocks
from cgstatd.sampling.open_host import HostOptions, open_host
from cgstatd.sampling.registry import ListingFailed
from fakehost import FakeHost, LiveRoot

BEGAN_MS = 1_795_614_870_003
STAT = "cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 0 0 0\ncpu1 1 0 0 0\nbtime 1795606461\n"


SECOND = 1_000_000_000
NOBODY = Subject("web", "lab/busybox:1", None)


def sample(number: int, *, usage: int = 0, oom_kills: int | None = 0) -> ContainerSample:
    """Of a container in a round."""
    return ContainerSample(number * SECOND, 0, usage, 1 << 20, 0, None, 1, 2, 3, 4, 5, 1, oom_kills, 1 << 21)


def life(number: int, owner: int = 0) -> Life:
    """A container."""
    return Life(owner, "docker", f"{number:064x}", number)


def taken(number: int, living: Mapping[Life, ContainerSample | None], ended: list[Life] | None = None) -> Taken:
    """A round, ten seconds behind the one before."""
    return Taken(
        number * 10_000,
        number * 10 * SECOND,
        number * 10 * SECOND,
        HostSample(number, 2 * number, 2, 4 << 30, 2 << 30, 0, 0, 50, len(living)),
        dict.fromkeys(living, NOBODY),
        {each: found for each, found in living.items() if found is not None},
        ended or [],
    )


class Times:
    """The clocks: wall, monotonic, boottime."""

    def __init__(self) -> None:
        self.time_ms, self.monotonic_ns, self.boottime_ns = BEGAN_MS, 5_000_000_000, 9_000_000_000

    def now(self) -> Clocks:
        return Clocks(self.time_ms, self.monotonic_ns, self.boottime_ns)

    def on(self, seconds: float, *, asleep: bool = False) -> None:
        """Time goes by."""
        self.time_ms += int(seconds * 1000)
        self.boottime_ns += int(seconds * 1e9)
        self.monotonic_ns += 0 if asleep else int(seconds * 1e9)


class TimedRoot(LiveRoot):
    """The tree, read at the time that a test gives."""

    __slots__ = ("times",)
    times: Times

    def clock(self, path: str = "") -> Clock:
        return Clock(self.times.monotonic_ns, self.times.time_ms)


class Kept:
    """The history of a made-up host."""

    def __init__(self, host: FakeHost, rounds: int, interval: float) -> None:
        self.host, self.times = host, Times()
        root = TimedRoot(str(host.path), Reading(monotonic_ns=0, time_ms=0))
        root.times = self.times
        self.sampler = open_host(root, HostOptions())
        self.feed = Feed(self.sampler, freshness_seconds=0.0, baseline_seconds=0.0)
        self.memory = Memory(rounds, interval)
        self.recorder = Recorder(self.feed, self.memory, self._counted, self.times.now)
        self.watch = RoundWork(self.sampler)
        """As the agent watches, with or without clients: each point comes after a look."""
        self.history = History(self.feed, self.memory, self.times.now)

    async def point(self, seconds: float = 0.0) -> None:
        """Time goes by, then it is a point of the grid."""
        self.times.on(seconds)
        self.look()
        await self.recorder.point()

    def look(self) -> None:
        """What happened since the look before."""
        with contextlib.suppress(ListingFailed):
            self.watch.take({})
        self._tell()

    async def _counted(self, kills: dict[Life, int]) -> None:
        self.watch.counted(kills)
        self._tell()

    def _tell(self) -> None:
        for each in self.watch.changes():
            self.memory.hear(each, self.times.time_ms)

    def host_used(self, busy: int, idle: int) -> None:
        """What /proc/stat says, in ticks."""
        (self.host.path / "proc/stat").write_text(STAT.format(busy=busy, idle=idle))


@asynccontextmanager
async def keeping(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, rounds: int = 360, interval: float = 10.0
) -> AsyncIterator[Kept]:
    """Each point has a pass of its own, whatever the real time is."""
    monkeypatch.setattr(recorder_module, "_SHARED_SECONDS", 0.0)
    kept = Kept(host, rounds, interval)
    kept.host_used(100, 900)
    (host.path / "proc/loadavg").write_text("1.50 1.95 0.72 4/286 2936\n")
    kept.feed.start()
    try:
        yield kept
    finally:
        kept.feed.stop()
        kept.watch.close()
        kept.sampler.close()

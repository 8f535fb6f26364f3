"""Takes the rounds of the history, each at its point of a fixed grid.

A round takes over a pass that was just made for a client. Else it has a reading of its own, as often as the CPU budget
allows, which is cheaper than a pass: it makes no answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from ...sampling.history_model import Life, Taken
from ...sampling.history_reading import HistoryReading
from ...sampling.history_work import Clocks, HistoryWork, clocks
from ...sampling.reading_failed import ReadingFailed
from ...sampling.registry import ListingFailed
from ..cpu_budget import REST_SECONDS, CpuBudget
from ..job import Job
from ..reading_pass import Pass
from ..shared_passes import Feed
from .gaps import Gap
from .memory import Memory

log = logging.getLogger(__name__)
_SHARED_PART = 0.2
"""Of the interval. A pass that is not older is taken over."""
_SHARED_SECONDS = 2.0
"""The same at most."""
FIRST_SECONDS = 0.5
"""After the start. A client that waits for it has its first answer sooner, and its pass is taken over."""
_ASLEEP_NS = 1_000_000_000
_EARLY_PART = 0.1
"""Of the interval: a point of the grid may come so much earlier than the budget says."""


class Recorder:
    """Used in the event loop."""

    def __init__(
        self,
        feed: Feed,
        memory: Memory,
        count: Callable[[dict[Life, int]], Awaitable[None]] | None = None,
        now: Callable[[], Clocks] = clocks,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``count``: is told the OOM kills of the lives of which more are counted than in the round before."""
        self._feed = feed
        self.memory = memory
        self._count = count
        self._now = now
        self._sleep = sleep
        self._work = HistoryWork(feed.sampler, now)
        self._task: asyncio.Task[None] | None = None
        self._told: Pass | None = None
        """The pass of the last round that took one over."""
        self._job: Job | None = None
        """The last reading of its own."""
        self._own_budget = CpuBudget(0.0, REST_SECONDS)
        self._gap = Gap.NONE
        """Why the points since the last round had none."""
        self._before: Clocks | None = None
        """Of the last round."""
        self._kills: dict[Life, int] = {}
        """Of the last round."""

    @property
    def _interval_ns(self) -> int:
        return int(self.memory.interval_seconds * 1e9)

    def start(self) -> None:
        """Begin with the first round in a moment."""
        self._feed.regular_seconds = self.memory.interval_seconds
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """No more rounds."""
        self._feed.regular_seconds = 0.0
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        await self._sleep(FIRST_SECONDS)
        while True:
            await self.point()
            began, interval = self.memory.began_ns or 0, self._interval_ns
            passed = self._now().monotonic_ns - began
            await self._sleep((interval - passed % interval) / 1e9)

    async def point(self) -> None:
        """The round of the grid's point that it is now, unless it has one."""
        now = self._now()
        if self.memory.began_ns is None:
            self.memory.began_ns = now.monotonic_ns
        number = (now.monotonic_ns - self.memory.began_ns) // self._interval_ns
        if number <= self.memory.last:
            return
        try:
            await self._round(number)
        except (ListingFailed, ReadingFailed) as error:
            self._gap = Gap.FAILED
            log.debug("no round of the history: %s", error)
        except Exception:
            self._gap = Gap.FAILED
            log.exception("the history")

    async def _round(self, number: int) -> None:
        shared = self._feed.usable(min(_SHARED_PART * self.memory.interval_seconds, _SHARED_SECONDS))
        if shared is not None and shared is not self._told:
            taken = await self._of(shared)
        elif shared is not None or self._restrained():
            self._gap = Gap.RESTRAINED
            return
        else:
            taken = await self._own()
        now = Clocks(taken.time_ms, taken.monotonic_ns, taken.boottime_ns)
        self.memory.add(number, taken, self._why(number, now))
        self._before, self._gap = now, Gap.NONE
        before = self._kills
        self._kills = {life: each.oom_kills for life, each in taken.samples.items() if each.oom_kills}
        more = {life: kills for life, kills in self._kills.items() if kills > before.get(life, 0)}
        if more and self._count is not None:
            await self._count(more)
        await self._check()

    async def _check(self) -> None:
        """The health of those that have a check, each by itself: what says it may lie on a disk that hangs."""
        with contextlib.suppress(ListingFailed, ReadingFailed):
            found = await self._feed.each(self._work.health, self._work.with_check)
            self.memory.checked(found, self._now().time_ms)

    async def _of(self, shared: Pass) -> Taken:
        """What a pass has read that a client asked for."""
        await shared.in_time()
        self._told = shared
        return await self._feed.run(self._work.take)

    async def _own(self) -> Taken:
        """A reading of all containers for this round alone."""
        reading = HistoryReading(self._feed.sampler)
        self._feed.read_all_at = time.monotonic()
        taken, self._job = await self._feed.in_parts(reading.parts, lambda: self._work.take(reading))
        return taken

    def _restrained(self) -> bool:
        """Whether readings of its own cost so much that the next one has to wait."""
        budget, at = self._own_budget, self._feed.read_all_at
        budget.percent = self._feed.cpu_budget.percent
        if self._job is not None:
            budget.spent(self._job.cpu_seconds)
            self._job = None
        early = _EARLY_PART * self.memory.interval_seconds
        return at is not None and time.monotonic() - at < budget.interval_seconds - early

    def _why(self, number: int, now: Clocks) -> Gap:
        """Why points of the grid before this round had none, where any has: each number that is left out has a reason.
        A host that slept has left out none, and yet there is a gap."""
        before = self._before
        if before is not None:
            awake = now.monotonic_ns - before.monotonic_ns
            if now.boottime_ns - before.boottime_ns - awake > _ASLEEP_NS:
                return Gap.ASLEEP
        if number == self.memory.last + 1:
            return Gap.NONE
        return self._gap or Gap.BUSY

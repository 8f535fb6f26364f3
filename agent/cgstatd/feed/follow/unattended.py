"""Watches first processes while no client listens, so that an end has its exit code for later requests.

It sleeps without a timer: a pidfd tells a death, inotify tells a cgroup that came or went, and any other listing tells
what it found. A look at a new cgroup before the engine has put a process into it is made again, later and later. No
figure is read, and no file of a container stays open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial

from ...sampling.reading_failed import ReadingFailed
from ...sampling.registry import ListingFailed
from ...sampling.round import Changes
from ..shared_passes import Feed
from .deaths import Deaths, Notice
from .interval_grid import GRID_SECONDS
from .listing_pace import FAILED_SECONDS, LEAST_SECONDS, ListingPace
from .news import hear_listings
from .round_work import RoundWork

log = logging.getLogger(__name__)


class Unattended:
    """Used in the event loop."""

    def __init__(
        self,
        feed: Feed,
        looks: RoundWork,
        deaths: Deaths,
        heard: Callable[[list[Changes]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``looks`` and ``deaths`` are those of the time with clients, too; ``heard`` takes what the looks have
        found."""
        self._feed = feed
        self._looks = looks
        self._deaths = deaths
        self._heard = heard
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self.wake = asyncio.Event()
        """Set by what must not wait."""
        self._written = Notice(self.wake_now)
        self._news = Notice(self._something_new)
        self._listens: asyncio.TimerHandle | None = None
        self._dead = False
        """Whether since the last look a first process died, or a runtime wrote a record."""
        self._new = False
        """Whether cgroups came or went since the last listing."""
        self._kills = False
        """Whether the OOM kills of all containers are to be looked for."""
        self._looking = False
        self._begun = False
        self._pace = ListingPace(feed.cpu_budget.apart)
        self._tries = 0
        """Listings since the latest news that found no first process of some container."""

    def start(self) -> None:
        """No client listens."""
        self._dead = self._new = self._begun = False
        self._pace, self._tries = ListingPace(self._feed.cpu_budget.apart), 0
        hear_listings(self._feed.sampler.registry, self._listed_by_others)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """A client came: its rounds find everything. Or the agent ends."""
        self._feed.sampler.registry.came_or_went = lambda: None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._listens is not None:
            self._listens.cancel()
            self._listens = None
        for each in (self._written, self._news):
            each.close()

    async def _run(self) -> None:
        while True:
            self.wake.clear()
            pause: float | None = FAILED_SECONDS
            try:
                pause = await self.step()
            except Exception:
                log.exception("watching first processes")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.wake.wait()

    def wake_now(self) -> None:
        """Look now: a first process has died, whose cgroup will be gone soon, or a record was written."""
        self._dead = True
        self.wake.set()

    def _something_new(self) -> None:
        self._new = True
        self.wake.set()

    def _listed_by_others(self) -> None:
        if self._task is not None and not self._looking:
            self._something_new()

    def look_for_kills(self) -> None:
        """Once, and soon: in containers that live on, too."""
        if self._task is not None:
            self._kills = True
            self.wake.set()

    async def step(self) -> float | None:
        """One look at what happened, and for how long nothing has to be done if nothing happens; None: for ever."""
        looks, now = self._looks, self._clock()
        begin, self._begun = not self._begun, True
        dead, self._dead = self._dead, False
        kills, self._kills = self._kills, False
        again = not looks.all_armed or self._registry_fd is None
        listing = begin or ((self._new or again) and now >= self._due(again=not self._new))
        self._looking = True
        try:
            if dead or kills or looks.waiting:
                await self._feed.run(partial(looks.between, all_containers=kills))
            if listing:
                await self._list(now)
            if begin:
                await self._feed.run(looks.rest)
        except (ListingFailed, ReadingFailed) as error:
            self._new = True
            self._pace.failed()
            log.debug("watching first processes: %s", error)
        finally:
            self._looking = False
        self._deaths.watch(looks.pidfds())
        self._listen_again()
        self._heard(looks.changes())
        if not self._new:  # else it stays readable until the listing, and would wake the loop without pause
            self._news.listen(self._registry_fd)
        return self._pause()

    def _listen_again(self) -> None:
        """For records, a moment later: any container's may be in the same place (Podman), written without pause."""
        if self._listens is None and self._looks.records_fd is not None:
            loop = asyncio.get_running_loop()
            self._listens = loop.call_later(LEAST_SECONDS, self._listen)

    def _listen(self) -> None:
        self._listens = None
        self._written.listen(self._looks.records_fd)

    async def _list(self, now: float) -> None:
        registry, new = self._feed.sampler.registry, self._new
        before = registry.number
        self._tries = 0 if new else self._tries + 1
        self._new = False
        self._pace.begun(now)
        await self._feed.run(partial(self._looks.take, {}))
        self._pace.done(self._looks.cost_seconds, news=new, changed=registry.number != before)

    @property
    def _registry_fd(self) -> int | None:
        return self._feed.sampler.registry.news_fd

    def _due(self, *, again: bool) -> float:
        """When the next listing may be made; ``again``: for want of a first process alone."""
        return self._pace.again(self._tries) if again else self._pace.due

    def _pause(self) -> float | None:
        now, ends = self._clock(), []
        if self._looks.waiting:
            ends.append(now + GRID_SECONDS)
        if self._new:
            ends.append(self._due(again=False))
        if not self._looks.all_armed or self._registry_fd is None:
            ends.append(self._due(again=True))
        return max(0.0, min(ends) - now) if ends else None

"""The processes of a container, read when a client asks: a few at a time, so that no figures wait for a fork bomb.

Requests for one container within a second share one reading, which is also the base of the next one's CPU figures. The
first one waits half a second for its second reading. So 500 processes that are asked for without pause cost some 4 % of
a core.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from functools import partial

from cgroupfs import ParseError

from ..host.identity import Identity
from ..host.procfs.host_load import UPTIME, parse_uptime
from ..sampling.container import Container
from ..sampling.lookup import Known
from ..sampling.one_container import identity_of
from ..sampling.process_list import (
    AT_ONCE,
    LEAST_WINDOW_NS,
    MOST_WINDOW_NS,
    Members,
    ProcessFigures,
    ProcessList,
    members,
    read_some,
    read_zombies,
)
from .coalesced import Coalesced
from .shared_passes import Feed

_KEPT = 16
"""Containers whose last reading is kept: some 100 KiB each, where it has 500 processes."""
_WAIT_SECONDS = LEAST_WINDOW_NS / 1e9


class ProcessLists:
    """Used in the event loop."""

    def __init__(self, feed: Feed, fresh_seconds: float = 1.0) -> None:
        self._feed = feed
        self._fresh = fresh_seconds
        self._lists: OrderedDict[Container, _OfOne] = OrderedDict()

    async def get(self, wanted: str) -> ProcessList | Identity:
        """The processes of a container; its identity alone where it does not run.

        Raises NotFound, Ambiguous, ListingFailed, ReadingFailed.
        """
        known: Known = await self._feed.run(partial(self._feed.find, wanted))
        container = known.target
        if not isinstance(container, Container):
            return identity_of(known)
        found = self._lists.get(container)
        if found is None:
            found = self._lists[container] = _OfOne(self._feed, container, self._fresh)
            if len(self._lists) > _KEPT:
                self._lists.popitem(last=False)
        self._lists.move_to_end(container)
        return await found.shared.get()


class _OfOne:
    """One container's processes, and the reading before."""

    def __init__(self, feed: Feed, container: Container, fresh_seconds: float) -> None:
        self._feed = feed
        self._container = container
        self._before: list[ProcessFigures] = []
        self._before_ns = 0
        self.shared: Coalesced[ProcessList] = Coalesced(self._make, fresh_seconds)

    async def _make(self) -> ProcessList:
        feed, container = self._feed, self._container
        now = await feed.run(lambda: feed.sampler.root.clock(container.ref.path))
        if not self._before or not now.monotonic_ns - self._before_ns <= MOST_WINDOW_NS:
            first = await self._members()
            self._before_ns = now.monotonic_ns
            self._before = await self._processes(first)
            await asyncio.sleep(_WAIT_SECONDS)
        found = await self._members()
        uptime = await feed.run(self._uptime)
        clock = await feed.run(lambda: feed.sampler.root.clock(container.ref.path))
        processes = await self._processes(found)
        window = clock.monotonic_ns - self._before_ns
        before = {(each.pid, each.start_ticks): each for each in self._before}
        zombies = await self._zombies(found, processes)
        if window >= LEAST_WINDOW_NS:  # else the reading before stays the base
            self._before, self._before_ns = processes, clock.monotonic_ns
        return ProcessList(
            identity=container.identity,
            time_ms=clock.time_ms,
            members=found,
            processes=[*processes, *(zombies or ())],
            zombies=None if zombies is None else len(zombies),
            before=before,
            window_ns=window if window > 0 else None,
            uptime_seconds=uptime,
        )

    async def _members(self) -> Members:
        container = self._container
        return await self._feed.run(lambda: container, members)

    async def _processes(self, found: Members) -> list[ProcessFigures]:
        container, root = self._container, self._feed.sampler.root
        processes: list[ProcessFigures] = []
        for at in range(0, len(found.pids), AT_ONCE):
            some = found.pids[at : at + AT_ONCE]
            processes += await self._feed.run(lambda: container, partial(read_some, root, pids=some))
        return processes

    async def _zombies(self, found: Members, processes: list[ProcessFigures]) -> list[ProcessFigures] | None:
        """Looked for only where the kernel counts more threads than the processes have."""
        if not found.whole or len(found.pids) < found.number:
            return None
        if found.tasks is not None and found.tasks <= sum(each.threads for each in processes):
            return []
        container, root = self._container, self._feed.sampler.root
        return await self._feed.run(lambda: container, lambda each: read_zombies(root, each, found.pids))

    def _uptime(self) -> float | None:
        """Seconds; of a live host the kernel's own clock, whatever a file system in front of /proc makes of it."""
        root = self._feed.sampler.root
        if root.live:
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        try:
            return parse_uptime(root.read(UPTIME))
        except (OSError, ParseError):
            return None

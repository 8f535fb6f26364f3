"""What happens to containers, as the Engine API's events: of what `follow` notices, and of what the listing shows.

Starts, ends and OOM kills come from the follower; making, removing, renaming, pausing from two looks at the listing, a
second apart. Only while a client listens; what happened before comes from the runtimes' state, as far as it says.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence

from ..host.identity import Identity
from ..host.runtimes.base import State
from ..outputs.engine.containers import Listed
from ..outputs.engine.events import Event, ended, event, recorded
from ..outputs.engine.names import id_of
from ..sampling.container import ReadingFailed
from ..sampling.registry import ListingFailed
from ..sampling.round import Changes
from .coalesced import Coalesced
from .follow.follower import Follower
from .shared_passes import Feed

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
KEPT = 1000
KEPT_BYTES = 1 << 20
WAITING = 512
WAITING_BYTES = 2 << 20
"""Events that wait for a client that reads slowly, and their bytes; beyond it the oldest are dropped."""
_LINGER_SECONDS = 15.0
_RECORDED_SECONDS = 1.0
"""For so long clients share what the runtimes' state says of the past."""
_HELD_LOOKS = 4
"""Looks for which the removal of a container waits for the word of its end."""


class Listener:
    """One client."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._ended = False

    def put(self, each: Event) -> None:
        """Something happened."""
        self._waiting.append(each)
        self._bytes += len(each.line)
        while len(self._waiting) > WAITING or (self._bytes > WAITING_BYTES and len(self._waiting) > 1):
            self._take()
        self._wake.set()

    def _take(self) -> Event:
        first = self._waiting.popleft()
        self._bytes -= len(first.line)
        return first

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._wake.set()

    async def events(self) -> AsyncIterator[Event]:
        """What happens, one by one, until the agent stops. A client that reads slowly holds no more than what waits."""
        while not self._ended or self._waiting:
            self._wake.clear()
            if self._waiting:
                yield self._take()
            elif not self._ended:
                await self._wake.wait()


class EngineEvents:
    """Used in the event loop."""

    def __init__(
        self,
        feed: Feed,
        follower: Follower,
        listing: Callable[[], Callable[[], list[Listed]]],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """``listing``: what the sampling thread is to call for every container there is."""
        self._feed = feed
        self._follower = follower
        self._listing = listing
        self._clock = clock
        self._recorded: Coalesced[list[Event]] = Coalesced(self._read_recorded, _RECORDED_SECONDS)
        self._written: list[Event] = []
        """The same as it was read last: what has not changed keeps its bytes, which open streams may still share."""
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._kept: deque[Event] = deque()
        self._kept_bytes = 0
        self._before: dict[str, Listed] | None = None
        self._alive: set[str] = set()
        """Those whose end the follower will tell."""
        self._removed: dict[str, tuple[int, Event]] = {}
        """Removals that wait for an end, and for how many looks still."""

    async def subscribe(self, *, past: bool) -> tuple[Listener, list[Event]]:
        """A client; with ``past`` everything that is known to have happened before, the oldest first.

        Raises ListingFailed, ReadingFailed.
        """
        listener = Listener()
        self._listeners.add(listener)
        try:
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._run())
                await self._follower.listen(self._changes)
                await self._look()
            found = self._past(await self._recorded.get()) if past else []
        except BaseException:
            self._listeners.discard(listener)
            raise
        return listener, found

    async def _read_recorded(self) -> list[Event]:
        listing, before = self._listing(), self._written

        def read() -> list[Event]:
            known = {each.line: each for each in before}
            return [known.get(each.line, each) for each in recorded(listing())]

        self._written = await self._feed.run(read)
        return self._written

    def leave(self, listener: Listener) -> None:
        """It went away."""
        self._listeners.discard(listener)

    def stop(self) -> None:
        """End every stream."""
        for each in self._listeners:
            each.end()
        if self._task is not None:
            self._task.cancel()
        self._follower.unlisten(self._changes)

    def _past(self, written: Sequence[Event]) -> list[Event]:
        kept = list(self._kept)
        told = {(each.id, each.action, each.time_ns // 1_000_000_000) for each in kept}
        found = [e for e in written if (e.id, e.action, e.time_ns // 1_000_000_000) not in told]
        return sorted([*found, *kept], key=lambda each: each.time_ns)

    async def _run(self) -> None:
        idle_since: float | None = None
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                now = time.monotonic()
                idle_since = None if self._listeners else idle_since or now
                if idle_since is not None and now - idle_since > _LINGER_SECONDS:
                    return
                try:
                    await self._look()
                except (ListingFailed, ReadingFailed) as error:
                    log.debug("events: %s", error)
        finally:
            self._task = None
            self._before = None
            self._alive.clear()
            self._removed.clear()
            self._follower.unlisten(self._changes)

    def _tell(self, each: Event) -> None:
        self._kept.append(each)
        self._kept_bytes += len(each.line)
        while len(self._kept) > KEPT or self._kept_bytes > KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft().line)
        for listener in self._listeners:
            listener.put(each)

    # -- from the follower

    def _changes(self, found: Changes) -> None:
        now = self._clock()
        for each in found.ended:
            if each.killed is not None:
                self._tell(event("oom", each.killed.identity, now))
            finished = each.metadata.finished_seconds if each.metadata else None
            when = now if finished is None else int(finished * 1_000_000) * 1000
            self._tell(ended(each.identity, each.exit_code, each.started_seconds, when))
            self._died(id_of(each.identity))
        for identity in found.started:
            started = identity.metadata.started_seconds if identity.metadata else None
            key = id_of(identity)
            self._alive.add(key)
            if self._before is not None and key not in self._before:  # the listing is behind
                self._made(identity, now)
                self._before[key] = Listed(identity, State.RUNNING, True)
            self._tell(event("start", identity, now if started is None else int(started * 1_000_000) * 1000))
        for killed in found.killed:
            self._tell(event("oom", killed.identity, now))

    def _died(self, key: str) -> None:
        self._alive.discard(key)
        if key in self._removed:
            self._tell(self._removed.pop(key)[1])

    # -- from the listing

    async def _look(self) -> None:
        now = {id_of(each.identity): each for each in await self._feed.run(self._listing())}
        before, self._before = self._before, now
        if before is None:
            self._alive = {key for key, each in now.items() if each.running}
            return
        time_ns = self._clock()
        for key, each in now.items():
            known = before.get(key)
            if known is None:
                self._made(each.identity, time_ns)
            else:
                self._compare(known, each, time_ns)
        for key in before.keys() - now.keys():
            self._gone(key, before[key].identity, time_ns)
        for key, (looks, what) in list(self._removed.items()):
            self._removed[key] = looks - 1, what
            if looks <= 1:
                self._died(key)

    def _made(self, identity: Identity, time_ns: int) -> None:
        created = identity.metadata.created_seconds if identity.metadata else None
        self._tell(event("create", identity, time_ns if created is None else int(created * 1_000_000) * 1000))

    def _compare(self, before: Listed, now: Listed, time_ns: int) -> None:
        if now.running:
            self._alive.add(id_of(now.identity))
        if before.identity.name != now.identity.name:
            self._tell(event("rename", now.identity, time_ns, oldName=f"/{before.identity.name}"))
        if before.running and now.running and before.status != now.status:
            if now.status == "paused":
                self._tell(event("pause", now.identity, time_ns))
            elif before.status == "paused":
                self._tell(event("unpause", now.identity, time_ns))

    def _gone(self, key: str, identity: Identity, time_ns: int) -> None:
        what = event("destroy", identity, time_ns)
        if key in self._alive:
            self._removed[key] = _HELD_LOOKS, what
        else:
            self._tell(what)

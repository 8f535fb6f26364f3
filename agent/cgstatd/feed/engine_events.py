"""What happens to containers, as the Engine API's events: of what `follow` notices, and of what the listing shows.

Starts, ends and OOM kills come from the follower; making, removing, renaming, pausing from two looks at the listing, a
second apart, while a client listens. What happened before comes from the runtimes' state, as far as it says, and from
the starts and ends that are noticed without clients, too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ..host.identity import Identity
from ..host.runtimes.base import State
from ..outputs.engine.containers import Listed
from ..outputs.engine.events import Event, Recorded, ended, event, nanoseconds, recorded
from ..outputs.engine.names import id_of
from ..sampling.reading_failed import ReadingFailed
from ..sampling.registry import ListingFailed
from ..sampling.round import Changes
from .coalesced import Coalesced
from .event_listener import Listener
from .follow.follower import Follower
from .shared_passes import Feed
from .told_events import ToldEvents

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
_LINGER_SECONDS = 15.0
_RECORDED_SECONDS = 1.0
"""For so long clients share what the runtimes' state says of the past."""
_TOLD_HEALTH = ("healthy", "unhealthy")
_HELD_LOOKS = 4
"""Looks for which the removal of a container waits for the word of its end."""


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
        self._recorded: Coalesced[list[Recorded]] = Coalesced(self._read_recorded, _RECORDED_SECONDS)
        self._written: list[Recorded] = []
        """The same as it was read last: what has not changed keeps its bytes, which open streams may still share."""
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._told = ToldEvents()
        self._before: dict[str, Listed] | None = None
        self._made_meanwhile: set[str] = set()
        """Containers that were told while a listing was under way, which may be without them."""
        self._alive: set[str] = set()
        """Those whose end the follower will tell."""
        self._removed: dict[str, tuple[int, Event]] = {}
        """Removals that wait for an end, and for how many looks still."""
        follower.observers.append(self._observed)

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
            if not past:
                return listener, []
            found, from_state = self._told.with_recorded(await self._recorded.get())
        except BaseException:
            self._listeners.discard(listener)
            raise
        listener.told(from_state)
        return listener, found

    async def _read_recorded(self) -> list[Recorded]:
        listing, before = self._listing(), self._written

        def read() -> list[Recorded]:
            known = {each.event.line: each for each in before}
            return [known.get(each.event.line, each) for each in recorded(listing())]

        self._written = await self._feed.run(read)
        return self._written

    def leave(self, listener: Listener) -> None:
        """It went away."""
        self._listeners.discard(listener)
        if not self._listeners:
            self._written = []

    def stop(self) -> None:
        """End every stream."""
        for each in self._listeners:
            each.end()
        if self._task is not None:
            self._task.cancel()
        self._follower.unlisten(self._changes)

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
                except Exception:
                    log.exception("events")
        finally:
            self._task = None
            self._before = None
            self._alive.clear()
            self._removed.clear()
            self._follower.unlisten(self._changes)

    def _tell(self, each: Event) -> None:
        self._told.add(each)
        for listener in self._listeners:
            listener.put(each)

    # -- from the follower

    def _observed(self, found: Changes) -> None:
        """Kept for clients that ask for the past later. While one listens, :meth:`_changes` hears it anyway."""
        if self._task is None:
            self._changes(found)

    def _changes(self, found: Changes) -> None:
        now = self._clock()
        starts = {id_of(identity): _started_ns(identity, now) for identity in found.started}
        for each in found.ended:
            key = id_of(each.identity)
            by = min(now, starts.get(key, now))  # it ended before it came back
            if each.killed is not None:
                self._tell(event("oom", each.killed.identity, by))
            finished = each.metadata.finished_seconds if each.metadata else None
            self._tell(ended(each.identity, each.exit_code, each.started_seconds, finished, by))
            self._died(key)
        for identity in found.started:
            key = id_of(identity)
            self._alive.add(key)
            if self._before is not None and key not in self._before:  # the listing is behind
                self._made(identity, now)
                self._before[key] = Listed(identity, State.RUNNING, True)
                self._made_meanwhile.add(key)
            self._tell(event("start", identity, starts[key]))
        for killed in found.killed:
            self._tell(event("oom", killed.identity, now))

    def _died(self, key: str) -> None:
        self._alive.discard(key)
        if key in self._removed:
            self._tell(self._removed.pop(key)[1])

    # -- from the listing

    async def _look(self) -> None:
        self._made_meanwhile.clear()
        now = {id_of(each.identity): each for each in await self._feed.run(self._listing())}
        before, self._before = self._before, now
        if before is not None:
            now |= {key: before[key] for key in self._made_meanwhile - now.keys() if key in before}
        if before is None:
            self._alive = {key for key, each in now.items() if each.running}
            return
        time_ns = self._clock()
        for key, each in now.items():
            known = before.get(key)
            if known is not None and known.health and each.health and not each.health.status:
                now[key] = each._replace(health=known.health)  # what was known last
            if known is None:
                if self._removed.pop(key, None) is None:  # else it was only not to be read
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
        self._tell(event("create", identity, time_ns if created is None else nanoseconds(created)))

    def _compare(self, before: Listed, now: Listed, time_ns: int) -> None:
        if now.running:
            self._alive.add(id_of(now.identity))
        if before.identity.name != now.identity.name:
            self._tell(event("rename", now.identity, time_ns, oldName=f"/{before.identity.name}"))
        health = now.health.status if now.health else None
        if now.running and health in _TOLD_HEALTH and health != (before.health.status if before.health else None):
            self._tell(event(f"health_status: {health}", now.identity, time_ns))
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


def _started_ns(identity: Identity, now: int) -> int:
    started = identity.metadata.started_seconds if identity.metadata else None
    return now if started is None else nanoseconds(started)

"""What happens to containers, as the Engine API's events: of what `follow` notices, and of what the listing shows.

Starts, ends and OOM kills come from the follower; making, removing, renaming, pausing from two looks at the listing, a
second apart, while a client listens. What happened before comes from the runtimes' state, as far as it says, and from
the starts and ends that are noticed without clients, too.

A new cgroup is no start yet (:mod:`.held_starts`). In each life ``oom`` comes before ``die``, and ``die`` before
``destroy``, whatever is noticed first.
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
from ..sampling.round import Changes, Ended, Killed
from .coalesced import Coalesced
from .event_listener import Listener
from .follow.follower import Follower
from .held_starts import Held, HeldStarts, was_begun
from .shared_passes import Feed
from .told_events import ToldEvents

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
_LINGER_SECONDS = 15.0
_RECORDED_SECONDS = 1.0
"""For so long clients share what the runtimes' state says of the past."""
_TOLD_HEALTH = ("healthy", "unhealthy")
_REMOVAL_NS = 10_000_000_000
"""For so long the removal of a container waits for the word of its end, and so long is its id none of another."""


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
        self._died_meanwhile: set[str] = set()
        """Those whose end was: it may have them still."""
        self._starts = HeldStarts()
        self._kills: dict[str, int] = {}
        """When the latest OOM kill of a container's life was told: its end is not before that."""
        self._alive: set[str] = set()
        """Those whose end the follower will tell."""
        self._removed: dict[str, Event] = {}
        """Removals that wait for an end."""
        self._destroyed: dict[str, int] = {}
        """When the removals were told that are not long ago: what is left of those is listed once more, perhaps."""
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
        pause = LOOK_SECONDS
        try:
            while True:
                pause = await self._starts.pause(pause, LOOK_SECONDS)
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
        killed = {id_of(each.identity): each for each in found.killed}
        for each in found.ended:
            key = id_of(each.identity)
            mine = None if key in starts else killed.pop(key, None)  # else it is of the life that began
            self._ended(key, each, mine or each.killed, min(now, starts.get(key, now)))
        for identity in found.started:
            self._started(id_of(identity), identity, starts[id_of(identity)], now)
        for key, kill in killed.items():
            self._confirm(key)
            self._kills[key] = now
            self._tell(event("oom", kill.identity, now))

    def _started(self, key: str, identity: Identity, started_ns: int, now: int) -> None:
        self._alive.add(key)
        self._kills.pop(key, None)
        self._destroyed.pop(key, None)
        if self._before is not None and key not in self._before and key not in self._removed:  # the listing is behind
            self._made(identity, now)
            self._before[key] = Listed(identity, State.RUNNING, True, begun=False)
            self._made_meanwhile.add(key)
        self._starts.take(key)
        if identity.metadata is not None and identity.metadata.started_seconds is not None:
            self._tell(event("start", identity, started_ns))
            return
        self._starts.add(key, Held(identity, now))

    def _ended(self, key: str, each: Ended, killed: Killed | None, by: int) -> None:
        """``by``: when the next life began, or now."""
        held, removed = self._starts.take(key), self._removed.get(key)
        by = by if removed is None else min(by, removed.time_ns)
        finished = each.metadata.finished_seconds if each.metadata else None
        kill = self._kills.pop(key, 0)
        end = ended(each.identity, each.exit_code, each.started_seconds, finished, max(by, kill), kill, each.absent)
        if held is not None and not was_begun(each):
            self._died(key)  # its engine failed to start it
            return
        if held is not None:
            started = held.time_ns if each.started_seconds is None else nanoseconds(each.started_seconds)
            self._tell(event("start", held.identity, min(started, end.time_ns)))
        if killed is not None:
            self._tell(event("oom", killed.identity, min(by, end.time_ns)))
        self._tell(end)
        self._died(key)

    def _confirm(self, key: str, now: Identity | None = None, *, past: bool = False) -> None:
        """It has started. ``now``: as its engine has it by now; ``past``: that was before any client came."""
        held = self._starts.take(key)
        if held is not None:
            identity = held.identity if now is None else now
            tell = self._told.add if past else self._tell
            tell(event("start", identity, _started_ns(identity, held.time_ns)))

    def _died(self, key: str) -> None:
        self._alive.discard(key)
        if self._task is not None:
            self._died_meanwhile.add(key)
        if key in self._removed:
            self._destroy(key, self._removed.pop(key))

    # -- from the listing

    async def _look(self) -> None:
        self._made_meanwhile.clear()
        self._died_meanwhile.clear()
        now = {id_of(each.identity): each for each in await self._feed.run(self._listing())}
        before, self._before = self._before, now
        for key in self._left_over(now):
            del now[key]
        if before is not None:
            now |= {key: before[key] for key in self._made_meanwhile - now.keys() if key in before}
        time_ns = self._clock()
        for key in self._starts.begun(now, time_ns):
            self._confirm(key, now[key].identity, past=before is None)
        self._alive |= {key for key, each in now.items() if each.running} - self._died_meanwhile
        if before is None:
            return
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
        for key, what in list(self._removed.items()):
            if time_ns - what.time_ns >= _REMOVAL_NS:
                self._died(key)

    def _left_over(self, now: dict[str, Listed]) -> list[str]:
        oldest = self._clock() - _REMOVAL_NS
        self._destroyed = {key: time_ns for key, time_ns in self._destroyed.items() if time_ns > oldest}
        return [key for key in self._destroyed if key in now]

    def _made(self, identity: Identity, time_ns: int) -> None:
        created = identity.metadata.created_seconds if identity.metadata else None
        self._tell(event("create", identity, time_ns if created is None else nanoseconds(created)))

    def _compare(self, before: Listed, now: Listed, time_ns: int) -> None:
        """In one look the order is not known: one that is renamed is taken to run then."""
        both = before.running and now.running and before.status != now.status
        if both and before.status == "paused":
            self._tell(event("unpause", now.identity, time_ns))
        if before.identity.name != now.identity.name:
            self._tell(event("rename", now.identity, time_ns, oldName=f"/{before.identity.name}"))
        health = now.health.status if now.health else None
        if now.running and health in _TOLD_HEALTH and health != (before.health.status if before.health else None):
            self._tell(event(f"health_status: {health}", now.identity, time_ns))
        if both and now.status == "paused":
            self._tell(event("pause", now.identity, time_ns))

    def _gone(self, key: str, identity: Identity, time_ns: int) -> None:
        what = event("destroy", identity, time_ns)
        if key in self._alive:
            self._removed[key] = what
        else:
            self._destroy(key, what)

    def _destroy(self, key: str, what: Event) -> None:
        self._destroyed[key] = what.time_ns
        self._tell(what)


def _started_ns(identity: Identity, now: int) -> int:
    started = identity.metadata.started_seconds if identity.metadata else None
    return now if started is None else nanoseconds(started)

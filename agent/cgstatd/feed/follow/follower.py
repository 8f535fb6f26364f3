"""Follows the containers while clients listen: a pass at each due point of the grid, its events encoded once.

Between the passes only the OOM counters are read: at once when a container's first process dies (its pidfd tells; the
runtime removes the cgroup a moment later, and the counter and the peak go with it), and each second for the others.
Without pidfds they are read at every point of the grid. From that death on, the runtime's record of the container is
read whenever it is written: with a restart policy the record of an end is overwritten within a third of a second.
The containers are listed soon after a cgroup came or went (:mod:`.news`), whatever the intervals: a first process may
not live until the next round.

Without clients first processes alone are watched (:mod:`.unattended`), where the service asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from functools import partial

from ... import __version__
from ...outputs import sse
from ...outputs.follow_types import FollowHello
from ...outputs.pressure_types import FollowPressure
from ...sampling.container import Container
from ...sampling.history_model import Life
from ...sampling.model import ContainerStats
from ...sampling.reading_failed import ReadingFailed
from ...sampling.registry import ListingFailed
from ...sampling.round import Round
from ..answer_bodies import Bodies
from ..lives import Lives
from ..reading_pass import Pass
from ..shared_passes import Feed
from .change_listeners import ChangeListeners, Listener
from .deaths import Deaths, Notice
from .event_sender import EventSender, Group, encode
from .interval_grid import GRID_SECONDS, due, settled, stretched
from .last_words import LastWords
from .news import News
from .round_work import RoundWork
from .subscription import Subscription
from .unattended import Unattended

log = logging.getLogger(__name__)
LINGER_SECONDS = 15.0
"""An interval's rounds go on for this long after its last client left."""
LOOK_STEPS = 4
_FRESHNESS_SECONDS = 0.1


class Follower:
    """Used in the event loop."""

    def __init__(
        self, feed: Feed, env_id: int, bodies: Bodies | None = None, observers: Iterable[Listener] = ()
    ) -> None:
        """``observers``: told of what is noticed from the first on; others may come later, and go."""
        self._feed = feed
        self._env = env_id
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self.last_words = LastWords()
        self.lives = Lives()
        self._sender = EventSender(self.last_words, self.lives, bodies or Bodies())
        self._changes = ChangeListeners(self.lives, self._sender, observers)
        self.observers = self._changes.observers
        self.looks = RoundWork(feed.sampler)
        """The one watch over all containers, with clients and without."""
        self._deaths = Deaths(self._died)
        self._written = Notice(self._wake_now)
        self._news = News(feed, self._wake.set)
        self._unattended: Unattended | None = None
        """What watches without clients; None: nothing does."""
        self._told: Pass | None = None
        """The pass of the last round."""
        self._dead = False
        """Whether since the last look a container's first process died, or its runtime wrote a record."""
        self._resuming = False
        """Whether the first look for clients is still to come."""

    @property
    def clients(self) -> int:
        """How many clients listen. From any thread."""
        return sum(len(group.clients) for group in list(self._sender.groups.values()))

    def subscribe(self, steps: int, last_event_id: str = "") -> Subscription:
        """A new client of an interval (in grid steps), or of one near to it where there are too many."""
        steps = settled(steps, self._sender.groups)
        self._begin()
        group = self._sender.groups.get(steps)
        if group is None:
            group = self._sender.groups[steps] = Group(steps)
        number = self._sender.ring.number_of(last_event_id)
        hello = FollowHello(
            env=self._env,
            interval=steps * GRID_SECONDS,
            version=__version__,
            resumed=number is not None,
            missed=self._sender.ring.missed(last_event_id),
        )
        first = [sse.event(b"hello", encode(hello))]
        if number is not None:
            first += self._sender.ring.since(number, steps)
        first += self._sender.pressure_now()
        client = Subscription(steps, first, returning=number is not None)
        group.clients.add(client)
        latest = group.latest
        if latest is not None and time.monotonic() - latest[0] < steps * GRID_SECONDS:
            if number is None:
                client.round(*latest[1:])
        else:
            group.urgent = True
        self._wake.set()
        if self._stopping:
            client.end()
        return client

    def _begin(self) -> None:
        if self._task is not None or self._stopping:
            return
        if self._unattended is not None:
            self._unattended.stop()
        self._sender.begin()
        self._resuming = True
        self._news.start()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def watch(self) -> None:
        """From now on notice how containers end, whether a client listens or not. A recorded tree has no processes."""
        if not self._feed.sampler.root.live:
            return
        self.lives.complete = True
        self._unattended = Unattended(self._feed, self.looks, self._deaths, self._changes.tell)
        if self._task is None:
            self._unattended.start()

    def look_for_kills(self) -> None:
        """Notice soon which containers had processes killed that are not their first, where no client listens; where
        one does, that is noticed each second."""
        if self._unattended is not None:
            self._unattended.look_for_kills()

    async def counted(self, kills: Mapping[Life, int]) -> None:
        """OOM kills that a round of the history has counted, by the lives of containers. Raises ReadingFailed."""
        await self._feed.run(partial(self.looks.counted, kills))
        self._tell()

    async def listen(self, listener: Listener) -> None:
        """Tell of the starts, ends and kills from now on, which needs no pass. Raises ListingFailed, ReadingFailed."""
        if listener not in self._changes.asking:
            self._changes.asking.append(listener)
        self._begin()
        await self._take({})
        self._tell()

    def pressure(self, event: FollowPressure) -> None:
        """Tell what waits, clients that come soon too."""
        self._sender.pressure(event)

    def unlisten(self, listener: Listener) -> None:
        """No more; nothing where it did not listen."""
        if listener in self._changes.asking:
            self._changes.asking.remove(listener)

    def leave(self, client: Subscription) -> None:
        """A client went away."""
        group = self._sender.groups.get(client.steps)
        if group is not None:
            group.clients.discard(client)

    def stop(self) -> None:
        """End every stream."""
        self._stopping = True
        for group in self._sender.groups.values():
            for client in group.clients:
                client.end()
        if self._task is not None:
            self._task.cancel()
        self._close_notices()
        if self._unattended is not None:
            self._unattended.stop()
        self._deaths.close()
        self.looks.close()

    async def _run(self) -> None:
        began = time.monotonic()
        point = 0
        try:
            while True:
                now = time.monotonic()
                self._forget_groups(now)
                if self._is_idle():
                    with contextlib.suppress(ReadingFailed):
                        await self._feed.run(self.looks.rest)
                    self._tell()
                    if self._is_idle():  # no client came meanwhile
                        break
                until = int((now - began) / GRID_SECONDS)
                await self._at(point, until)
                point = max(point, until)
                await self._sleep(began + (point + 1) * GRID_SECONDS)
        finally:
            self._task, self._told = None, None
            self._sender.pause()
            self._close_notices()
        if self._unattended is not None and not self._stopping:
            self._unattended.start()

    def _close_notices(self) -> None:
        self._written.close()
        self._news.stop()

    def _is_idle(self) -> bool:
        return not self._sender.groups and not self._changes.asking

    def _forget_groups(self, now: float) -> None:
        """An interval goes on for some time after its last client left: one that comes back has missed nothing."""
        for group in list(self._sender.groups.values()):
            if group.clients:
                group.heard = now
            elif now - group.heard > LINGER_SECONDS:
                del self._sender.groups[group.steps]

    async def _sleep(self, until: float) -> None:
        """To the grid's next point, or until a client comes that must not wait for it."""
        self._wake.clear()
        if self._dead or any(group.urgent and group.clients for group in self._sender.groups.values()):
            return
        until = min(until, self._news.due(self.looks))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await self._wake.wait()

    async def _at(self, point: int, until: int) -> None:
        """The work at the grid's points after ``point`` up to ``until``."""
        groups = [g for g in self._sender.groups.values() if g.urgent or due(g.steps, point, until)]
        if not any(group.urgent for group in groups) and self._restrained():
            groups = []
        for group in groups:
            group.overruns += max(0, until // group.steps - point // group.steps - 1)
        try:
            if groups:
                await self._pass(groups)
            else:
                every = due(LOOK_STEPS if self.looks.all_armed else 1, point, until)
                if every or self._dead or self.looks.waiting:
                    self._dead = False
                    await self._feed.run(partial(self.looks.between, all_containers=every))
                    if self._changes.asking and due(LOOK_STEPS, point, until):
                        await self._take({})
                    self._tell()
                if time.monotonic() >= self._news.due(self.looks):
                    await self._take({})
                    self._tell()
        except (ListingFailed, ReadingFailed) as error:
            for group in groups:
                group.urgent = False
                self._sender.failed(group, str(error))
        except Exception:
            log.exception("following")
            for group in groups:
                group.urgent = False

    def _restrained(self) -> bool:
        """Whether there is nothing new and a new pass would cost too much. A pass made for other requests is shared."""
        return self._feed.last_pass is self._told and self._feed.restrained(_FRESHNESS_SECONDS)

    async def _pass(self, groups: list[Group]) -> None:
        began = time.monotonic()
        round_ = self._told = self._feed.round(_FRESHNESS_SECONDS)
        await round_.in_time()
        unread = round_.unread()  # before the figures: what is read meanwhile is in both
        stats = {each.identity.id: each for each in list(round_.stats)}
        found = await self._take(stats, unread)
        if found is None:
            raise ReadingFailed("an earlier look at the containers still hangs")
        seconds = round(time.monotonic() - began, 4)
        self._tell()
        for group in groups:
            group.urgent = False
            await self._sender.round(
                group, found, seconds, stretched(group.steps, self._feed.cpu_budget.interval_seconds)
            )

    async def _take(
        self, stats: Mapping[str, ContainerStats], unread: frozenset[Container] | None = frozenset()
    ) -> Round | None:
        """List the containers, and what goes with the figures. Raises ListingFailed, ReadingFailed."""
        with self._news.listing(self.looks):
            found = await self._feed.run(partial(self.looks.take, stats, unread))
        if self._resuming:  # what the first look finds is of the time without clients
            self._resuming = False
            self._changes.tell(self.looks.changes(), returning=True)
        return found

    def _tell(self) -> None:
        self._deaths.watch(self.looks.pidfds())
        if self._task is not None:
            self._written.listen(self.looks.records_fd)
            self._news.listen()
        self._changes.tell(self.looks.changes())

    def _died(self, container: Container, pidfd: int) -> None:
        """Look now: the cgroup will be gone soon."""
        self.looks.died(container, pidfd)
        if self._task is None and self._unattended is not None:
            self._unattended.wake_now()
        else:
            self._wake_now()

    def _wake_now(self) -> None:
        self._dead = True
        self._wake.set()

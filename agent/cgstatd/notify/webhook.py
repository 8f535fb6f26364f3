"""Listens to what happens, looks at the memory of containers, and sends what is worth it until it was taken."""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections.abc import Awaitable, Callable, Iterable

from ..basics.destination import Destination, origin
from ..basics.once_in_a_while import OnceInAWhile
from ..basics.timing import Backoff, Time
from ..feed.follow.follower import Follower
from ..feed.shared_passes import Feed
from ..outputs.notification_json import Notification, body
from ..outputs.own_metrics import Notified
from ..sampling.reading_failed import ReadingFailed
from ..sampling.registry import ListingFailed
from ..sampling.round import Changes
from .coalescing import Coalescing
from .delivery import Failed, Refused, deliver
from .keeper import Keeper
from .kept import FORMAT, Kept
from .known_ends import KnownEnds
from .rules import Rules
from .waiting import DELIVERED, REFUSED, UNKNOWN, Waited, Waiting

log = logging.getLogger(__name__)
LOOK_SECONDS = 10.0
"""Between two looks at the memory and the OOM kills of all containers. A reading made for others is shared."""
GATHER_SECONDS = 1.0
"""What happens within this time goes in one request."""


class Webhook:
    """One per agent; it may have nowhere to send to. Used in the event loop."""

    def __init__(
        self,
        feed: Feed,
        follower: Follower,
        env_id: int,
        hostname: Callable[[], Awaitable[str | None]],
        time: Time | None = None,
        backoff: Backoff | None = None,
        directory: str = "",
    ) -> None:
        """``directory``: of the agent's state, which keeps what a restart must not lose; empty: there is none."""
        self._feed, self._follower, self._env, self._hostname = feed, follower, env_id, hostname
        self._time = time or Time()
        self._backoff = backoff or Backoff()
        self._rules = Rules(follower.lives, self._wall, self._time.now)
        self._ends = KnownEnds()
        self._keeper = Keeper(directory, self._to_keep, self._time)
        self._opened = False
        self._coalescing = Coalescing()
        self._waiting = Waiting()
        self._news = asyncio.Event()
        self._destination = Destination()
        self._tasks: list[asyncio.Task[None]] = []
        self._pause: asyncio.Task[None] | None = None
        self._once = OnceInAWhile()
        self._trouble = ""

    # -- begun, changed, ended

    async def tell(self, destination: Destination) -> None:
        """Tell this one from now on, with what waits; nothing happens where it is the same."""
        if destination == self._destination:
            return
        await self._end()
        self._destination, self._trouble = destination, ""
        if not destination.url:
            self._waiting.clear()
            self._coalescing, self._ends, self._opened = Coalescing(), KnownEnds(), False
            await self._keeper.forget()
            return
        self._backoff = self._backoff.anew()
        self._follower.observers.append(self._heard)
        self._tasks = [asyncio.get_running_loop().create_task(each) for each in (self._send(), self._look_on())]

    def try_now(self) -> None:
        """Wait no longer with the next attempt: the secret may be another now."""
        if self._pause is not None:
            self._pause.cancel()

    async def stop(self) -> None:
        """End, whatever waits or is under way."""
        await self._end()
        left = len(self._waiting)
        await self._keeper.end()
        if left and self._keeper.kept:
            log.info("notify: the agent ends, %d notifications wait on disk for its next start", left)
        elif left:
            log.warning("notify: the agent ends, %d notifications were not delivered", left)

    async def _end(self) -> None:
        if self._heard in self._follower.observers:
            self._follower.observers.remove(self._heard)
        tasks, self._tasks = self._tasks, []
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def figures(self) -> Notified | None:
        """For the metrics; None: it is off. Any thread may ask."""
        if not self._destination.url:
            return None
        outcomes = dict(self._waiting.outcomes) | {UNKNOWN: self._rules.unknown_ends}
        return Notified(self._trouble, len(self._waiting), outcomes)

    # -- what happens

    def _wall(self) -> float:
        """Seconds since the epoch."""
        return self._time.time_ms() / 1000

    def _heard(self, found: Changes) -> None:
        self._take(self._rules.changes(self._ends.hear(found, self._wall())))
        if found.ended:
            self._keeper.changed()

    def _take(self, found: Iterable[Notification]) -> None:
        self._take_due()  # also while nothing can be delivered
        now = self._time.now()
        for each in found:
            for told in self._coalescing.take(each, now):
                self._waiting.put(told, now)
            self._news.set()
            self._keeper.changed()

    async def _look_on(self) -> None:
        if not self._opened:
            self._go_on(await self._keeper.open())
            self._opened = True
        while True:
            try:
                await self.look()
            except (ListingFailed, ReadingFailed) as error:
                log.debug("notify: %s", error)
            except Exception:
                log.exception("notify")
            await self._time.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """At the memory of all containers, and at the OOM kills of those that live on. Raises ListingFailed,
        ReadingFailed."""
        self._follower.look_for_kills()
        if not self._ends.looked:
            await self._look_back()
        last = self._feed.last_pass
        recent = last is not None and clock.monotonic() - last.began < LOOK_SECONDS
        if not recent and self._feed.restrained(LOOK_SECONDS):
            return
        round_ = last if last is not None and recent else self._feed.round(LOOK_SECONDS)
        found = await round_.in_time()
        mem_total = await self._feed.run(self._feed.sampler.host.mem_total)
        before = self._rules.near
        self._take(self._rules.memory(found, mem_total))
        if self._rules.near != before:
            self._keeper.changed()

    async def _look_back(self) -> None:
        """At what ended while the agent did not run. Raises ListingFailed, ReadingFailed."""
        on_disk = await self._feed.run(self._feed.known)
        self._take(self._rules.missed(self._ends.compare(on_disk, self._wall())))
        self._keeper.changed()

    # -- what a restart must not lose

    def _go_on(self, kept: Kept | None) -> None:
        """Where an earlier run of the agent has ended."""
        if kept is None:
            return
        self._ends = KnownEnds(kept.ends | self._ends.known, kept.since)
        self._rules.go_on(kept.near, kept.flapping)
        now, wall = self._time.now(), self._wall()
        self._waiting.before([(now - max(0.0, wall - since), each) for since, each in kept.waiting])
        self._news.set()

    def _to_keep(self) -> Kept:
        now, wall = self._time.now(), self._wall()
        waiting = [(wall - (now - since), each) for since, each in self._waiting.all()]
        return Kept(
            format=FORMAT,
            since=wall if self._ends.looked else self._ends.since,
            ends=self._ends.known,
            near=self._rules.near,
            flapping=self._rules.flapping,
            waiting=waiting + [(wall, each) for each in self._coalescing.waiting()],
        )

    # -- what is sent

    async def _send(self) -> None:
        while True:
            await self._more()
            those = self._waiting.take(self._time.now())
            if not those:
                continue
            try:
                wait = await self._deliver(those)
            except BaseException:
                self._waiting.again(those)
                raise
            if wait is not None:
                self._waiting.again(those)
                await self._sleep(wait)

    async def _more(self) -> None:
        """Wait until something is to be sent; what happens meanwhile is gathered."""
        if len(self._waiting):
            return
        while not len(self._waiting):
            self._news.clear()
            await self._news_or_due()
            self._take_due()
        await self._time.sleep(GATHER_SECONDS)
        self._take_due()

    async def _news_or_due(self) -> None:
        """Until something happened, or the minute of something is over."""
        due = self._coalescing.next_due
        if due is None:
            await self._news.wait()
            return
        minute = asyncio.ensure_future(self._time.sleep(max(0.0, due - self._time.now())))
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait([minute, news], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (minute, news):
                each.cancel()
            await asyncio.gather(minute, news, return_exceptions=True)

    def _take_due(self) -> None:
        now = self._time.now()
        for each in self._coalescing.due(now):
            self._waiting.put(each, now)

    async def _deliver(self, those: list[Waited]) -> float | None:
        """One attempt; how long to wait before the next of the same, None: they are done with."""
        to = self._destination
        try:
            host = await self._hostname()
            await deliver(to, body(host, self._env, self._waiting.lost, [each for _, each in those]))
        except Refused as error:
            self._done(those, REFUSED)
            self._say(f"refused: {error}")
            return None
        except (Failed, ReadingFailed) as error:
            self._say(str(error))
            return self._backoff.seconds(error.retry_after if isinstance(error, Failed) else 0.0)
        self._done(those, DELIVERED)
        self._backoff = self._backoff.anew()
        if self._trouble:
            log.info("notify delivers again to=%s", origin(to.url))
        self._trouble = ""
        return None

    def _done(self, those: list[Waited], outcome: str) -> None:
        self._waiting.done(those, outcome)
        self._keeper.changed()

    def _say(self, sentence: str) -> None:
        """Once, until it is another, something was delivered, or once in a while."""
        if self._once.due("again") or sentence != self._trouble:
            log.warning("notify not delivered to=%s: %s", origin(self._destination.url), sentence)
        self._trouble = sentence

    async def _sleep(self, seconds: float) -> None:
        self._pause = asyncio.ensure_future(self._time.sleep(seconds))
        try:
            await asyncio.wait([self._pause])
        finally:
            self._pause.cancel()
            self._pause = None

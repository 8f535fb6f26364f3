"""Watches the host's pressure: sleeps without a timer, looks twice when a trigger fires, and tells what it found.

A trigger (:mod:`cgstatd.host.pressure_triggers`) fires at most once in 2 s. While two looks are taken, and for a pause
after them, the event loop does not listen, so that pressure without end costs two looks a pause. The pause is 10 s at
first; looks that find nothing new double it up to a minute, or two minutes if no container waits, and
max_cpu may ask for more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from cgroupfs import CgroupError, Root

from ...host.pressure_triggers import NOT_LIVE, RESOURCES, Trigger, Triggers, open_triggers
from ...outputs.own_metrics import PressureFigures
from ...outputs.pressure_types import FollowPressure, PressureFacts
from ...outputs.pressure_words import pressure_event
from ...sampling.pressure.found import Found, by_lives
from ...sampling.pressure.looker import Looker
from ...sampling.pressure.looks import Look
from ...sampling.pressure.verdict import Verdict, verdicts
from ...sampling.reading_failed import ReadingFailed
from ...sampling.registry import ListingFailed
from ..shared_passes import Feed

log = logging.getLogger(__name__)
BETWEEN_SECONDS = 1.5
"""From one look to the other: fifteen of the usual quota's periods, and not yet another time."""
FIRST_SECONDS = 2.0
"""After its start the agent does not listen yet: what it does then makes programs wait on a small host."""
PAUSE_SECONDS = 10.0
LONGEST_SECONDS = 60.0
LONGEST_IN_VAIN_SECONDS = 120.0
"""Where it is not containers that wait: on many hosts something always does."""
COSTLIEST_SECONDS = 600.0
"""The longest pause where looks cost so much that max_cpu asks for it."""
OFF = "pressure = false in the configuration"
STARTING = "the agent is starting"
KEPT = 1000
"""Containers of which it is counted how often they waited; the one that waited longest ago gives way."""
_RECENT = 8
"""Looks. On a host that is always busy the same containers wait now and then, in turn: that is nothing new."""
_Key = tuple[str, str]


class PressureWatch:
    """Used in the event loop. Owns the triggers' descriptors."""

    def __init__(
        self,
        feed: Feed,
        tell: Callable[[FollowPressure], None],
        observers: Iterable[Callable[[Found], None]] = (),
        *,
        opened: Callable[[Root], Triggers] = open_triggers,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``tell`` hears what was found, as it is sent; ``observers`` hear it by the lives of containers."""
        self._feed = feed
        self._tell = tell
        self._opened = opened
        self._sleep = sleep
        self._looker = Looker(feed.sampler)
        self._observers = tuple(observers)
        self._task: asyncio.Task[None] | None = None
        self._triggers = Triggers([], {})
        self._fired: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._why_not = OFF
        self._pause = PAUSE_SECONDS
        self._recent: deque[frozenset[tuple[str, str, str]]] = deque(maxlen=_RECENT)
        """What the latest looks found."""
        self.looks = 0
        """Pairs of looks."""
        self.fires: Counter[str] = Counter()
        """How often each resource's trigger fired while it was listened to."""
        self.waits: dict[str, Counter[_Key]] = {}
        """Container's id -> (resource, cause) -> how many pairs of looks found it waiting."""

    def want(self, wanted: bool) -> None:
        """Watch, or do not; a reload may change it."""
        if wanted and self._task is None:
            self._why_not = STARTING
            self._task = asyncio.get_running_loop().create_task(self._run())
        elif not wanted:
            self.stop(OFF)

    def stop(self, why: str = "the agent is stopping") -> None:
        """End, and close every descriptor."""
        self._why_not = why
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._close()

    def facts(self) -> PressureFacts:
        """What /api/host says of it."""
        on = [each.resource for each in self._triggers.open]
        absent = {each: self._triggers.absent.get(each, self._why_not) for each in RESOURCES if each not in on}
        return PressureFacts(watched=on, absent=absent, looks=self.looks)

    def figures(self) -> PressureFigures:
        """What /metrics says of it."""
        on = {each.resource for each in self._triggers.open}
        waits = {key: dict(counts) for key, counts in self.waits.items()}
        return PressureFigures({each: each in on for each in RESOURCES}, dict(self.fires), self.looks, waits)

    async def _run(self) -> None:
        try:
            await self._open()
            if self._triggers.open:
                await self._sleep(FIRST_SECONDS)
            while self._triggers.open:
                self._listen()
                await self._wake.wait()
                self._unlisten()
                fired, self._fired = list(self._fired), {}
                await self._sleep(await self.look(fired))
        except ReadingFailed as error:
            self._why_not = str(error)
        except Exception:
            log.exception("watching pressure")
            self._why_not = "an error, which the log has"
        finally:
            if self._task is asyncio.current_task():
                self._close()

    async def _open(self) -> None:
        root = self._feed.sampler.root
        if not root.live:
            self._why_not = NOT_LIVE
            return
        opening = asyncio.ensure_future(self._feed.run(partial(self._opened, root)))
        try:
            self._triggers = await asyncio.shield(opening)
        except asyncio.CancelledError:  # stopped meanwhile: what was opened is closed when it is there
            opening.add_done_callback(_close_when_opened)
            raise
        for why in self._triggers.reasons():
            log.info("%s", why)

    # -- listening

    def _listen(self) -> None:
        self._wake.clear()
        for each in self._triggers.open:
            each.clear()  # of the pause: it may be over
            asyncio.get_running_loop().add_reader(each.waits.fileno(), self._fires, each)

    def _unlisten(self) -> None:
        for each in self._triggers.open:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                asyncio.get_running_loop().remove_reader(each.waits.fileno())

    def _fires(self, trigger: Trigger) -> None:
        trigger.clear()
        self._fired[trigger.resource] = None
        self.fires[trigger.resource] += 1
        self._wake.set()

    def _close(self) -> None:
        self._unlisten()
        triggers, self._triggers = self._triggers, Triggers([], {})
        triggers.close()

    # -- looking

    async def look(self, resources: list[str]) -> float:
        """Take two looks, tell what they found, and for how long there is a pause."""
        cost = self._looker.cpu_seconds
        try:
            before = await self._take(resources, last=False)
            await self._sleep(BETWEEN_SECONDS)
            after = await self._take(resources, last=True)
            found = await self._feed.run(partial(verdicts, before, after, resources))
        except (ListingFailed, ReadingFailed, CgroupError) as error:
            log.debug("looking for what waits: %s", error)
            return self._paused(None, cost)
        self.looks += 1
        pause = self._paused(found, cost)
        if found:
            self._count(found)
            event = await self._feed.run(partial(self._event, resources, before, after, found, pause))
            self._tell(event)
            clock = self._feed.sampler.root.clock()
            waits = by_lives(after, found)
            heard = Found(waits, event.seconds, event.valid_seconds, clock.monotonic_ns, event.timestamp)
            for each in self._observers:
                each(heard)
        return pause

    def _event(
        self, resources: list[str], before: Look, after: Look, found: list[Verdict], pause: float
    ) -> FollowPressure:
        return pressure_event(resources, before, after, found, pause, self._looker.device_name, self._now_ms())

    def _now_ms(self) -> int:
        return self._feed.sampler.root.clock().time_ms

    async def _take(self, resources: list[str], *, last: bool) -> Look:
        begun = await self._feed.run(partial(self._looker.begin, resources, last=last))
        found = await self._feed.each(partial(self._looker.read, begun), begun.items)
        return self._looker.end(begun, found)

    def _paused(self, found: list[Verdict] | None, cost_before: float) -> float:
        names = frozenset((each.identity.id, each.resource, each.cause.value) for each in found or ())
        known = bool(self._recent) and names.issubset(frozenset().union(*self._recent))
        self._recent.append(names)
        longest = LONGEST_SECONDS if found else LONGEST_IN_VAIN_SECONDS
        self._pause = min(2 * self._pause, longest) if known else PAUSE_SECONDS
        percent = self._feed.cpu_budget.percent
        costs = (self._looker.cpu_seconds - cost_before) * 100 / percent if percent else 0.0
        return max(self._pause, min(costs, COSTLIEST_SECONDS))

    def _count(self, found: list[Verdict]) -> None:
        for each in found:
            counts = self.waits.pop(each.identity.id, None) or Counter()
            counts[each.resource, each.cause.value] += 1
            self.waits[each.identity.id] = counts  # the latest last
        while len(self.waits) > KEPT:
            del self.waits[next(iter(self.waits))]


def _close_when_opened(opening: asyncio.Future[Triggers]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()

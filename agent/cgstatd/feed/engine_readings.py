"""Readings for the Engine API: what is asked at about the same time is one job of the sampling thread.

A hundred requests that come together, or all streams of a second, cost one listing, one look at the host and one
reading of each container that is asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from ..basics.event_loop import call_from_thread
from ..host.runtimes.base import Metadata
from ..outputs.engine.names import engine_id
from ..sampling.container import Container
from ..sampling.engine_figures import EngineFigures, EngineReader, Moment
from ..sampling.lookup import Known, NotFound, running
from ..sampling.reading_failed import HUNG, ReadingFailed
from ..sampling.registry import ListingUnderWay
from ..sampling.work_item import Again
from . import reading_pass
from .engine_lookup import Several, find
from .job import Job
from .patience import Patience
from .shared_passes import Feed

Answer = EngineFigures | Known
"""Figures, or a container that does not run."""
FRESH_SECONDS = 0.3
_KEPT_SECONDS = 1.0
"""Answers are dropped after this time: they hold the figures of every container that was asked for."""
_AGAIN_SECONDS = 0.05


class Outcome(NamedTuple):
    """Of one container that was asked for."""

    wanted: str
    answer: Answer | None
    error: Exception | None


class _Answers:
    """To one job's requests, as the sampling threads find them."""

    def __init__(self, deliver: Callable[[tuple[Outcome, ...]], None], late: Callable[[Outcome], None]) -> None:
        self._deliver, self._late = deliver, late
        self._outcomes: list[Outcome] = []
        self._delivered = False

    def add(self, *found: Outcome) -> None:
        """One more, or several; of a thread that was left behind it may come once the others are delivered."""
        self._outcomes += found
        if self._delivered:
            for each in found:
                self._late(each)

    def deliver(self) -> None:
        """Hand over what there is."""
        self._delivered = True
        self._deliver(tuple(self._outcomes))


class EngineReadings:
    """Used in the event loop."""

    def __init__(self, feed: Feed, clock: Callable[[], float] = time.monotonic) -> None:
        self._feed = feed
        self._clock = clock
        self._reader = EngineReader(feed.sampler)
        self._asked: dict[str, asyncio.Future[Answer]] = {}
        self._kept: tuple[float, dict[str, Answer]] = (0.0, {})
        self._running: set[str] = set()
        """Of the system, by id, when all containers were listed last."""
        self._under_way = False
        self._leaving: set[asyncio.Task[None]] = set()
        self._job: Job | None = None
        """The latest."""
        self._until: float | None = None
        """Until when a listing that hangs is waited for."""

    async def get(self, wanted: str, fresh_seconds: float = FRESH_SECONDS) -> Answer:
        """One container by id, name or prefix. Raises NotFound, Ambiguous, ListingFailed, ReadingFailed."""
        at, kept = self._kept
        if wanted in kept and self._clock() - at < fresh_seconds:
            return kept[wanted]
        loop = asyncio.get_running_loop()
        future = self._asked.get(wanted)
        if future is None:
            future = self._asked[wanted] = loop.create_future()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            if not self._under_way:
                self._under_way = True
                loop.call_soon(self._begin)  # requests of this moment come along
        seconds = reading_pass.CONTAINER_SECONDS
        try:
            return await Patience(seconds, self._last_ended).wait(future)
        except TimeoutError:
            raise ReadingFailed(f"reading the container takes over {seconds:.0f} s") from None

    def _last_ended(self) -> float:
        return 0.0 if self._job is None else self._feed.sampling_thread.ended(self._job)

    def _begin(self) -> None:
        asked, self._asked = self._asked, {}
        job = self._job = Job(deque(), long=True)
        loop = asyncio.get_running_loop()
        answers = _Answers(
            lambda outcomes: call_from_thread(loop, self._over, asked, outcomes),
            lambda outcome: call_from_thread(loop, _settle, asked, outcome),
        )
        job.items.append(Again(partial(self._list, job, tuple(asked), answers)))
        self._feed.sampling_thread.submit(job)

    def _over(self, asked: dict[str, asyncio.Future[Answer]], outcomes: tuple[Outcome, ...]) -> None:
        kept: dict[str, Answer] = {}
        if not any(isinstance(each.error, ListingUnderWay) for each in outcomes):
            self._until = None
        loop = asyncio.get_running_loop()
        for each in outcomes:
            future = asked[each.wanted]
            if each.answer is not None:
                kept[each.wanted] = each.answer
            if isinstance(each.error, ListingUnderWay) and not future.done() and self._waits(loop):
                again = self._asked.setdefault(each.wanted, future)
                if again is not future:  # it was asked for meanwhile, too: one answer is for both
                    again.add_done_callback(partial(_answer_too, future))
                continue
            _settle(asked, each)
        left = asked.keys() - {each.wanted for each in outcomes}
        if left:
            self._leaving.add(leaving := loop.create_task(self._leave({wanted: asked[wanted] for wanted in left})))
            leaving.add_done_callback(self._leaving.discard)
        self._kept = self._clock(), kept
        loop.call_later(_KEPT_SECONDS, self._forget, kept)
        self._under_way = bool(self._asked)
        if self._asked:
            loop.call_later(0.0 if self._until is None else _AGAIN_SECONDS, self._begin)

    async def _leave(self, left: dict[str, asyncio.Future[Answer]]) -> None:
        """The readings that threads were left behind with hang, unless they are seen to compute: `docker stats` shows
        nothing until each of its containers has answered."""
        patience = Patience(reading_pass.IN_TIME_SECONDS, lambda: self._feed.sampling_thread.left_moved)
        while (seconds := patience.left()) > 0:
            await asyncio.wait(left.values(), timeout=seconds)
            if all(future.done() for future in left.values()):
                return
        for wanted in left:
            _settle(left, Outcome(wanted, None, ReadingFailed("reading the container hangs", HUNG)))

    def _waits(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether a listing that is under way (its files hang) is waited for still."""
        now = loop.time()
        self._until = self._until or now + reading_pass.CONTAINER_SECONDS
        return now < self._until

    def _forget(self, kept: dict[str, Answer]) -> None:
        if self._kept[1] is kept:
            self._kept = (0.0, {})

    # -- in the sampling thread

    def _list(self, job: Job, several: tuple[str, ...], answers: _Answers) -> None:
        try:
            moment = self._reader.begin()
            known = self._several(several)
        except Exception as error:
            failure = self._feed.sampler.out_of_resources(error) or error
            answers.add(*(Outcome(wanted, None, failure) for wanted in several))
        else:
            job.items.extend(partial(self._read, wanted, known, moment, answers) for wanted in several)
        job.items.append(answers.deliver)

    def _several(self, wanted: tuple[str, ...]) -> Several:
        """What is to be looked at for those; containers that do not run only where one of them may be meant."""
        if self._running.issuperset(wanted):
            live = [each for each in self._feed.sampler.containers() if not each.over and not each.identity.owner_uid]
            if {each.identity.id for each in live}.issuperset(wanted):
                return Several(list(map(running, live)))
        known = self._feed.known()
        self._running = {each.id for each in known if isinstance(each.target, Container) and not each.owner_uid}
        return Several(known)

    def _read(self, wanted: str, known: Several, moment: Moment, answers: _Answers) -> None:
        try:
            answers.add(Outcome(wanted, self._one(wanted, known, moment), None))
        except Exception as error:
            answers.add(Outcome(wanted, None, self._feed.sampler.out_of_resources(error) or error))

    def _one(self, wanted: str, several: Several, moment: Moment) -> Answer:
        known = self._among(wanted.removeprefix("/"), several) or find(self._feed, wanted)
        if not isinstance(known.target, Container):
            return known
        found = self._reader.read(known.target, moment)
        if found is not None:
            return found
        known = find(self._feed, wanted)
        if isinstance(known.target, Container):
            raise NotFound(wanted)
        return known

    def _among(self, wanted: str, several: Several) -> Known | None:
        """The container that is meant, where the list tells; None: it has to be looked for.

        An id stays; a name may be another's by now, and a container that did not run may run.
        """
        found = several.find(wanted)
        if found is None:
            return None
        sampler = self._feed.sampler
        if isinstance(found.target, Metadata):
            return found if sampler.names.again(found.target) == found.target else None
        by_id = engine_id(found.runtime, found.owner_uid, found.id).startswith(wanted) or found.id.startswith(wanted)
        return found if by_id or not sampler.registry.look_again([found.target]) else None


def _settle(asked: dict[str, asyncio.Future[Answer]], outcome: Outcome) -> None:
    """Give a request its answer, unless it has one."""
    future = asked[outcome.wanted]
    if future.done():
        return
    if outcome.answer is not None:
        future.set_result(outcome.answer)
    else:
        future.set_exception(outcome.error or NotFound(outcome.wanted))


def _answer_too(future: asyncio.Future[Answer], answered: asyncio.Future[Answer]) -> None:
    """Give one future the answer of another."""
    if future.done() or answered.cancelled():
        return
    error = answered.exception()
    if error is None:
        future.set_result(answered.result())
    else:
        future.set_exception(error)

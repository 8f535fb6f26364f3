"""Reads one container or the host in steps: what memory does not have from the disk.

An hour of 100 containers must hold up no other answer, and neither must a week.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from ...host.identity import short
from ...host.runtimes.base import State as Runs
from ...host.workload import workload
from ...outputs.history_types import ContainerHistory, HostHistory
from ...sampling.history_model import Life
from ...sampling.history_work import Clocks
from ...sampling.lookup import Known, NotFound
from ...sampling.one_container import identity_of
from ..shared_passes import Feed
from . import gaps
from .disk import Silent
from .disk_model import Moved, State
from .in_steps import ContainerSteps, HostSteps
from .past import TRIES, Past, View
from .rows import Part, Wanted, Who, Workload
from .spans import Timeline
from .steps import Grid, grid, shown_ms
from .steps import gaps as gaps_of

T = TypeVar("T", HostSteps, ContainerSteps)
_ROUNDS = 600
"""Of a file, that are read together."""


class Asked(NamedTuple):
    """What a client wants: milliseconds since the epoch (None: what memory has, the latest), seconds a step."""

    since_ms: int | None
    until_ms: int | None
    step_seconds: float


class _Plan(NamedTuple):
    """The steps of an answer, and what they are made of."""

    grid: Grid
    view: View
    earliest: str
    """Why there is nothing before the first round."""

    @property
    def now(self) -> Clocks:
        """When it was asked."""
        return self.view.now


class StepsReading:
    """Used in the event loop."""

    def __init__(self, feed: Feed, past: Past) -> None:
        self._feed = feed
        self._past = past

    async def host(self, asked: Asked) -> HostHistory:
        """The host in steps."""
        plan, found = await self.filled(asked, lambda plan: HostSteps(plan.grid, plan.now, plan.earliest), None)
        return await self._past.compute(_host_answer, self._past.memory.interval_seconds, plan, found)

    async def container(self, wanted: str, asked: Asked) -> ContainerHistory:
        """A container in steps, also one that is gone. Raises NotFound, Ambiguous, ListingFailed, ReadingFailed."""
        try:
            known: Known | None = await self._feed.run(partial(self._feed.find, wanted))
        except NotFound:
            known = None
        who = await self._gone(wanted) if known is None else (known.owner_uid, known.runtime, known.id)
        if who is None:
            raise NotFound(wanted)
        there = None if known is None else _stopped(known)
        plan, found = await self._steps(asked, who, there)
        return await self._answer(plan, found, found.latest.life if found.latest else Life(*who, 0))

    async def workload(self, text: str, asked: Asked) -> ContainerHistory:
        """All containers of a workload in the same steps, those that are gone too. Raises NotFound, ListingFailed,
        ReadingFailed."""
        plan, found = await self._steps(asked, Workload(text), None)
        life = found.latest.life if found.latest else await self._feed.run(partial(_of_workload, self._feed, text))
        if life is None:
            raise NotFound(text)
        return await self._answer(plan, found, life)

    async def _steps(self, asked: Asked, who: Wanted, there: tuple[int, str] | None) -> tuple[_Plan, ContainerSteps]:
        """``there``: see :class:`ContainerSteps`."""
        return await self.filled(asked, lambda plan: ContainerSteps(plan.grid, plan.now, plan.earliest, there), who)

    async def _answer(self, plan: _Plan, found: ContainerSteps, life: Life) -> ContainerHistory:
        """``life``: the latest, or where the steps have none, what they are of."""
        return await self._past.compute(_container_answer, self._past.memory.interval_seconds, plan, found, life)

    async def _gone(self, wanted: str) -> Who | None:
        """A container that is no longer there: by id, name or prefix; the latest where several fit. Raises
        Ambiguous."""
        found, disk = await self._past.find(wanted), self._past.disk
        if found is None and disk is not None:
            for _ in range(TRIES):
                with contextlib.suppress(Moved, Silent):
                    found = await disk.find(wanted)
                    break
        return None if found is None else found.who

    async def filled(self, asked: Asked, begin: Callable[[_Plan], T], wanted: Wanted | None) -> tuple[_Plan, T]:
        """The steps of an answer, filled. A disk that does not answer is a gap."""
        for _ in range(TRIES):
            plan = self._plan(asked, self._past.state, gaps.BEFORE)
            found = begin(plan)
            try:
                await self._gather(plan, plan.view, found, wanted)
            except Moved:
                continue
            except Silent:
                break
            return plan, found
        plan = self._plan(asked, self._past.state, gaps.SILENT)
        found = begin(plan)
        memory_alone = plan.view._replace(state=State(run=plan.view.state.run))
        await self._gather(plan, memory_alone, found, wanted)
        return plan, found

    def _plan(self, asked: Asked, state: State, earliest: str) -> _Plan:
        """What there is now, and the steps that a client wants of it."""
        memory, view = self._past.memory, self._past.view(state, in_line=True)
        now, first, last = view.now, view.there, memory.row(memory.last)
        interval_ms = int(memory.interval_seconds * 1000)
        kept_ms = memory.rounds * interval_ms
        point = now.time_ms
        if last is not None:
            late = last.monotonic_nsec - (memory.began_ns or 0) - last.round * interval_ms * 1_000_000
            point = shown_ms(last.boottime_nsec, now) - late // 1_000_000
        recent = now.time_ms - kept_ms
        if first is not None:
            recent = min(recent, shown_ms(first.boottime_nsec, now))  # the host was asleep meanwhile
        horizon = recent
        for part in state.parts[:1]:
            horizon = min(horizon, shown_ms(part.first_boottime_ns + view.timeline.shifts_ns[part.run.run], now))
        until = point if asked.until_ms is None else min(max(asked.until_ms, horizon), max(now.time_ms, point))
        wanted = min(recent, until - kept_ms) if asked.since_ms is None else asked.since_ms
        since = max(wanted, horizon)
        steps = grid(interval_ms, point, min(since, until), until, asked.step_seconds)
        return _Plan(steps, view, earliest)

    async def _gather(self, plan: _Plan, view: View, found: HostSteps | ContainerSteps, wanted: Wanted | None) -> None:
        past, place = self._past, -1
        begin = await self._start(plan, view)
        if begin == view.first:  # all of the steps are in memory, or in the gap before
            before = [min(part.last, view.first - 1) for part in view.state.parts if part.first < view.first]
            place = max(before, default=-1)
            if place >= 0:
                found.reasons.goes_on()
        parts = past.parts(view, begin, wanted, _ROUNDS)
        async with contextlib.aclosing(parts):
            async for part in parts:
                goes_on = await past.compute(_add, found, plan.view.timeline, part, place)
                place = part.rounds[-1].key if part.rounds else place
                if not goes_on:
                    return

    async def _start(self, plan: _Plan, view: View) -> int:
        """The first round of the steps, or one before."""
        steps, now = plan.grid, view.now
        since = steps.first_ms - steps.step_ms - 4 * steps.half_ms
        for contents in view.state.files:
            for part in contents.parts:
                shift = view.timeline.shifts_ns[part.run.run]
                if part.first < view.first and shown_ms(part.last_boottime_ns + shift, now) >= since:
                    boottime = now.boottime_ns - (now.time_ms - since) * 1_000_000 - shift
                    found = None if self._past.disk is None else await self._past.disk.seek(contents, part, boottime)
                    return view.first if found is None else min(found, view.first)
        return view.first


def _add(found: HostSteps | ContainerSteps, timeline: Timeline, part: Part, place: int) -> bool:
    """In a thread."""
    return found.add(timeline.span(part, place))


def _host_answer(interval: float, plan: _Plan, found: HostSteps) -> HostHistory:
    """In a thread."""
    times = plan.grid.timestamps
    return HostHistory(
        interval=interval,
        step=plan.grid.step_ms / 1000,
        since=times[0],
        until=times[-1],
        timestamps=times,
        figures=found.figures.steps(),
        gaps=gaps_of(times, found.reasons.end(plan.now.time_ms)),
    )


def _container_answer(interval: float, plan: _Plan, found: ContainerSteps, life: Life) -> ContainerHistory:
    """In a thread."""
    times, latest = plan.grid.timestamps, found.latest
    return ContainerHistory(
        id=life.id,
        name=latest.subject.name if latest else short(life.id),
        runtime=life.runtime,
        owner_uid=life.owner_uid,
        interval=interval,
        step=plan.grid.step_ms / 1000,
        since=times[0],
        until=times[-1],
        timestamps=times,
        figures=found.figures.steps(),
        gaps=gaps_of(times, found.end(plan.now.time_ms)),
        marks=found.marks,
        first=found.ends[0] if found.ends else None,
        last=found.ends[-1] if found.ends else None,
    )


def _of_workload(feed: Feed, text: str) -> Life | None:
    """A container of it that is there now: there need be no round of it yet."""
    for each in feed.known():
        if workload(identity_of(each)) == text:
            return Life(each.owner_uid, each.runtime, each.id, 0)
    return None


def _stopped(known: Known) -> tuple[int, str] | None:
    """Since when a container is there, and the word for its not running; None: its runtime does not say."""
    made = known.metadata.created_seconds if known.metadata else None
    if made is None:
        return None
    return int(made * 1000), gaps.RESTARTING if known.state is Runs.RESTARTING else gaps.STOPPED

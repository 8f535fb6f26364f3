"""Reads the history back: one container or the host in steps, or every round in order.

What the ring holds is looked up in the event loop, what is on disk is fetched in the disk's thread, some rows at a
time; unpacking and encoding happen in a third, of bytes that do not change any more. An hour of 100 containers must
hold up no other answer, and neither must a week.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ...host.identity import short
from ...outputs.history_types import ContainerHistory, HistoryHead, HostHistory
from ...sampling.history_model import Life
from ...sampling.history_work import Clocks, clocks
from ...sampling.lookup import Known, NotFound
from ..shared_passes import Feed
from . import gaps
from .disk import SILENT, Disk, Silent
from .disk_model import Moved, State, Who
from .in_steps import ContainerSteps, HostSteps
from .page_lines import Line, encode, lines_of
from .ring import HOST, Ring, Track
from .sealed import RUN_BITS, key_of, number_of, run_of
from .short_lines import lines, most_points
from .spans import Place, Span, Timeline, base_of, disk, memory
from .steps import Grid, HostRow, grid, host_row, shown_ms
from .steps import gaps as gaps_of

S = TypeVar("S")
T = TypeVar("T", HostSteps, ContainerSteps)
_CURSOR = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,12})")
PAGE_BYTES = 1 << 20
"""A page ends with the round that gets it so long."""
_LINES_MS = 900_000
"""How far back the lines of all containers go where a client does not say."""
_AT_ONCE = 30
"""Rounds that are unpacked together."""
_COUNTERS_AT_ONCE = 2000
"""The same of counters of containers."""
_HOST_ROWS, _CONTAINER_ROWS = 64, 32
"""Rows of a file, a minute each, that are fetched together."""
_TRIES = 3
"""A file that turns out to be broken is set aside, and the answer begun anew."""


class Asked(NamedTuple):
    """What a client wants: milliseconds since the epoch (None: what memory has, the latest), seconds a step."""

    since_ms: int | None
    until_ms: int | None
    step_seconds: float


class _Plan(NamedTuple):
    """The steps of an answer, and what they are made of."""

    grid: Grid
    state: State
    timeline: Timeline
    now: Clocks
    earliest: str
    """Why there is nothing before the first round."""


class History:
    """Used in the event loop."""

    def __init__(self, feed: Feed, ring: Ring, now: Callable[[], Clocks] = clocks, on_disk: Disk | None = None) -> None:
        self._feed = feed
        self.ring = ring
        self.disk = on_disk
        self._now = now
        self._lines: tuple[object, bytes] = None, b""
        """The latest lines of all containers, and what they are of."""
        self._lines_turn = asyncio.Lock()
        self._one = asyncio.Lock()
        """Threads that compute take the interpreter from each other, and from the event loop: there is one at a time,
        however many clients read."""
        self._turn = asyncio.Lock()
        """Answers that need the disk are made one after the other: each may be a second of work."""

    async def _work(self, call: Callable[..., S], *arguments: Any) -> S:
        """Have something computed in a thread."""
        async with self._one:
            return await asyncio.to_thread(call, *arguments)

    # -- in steps

    async def host(self, asked: Asked) -> HostHistory:
        """The host in steps."""
        plan, found = await self._in_steps(asked, lambda plan: HostSteps(plan.grid, plan.now, plan.earliest), None)
        reasons = found.reasons.end(plan.now.time_ms)
        times = plan.grid.timestamps
        return HostHistory(
            interval=self.ring.interval_seconds,
            step=plan.grid.step_ms / 1000,
            since=times[0],
            until=times[-1],
            timestamps=times,
            figures=await self._work(found.figures.steps),
            gaps=gaps_of(times, reasons),
        )

    async def container(self, wanted: str, asked: Asked) -> ContainerHistory:
        """A container in steps, also one that is gone. Raises NotFound, Ambiguous, ListingFailed, ReadingFailed."""
        try:
            known: Known | None = await self._feed.run(partial(self._feed.find, wanted))
        except NotFound:
            known = None
        who = await self._gone(wanted) if known is None else (known.owner_uid, known.runtime, known.id)
        if who is None:
            raise NotFound(wanted)
        plan, found = await self._in_steps(asked, lambda plan: ContainerSteps(plan.grid, plan.now, plan.earliest), who)
        times = plan.grid.timestamps
        latest = found.latest
        life = latest.life if latest else Life(*who, 0)
        return ContainerHistory(
            id=life.id,
            name=latest.subject.name if latest else short(life.id),
            runtime=life.runtime,
            owner_uid=life.owner_uid,
            interval=self.ring.interval_seconds,
            step=plan.grid.step_ms / 1000,
            since=times[0],
            until=times[-1],
            timestamps=times,
            figures=await self._work(found.figures.steps),
            gaps=gaps_of(times, found.end(plan.now.time_ms)),
            marks=found.marks,
            first=found.ends[0] if found.ends else None,
            last=found.ends[-1] if found.ends else None,
        )

    async def _gone(self, wanted: str) -> Who | None:
        """A container that is no longer there: by id, name or prefix; the latest where several fit."""
        tests: tuple[Callable[[Track], bool], ...] = (
            lambda each: each.life.id == wanted,
            lambda each: each.subject.name == wanted,
            lambda each: each.life.id.startswith(wanted),
        )
        for fits in tests:
            if found := self.ring.where(fits):
                newest = max(found, key=lambda each: (not each.life.owner_uid, each.last))
                return newest.life[:3]
        if self.disk is None:
            return None
        for _ in range(_TRIES):
            try:
                return await self.disk.find(wanted)
            except Moved:
                continue
            except Silent:
                break
        return None

    async def _in_steps(self, asked: Asked, begin: Callable[[_Plan], T], who: Who | None) -> tuple[_Plan, T]:
        """The steps of an answer, filled. A disk that does not answer is a gap."""
        for _ in range(_TRIES):
            plan = self._plan(asked, gaps.BEFORE)
            found = begin(plan)
            try:
                await self._gather(plan, found, who)
            except Moved:
                continue
            except Silent:
                break
            return plan, found
        plan = self._plan(asked, gaps.SILENT)
        found = begin(plan)
        await self._gather(plan._replace(state=State()), found, who)
        return plan, found

    def _plan(self, asked: Asked, earliest: str) -> _Plan:
        """What there is now, and the steps that a client wants of it."""
        ring, now = self.ring, self._now()
        state = State() if self.disk is None else self.disk.state
        interval_ms = int(ring.interval_seconds * 1000)
        first, last = self._row(ring.first), self._row(ring.last)
        began_ns = None if first is None else first.boottime_ns
        timeline = Timeline.of(state.runs, state.run, ring.boot, began_ns, now)
        kept_ms = ring.rounds * interval_ms
        point = now.time_ms
        if last is not None:
            late = last.monotonic_ns - (ring.began_ns or 0) - last.number * interval_ms * 1_000_000
            point = shown_ms(last.boottime_ns, now) - late // 1_000_000
        recent = now.time_ms - kept_ms
        if first is not None:
            recent = min(recent, shown_ms(first.boottime_ns, now))  # the host was asleep meanwhile
        horizon = recent
        for part in state.runs[:1]:
            horizon = min(horizon, shown_ms(part.first_boottime_ns + timeline.shifts_ns[part.run], now))
        until = point if asked.until_ms is None else min(max(asked.until_ms, horizon), max(now.time_ms, point))
        wanted = min(recent, until - kept_ms) if asked.since_ms is None else asked.since_ms
        since = max(wanted, horizon)
        steps = grid(interval_ms, point, min(since, until), until, asked.step_seconds)
        return _Plan(steps, state, timeline, now, earliest)

    def _row(self, number: int) -> HostRow | None:
        """A round that the ring has."""
        found = self.ring.host.between(number, number).packed(number, number) if number >= 0 else b""
        return host_row(next(HOST.rows(found)))[0] if found else None

    async def _gather(self, plan: _Plan, found: HostSteps | ContainerSteps, who: Who | None) -> None:
        ring, base = self.ring, base_of(plan.state)
        recent = ring.snapshot(max(ring.first, 0), ring.last, lambda each: who is not None and each.life[:3] == who)
        place = Place()
        if plan.state.files and self.disk is not None:
            async with self._turn:
                place, goes_on = await self._from_disk(self.disk, plan, found, who, base + recent.first - 1)
            if not goes_on:
                return
        span = await self._work(memory, recent, base, place, plan.timeline, plan.state.hole)
        await self._work(found.add, span)

    async def _from_disk(
        self, on_disk: Disk, plan: _Plan, found: HostSteps | ContainerSteps, who: Who | None, until: int
    ) -> tuple[Place, bool]:
        """The rounds that memory does not have; whether later ones may count."""
        place = Place()
        after = await self._start(on_disk, plan, until)
        while after is not None:
            rows = _HOST_ROWS if who is None else _CONTAINER_ROWS
            fetched = await on_disk.fetch(after, until, rows, who, False)
            span = await self._work(disk, fetched.segments, after, until, place, plan.timeline)
            goes_on = await self._work(found.add, span)
            if span.rounds:
                place = Place(span.rounds[-1].row.number)
                if not goes_on:
                    return place, False
            after = fetched.segments[-1].rounds.last if fetched.more else None
        if place.key < 0:  # all of the steps are in memory, or in the gap before
            place = Place(max((min(part.last, until) for part in plan.state.runs if part.first <= until), default=-1))
            if place.key >= 0:
                found.reasons.goes_on()
        return place, True

    async def _start(self, on_disk: Disk, plan: _Plan, until: int) -> int | None:
        """The key behind which the rounds of the steps are, and some before; None: none are on disk."""
        steps = plan.grid
        since = steps.first_ms - steps.step_ms - 4 * steps.half_ms
        for contents in plan.state.files:
            for part in contents.runs:
                shift = plan.timeline.shifts_ns[part.run]
                if part.first <= until and shown_ms(part.last_boottime_ns + shift, plan.now) >= since:
                    boottime = plan.now.boottime_ns - (plan.now.time_ms - since) * 1_000_000 - shift
                    return await on_disk.seek(contents, part, boottime)
        return None

    # -- all containers at once

    async def lines(self, since_ms: int | None, step_seconds: float, figures: Sequence[str]) -> bytes:
        """The short lines of all containers that are there, encoded; of what memory has. Made once for all who ask for
        the same between two rounds."""
        key = (self.ring.last, since_ms, step_seconds, tuple(figures))
        async with self._lines_turn:
            if self._lines[0] != key:
                self._lines = key, await self._make_lines(since_ms, step_seconds, figures)
            return self._lines[1]

    async def _make_lines(self, since_ms: int | None, step_seconds: float, figures: Sequence[str]) -> bytes:
        ring, now = self.ring, self._now()
        interval_ms = int(ring.interval_seconds * 1000)
        latest, oldest = self._row(ring.last), self._row(ring.first)
        point = now.time_ms if latest is None else shown_ms(latest.boottime_ns, now)
        wanted = point - _LINES_MS if since_ms is None else since_ms
        since = min(point, max(wanted, point if oldest is None else shown_ms(oldest.boottime_ns, now)))
        living = {each.life[:3] for each in ring.tracks() if not each.ended}
        most = most_points(len(living), len(figures))
        steps = grid(interval_ms, point, since, point, max(step_seconds, (point - since) / 1000 / most))
        back = -(-(now.time_ms - steps.first_ms + steps.step_ms) // interval_ms) + 2
        first = max(ring.first, ring.last - back, 0)
        what = ring.snapshot(first, ring.last, lambda each: each.life[:3] in living)
        found = await self._work(lines, what, steps, now, figures, ring.interval_seconds)
        return await self._work(encode, found)

    # -- round by round

    async def ready(self) -> None:
        """Wait for the rounds on disk, where that does not take long."""
        if self.disk is not None:
            await self.disk.ready()

    def after(self, cursor: str) -> tuple[int, bool] | None:
        """(key of the last round that the client has, whether rounds behind it are lost); None: no cursor.

        Raises Silent.
        """
        ring = self.ring
        if not cursor:
            return -1, False
        found = _CURSOR.fullmatch(cursor)
        if found is None:
            return None
        name, number = found[1], int(found[2])
        state = State() if self.disk is None else self.disk.state
        if name == ring.name:
            return (-1, True) if number > ring.last else (key_of(state.run, number), False)
        for part in state.runs:
            if part.what.name == name and number < 1 << RUN_BITS:
                return key_of(part.run, number), False
        if self.disk is not None and self.disk.unknown:
            raise Silent(SILENT)
        return -1, True

    async def page(self, after: int, truncated: bool, limit: int) -> list[bytes]:
        """Lines: a head, then each round behind ``after``, at most ``limit`` of them. Raises Silent."""
        for _ in range(_TRIES):
            try:
                return await self._page(_Page(after, truncated, limit))
            except Moved:
                continue
        raise Silent(gaps.SILENT)

    async def _page(self, page: _Page) -> list[bytes]:
        ring = self.ring
        state = State() if self.disk is None else self.disk.state
        base, now = base_of(state), self._now()
        timeline = Timeline.of(state.runs, state.run, ring.boot, None, now)
        names = {part.run: part.what.name for part in state.runs} | {state.run: ring.name}
        until = base + max(ring.first, 0) - 1
        if self.disk is not None and page.after < min(until, state.last):
            async with self._turn:
                await self._page_from_disk(self.disk, page, until, timeline, names)
        while page.room and page.after < base + ring.last:
            first = max(page.after + 1 - base, ring.first)
            end = min(first + min(_AT_ONCE, page.limit) - 1, ring.last)
            what, place = ring.snapshot(first, end), Place(page.after)
            make = partial(memory, what, base, place, timeline, state.hole)
            page.add(*await self._work(_lines, make, names), base + end)
        oldest = state.runs[0].first if state.files else base + ring.first if ring.last >= 0 else None
        latest = base + ring.last if ring.last >= 0 else state.last if state.files else None
        head = HistoryHead(
            interval=ring.interval_seconds,
            truncated=page.truncated,
            oldest=_cursor(oldest, names),
            latest=_cursor(latest, names),
        )
        return [encode(head) + b"\n", *page.lines]

    async def _page_from_disk(
        self, on_disk: Disk, page: _Page, until: int, timeline: Timeline, names: dict[int, str]
    ) -> None:
        more = True
        while more and page.room:
            fetched = await on_disk.fetch(page.after, until, 1, None, True)
            if not fetched.segments:
                return
            whole = fetched.segments[-1]
            end = min(whole.rounds.last, until)
            most = max(1, min(page.limit, _COUNTERS_AT_ONCE // (1 + len(whole.parts))))
            while page.room and page.after < end:
                make = partial(disk, fetched.segments, page.after, end, Place(page.after), timeline, most)
                lines, lost = await self._work(_lines, make, names)
                page.add(lines, lost, end if len(lines) < most else lines[-1].key)
            more = fetched.more


class _Page:
    """A page that is being made."""

    def __init__(self, after: int, truncated: bool, limit: int) -> None:
        self.after = after
        self.truncated = truncated
        self.limit = limit
        self.lines: list[bytes] = []
        self._size = 0

    @property
    def room(self) -> bool:
        """Whether another round has a place in it."""
        return self.limit > 0 and self._size < PAGE_BYTES

    def add(self, lines: Sequence[Line], lost: bool, end: int) -> None:
        """The next rounds, up to a key; ``lost``: whether there were others right before them."""
        self.truncated |= lost
        for line in lines:
            if not self.room:
                return
            self.lines.append(line.text)
            self._size += len(line.text)
            self.limit -= 1
            self.after = line.key
        self.after = end


def _lines(make: Callable[[], Span], names: dict[int, str]) -> tuple[list[Line], bool]:
    """In a thread."""
    span = make()
    return lines_of(span, names), span.missing


def _cursor(key: int | None, names: dict[int, str]) -> str | None:
    return None if key is None else f"{names.get(run_of(key), '0')}-{number_of(key)}"

"""Reads the history back: one container or the host in steps, or every round in order.

What the ring holds is looked up in the event loop; unpacking and encoding happen in a thread, of bytes that do not
change any more. An hour of 100 containers must hold up no other answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from ...host.identity import short
from ...outputs.history_json import container_counters, host_counters
from ...outputs.history_types import (
    ContainerCounters,
    ContainerHistory,
    HistoryHead,
    HistoryMark,
    HistoryRound,
    HostHistory,
)
from ...sampling.history_model import ContainerSample, HostSample, Life, Subject
from ...sampling.history_work import Clocks, clocks
from ...sampling.lookup import Known, NotFound
from ..shared_passes import Feed
from . import gaps
from .ring import Mark, Ring, Track
from .series import Rows
from .steps import (
    CONTAINER_GAUGES,
    CONTAINER_RATES,
    HOST_GAUGES,
    HOST_RATES,
    Figures,
    Grid,
    HostRow,
    add_container,
    add_host,
    grid,
    host_row,
    shown_ms,
)
from .steps import gaps as gaps_of

_CURSOR = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,12})")
PAGE_BYTES = 1 << 20
"""A page ends with the round that gets it so long."""
_AT_ONCE = 30
"""Rounds that are unpacked together."""
_encode = msgspec.json.Encoder().encode


class Asked(NamedTuple):
    """What a client wants: milliseconds since the epoch (None: the oldest, the latest), seconds a step."""

    since_ms: int | None
    until_ms: int | None
    step_seconds: float


class _Lived(NamedTuple):
    """A life as the ring had it when it was asked: any thread may read it."""

    life: Life
    subject: Subject
    first: int
    last: int
    ended: bool
    marks: tuple[Mark, ...]
    rows: Rows


def _lived(track: Track, first: int, last: int) -> _Lived:
    return _Lived(
        track.life, track.subject, track.first, track.last, track.ended, tuple(track.marks),
        track.series.between(first, last),
    )  # fmt: skip


class _Range(NamedTuple):
    """The steps of an answer, the rounds in them, and why there are steps without any."""

    grid: Grid
    rounds: list[tuple[HostRow, HostSample, int]]
    """With the number of the step. The round before the first step is there too, with -1."""
    reasons: list[str | None]


class History:
    """Used in the event loop."""

    def __init__(self, feed: Feed, ring: Ring, now: Callable[[], Clocks] = clocks) -> None:
        self._feed = feed
        self.ring = ring
        self._now = now

    # -- in steps

    async def host(self, asked: Asked) -> HostHistory:
        """The host in steps."""
        return await asyncio.to_thread(_host, self.ring.interval_seconds, self._range(asked))

    async def container(self, wanted: str, asked: Asked) -> ContainerHistory:
        """A container in steps, also one that is gone. Raises NotFound, Ambiguous, ListingFailed, ReadingFailed."""
        ring = self.ring
        try:
            known: Known | None = await self._feed.run(partial(self._feed.find, wanted))
        except NotFound:
            known = None
        tracks = self._gone(wanted) if known is None else self._lives(known.owner_uid, known.runtime, known.id)
        if not tracks and known is None:
            raise NotFound(wanted)
        lives = [_lived(each, ring.first, ring.last) for each in tracks]
        plan = self._range(asked)
        return await asyncio.to_thread(
            _container, ring.interval_seconds, plan, lives, ring.first, ring.incomplete, known
        )

    def _lives(self, *who: int | str) -> list[Track]:
        return self.ring.where(lambda each: each.life[:3] == who)

    def _gone(self, wanted: str) -> list[Track]:
        """The lives of a container that is no longer there: by id, name or prefix; the latest where several fit."""
        tests: tuple[Callable[[Track], bool], ...] = (
            lambda each: each.life.id == wanted,
            lambda each: each.subject.name == wanted,
            lambda each: each.life.id.startswith(wanted),
        )
        for fits in tests:
            if found := self.ring.where(fits):
                newest = max(found, key=lambda each: (not each.life.owner_uid, each.last))
                return self._lives(*newest.life[:3])
        return []

    def _range(self, asked: Asked) -> Callable[[], _Range]:
        """Looks up what is there now; the rest is for a thread."""
        ring, now = self.ring, self._now()
        rows = ring.host.between(ring.first, ring.last)
        return partial(_plan, rows, ring.first, ring.began_ns or 0, ring.interval_seconds, ring.rounds, now, asked)

    # -- round by round

    def after(self, cursor: str) -> tuple[int, bool] | None:
        """(number of the last round that the client has, whether rounds behind it are lost); None: no cursor."""
        ring = self.ring
        if not cursor:
            return ring.first - 1, False
        found = _CURSOR.fullmatch(cursor)
        if found is None:
            return None
        number = int(found[2])
        if found[1] != ring.name or number > ring.last:
            return ring.first - 1, True
        lost = number < ring.first - 1
        return max(number, ring.first - 1), lost

    async def page(self, after: int, truncated: bool, limit: int) -> list[bytes]:
        """Lines: a head, then each round behind ``after``, at most ``limit`` of them."""
        ring = self.ring
        head = HistoryHead(
            interval=ring.interval_seconds,
            truncated=truncated,
            oldest=f"{ring.name}-{ring.first}" if ring.last >= 0 else None,
            latest=f"{ring.name}-{ring.last}" if ring.last >= 0 else None,
        )
        lines, size, last = [_encode(head) + b"\n"], 0, ring.last
        while after < last and limit > 0 and size < PAGE_BYTES:
            first, end = max(after + 1, ring.first), min(after + min(_AT_ONCE, limit), last)
            after = end
            lives = [_lived(each, first, end) for each in ring.tracks() if each.last >= first and each.first <= end]
            rows = ring.host.between(first, end)
            made = await asyncio.to_thread(_rounds, ring.name, first, end, rows, lives, ring.incomplete)
            for line in made:
                lines.append(line)
                size += len(line)
                limit -= 1
                if size >= PAGE_BYTES or not limit:
                    break
        return lines


# -- in any thread


def _plan(
    rows: Rows, oldest: int, began_ns: int, interval_seconds: float, kept: int, now: Clocks, asked: Asked
) -> _Range:
    """The steps that a client wants, of the time that the ring is about."""
    interval_ms = int(interval_seconds * 1000)
    known = [host_row(row) for row in rows if (row[0] or 0) >= oldest]
    point = now.time_ms
    if known:
        last = known[-1][0]
        late = last.monotonic_ns - began_ns - last.number * interval_ms * 1_000_000
        point = shown_ms(last.boottime_ns, now) - late // 1_000_000
    horizon = now.time_ms - kept * interval_ms
    if known:
        horizon = min(horizon, shown_ms(known[0][0].boottime_ns, now))  # the host was asleep meanwhile
    until = point if asked.until_ms is None else min(max(asked.until_ms, horizon), max(now.time_ms, point))
    since = horizon if asked.since_ms is None else min(max(asked.since_ms, horizon), until)
    steps = grid(interval_ms, point, since, until, asked.step_seconds)
    rounds = []
    for row, values in known:
        step = steps.step_of(shown_ms(row.boottime_ns, now))
        if step < steps.many:
            rounds.append((row, HostSample(*values), max(step, -1)))  # type: ignore[arg-type]
    return _Range(steps, rounds, _reasons(steps, rounds, [row for row, _ in known], now))


def _reasons(
    steps: Grid, rounds: Sequence[tuple[HostRow, HostSample, int]], known: Sequence[HostRow], now: Clocks
) -> list[str | None]:
    """Why a step has no round; None: it has one."""
    has = {step for _, _, step in rounds}
    times = [(shown_ms(row.boottime_ns, now), row) for row in known]
    found: list[str | None] = []
    place = 0
    for number, time_ms in enumerate(steps.timestamps):
        if number in has:
            found.append(None)
            continue
        while place < len(times) and times[place][0] <= time_ms:
            place += 1
        if place == 0:
            found.append(gaps.BEFORE)
        elif place == len(times):
            found.append(gaps.NOT_YET if time_ms > now.time_ms - steps.half_ms else gaps.words(0))
        else:
            found.append(gaps.words(times[place][1].gap))
    return found


def _host(interval: float, plan: Callable[[], _Range]) -> HostHistory:
    steps, rounds, reasons = plan()
    found = Figures((*HOST_RATES, *HOST_GAUGES), steps.many)
    before: HostSample | None = None
    for _, sample, step in rounds:
        if step >= 0:
            add_host(found, before, sample, step)
        before = sample
    times = steps.timestamps
    return HostHistory(
        interval=interval,
        step=steps.step_ms / 1000,
        since=times[0],
        until=times[-1],
        timestamps=times,
        figures=found.steps(),
        gaps=gaps_of(times, reasons),
    )


def _container(
    interval: float,
    plan: Callable[[], _Range],
    lives: Sequence[_Lived],
    oldest: int,
    incomplete: int,
    known: Known | None,
) -> ContainerHistory:
    steps, rounds, reasons = plan()
    step_of = {row.number: step for row, _, step in rounds}
    found = Figures((*CONTAINER_RATES, *CONTAINER_GAUGES), steps.many)
    ends: list[ContainerCounters] = []
    has = set[int]()
    for lived in lives:
        before: ContainerSample | None = None
        for number, *values in lived.rows:
            step = step_of.get(number or 0, -1)
            if (number or 0) < oldest or (number or 0) not in step_of:
                continue
            sample = ContainerSample(*values)  # type: ignore[arg-type]
            if step >= 0:
                add_container(found, before, sample, step)
                has.add(step)
                ends[1:] = [container_counters(lived.life, lived.subject, values)]
            before = sample
    for number, step in step_of.items():
        if step >= 0 and step not in has:
            reasons[step] = _why_not(number, lives, incomplete)
    times = steps.timestamps
    inside = {number for number, step in step_of.items() if step >= 0}
    latest = lives[-1] if lives else None
    who = latest.life if latest else Life(*_who(known), 0)
    return ContainerHistory(
        id=who.id,
        name=latest.subject.name if latest else short(who.id),
        runtime=who.runtime,
        owner_uid=who.owner_uid,
        interval=interval,
        step=steps.step_ms / 1000,
        since=times[0],
        until=times[-1],
        timestamps=times,
        figures=found.steps(),
        gaps=gaps_of(times, reasons),
        marks=[_mark(each, mark) for each in lives for mark in each.marks if mark.round in inside],
        first=ends[0] if ends else None,
        last=ends[-1] if ends else None,
    )


def _who(known: Known | None) -> tuple[int, str, str]:
    return (known.owner_uid, known.runtime, known.id) if known else (0, "", "")


def _why_not(number: int, lives: Sequence[_Lived], incomplete: int) -> str:
    """Why a container is not in a round that there was."""
    if any(each.first <= number and (number < each.last or not each.ended) for each in lives):
        return gaps.DROPPED if number <= incomplete else gaps.UNREAD
    return gaps.NO_CONTAINER


def _mark(lived: _Lived, mark: Mark) -> HistoryMark:
    return HistoryMark(
        event=mark.event,
        id=lived.life.id,
        name=lived.subject.name,
        timestamp=mark.time_ms,
        kills=mark.kills,
        exit_code=mark.exit_code,
        oom_killed=mark.oom_killed,
    )


def _rounds(name: str, first: int, last: int, rows: Rows, lives: Sequence[_Lived], incomplete: int) -> list[bytes]:
    """A line for each of the rounds."""
    containers: dict[int, list[ContainerCounters]] = {}
    marks: dict[int, list[HistoryMark]] = {}
    for lived in lives:
        for number, *sample in lived.rows:
            if number is not None and first <= number <= last:
                counters = container_counters(lived.life, lived.subject, sample)
                containers.setdefault(number, []).append(counters)
        for mark in lived.marks:
            if first <= mark.round <= last:
                marks.setdefault(mark.round, []).append(_mark(lived, mark))
    lines = []
    for each in rows:
        row, host = host_row(each)
        if first <= row.number <= last:
            line = HistoryRound(
                cursor=f"{name}-{row.number}",
                round=row.number,
                timestamp=row.time_ms,
                monotonic_nsec=row.monotonic_ns,
                boottime_nsec=row.boottime_ns,
                gap=gaps.words(row.gap) if row.gap else None,
                complete=row.number > incomplete,
                host=host_counters(host),
                containers=containers.get(row.number, []),
                marks=marks.get(row.number, []),
            )
            lines.append(_encode(line) + b"\n")
    return lines

"""Reads every round in order, a page at a time: from the disk, then from the ring.

Unpacking and encoding happen in a thread, of bytes that do not change any more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from ...outputs.history_types import HistoryHead
from ...sampling.history_work import Clocks
from . import gaps
from .disk import SILENT, Disk, Silent
from .disk_model import Moved
from .gaps import Gap
from .page_lines import Line, cursor, encode, lines_of
from .past import TRIES, Past
from .sealed import RUN_BITS, key_of
from .spans import Place, Span, Timeline, base_of, disk, memory

_CURSOR = re.compile(r"(?:([0-9]{1,9})-)?([0-9a-f]{1,16})-([0-9]{1,12})")
"""The number of the run where rounds are stored, its name, the number of the round."""
PAGE_BYTES = 1 << 20
"""A page ends with the round that gets it so long."""
_AT_ONCE = 30
"""Rounds that are unpacked together."""
_COUNTERS_AT_ONCE = 2000
"""The same of counters of containers."""


class RoundsReading:
    """Used in the event loop."""

    def __init__(self, past: Past) -> None:
        self._past = past

    def after(self, cursor: str) -> tuple[int, bool] | None:
        """(key of the last round that the client has, whether rounds behind it are lost); None: no cursor.

        Raises Silent.
        """
        ring = self._past.ring
        if not cursor:
            return -1, False
        found = _CURSOR.fullmatch(cursor)
        if found is None:
            return None
        run, name, number = int(found[1] or 0), found[2], int(found[3])
        state = self._past.state
        if name == ring.name:
            return (-1, True) if number > ring.last else (key_of(state.run, number), False)
        named = state.named
        known = next((each for each, what in named.items() if what.name == name), None)
        if number < 1 << RUN_BITS:
            if known is not None:
                return key_of(known, number), False
            if named and min(named) < run < state.run and run not in named:  # the file with all of it is lost
                return key_of(run, number), True
        if self._past.disk is not None and self._past.disk.unknown:
            raise Silent(SILENT)
        return -1, True

    async def page(self, after: int, truncated: bool, limit: int) -> list[bytes]:
        """Lines: a head, then each round behind ``after``, at most ``limit`` of them. Raises Silent."""
        for _ in range(TRIES):
            try:
                return await self._page(_Page(after, truncated, limit))
            except Moved:
                continue
        raise Silent(gaps.SILENT)

    async def _page(self, page: _Page) -> list[bytes]:
        ring = self._past.ring
        state = self._past.state
        base, now = base_of(state), self._past.now()
        timeline = Timeline.of(state, ring.boot, None, now)
        names = {run: what.name for run, what in state.named.items()} | {state.run: ring.name}
        until = base + max(ring.first, 0) - 1
        if self._past.disk is not None and state.last and page.after < min(until, state.last):
            async with self._past.disk_turn:
                await self._page_from_disk(self._past.disk, page, until, timeline, names, now, state.runs[0].first)
        gone = gaps.NO_LONGER if self._past.disk is None else gaps.words(Gap.LOST)
        while page.room and page.after < base + ring.last:
            first = max(page.after + 1 - base, ring.first)
            end = min(first + min(_AT_ONCE, page.limit) - 1, ring.last)
            what, place = ring.snapshot(first, end), Place(page.after)
            make = partial(memory, what, base, place, timeline, state.hole, gone)
            page.add(*await self._past.compute(_lines, make, names, now), base + end)
        oldest = state.runs[0].first if state.last else base + ring.first if ring.last >= 0 else None
        latest = base + ring.last if ring.last >= 0 else state.last or None
        head = HistoryHead(
            interval=ring.interval_seconds,
            truncated=page.truncated,
            oldest=_cursor(oldest, names),
            latest=_cursor(latest, names),
        )
        return [encode(head) + b"\n", *page.lines]

    async def _page_from_disk(
        self,
        on_disk: Disk,
        page: _Page,
        until: int,
        timeline: Timeline,
        names: dict[int, str],
        now: Clocks,
        oldest: int,
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
                make = partial(disk, fetched.segments, page.after, end, Place(page.after), timeline, most, oldest)
                lines, lost = await self._past.compute(_lines, make, names, now)
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


def _lines(make: Callable[[], Span], names: dict[int, str], now: Clocks) -> tuple[list[Line], bool]:
    """In a thread."""
    span = make()
    return lines_of(span, names, now), span.missing


def _cursor(key: int | None, names: dict[int, str]) -> str | None:
    return None if key is None else cursor(key, names)

"""Reads every round in order, a page at a time: from the disk, then from memory."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence

from ...outputs.history_types import HistoryHead
from . import gaps
from .disk import SILENT, Silent
from .disk_model import Moved, Run
from .page_lines import Line, cursor, encode, lines_of
from .past import TRIES, Past
from .rows import Everyone

_CURSOR = re.compile(r"(?:([0-9]{1,9})-)?([0-9a-f]{1,16})-([0-9]{1,12})")
"""The number of the run where rounds are stored, its name, the number of the round."""
PAGE_BYTES = 1 << 20
"""A page ends with the round that gets it so long."""
_AT_ONCE = 30
"""Rounds that are read together."""


class RoundsReading:
    """Used in the event loop."""

    def __init__(self, past: Past) -> None:
        self._past = past

    def after(self, cursor: str) -> tuple[int, bool] | None:
        """(key of the last round that the client has, whether rounds behind it are lost); None: no cursor.

        Raises Silent.
        """
        memory = self._past.memory
        if not cursor:
            return -1, False
        found = _CURSOR.fullmatch(cursor)
        if found is None:
            return None
        number, name, place = int(found[1] or 0), found[2], int(found[3])
        state = self._past.state
        if name == memory.name:
            return (-1, True) if place > memory.last else (state.run.base + place, False)
        stored = {run: what for run, what in state.runs.items() if run != state.run.run}
        for run in stored.values():
            if run.name == name:
                return min(run.base + place, _behind(run.run, stored, state.run) - 1), False
        if stored and min(stored) < number < state.run.run and number not in stored:  # the file with all of it is lost
            return _behind(number, stored, state.run) - 2, True
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
        past, memory = self._past, self._past.memory
        view = past.view(past.state, in_line=False)
        state, timeline = view.state, view.timeline
        names = {number: each.name for number, each in timeline.runs.items()}
        parts = past.parts(view, page.after + 1, Everyone(), min(page.limit, _AT_ONCE))
        async with contextlib.aclosing(parts):
            async for part in parts:
                page.add(*await past.compute(lines_of, part, timeline, page.after, names, view.now))
                if not page.room:
                    break
        oldest = state.parts[0].first if state.last >= 0 else view.first if memory.last >= 0 else -1
        latest = view.last if memory.last >= 0 else state.last
        head = HistoryHead(
            interval=memory.interval_seconds,
            truncated=page.truncated,
            oldest=cursor(oldest, timeline, names) if oldest >= 0 else None,
            latest=cursor(latest, timeline, names) if latest >= 0 else None,
        )
        return [encode(head) + b"\n", *page.lines]


def _behind(number: int, stored: dict[int, Run], current: Run) -> int:
    """The key behind all that a run can have."""
    return min((run.base for run in (*stored.values(), current) if run.run > number), default=0)


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

    def add(self, lines: Sequence[Line], lost: bool) -> None:
        """The next rounds; ``lost``: whether there were others right before them."""
        self.truncated |= lost
        for line in lines:
            if not self.room:
                return
            self.lines.append(line.text)
            self._size += len(line.text)
            self.limit -= 1
            self.after = line.key

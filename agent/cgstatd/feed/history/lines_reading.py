"""Makes the short lines of all containers at once, of what memory has."""

from __future__ import annotations

from collections.abc import Sequence

from ...basics.shared_lock import SharedLock
from .page_lines import encode
from .past import Past
from .rows import Source
from .short_lines import lines, most_points
from .steps import grid, shown_ms

_LINES_MS = 900_000
"""How far back the lines go where a client does not say."""


class LinesReading:
    """Used in the event loop."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._lines: tuple[object, bytes] = None, b""
        """The latest lines, and what they are of."""
        self._turn = SharedLock()

    async def lines(self, since_ms: int | None, step_seconds: float, figures: Sequence[str]) -> bytes:
        """The short lines of all containers that are there, encoded; made once for all who ask for the same between
        two rounds."""
        key = (self._past.memory.last, since_ms, step_seconds, tuple(figures))
        async with self._turn:
            if self._lines[0] != key:
                self._lines = key, await self._make_lines(since_ms, step_seconds, figures)
            return self._lines[1]

    async def _make_lines(self, since_ms: int | None, step_seconds: float, figures: Sequence[str]) -> bytes:
        memory, now = self._past.memory, self._past.now()
        interval_ms = int(memory.interval_seconds * 1000)
        latest, oldest = memory.row(memory.last), memory.row(memory.first)
        point = now.time_ms if latest is None else shown_ms(latest.boottime_nsec, now)
        wanted = point - _LINES_MS if since_ms is None else since_ms
        since = min(point, max(wanted, point if oldest is None else shown_ms(oldest.boottime_nsec, now)))
        living = {life[:3] for life in memory.living}
        most = most_points(len(living), len(figures))
        steps = grid(interval_ms, point, since, point, max(step_seconds, (point - since) / 1000 / most))
        back = -(-(now.time_ms - steps.first_ms + steps.step_ms) // interval_ms) + 2
        first = max(memory.first, memory.last - back, 0)
        found = await self._past.compute(
            lines,
            Source(self._past.connection, 0, 0),
            first,
            memory.last,
            living,
            steps,
            now,
            figures,
            memory.interval_seconds,
        )
        return await self._past.compute(encode, found)

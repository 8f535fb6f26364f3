"""The latest events, for clients that come back with a Last-Event-ID.

An id is ``<run>-<number>``. The run changes whenever following begins anew, so an id of an earlier run is known to be
of no use.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

STATS_BYTES = 2 << 20
"""Bytes of figures, of all intervals together: some 3,000 events."""
CHANGES = 1000
"""Starts, ends and OOM kills."""
CHANGES_BYTES = 2 << 20
"""Bytes of these: a start has its container's labels."""
PAUSE_BYTES = 512 << 10
"""Of these through a pause without clients."""
_PAUSES = 100
_ID = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,18})")


class Sent(NamedTuple):
    """One event."""

    number: int
    steps: int
    """The interval that it belongs to; 0: all intervals."""
    data: bytes


class Ring:
    """Bounded: figures by bytes, changes by bytes and number."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.number = 0
        self._stats: deque[Sent] = deque()
        self._stats_bytes = 0
        self._changes: deque[Sent] = deque()
        self._changes_bytes = 0
        self._lost = 0
        """The number of the last change that is not held any more."""
        self._pauses: deque[tuple[int, float]] = deque(maxlen=_PAUSES)
        """The number of the last event before each pause without clients, and the seconds that it took."""

    def next_id(self) -> bytes:
        """The id of the event that is made now."""
        self.number += 1
        return f"{self.run}-{self.number}".encode()

    def add(self, steps: int, data: bytes, number: int | None = None) -> None:
        """Hold the event that has an id (the latest)."""
        sent = Sent(self.number if number is None else number, steps, data)
        if steps == 0:
            self._changes.append(sent)
            self._changes_bytes += len(data)
            self._shorten(CHANGES_BYTES)
            return
        self._stats.append(sent)
        self._stats_bytes += len(data)
        while self._stats_bytes > STATS_BYTES:
            self._stats_bytes -= len(self._stats.popleft().data)

    def _shorten(self, most: int) -> None:
        while len(self._changes) > CHANGES or self._changes_bytes > most:
            lost = self._changes.popleft()
            self._changes_bytes -= len(lost.data)
            self._lost = lost.number

    def pause(self) -> None:
        """No client follows any more: figures are of no use to those that come back."""
        self._stats.clear()
        self._stats_bytes = 0
        self._shorten(PAUSE_BYTES)

    def paused(self, seconds: float) -> None:
        """A pause has ended, of which the history tells; what it tells is added now."""
        if len(self._pauses) == _PAUSES:
            self._lost = max(self._lost, self._pauses[0][0] + 1)
        self._pauses.append((self.number, seconds))

    def paused_since(self, number: int) -> float:
        """The seconds of the pauses after an event."""
        return sum(seconds for last, seconds in self._pauses if last >= number)

    def number_of(self, last_event_id: str) -> int | None:
        """The number in an id, if every change since then is still held; else None."""
        found = _ID.fullmatch(last_event_id)
        if found is None or found[1] != self.run:
            return None
        number = int(found[2])
        return number if self._lost <= number <= self.number else None

    def since(self, number: int, steps: int) -> list[bytes]:
        """The events of an interval and the changes after a number, oldest first."""
        missed = [sent for sent in self._changes if sent.number > number]
        missed += [sent for sent in self._stats if sent.number > number and sent.steps == steps]
        return [sent.data for sent in sorted(missed)]

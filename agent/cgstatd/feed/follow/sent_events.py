"""The latest events, for clients that come back with a Last-Event-ID.

An id is ``<run>-<number>``. The run is that of the agent: an id of an earlier one is known to be of no use.
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
FORGOTTEN = "more has happened since than the agent remembers"
UNKNOWN = "the agent does not know this id: it was started anew since"
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
        self._most_bytes = CHANGES_BYTES
        """Of changes."""

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
            self._shorten()
            return
        self._stats.append(sent)
        self._stats_bytes += len(data)
        while self._stats_bytes > STATS_BYTES:
            self._stats_bytes -= len(self._stats.popleft().data)

    def _shorten(self) -> None:
        while len(self._changes) > CHANGES or self._changes_bytes > self._most_bytes:
            lost = self._changes.popleft()
            self._changes_bytes -= len(lost.data)
            self._lost = lost.number

    def pause(self) -> None:
        """No client follows any more: figures are of no use to those that come back."""
        self._stats.clear()
        self._stats_bytes = 0
        self._most_bytes = PAUSE_BYTES
        self._shorten()

    def go_on(self) -> None:
        """A client follows."""
        self._most_bytes = CHANGES_BYTES

    def missed(self, last_event_id: str) -> str | None:
        """Why a client with this id begins anew; None: it does not, or it is a new one."""
        if not last_event_id or self.number_of(last_event_id) is not None:
            return None
        return FORGOTTEN if last_event_id.partition("-")[0] == self.run else UNKNOWN

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

"""A client that is told what happens to containers, as the Engine API's events."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

from ..outputs.engine.events import Event, Recorded
from .told_events import is_same

WAITING = 512
WAITING_BYTES = 2 << 20
"""Events that wait for a client that reads slowly, and their bytes; beyond it the oldest are dropped."""


class Listener:
    """One client. Used in the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._ended = False
        self._recorded: dict[tuple[str, str], Recorded] = {}
        """What it was told from the runtimes' state, by container and action: to notice it again is no news."""

    def told(self, recorded: Iterable[Recorded]) -> None:
        """It has the past: what waits is part of it, and these came from the runtimes' state."""
        while self._waiting:
            self._take()
        self._recorded = {(each.event.id, each.event.action): each for each in recorded}

    def put(self, each: Event) -> None:
        """Something happened."""
        if self._recorded and self._knows(each):
            return
        self._waiting.append(each)
        self._bytes += len(each.line)
        while len(self._waiting) > WAITING or (self._bytes > WAITING_BYTES and len(self._waiting) > 1):
            self._take()
        self._wake.set()

    def _knows(self, each: Event) -> bool:
        known = self._recorded.pop((each.id, each.action), None)
        same = known is not None and is_same(known, each)
        if each.action in ("start", "die"):  # another life: no time of the last one is compared with it
            self._recorded.pop((each.id, "start"), None)
        if each.action == "start" and not same:
            self._recorded.pop((each.id, "die"), None)
        return same

    def _take(self) -> Event:
        first = self._waiting.popleft()
        self._bytes -= len(first.line)
        return first

    def end(self) -> None:
        """Nothing more will come."""
        self._ended = True
        self._wake.set()

    async def events(self) -> AsyncIterator[Event]:
        """What happens, one by one, until the agent stops. A client that reads slowly holds no more than what waits."""
        while not self._ended or self._waiting:
            self._wake.clear()
            if self._waiting:
                yield self._take()
            elif not self._ended:
                await self._wake.wait()

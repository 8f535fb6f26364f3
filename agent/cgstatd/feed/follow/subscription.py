"""One client of the stream. What waits for it is bounded, so that a slow client loses rounds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from ..answer_bodies import Body

CHANGES = 256
"""Starts, ends and OOM kills that wait for a slow client; beyond this number the oldest are dropped."""
CHANGES_BYTES = 1 << 20
"""The same in bytes."""

Events = bytes | Body
"""A run of whole events: of a change, or of a round (which all clients of its interval share)."""


class Subscription:
    """Iterating gives runs of whole events until the follower stops. At most one round waits."""

    def __init__(self, steps: int, first: list[bytes], *, returning: bool = False) -> None:
        self.steps = steps
        self.returning = returning
        """Whether it goes on behind an event that it had before."""
        self._first = first
        self._changes: deque[tuple[int, bytes]] = deque()
        self._changes_bytes = 0
        self._round: tuple[int, Events] | None = None
        self._ended = False
        self._wake = asyncio.Event()
        self.dropped = 0
        """Rounds that were replaced by a later one before they could be sent."""

    def change(self, number: int, data: bytes) -> None:
        """An event that every client is told."""
        self._changes.append((number, data))
        self._changes_bytes += len(data)
        while len(self._changes) > CHANGES or (self._changes_bytes > CHANGES_BYTES and len(self._changes) > 1):
            self._changes_bytes -= len(self._changes.popleft()[1])
        self._wake.set()

    def round(self, number: int, data: Events) -> None:
        """The events of a round; a round that still waits is dropped."""
        self.dropped += self._round is not None
        self._round = number, data
        self._wake.set()

    def end(self) -> None:
        """No more events will come."""
        self._ended = True
        self._wake.set()

    def _waiting(self) -> list[Events]:
        """Everything that waits, by its number."""
        found: list[tuple[int, Events]] = [*self._changes]
        self._changes.clear()
        self._changes_bytes = 0
        if self._round is not None:
            found.append(self._round)
            self._round = None
        found.sort(key=lambda each: each[0])
        return [data for _, data in found]

    async def batches(self) -> AsyncIterator[Events]:
        """What to write, in order."""
        while self._first:
            yield self._first.pop(0)
        while not self._ended:
            self._wake.clear()
            waiting = self._waiting()
            while waiting:
                yield waiting.pop(0)
            if not self._wake.is_set():
                await self._wake.wait()

"""Time as outgoing connections use it: a test moves it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

FIRST_SECONDS = 1.0
MOST_SECONDS = 60.0
STEADY_SECONDS = 60.0
"""A connection that held so long was a good one: the next attempt comes soon again."""
_SPREAD = 0.25
_MOST_ASKED_SECONDS = 300.0


class Time:
    """The real one."""

    def now(self) -> float:
        """Seconds, monotonic."""
        return time.monotonic()

    def time_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """As asyncio.sleep."""
        await asyncio.sleep(seconds)


class Backoff:
    """How long to wait before the next attempt: 1 s, then twice as long each time, 60 s at most; each 25 % more or
    less, so that a fleet does not come back all at once."""

    def __init__(self, random: Callable[[], float] = random.random) -> None:
        """``random``: 0 to 1."""
        self._random = random
        self._next = FIRST_SECONDS

    def seconds(self, asked: float = 0.0) -> float:
        """Until the next attempt; ``asked``: how long the server wants us to stay away."""
        wait, self._next = self._next, min(2 * self._next, MOST_SECONDS)
        wait *= 1 - _SPREAD + 2 * _SPREAD * self._random()
        return max(wait, min(asked, _MOST_ASKED_SECONDS))

    def refused(self) -> None:
        """The server does not want this token: there is no hurry."""
        self._next = MOST_SECONDS

    def anew(self) -> Backoff:
        """Of the same randomness, from the beginning."""
        return Backoff(self._random)

    def held(self, seconds: float) -> None:
        """A connection held so long."""
        if seconds >= STEADY_SECONDS:
            self._next = FIRST_SECONDS

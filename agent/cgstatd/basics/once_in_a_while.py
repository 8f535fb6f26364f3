"""Events that may come a thousand times a second, of which the log has one a minute."""

from __future__ import annotations

import time
from collections.abc import Callable

_MAX_KEYS = 1024


class OnceInAWhile:
    """Says yes to each key once in a while; remembers a bounded number of keys."""

    def __init__(self, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last: dict[str, float] = {}

    def due(self, key: str) -> bool:
        """Whether it is time to say it (again)."""
        now = self._clock()
        last = self._last.get(key)
        if last is not None and now - last < self._seconds:
            return False
        self._last.pop(key, None)
        while len(self._last) >= _MAX_KEYS:
            del self._last[next(iter(self._last))]
        self._last[key] = now
        return True

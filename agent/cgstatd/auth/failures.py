"""Addresses that keep failing are told to wait: 15 failures a minute, in a table of bounded size.

A good token counts whatever its address did: a client behind the same proxy cannot lock another out by guessing.
Guessing 256 random bits is hopeless at any rate; the bound keeps the log and the answers small.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_FAILURES = 15
WINDOW_SECONDS = 60.0
MAX_ADDRESSES = 4096


@dataclass(slots=True)
class _Window:
    began: float
    failures: int


class Failures:
    """Failures of each address in the minute that began with its first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def add(self, address: str) -> tuple[int, float]:
        """Count one failure: (how many in this minute, seconds until the minute is over)."""
        now = self._clock()
        window = self._windows.get(address)
        if window is None or now - window.began >= WINDOW_SECONDS:
            window = self._windows[address] = _Window(now, 0)
            self._windows.move_to_end(address)
            if len(self._windows) > MAX_ADDRESSES:
                self._windows.popitem(last=False)
        window.failures += 1
        return window.failures, window.began + WINDOW_SECONDS - now

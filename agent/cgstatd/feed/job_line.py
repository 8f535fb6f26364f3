"""The jobs that wait for the sampling thread: a short one goes before a long one, and each kind gets its half.

A pass or a scrape of a large host is long: a client that asks for one container does not wait for it. But however many
such clients there are, long jobs get as much time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
TURN_SECONDS = 0.01
"""What jobs of one kind get before those of the other kind, where both wait."""


class JobLine(Generic[T]):
    """Filled by any thread; emptied by the sampling threads, of which one is active."""

    def __init__(self, is_long: Callable[[T], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._is_long = is_long
        self._clock = clock
        self._short: deque[T | None] = deque()
        self._long: deque[T] = deque()
        self._waiting: SimpleQueue[None] = SimpleQueue()
        """One for each job that waits. It counts in C; threading's semaphore makes a lock for each wait."""
        self._lock = threading.Lock()
        """Of the choice: the thread that is left behind may come for a job at the same moment as the next one."""
        self._turn: tuple[bool, float] | None = None
        """Whether it is that of the long ones, and since when; None: not both kinds wait."""
        self._taken = 0.0
        """When the latest job was taken."""

    def put(self, job: T | None) -> None:
        """At the end of its kind. None goes with the short ones."""
        if job is not None and self._is_long(job):
            self._long.append(job)
        else:
            self._short.append(job)
        self._waiting.put(None)

    def put_back(self, job: T) -> None:
        """A long job that gave way: before the others of its kind."""
        self._long.appendleft(job)
        self._waiting.put(None)

    def get(self) -> T | None:
        """The next; waits until there is one."""
        self._waiting.get()
        with self._lock:
            now = self._taken = self._clock()
            if self._short and self._long:
                if self._turn is None:
                    self._turn = False, now
                elif now - self._turn[1] >= TURN_SECONDS:
                    self._turn = not self._turn[0], now
                long = self._turn[0]
            else:
                self._turn, long = None, bool(self._long)
            return self._long.popleft() if long else self._short.popleft()

    def gives_way(self) -> bool:
        """Whether a long job has to let a short one go first now."""
        return bool(self._short) and self._clock() - self._taken >= TURN_SECONDS

"""Files that hung a short time ago: the next reading of one that stands still there is not waited for as long.

A disk that is dying, or a file of a user that answers each third time, would otherwise hold up the sampling thread for
half a second again and again. A file that is slow only (a disk that wakes up) is waited for as ever a minute later: a
reading that was given up early counts only if it goes on to hang.
"""

from __future__ import annotations

import time
from collections.abc import Callable

REMEMBERED_SECONDS = 60.0
_MOST = 64
"""Files. Of more, those that hung last."""


class KnownHangs:
    """Used in the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def note(self, file: str) -> None:
        """It hangs. An empty name, of a file that is not known, is not kept."""
        self._until.pop(file, None)
        if file:
            self._until[file] = self._clock() + REMEMBERED_SECONDS
        while len(self._until) > _MOST:
            del self._until[next(iter(self._until))]

    def __bool__(self) -> bool:
        """Whether there is any."""
        now = self._clock()
        while self._until and next(iter(self._until.values())) <= now:
            del self._until[next(iter(self._until))]
        return bool(self._until)

    def __contains__(self, file: str) -> bool:
        return bool(self) and file in self._until

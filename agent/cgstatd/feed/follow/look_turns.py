"""One thread looks at the containers at a time; what the looks have found waits here for the event loop."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from time import thread_time

from cgroupfs.hangs import left_check

from ...sampling.round import Changes
from ...sampling.work_item import taken_out


class LookTurns:
    """If a file hangs, another thread begins the look anew, and goes on with what is known of the changes."""

    def __init__(self, release: Callable[[], None]) -> None:
        """``release`` lets go of what is open, once it is closed and no thread looks."""
        self._release = release
        self._gate = threading.Lock()
        """Held for a moment: where a look begins or ends, and where all of it ends, which is the event loop's."""
        self._looking: Callable[[], bool] | None = None
        """Whether another thread has replaced the thread that looks; None: no thread looks."""
        self._found = Changes()
        """What the look under way has found."""
        self.behind: list[Changes] = []
        """What the look under way has found beside, to be told after it, one after the other."""
        self._changes: deque[Changes] = deque()
        self._closed = False
        self.cost_seconds = 0.0
        """CPU time of the latest look."""

    @contextlib.contextmanager
    def turn(self) -> Iterator[Changes | None]:
        """Where the look notes its changes; None: this thread may not look now."""
        with self._gate:
            mine = None if self._closed or self._is_busy() else left_check()
            if mine is not None:
                self._looking = mine
        if mine is None:
            yield None
            return
        began = thread_time()
        try:
            yield self._found
        finally:
            if self._looking is mine:  # else another thread has begun the look anew
                self.cost_seconds = thread_time() - began
                if self._found:
                    self._changes.append(self._found)
                    self._found = Changes()
                self._changes.extend(self.behind)
                self.behind.clear()
                with self._gate:
                    self._looking, closed = None, self._closed
                if closed:
                    self._release()

    def _is_busy(self) -> bool:
        return self._looking is not None and not self._looking()

    def changes(self) -> list[Changes]:
        """What was found since the last call, in order. Called in the event loop."""
        return list(taken_out(self._changes))

    def close(self) -> None:
        """No thread looks any more. If a hung one still does, the release is up to that thread."""
        with self._gate:
            self._closed, busy = True, self._is_busy()
        if not busy:
            self._release()

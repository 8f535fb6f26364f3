"""A job of the sampling thread: items that are done one after the other, each in whatever thread has the job then."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from cgroupfs.hangs import LeftBehind

if TYPE_CHECKING:
    from .sampling_worker import Worker

log = logging.getLogger(__name__)


class Job:
    """Items done one after the other. Each is a call that handles its own errors."""

    __slots__ = ("_lock", "_moved", "_workers", "cpu_seconds", "done", "ended", "failure", "finished", "items", "long")

    def __init__(self, items: deque[Callable[[], None]], *, long: bool = False) -> None:
        """``long``: of so many items that jobs which are not go first (:class:`.job_line.JobLine`)."""
        self.items = items
        self.long = long
        self._lock = threading.Lock()
        self._workers: set[Worker] = set()
        self._moved = 0.0
        """When one that is not at it any more was seen to compute last."""
        self.cpu_seconds = 0.0
        """CPU time that it took, without the items that hung for good."""
        self.finished: Callable[[], None] = lambda: None
        """Called (in a worker thread) when no item is left or under way."""
        self.failure: BaseException | None = None
        self.done = False
        self.ended = 0.0
        """When an item of it came to its end last (monotonic)."""

    def run(self, worker: Worker, gives_way: Callable[[], bool] = lambda: False) -> None:
        """Do the items until none is left, until this worker was left behind, or until another job goes first."""
        began = time.thread_time()
        with self._lock:
            self._workers.add(worker)
        while not worker.abandoned and not (self.long and gives_way()):
            try:
                item = worker.item = self.items.popleft()
            except IndexError:
                break
            worker.since = time.monotonic()
            try:
                item()
            except LeftBehind:
                pass
            except BaseException as error:  # an error is never lost in a thread, and does not end it
                if self.failure is None:
                    log.error("an item of the sampling thread failed", exc_info=error)
                self.failure = error
            if not worker.abandoned:
                self.ended = worker.ended = time.monotonic()
        worker.since = worker.item = None
        with self._lock:
            self._workers.discard(worker)
            self._moved = max(self._moved, worker.moved)
            self.cpu_seconds += time.thread_time() - began
        self.finish_if_over()

    @property
    def moved(self) -> float:
        """When a thread that is at an item of it was last seen to compute, or to wait for a processor (monotonic)."""
        with self._lock:
            return max([self._moved, *(worker.moved for worker in self._workers)])

    @property
    def only_hangs(self) -> bool:
        """Whether all that is left of it hangs."""
        with self._lock:
            return not self.items and all(worker.abandoned for worker in self._workers)

    @property
    def waits(self) -> bool:
        """Whether it waits for the thread, which is at other jobs."""
        with self._lock:
            return bool(self.items) and all(worker.abandoned for worker in self._workers)

    def finish_if_over(self) -> None:
        """Once no item is left or under way (in a job without items: at once), say so, and only once."""
        with self._lock:
            if self.done or self.items or self._workers:
                return
            self.done = True
        self.finished()

"""One thread that reads, and how what hangs is told from what is slow.

That is told by looks, ten a second, at the thread: a thread that hangs uses no CPU time, does not wait for a processor,
and is at the same item each time. A look that comes late does not count: the host is busy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .job import Job

STUCK_SECONDS = 0.5
"""A thread that stands still at one item for so long hangs."""
CHECK_SECONDS = 0.1
"""How far apart the looks are."""
_IDLE_SECONDS = 0.001
"""CPU time between two looks below which a thread stands still."""


class Worker:
    """One thread."""

    __slots__ = (
        "_cpu",
        "_cpu_before",
        "_looked_at",
        "_looks",
        "_still",
        "abandoned",
        "ended",
        "file",
        "item",
        "job",
        "replaced",
        "since",
        "thread",
    )

    def __init__(self) -> None:
        self.ended = 0.0
        """When an item came to its end last (monotonic): its own, or one of the worker's before it."""
        self.since: float | None = None
        self.item: Callable[[], None] | None = None
        self._looked_at: tuple[Callable[[], None] | None, float | None] = None, None
        """The item of the last look, and since when."""
        self._cpu = self._cpu_before = 0.0
        """CPU time at the last look, and when it was first seen at this item."""
        self._looks = self._still = 0
        """How often it was seen at this item since; how often in a row it had stood still."""
        self.abandoned = False
        self.replaced = False
        """Whether another thread has begun its work anew."""
        self.file = ""
        """The file that it was left behind with; empty: not known."""
        self.job: Job | None = None
        self.thread: threading.Thread | None = None

    def is_replaced(self) -> bool:
        """Whether its work was taken over, for :func:`cgroupfs.hangs.leave_behind_if`."""
        return self.replaced

    def look(self, *, late: bool) -> None:
        """See what it does; a look that comes ``late`` tells nothing of the time before."""
        if self.thread is None or self.thread.ident is None:
            return
        at, cpu = (self.item, self.since), time.clock_gettime(time.pthread_getcpuclockid(self.thread.ident))
        if None in at or at != self._looked_at:
            self._looked_at, self._cpu_before, self._looks, self._still = at, cpu, 0, 0
        elif not late and not self._is_runnable():
            self._looks += 1
            self._still = self._still + 1 if cpu - self._cpu < _IDLE_SECONDS else 0
        self._cpu = cpu

    def _is_runnable(self) -> bool:
        """Whether it could run and gets no processor: nothing hangs then, the host is busy."""
        thread = None if self.thread is None else self.thread.native_id
        return thread is not None and thread_state(thread) == "R"

    @property
    def hangs(self) -> bool:
        """Whether it waits for a file."""
        return self._still * CHECK_SECONDS >= STUCK_SECONDS

    @property
    def is_slow(self) -> bool:
        """Whether it computes for as long as another may hang; or does neither, for twice as long."""
        computes = self._cpu - self._cpu_before >= STUCK_SECONDS
        return computes or self._looks * CHECK_SECONDS >= 2 * STUCK_SECONDS


def thread_state(thread: int) -> str:
    """The state of a thread of this process, by its kernel id: ``R``, ``S``, ``D``, … (proc(5)); empty: not known."""
    try:
        with open(f"/proc/self/task/{thread}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1].decode("ascii", "replace")
    except OSError:
        return ""

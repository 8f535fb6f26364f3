"""One thread that reads, and how what hangs is told from what is slow.

That is told by looks, ten a second, at the thread: a thread that hangs uses no CPU time, does not wait for a processor,
and is at the same item each time. A look that comes late does not count: the host is busy. While there are files that
hung a short time ago (:mod:`.known_hangs`) it is looked at more often, and one that stands still at such a file hangs
again.
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
KNOWN_STUCK_SECONDS = 0.1
"""The same for a thread that stands still at a file that is known to hang."""
KNOWN_CHECK_SECONDS = 0.025
"""How far apart the looks are while there is any."""
_IDLE_PART = 0.01
"""A thread that has used less of the time between two looks stands still."""
_ROUNDING = 1e-6
"""Seconds: looks are added up."""
_CPU_CLOCK_OF_A_THREAD = 6
"""How the kernel numbers it: CPUCLOCK_SCHED | CPUCLOCK_PERTHREAD_MASK (linux/posix-timers.h). The C library's
pthread_getcpuclockid gives the same number, but must not be asked of a thread that may have ended."""


class Worker:
    """One thread."""

    __slots__ = (
        "_cpu",
        "_cpu_before",
        "_looked_at",
        "_seen_seconds",
        "_still_seconds",
        "abandoned",
        "ended",
        "file",
        "item",
        "job",
        "moved",
        "replaced",
        "since",
        "thread",
    )

    def __init__(self) -> None:
        self.ended = 0.0
        """When an item came to its end last (monotonic): its own, or one of the worker's before it."""
        self.moved = 0.0
        """When it, or the worker before it, was last seen to compute or to wait for a processor, or a look came late
        (monotonic)."""
        self.since: float | None = None
        self.item: Callable[[], None] | None = None
        self._looked_at: float | None = None
        """Since when it was at the item of the last look. Not the item: that would be kept, with its results."""
        self._cpu = self._cpu_before = 0.0
        """CPU time at the last look, and when it was first seen at this item."""
        self._seen_seconds = self._still_seconds = 0.0
        """For how long it was seen at this item since; for how long it has stood still."""
        self.abandoned = False
        """Whether another thread is the active one."""
        self.replaced = False
        """Whether another thread has begun its work anew."""
        self.file = ""
        """The file that it was left behind with; empty: not known."""
        self.job: Job | None = None
        self.thread: threading.Thread | None = None

    def is_replaced(self) -> bool:
        """Whether its work was taken over, for :func:`cgroupfs.hangs.leave_behind_if`."""
        return self.replaced

    def look(self, seconds: float, *, late: bool) -> None:
        """See what it does, so long after the look before; one that comes ``late`` tells nothing of the time before."""
        thread = None if self.thread is None else self.thread.native_id
        if thread is None or (cpu := thread_cpu_seconds(thread)) is None:
            return
        at, runnable = None if self.item is None else self.since, thread_state(thread) == "R"
        if late or runnable or cpu > self._cpu:
            self.moved = time.monotonic()
        if at is None or at != self._looked_at:
            self._looked_at, self._cpu_before, self._seen_seconds, self._still_seconds = at, cpu, 0.0, 0.0
        elif not late and not runnable:
            self._seen_seconds += seconds
            self._still_seconds = self._still_seconds + seconds if cpu - self._cpu < _IDLE_PART * seconds else 0.0
        self._cpu = cpu

    @property
    def hangs(self) -> bool:
        """Whether it waits for a file."""
        return self._still_seconds >= STUCK_SECONDS - _ROUNDING

    def hangs_for(self, seconds: float) -> bool:
        """Whether the item that it was left behind with has taken so long already, and goes on."""
        since = self.since
        return since is not None and time.monotonic() - since >= seconds

    @property
    def may_hang_again(self) -> bool:
        """Whether it does where the file is one that hung a short time ago."""
        return self._still_seconds >= KNOWN_STUCK_SECONDS - _ROUNDING

    @property
    def is_slow(self) -> bool:
        """Whether it computes for as long as another may hang; or does neither, for twice as long."""
        computes = self._cpu - self._cpu_before >= STUCK_SECONDS
        return computes or self._seen_seconds >= 2 * STUCK_SECONDS - _ROUNDING


def thread_state(thread: int) -> str:
    """The state of a thread of this process, by its kernel id: ``R``, ``S``, ``D``, … (proc(5)); empty: not known.

    One that is runnable and gets no processor does not hang: the host is busy.
    """
    try:
        with open(f"/proc/self/task/{thread}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(") ")[2][:1]
    except OSError:
        return ""


def thread_cpu_seconds(thread: int) -> float | None:
    """The CPU time of a thread of this process, by its kernel id; None: it has ended."""
    try:
        return time.clock_gettime(~thread << 3 | _CPU_CLOCK_OF_A_THREAD)
    except OSError:
        return None

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


class Worker:
    """One thread."""

    __slots__ = (
        "_cpu",
        "_cpu_before",
        "_looked_at",
        "_moved",
        "_seen_seconds",
        "_still_seconds",
        "_ticks",
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
        self._moved = 0.0
        """When it was last seen to compute, or to wait for a processor (monotonic)."""
        self._ticks = ""
        """CPU time of one that was left behind, when it was last asked for."""
        self.since: float | None = None
        self.item: Callable[[], None] | None = None
        self._looked_at: tuple[Callable[[], None] | None, float | None] = None, None
        """The item of the last look, and since when."""
        self._cpu = self._cpu_before = 0.0
        """CPU time at the last look, and when it was first seen at this item."""
        self._seen_seconds = self._still_seconds = 0.0
        """For how long it was seen at this item since; for how long it has stood still."""
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

    def look(self, seconds: float, *, late: bool) -> None:
        """See what it does, so long after the look before; one that comes ``late`` tells nothing of the time before."""
        if self.thread is None or self.thread.ident is None:
            return
        at, cpu = (self.item, self.since), time.clock_gettime(time.pthread_getcpuclockid(self.thread.ident))
        runnable = self._is_runnable()
        if runnable or cpu > self._cpu:
            self._moved = time.monotonic()
        if None in at or at != self._looked_at:
            self._looked_at, self._cpu_before, self._seen_seconds, self._still_seconds = at, cpu, 0.0, 0.0
        elif not late and not runnable:
            self._seen_seconds += seconds
            self._still_seconds = self._still_seconds + seconds if cpu - self._cpu < _IDLE_PART * seconds else 0.0
        self._cpu = cpu

    def _is_runnable(self) -> bool:
        """Whether it could run and gets no processor: nothing hangs then, the host is busy."""
        thread = None if self.thread is None else self.thread.native_id
        return thread is not None and thread_state(thread) == "R"

    def leave_behind(self) -> None:
        """From now on another thread is the active one."""
        self.abandoned = True
        self.last_moved()

    def last_moved(self) -> float:
        """When it was last seen to compute, or to wait for a processor (monotonic): now, if it has since the latest
        look (where it was left behind: since this was asked before)."""
        thread = self.thread
        if thread is None or thread.ident is None or thread.native_id is None:
            return self._moved
        if self.abandoned:  # it may end at any moment: only the kernel may be asked for its clock, and by its number
            ticks = thread_ticks(thread.native_id)
            moved, self._ticks = "" not in (self._ticks, ticks) and self._ticks != ticks, ticks
        else:
            moved = time.clock_gettime(time.pthread_getcpuclockid(thread.ident)) > self._cpu
        if moved or self._is_runnable():
            self._moved = time.monotonic()
        return self._moved

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
    """The state of a thread of this process, by its kernel id: ``R``, ``S``, ``D``, … (proc(5)); empty: not known."""
    return _stat(thread)[:1]


def thread_ticks(thread: int) -> str:
    """Its CPU time, user's and system's, in the kernel's words; empty: not known."""
    return " ".join(_stat(thread).split()[11:13])


def _stat(thread: int) -> str:
    """What follows the name in /proc/self/task/<thread>/stat: the state, and numbers (proc(5)); empty: not known."""
    try:
        with open(f"/proc/self/task/{thread}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(") ")[2]
    except OSError:
        return ""

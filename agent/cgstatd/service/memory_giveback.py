"""Memory that was freed goes back to the system. Left to itself, glibc keeps it for as long as the agent runs.

Answers, configs and what users make the agent read come and go in pieces of up to some megabytes. glibc (mallopt(3),
malloc_trim(3)) makes a heap for each thread that allocates, and gives back by itself the end of a heap only. So: one
heap, and what was freed between blocks that are in use is given back once in a while, after memory has grown. (To have
large blocks mapped one by one, and unmapped as they are freed, makes /metrics a fifth dearer: new pages each time.)
musl has neither call, and needs neither: it maps what is large, and has one heap.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

EACH_SECONDS = 30.0
GROWTH = 1.1
"""How much more than its least the memory has to be before the work (some 30 ms) is worth it."""
USED_TO = 1.005
"""The factor by which that least grows each time that the work is done. So an agent that needs more (there are more
containers) is used to twice as much within some 70 minutes; what an attack of a quarter of an hour leaves is still
given back."""
MUCH = 1.25
"""How much more than its least makes it worth a trim at once, without a search for circles: answers of some megabytes
leave holes, which grow by as much as they are in seconds while many clients ask."""
_SOON_SECONDS = 1.0
_LITTLE = 0.05
"""A trim that gives back less than this part was not worth it: the next one waits."""
_libc = ctypes.CDLL(None)
_M_ARENA_MAX = -8
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


def set_up() -> None:
    """Before the first thread is started: a heap that is there stays."""
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is None:
        return
    if not mallopt(_M_ARENA_MAX, 1):
        log.debug("mallopt(M_ARENA_MAX, 1) has no effect")


def resident() -> int:
    """The bytes of this process that are in memory."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES


def trim() -> None:
    """Give back what is free. Threads that allocate wait meanwhile."""
    if (malloc_trim := getattr(_libc, "malloc_trim", None)) is not None:
        malloc_trim(ctypes.c_size_t(0))


class GiveBack:
    """Looks at the process's memory once in a while. Used in the sampling thread."""

    def __init__(
        self,
        resident: Callable[[], int] = resident,
        trim: Callable[[], None] = trim,
        collect: Callable[[], object] = gc.collect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resident = resident
        self._trim = trim
        self._collect = collect
        self._clock = clock
        self._least = 0.0
        self._next = 0.0
        """When a trim at once is thought of again."""

    def look(self) -> bool:
        """Give back free memory if the process has well more than its least; whether it did.

        The least is what counts, not the memory after the last time: blocks that were in use then may have kept much
        from being given back. Circles are freed first, because the collector visits old objects only after very many
        new ones.
        """
        now = self._resident()
        if self._least and now < self._least * GROWTH:
            self._least = min(self._least, now)
            return False
        self._collect()
        self._trim()
        after = self._resident()
        self._least = min(after, self._least * USED_TO) if self._least else after
        log.debug("memory given back: resident %d -> %d bytes", now, after)
        return True

    def is_wanted(self) -> bool:
        """Whether memory has grown so much that it should not wait for the next look. From any thread."""
        now = self._clock()
        if now < self._next or not self._least:
            return False
        self._next = now + _SOON_SECONDS
        return self._resident() >= self._least * MUCH

    def relieve(self) -> None:
        """Give back what is free now. The least stays: what is in use beside will be freed, too."""
        before = self._resident()
        self._trim()
        if before - self._resident() < before * _LITTLE:
            self._next = self._clock() + EACH_SECONDS

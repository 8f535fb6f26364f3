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
from collections.abc import Callable

log = logging.getLogger(__name__)

EACH_SECONDS = 30.0
GROWTH = 1.1
"""How much more than the least there was is worth the work (some 30 ms)."""
USED_TO = 1.005
"""By how much that least counts as more each time that it is done: an agent that needs more (there are more containers)
is used to twice as much within some 70 minutes. What an attack of a quarter of an hour leaves is not given up."""
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
    """The bytes of this very process that are in memory."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES


def trim() -> None:
    """Give back what is free. Other threads run meanwhile, but for those that allocate."""
    if (malloc_trim := getattr(_libc, "malloc_trim", None)) is not None:
        malloc_trim(ctypes.c_size_t(0))


class GiveBack:
    """Looks at the process's memory now and then. Used in the sampling thread."""

    def __init__(self, resident: Callable[[], int] = resident, trim: Callable[[], None] = trim) -> None:
        self._resident = resident
        self._trim = trim
        self._least = 0.0

    def look(self) -> bool:
        """Give back what is free where memory is well above the least there was; whether it did.

        Not above what it was the last time: beside what is still in use then, much cannot be given back that can be
        later. What is in circles is freed first: the collector comes to old objects only once many more were made.
        """
        now = self._resident()
        if self._least and now < self._least * GROWTH:
            self._least = min(self._least, now)
            return False
        gc.collect()
        self._trim()
        after = self._resident()
        self._least = min(after, self._least * USED_TO) if self._least else after
        log.debug("memory given back: resident %d -> %d bytes", now, after)
        return True

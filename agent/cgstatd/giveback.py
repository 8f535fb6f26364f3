"""Memory that was freed goes back to the system. Left to itself, glibc keeps it for as long as the agent runs.

Answers, configs and what users make the agent read come and go in pieces of up to some megabytes. glibc (mallopt(3),
malloc_trim(3)) makes a heap for each thread that allocates, keeps large blocks in them once one was freed, and gives
back the end of the first heap only. So: one heap; a block of BLOCK_BYTES or more is mapped by itself, and unmapped when
it is freed; what was freed between blocks that are in use is given back once in a while, after memory has grown.
musl has neither call, and needs neither: it maps what is large, and has one heap.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
from collections.abc import Callable

log = logging.getLogger(__name__)

BLOCK_BYTES = 128 << 10
"""glibc's own first value, which it raises up to 32 MiB as such blocks are freed, unless it is set."""
EACH_SECONDS = 30.0
GROWTH = 1.1
"""How much more than it was after the last time is worth the work."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


def set_up() -> None:
    """Before the first thread is started: a heap that is there stays."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for parameter, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, BLOCK_BYTES), (_M_TRIM_THRESHOLD, 8 * BLOCK_BYTES)):
        if not mallopt(parameter, value):
            log.debug("mallopt(%d, %d) has no effect", parameter, value)


def resident() -> int:
    """The bytes of this very process that are in memory."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES


def trim() -> None:
    """Give back what is free. Other threads run meanwhile, but for those that allocate."""
    if (malloc_trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        malloc_trim(ctypes.c_size_t(0))


class GiveBack:
    """Looks at the process's memory now and then. Used in the sampling thread."""

    def __init__(self, resident: Callable[[], int] = resident, trim: Callable[[], None] = trim) -> None:
        self._resident = resident
        self._trim = trim
        self._least = 0

    def look(self) -> bool:
        """Give back what is free if memory has grown since the last time; whether it did.

        What is in circles is freed first: the collector comes to old objects only once many more were made.
        """
        now = self._resident()
        if now < self._least * GROWTH:
            self._least = min(self._least, now)
            return False
        gc.collect()
        self._trim()
        self._least = self._resident()
        log.debug("memory given back: resident %d -> %d bytes", now, self._least)
        return True

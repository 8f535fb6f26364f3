"""Whether a file or a directory is still what it was when it was looked at: the one rule for all that is kept of one.

Its times step with the kernel's clock tick, by 1 to 10 ms, on some file systems by seconds. What is written twice
within one step, at the same size, looks the same after both. A look within a step of the change that it saw can
therefore be out of date without any later look showing it (git calls its entries of that kind racy). Such a look is
not settled: it never counts as the same, and so it is repeated once the step is over. The change time counts, which
the kernel alone sets.
"""

from __future__ import annotations

import os
from typing import NamedTuple

_STEP_NS = 100_000_000
"""Ten ticks of the slowest clock: the agent's own clock may be ahead of that of the file system's host."""
_COARSE_STEP_NS = 2_000_000_000
"""Of file systems that keep whole seconds: FAT steps by two."""
SETTLED_NS = _STEP_NS
"""When to look again at what was not settled."""


Version = tuple[int, ...]


class FileLook(NamedTuple):
    """One look at a file."""

    version: Version
    """Changes whenever the file does, with its owner and its mode, as far as its times tell."""
    unsettled_ns: int
    """0, or for how long after the look a change may still not show in it."""


def version_of(found: os.stat_result) -> Version:
    """Of a file; with the change time: one that is given to another owner keeps its inode, mtime and size."""
    ctime, mtime = found.st_ctime_ns, found.st_mtime_ns
    return found.st_dev, found.st_ino, found.st_size, mtime, ctime, found.st_uid, found.st_mode


def look(found: os.stat_result, now_ns: int) -> FileLook:
    """``now_ns``: by the wall clock, just before or after the call that found it."""
    step = _STEP_NS if found.st_ctime_ns % 1_000_000_000 else _COARSE_STEP_NS
    # On both sides of now: a change may come between the look at the clock and that at the file.
    unsettled = step if abs(now_ns - found.st_ctime_ns) < step else 0
    return FileLook(version_of(found), unsettled)


def is_same(before: FileLook | None, now: FileLook | None) -> bool:
    """Whether what was kept at one look still holds at another; None: there was, or is, no file."""
    if before is None or now is None:
        return before is now
    return not before.unsettled_ns and before.version == now.version

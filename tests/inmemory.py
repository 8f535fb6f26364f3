"""Temporary files of a test run in memory, where there is room: made-up hosts are thousands of small files each.

On a disk most of a run's system time goes into making and removing them.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator

_MEMORY = "/dev/shm"
_LIMITS = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
"""Of the container that the tests may run in: what is in its memory file systems counts as its memory."""
_ROOM = 4 << 30
"""Bytes that have to be free, there and in the machine: a run has some hundred MB at a time."""


@contextlib.contextmanager
def in_memory() -> Iterator[None]:
    """What this process and those that it starts make as temporary files is made in memory.

    On the disk where TMPDIR says so, where there is less room, and where no program may be run from memory.
    """
    if os.environ.get("TMPDIR") or not _has_room():
        yield
        return
    os.environ["TMPDIR"], tempfile.tempdir = _MEMORY, None
    try:
        yield
    finally:
        del os.environ["TMPDIR"]
        tempfile.tempdir = None


def _has_room() -> bool:
    try:
        found = os.statvfs(_MEMORY)
        with open("/proc/meminfo", encoding="ascii") as file:
            available = re.search(r"(?m)^MemAvailable: +(\d+) kB$", file.read())
    except OSError:
        return False
    usable = os.access(_MEMORY, os.W_OK) and not found.f_flag & os.ST_NOEXEC
    room = min(found.f_bavail * found.f_frsize, int(available[1]) << 10 if available else 0, *_limits())
    return usable and room >= _ROOM


def _limits() -> Iterator[int]:
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
            yield int(file.read())

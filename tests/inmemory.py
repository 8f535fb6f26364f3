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
    return bool(usable and available) and min(found.f_bavail * found.f_frsize, int(available[1]) << 10) >= _ROOM

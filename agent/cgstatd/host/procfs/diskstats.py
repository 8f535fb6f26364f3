"""/proc/diskstats: what each block device did for all programs together, and how long it had anything to do.

Sample (Documentation/admin-guide/iostats.rst: major minor name, reads merged sectors ms, writes merged sectors ms, in
flight, ms busy, ms weighted; four of discards since 4.18, then flushes and their ms since 5.5)::

    254       0 vda 191950 8956 633773602 435132 25134 155933 11449080 51473 0 141104 491395 14235 59 1053304 4637 3013 151

A sector is 512 bytes here, whatever the device has. A flush alone does not count as busy.
"""  # noqa: E501  the kernel's own width

from __future__ import annotations

from typing import NamedTuple

from cgroupfs import DeviceIo, ParseError
from cgroupfs.formats import is_number

PATH = "/proc/diskstats"
_SECTOR = 512
_FIELDS = 11
_FLUSH_MS = 16
"""Among the numbers behind the name."""


class DiskStats(NamedTuple):
    """One device since boot."""

    io: DeviceIo
    busy_ms: int
    """While requests were under way, flushes among them."""


def parse_diskstats(data: bytes) -> list[DiskStats]:
    """Every device, and every partition. Malformed lines are left out. Raises ParseError where there is no good one."""
    found = []
    for line in data.splitlines():
        parts = line.split()
        numbers = [*parts[:2], *parts[3:]]
        if len(parts) >= 3 + _FIELDS and all(map(is_number, numbers)):
            major, minor, *values = map(int, numbers)
            reads, _, read, _, writes, _, written, _, _, busy = values[:10]
            flushing = values[_FLUSH_MS] if len(values) > _FLUSH_MS else 0
            io = DeviceIo(f"{major}:{minor}", read * _SECTOR, written * _SECTOR, reads, writes)
            found.append(DiskStats(io, busy + flushing))
    if not found and data.strip():
        raise ParseError("no line 'major minor name <numbers>'")
    return found

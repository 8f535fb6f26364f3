"""/proc/<pid>/status and /proc/<pid>/stat: one process' own memory and when it started.

Samples (Documentation/filesystems/proc.rst; Rss* since 4.5)::

    VmSwap:        0 kB
    RssAnon:     104 kB
    RssFile:     512 kB
    RssShmem:      0 kB

    670 (name, may hold anything) S 650 670 … 22nd field: start in USER_HZ ticks since boot
"""

from __future__ import annotations

from typing import NamedTuple

from cgroupfs import ParseError
from cgroupfs.formats import is_kib, is_number


class ProcessMemory(NamedTuple):
    """Bytes of one process; pages that processes share are in each one's figure."""

    anon: int
    file: int
    shmem: int
    swap: int


def parse_status(data: bytes) -> ProcessMemory:
    """Zeros for a kernel thread or a zombie, which have no memory. Raises ParseError."""
    found: dict[bytes, int] = {}
    for line in data.splitlines():
        match line.split():
            case [key, value, b"kB"] if is_kib(value):
                found[key] = int(value) * 1024
    if not found and not data.startswith(b"Name:"):
        raise ParseError("not a status file: no line 'Name:'")
    return ProcessMemory(*(found.get(key, 0) for key in (b"RssAnon:", b"RssFile:", b"RssShmem:", b"VmSwap:")))


def is_ended(data: bytes) -> bool:
    """Whether the thread whose status this is has ended (a zombie). Others of its process may run on."""
    return b"\nState:\tZ" in data


def parse_start_ticks(data: bytes) -> int:
    """When it started, in USER_HZ ticks since boot. Raises ParseError."""
    fields = data.rpartition(b")")[2].split()
    if len(fields) < 20 or not is_number(fields[19]):
        raise ParseError("not a stat file: no 22nd field")
    return int(fields[19])

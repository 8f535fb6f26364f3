"""/proc/<pid>/stat and the lines of /proc/<pid>/status that name a process: what a list of processes shows.

Samples (Documentation/filesystems/proc.rst, 1.1; NSpid since 4.1, the outermost namespace first)::

    670 (name, may hold anything) S 650 670 … 14th field: utime, 15th: stime, 20th: threads, 22nd: start, in ticks

    Name:	sleep
    State:	S (sleeping)
    NSpid:	670	1
    VmRSS:	     616 kB
    Threads:	1

The name is the kernel's (``comm``, 15 bytes), which a process may set. Neither file has an argument or a variable.
"""

from __future__ import annotations

from typing import NamedTuple

from cgroupfs import ParseError
from cgroupfs.formats import is_kib, is_number

STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "disk sleep",
    "T": "stopped",
    "t": "tracing stop",
    "Z": "zombie",
    "X": "dead",
    "I": "idle",
    "P": "parked",
}
"""The kernel's words (fs/proc/array.c)."""
_ESCAPED = {"\\n": "\n", "\\\\": "\\"}


class PidStat(NamedTuple):
    """What /proc/<pid>/stat says of a whole process."""

    state: str
    """A letter."""
    cpu_ticks: int
    """utime + stime of all its threads, in USER_HZ."""
    threads: int
    start_ticks: int
    """When it started, in USER_HZ since boot: with its pid, which process it is."""


def parse_parent(data: bytes) -> tuple[str, int]:
    """The name in /proc/<pid>/stat, and the parent's pid. Raises ParseError."""
    before, _, rest = data.rpartition(b")")
    fields = rest.split()
    if len(fields) < 2 or not is_number(fields[1]):
        raise ParseError("not a stat file: no 4th field")
    return before.partition(b"(")[2].decode("utf-8", "replace"), int(fields[1])


class PidJob(NamedTuple):
    """What /proc/<pid>/stat says beside that for ps. None: it does not."""

    group: int
    session: int
    foreground: int
    """The process group that its terminal listens to; -1: it has none."""
    nice: int
    virtual_bytes: int | None
    resident_pages: int | None


def parse_job(data: bytes) -> PidJob:
    """Raises ParseError."""
    fields = data.rpartition(b")")[2].split()
    if len(fields) < 17 or not all(is_number(fields[at].removeprefix(b"-")) for at in (2, 3, 5, 16)):
        raise ParseError("not a stat file: no 19 fields")
    memory = [int(each) if is_number(each) else None for each in fields[20:22]]
    virtual, resident = (*memory, None, None)[:2]
    return PidJob(int(fields[2]), int(fields[3]), int(fields[5]), int(fields[16]), virtual, resident)


class PidNames(NamedTuple):
    """What /proc/<pid>/status says of it."""

    name: str
    pid_inside: int | None
    """Its pid in its own namespace; None before Linux 4.1."""
    rss_bytes: int
    """0: a zombie, or a kernel thread."""


def parse_stat(data: bytes) -> PidStat:
    """Raises ParseError."""
    fields = data.rpartition(b")")[2].split()
    if len(fields) < 20 or not all(is_number(fields[at]) for at in (11, 12, 17, 19)):
        raise ParseError("not a stat file: no 22 fields")
    state = fields[0].decode("ascii", "replace")
    return PidStat(state, int(fields[11]) + int(fields[12]), int(fields[17]), int(fields[19]))


def parse_names(data: bytes) -> PidNames:
    """Raises ParseError."""
    if not data.startswith(b"Name:\t"):
        raise ParseError("not a status file: no line 'Name:'")
    name, _, rest = data[6:].partition(b"\n")
    inside, rss = None, 0
    for line in rest.splitlines():
        match line.split():
            case [b"NSpid:", *_, last] if is_number(last):
                inside = int(last)
            case [b"VmRSS:", value, b"kB"] if is_kib(value):
                rss = int(value) * 1024
    return PidNames(_unescaped(name.decode("utf-8", "replace")), inside, rss)


def parse_namespace_pids(data: bytes) -> list[int]:
    """The pids of /proc/<pid>/status in each of its pid namespaces, the outermost first; empty before Linux 4.1."""
    _, _, rest = data.partition(b"\nNSpid:")
    return [int(each) for each in rest.partition(b"\n")[0].split() if is_number(each)]


def _unescaped(name: str) -> str:
    """The kernel writes a newline and a backslash of the name as two characters."""
    if "\\" not in name:
        return name
    parts, at = [], 0
    while at < len(name):
        found = _ESCAPED.get(name[at : at + 2])
        parts.append(found or name[at])
        at += 2 if found else 1
    return "".join(parts)


def parse_children(data: bytes) -> list[int]:
    """/proc/<pid>/task/<tid>/children: pids of those that the thread made, or adopted, zombies included."""
    return [int(each) for each in data.split() if is_number(each)]

"""A container's processes: when the first was started, and their own memory where no cgroup counts it."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from cgroupfs import Cgroup, ParseError, Root

from ..host.procfs.pid_status import ProcessMemory, is_ended, parse_start_ticks, parse_status
from ..host.procfs.process import threads

MANY = 512
"""At most so many processes are asked; of a container with more the figure is a part."""
TICKS = os.sysconf("SC_CLK_TCK")


class ProcessesMemory(NamedTuple):
    """Sums over the processes. Pages that they share count once for each."""

    memory: ProcessMemory
    processes: int
    complete: bool
    """Whether all of them were asked and answered."""


def processes_memory(root: Root, cgroup: Cgroup) -> ProcessesMemory | None:
    """The processes' own memory; None where none is visible."""
    pids = cgroup.procs(MANY)
    found = []
    for pid in pids:
        try:
            found.append(parse_status(process_status(root, pid)))
        except (OSError, ParseError):
            continue
    if not found:
        return None
    sums = ProcessMemory(*(sum(values) for values in zip(*found, strict=True)))
    return ProcessesMemory(sums, len(found), len(found) == len(pids) < MANY)


def process_status(root: Root, pid: int) -> bytes:
    """Of a process whose first thread has ended: any other thread tells the memory of all. Raises OSError."""
    own = root.read(f"/proc/{pid}/status")
    if is_ended(own):
        for thread in threads(f"{root.join('/proc')}/{pid}"):
            with contextlib.suppress(OSError):
                other = root.read(f"/proc/{pid}/{thread}/status")
                if not is_ended(other):
                    return other
    return own


def started_seconds(root: Root, cgroup: Cgroup, boot_seconds: int | None) -> float | None:
    """Unix time at which the oldest of its processes was started; None where that cannot be known.

    ``boot_seconds``: when the host was, as /proc/stat says: a file of the host, and none of the container's.
    """
    starts = []
    if boot_seconds is None:
        return None
    for pid in cgroup.procs():
        try:
            starts.append(parse_start_ticks(root.read(f"/proc/{pid}/stat")))
        except (OSError, ParseError):
            continue
    return boot_seconds + min(starts) / TICKS if starts else None

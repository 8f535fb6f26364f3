"""CPU time of processes, to the nanosecond, and what a series of readings says."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


def cpu_nsec(pids: Iterable[int]) -> int:
    """CPU time (user and system) of live processes with all their threads: /proc/<pid>/task/*/schedstat.

    Nanoseconds, where /proc/<pid>/stat has ticks of 10 ms. Threads that ended meanwhile are lost: long-lived ones only.
    """
    total = 0
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                    total += int(file.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass
class Series:
    """Readings of one subject: CPU and wall microseconds per container (or per request)."""

    name: str
    unit: str = "container and reading"
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def add(self, cpu_ns: float, wall_ns: float, count: int) -> None:
        """One round over ``count`` containers."""
        self.cpu.append(cpu_ns / count / 1000)
        self.wall.append(wall_ns / count / 1000)


def median(values: Sequence[float]) -> float:
    """Median; NaN of nothing."""
    return statistics.median(values) if values else float("nan")


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The quartiles."""
    if len(values) < 4:
        return (min(values), max(values)) if values else (float("nan"), float("nan"))
    quartiles = statistics.quantiles(values, n=4)
    return quartiles[0], quartiles[2]

"""CPU time of processes, to the nanosecond, what else a process holds, and what a series of readings says."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import statistics
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any


def cpu_nsec(pids: Iterable[int]) -> int:
    """CPU time (user and system) that live processes have used, threads that ended included.

    By the CPU clock of the process (clock_getcpuclockid(3)): nanoseconds, where /proc/<pid>/stat has ticks of 10 ms.
    """
    total = 0
    for pid in pids:
        try:
            total += time.clock_gettime_ns((~pid << 3) | 2)  # CPUCLOCK_SCHED of the whole process
        except OSError:
            continue
    return total


def rss_mb(pid: int) -> float:
    """Resident memory of a process in megabytes."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


_PROCESS = re.compile(r"/proc/(\d+)(?=[/ ]|$)")


def belonging(pid: int, name: str, live: Collection[int] = (), ended: Collection[int] = ()) -> int:
    """How many descriptors of a process lead to cgroups below a directory ``name`` or to certain processes.

    Those that have ``ended`` may have given their number to another: only what leads to a dead one is theirs. A pidfd
    of a dead process does not tell its number and counts whosever it was.
    """
    total = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):  # closed meanwhile
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
            if found := _PROCESS.match(link):
                total += int(found[1]) in (ended if link.endswith(" (deleted)") else live)
            elif "pidfd" in link:
                total += _process_of(pid, fd) in {-1, *live}
            else:
                total += f"/{name}/" in link
    return total


def _process_of(pid: int, fd: str) -> int:
    """The process of a pidfd; -1: it is dead. Raises OSError."""
    with open(f"/proc/{pid}/fdinfo/{fd}") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("Pid:")), 0)


def threads(pid: int) -> int:
    """How many threads a process has."""
    return len(os.listdir(f"/proc/{pid}/task"))


def watches(pid: int) -> int:
    """How many inotify watches a process holds."""
    total = 0
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{fd}") as file:
                total += sum(line.startswith("inotify ") for line in file)
        except OSError:  # closed meanwhile
            continue
    return total


@dataclass
class Series:
    """Readings of one subject: CPU and wall microseconds per container (or per request)."""

    name: str
    unit: str = "container"
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def add(self, cpu_ns: float, wall_ns: float, count: int) -> None:
        """One round over ``count`` containers."""
        self.cpu.append(cpu_ns / count / 1000)
        self.wall.append(wall_ns / count / 1000)


@dataclass
class Samples:
    """Values of one kind that are no CPU time: latencies, memory, descriptors."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list)


def median(values: Sequence[float]) -> float:
    """Median; NaN of nothing."""
    return statistics.median(values) if values else float("nan")


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The quartiles; of few values the least and the greatest."""
    if len(values) < 4:
        return (min(values), max(values)) if values else (float("nan"), float("nan"))
    quartiles = statistics.quantiles(values, n=4)
    return quartiles[0], quartiles[2]


def p99(values: Sequence[float]) -> float:
    """The 99th percentile (of fewer than a hundred values the greatest); NaN of nothing."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))] if values else float("nan")


def facts() -> dict[str, Any]:
    """The machine, so that two results can be told apart."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / 1e6
    return {
        "kernel": platform.release(),
        "cgroups": "v2" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "v1 or hybrid",
        "python": platform.python_version(),
        "cpu": model,
        "cpus": os.cpu_count(),
        "memory_gb": round(memory, 1),
        "load": round(os.getloadavg()[0], 2),
    }

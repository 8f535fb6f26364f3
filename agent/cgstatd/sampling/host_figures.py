"""The host itself (/proc/stat, meminfo, uptime, loadavg, its kernel), and what this agent costs."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cgroupfs import Hierarchy, Root

from ..host.procfs.host_load import LOADAVG, UPTIME, parse_loadavg, parse_uptime
from ..host.procfs.host_stat import PATH as STAT
from ..host.procfs.host_stat import HostCpu, parse_host_stat
from ..host.procfs.meminfo import PATH as MEMINFO
from ..host.procfs.meminfo import parse_meminfo
from ..host.procfs.net_dev import parse_traffic
from .sampler import Sampler

NET_DEV = "/proc/1/net/dev"
OWN_DESCRIPTORS = "/proc/self/fd"
MINIMUM_WINDOW_NS = 200_000_000
"""/proc/stat counts in ticks of 10 ms: over less, one tick is 5 % and more."""
MAXIMUM_WINDOW_NS = 60_000_000_000


class CpuWindow(NamedTuple):
    """The host's CPU over a window."""

    busy_share: float
    """0 to 1 of all cores. Time that a hypervisor gave to others (steal) is not busy."""
    seconds: float


@dataclass(frozen=True, slots=True)
class HostFacts:
    """None: the file could not be read."""

    hierarchy: Hierarchy
    hostname: str | None
    kernel: str | None
    cpu: HostCpu | None
    window: CpuWindow | None
    memory: Mapping[str, int]
    """/proc/meminfo in bytes; empty where it cannot be read."""
    uptime_seconds: float | None
    load: tuple[float, float, float] | None


class HostReader:
    """Remembers the CPU time of the reading before. Used in the sampling thread."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._older: tuple[int, HostCpu] | None = None
        self._newer: tuple[int, HostCpu] | None = None

    def has_window(self) -> bool:
        """Take a reading; whether an earlier one is old enough (and not too old) to compare with."""
        cpu = self._sampler.host.get(STAT, parse_host_stat)
        return cpu is None or self._window(self._sampler.root.clock().monotonic_ns, cpu) is not None

    def _window(self, now: int, cpu: HostCpu) -> CpuWindow | None:
        base = next((b for b in (self._newer, self._older) if b and now - b[0] >= MINIMUM_WINDOW_NS), None)
        if self._newer is None or now - self._newer[0] >= MINIMUM_WINDOW_NS:
            self._older, self._newer = self._newer, (now, cpu)
        if base is None or now - base[0] > MAXIMUM_WINDOW_NS:
            return None
        ticks = cpu.total - base[1].total
        busy = cpu.busy - base[1].busy
        return CpuWindow(busy / ticks, (now - base[0]) / 1e9) if ticks > 0 and 0 <= busy <= ticks else None

    def hostname(self) -> str | None:
        """The kernel's own; None where it cannot be read."""
        return _text(self._sampler.root, "/proc/sys/kernel/hostname")

    def traffic(self) -> tuple[int, int] | None:
        """(received, sent) bytes over all interfaces of the host but ``lo``; None where that cannot be read."""
        return self._sampler.host.get(NET_DEV, parse_traffic)

    def read(self) -> HostFacts:
        """All facts, now. A file that cannot be read costs its own facts alone."""
        root = self._sampler.root
        cpu = self._sampler.host.get(STAT, parse_host_stat)
        return HostFacts(
            hierarchy=self._sampler.hierarchy,
            hostname=self.hostname(),
            kernel=_kernel(root),
            cpu=cpu,
            window=None if cpu is None else self._window(root.clock().monotonic_ns, cpu),
            memory=self._sampler.host.get(MEMINFO, parse_meminfo) or {},
            uptime_seconds=self._sampler.host.get(UPTIME, parse_uptime),
            load=self._sampler.host.get(LOADAVG, parse_loadavg),
        )


def _text(root: Root, path: str) -> str | None:
    try:
        return root.read(path).decode("utf-8", "replace").strip() or None
    except OSError:
        return None


def _kernel(root: Root) -> str | None:
    """The release; ``Linux version 6.12.… (…)`` where there is no sysctl."""
    release = _text(root, "/proc/sys/kernel/osrelease")
    words = (_text(root, "/proc/version") or "").split()
    return release or (words[2] if len(words) > 2 else None)


class AgentCost(NamedTuple):
    """What this process has used: CPU time, memory, threads, descriptors."""

    cpu_seconds: float
    rss_bytes: int
    threads: int
    descriptors: int
    uptime_seconds: float


_STARTED = time.monotonic()


@functools.cache
def _myself() -> Any:
    import psutil  # noqa: PLC0415 - when first needed: commands that ask nothing of it do not pay for it

    return psutil.Process()


def open_descriptors() -> int:
    """How many this process has open: the size of the directory since Linux 6.2, and 0 before that.

    To list it takes some 10 ms of an agent that has a thousand containers' files open.
    """
    return os.stat(OWN_DESCRIPTORS).st_size or len(os.listdir(OWN_DESCRIPTORS)) - 1  # the last is the listing's own


def agent_cost() -> AgentCost:
    """Of this process, whatever --host-root is. Threads are the kernel's, not Python's alone."""
    process = _myself()
    with process.oneshot():
        return AgentCost(
            time.process_time(),  # in nanoseconds; /proc has ticks
            process.memory_info().rss,
            process.num_threads(),
            open_descriptors(),
            time.monotonic() - _STARTED,
        )

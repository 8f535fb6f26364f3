"""What two looks tell a verdict: counters of every container, of the cgroups above them, and of the host.

Of pressure files only ``total`` counts: microseconds in which at least one task waited. The averages are made every 2 s
by a worker that itself waits for CPU time on a starved host, and are minutes old then.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from cgroupfs import DeviceIo, DeviceLimit, Limit

from ...host.identity import Identity


class Counted(NamedTuple):
    """One cgroup at one instant. None: it does not say, or was not asked."""

    monotonic_ns: int = 0
    cpu_stall_usec: int | None = None
    memory_stall_usec: int | None = None
    io_stall_usec: int | None = None
    cpu_nsec: int | None = None
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_nsec: int | None = None
    """Summed up over the processors."""
    quota_usec: Limit = None
    period_usec: int | None = None
    cpus: frozenset[int] | None = None
    """Processors that it was itself restricted to; empty: none."""
    memory_bytes: int | None = None
    memory_high: Limit = None
    memory_max: Limit = None
    high_events: int | None = None
    max_events: int | None = None
    refaults: int | None = None
    """Pages that were read again after they had been dropped for want of memory."""
    devices: tuple[DeviceIo, ...] | None = None
    io_limits: tuple[DeviceLimit, ...] | None = None


class HostMemory(NamedTuple):
    """The host's memory at one instant, in bytes."""

    total: int
    free: int
    available: int
    """MemAvailable: what programs can still have before the host is short of memory."""
    scanned: int | None = None
    """Pages that the kernel looked at to find memory for the host, since boot; None: it does not say."""


class Host(NamedTuple):
    """The host at one instant."""

    cores: int
    devices: tuple[DeviceIo, ...] | None = None
    """Of all processes together; None: the kernel does not say."""
    stacked: frozenset[str] = frozenset()
    """Devices whose I/O is counted by another one below, too."""
    disk_busy_ms: Mapping[str, int] = {}
    """Device -> milliseconds in which it had anything to do, since boot."""
    cpus: Mapping[int, tuple[int, int, int]] = {}
    """Processor -> its ticks: busy, taken by a hypervisor, all there were. Empty: /proc/stat cannot be read."""
    memory: HostMemory | None = None
    """None: /proc/meminfo does not say."""


class Look(NamedTuple):
    """Everything at one time."""

    host: Host
    containers: Mapping[Hashable, tuple[Identity, str, Counted]]
    """Life of a container -> who it is, its cgroup's path, its counters."""
    above: Mapping[str, Counted]
    """path -> the counters of a cgroup that containers are in."""


class Grown(NamedTuple):
    """One cgroup between two looks."""

    before: Counted
    after: Counted

    @property
    def seconds(self) -> float:
        """Between the two."""
        return max(1e-9, (self.after.monotonic_ns - self.before.monotonic_ns) / 1e9)

    def by(self, field: str) -> int | None:
        """How much a counter grew; None: not known, or it began anew meanwhile."""
        before, after = getattr(self.before, field), getattr(self.after, field)
        return None if before is None or after is None or after < before else after - before

    def more(self, field: str) -> int:
        """The same, where what is not known is no growth."""
        return self.by(field) or 0

    def stalled(self, resource: str) -> float | None:
        """The share of the time in which at least one of its tasks waited, 0 to 1; None: the kernel does not say."""
        usec = self.by(f"{resource}_stall_usec")
        return None if usec is None else min(1.0, usec / 1e6 / self.seconds)

    def a_second(self, field: str) -> float:
        """Growth of a counter in a second; 0 where that is not known."""
        return self.more(field) / self.seconds

    @property
    def cores(self) -> float:
        """How many processors it used."""
        return self.a_second("cpu_nsec") / 1e9

    @property
    def quota_cores(self) -> float | None:
        """Its CPU quota; None: it has none."""
        quota, period = self.after.quota_usec, self.after.period_usec
        return quota / period if isinstance(quota, int) and period else None

    @property
    def throttled_share(self) -> float:
        """Of its periods those in which it was throttled, 0 to 1."""
        periods = self.by("periods")
        return min(1.0, self.more("throttled_periods") / periods) if periods else 0.0

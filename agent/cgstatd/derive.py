"""Pure arithmetic: raw counters to the figures that ``docker stats`` shows.

Sources: docker/cli ``cli/command/container/stats_helpers.go`` (memory, percentages), Dockhand's published source.
"""

from __future__ import annotations

import math

from cgroupfs import Clock, Counters, Limit, Max

from .network import Traffic
from .runtimes.base import State
from .sample import ContainerStats, CpuReading, Identity


def round_half_up(value: float) -> float:
    """Two decimals as JavaScript's ``Math.round(value * 100) / 100``."""
    hundredths = value * 100
    whole = math.floor(hundredths)
    # Not floor(hundredths + 0.5): that sum is itself rounded, and 0.49999999999999994 became 1.
    return (whole + (hundredths - whole >= 0.5)) / 100


def cpu_percent(before: CpuReading | None, now: CpuReading) -> float | None:
    """CPU time over elapsed time, 100 per core; None without an earlier reading, or where the counter fell."""
    if before is None:
        return None
    elapsed = now.monotonic_ns - before.monotonic_ns
    used = now.usage_nsec - before.usage_nsec
    if elapsed <= 0 or used < 0:
        return None
    return used / elapsed * 100


def memory_usage(raw: int | None, cache: int | None) -> int | None:
    """Memory without the inactive page cache: raw - cache where 0 < cache < raw, else raw."""
    if raw is None or cache is None:
        return raw
    return raw - cache if 0 < cache < raw else raw


def memory_limit(limit: Limit, mem_total: int | None) -> int | None:
    """The container's own limit; the host's memory where there is none or it is larger than the host's."""
    if limit is None:
        return None
    if isinstance(limit, Max):
        return mem_total
    return limit if mem_total is None else min(limit, mem_total)


def percent(part: int | None, whole: int | None) -> float | None:
    """part / whole * 100; 0 of nothing is 0."""
    if part is None or whole is None:
        return None
    return part / whole * 100 if whole else 0.0


def stats(
    identity: Identity, clock: Clock, counters: Counters, traffic: Traffic, cpu: float | None, mem_total: int | None
) -> ContainerStats:
    """The figures of a container that has a cgroup."""
    return ContainerStats(
        identity,
        State.PAUSED if counters.frozen else State.RUNNING,
        cpu,
        counters.memory_bytes,
        counters.inactive_file_bytes,
        memory_limit(counters.memory_max_bytes, mem_total),
        traffic.rx_bytes,
        traffic.tx_bytes,
        traffic.reason,
        counters.io_read_bytes,
        counters.io_write_bytes,
        clock.time_ms,
        clock.monotonic_ns,
        counters.cpu_usage_nsec,
        traffic.namespace,
    )


def stopped(identity: Identity, state: State, time_ms: int, monotonic_ns: int) -> ContainerStats:
    """A container that exists on disk only: it uses nothing; its limit is the configured one, 0 where there is none."""
    limit = identity.metadata.memory_limit_bytes if identity.metadata else None
    return ContainerStats(identity, state, 0.0, 0, 0, limit or 0, 0, 0, None, 0, 0, time_ms, monotonic_ns)


class CpuWindow:
    """The earlier readings of one cgroup against which the next one is taken.

    A window of about a second is preferred, as Docker's: a container under a quota runs in bursts of 100 ms periods,
    and over one or two of them shows anything. Kept are the readings of the last second and one that is older.
    """

    __slots__ = ("_readings",)

    MINIMUM_NS = 100_000_000
    PREFERRED_NS = 900_000_000
    MAXIMUM_NS = 60_000_000_000
    """An average over more than a minute is no answer to what is used now (the baseline may be off)."""

    def __init__(self) -> None:
        self._readings: list[CpuReading] = []

    def base(self, monotonic_ns: int) -> CpuReading | None:
        """The latest reading that is PREFERRED_NS older than the instant given, else the oldest that is MINIMUM_NS."""
        best = None
        for reading in reversed(self._readings):
            age = monotonic_ns - reading.monotonic_ns
            if age > self.MAXIMUM_NS:
                break
            if age >= self.MINIMUM_NS:
                best = reading
            if age >= self.PREFERRED_NS:
                break
        return best

    def add(self, reading: CpuReading) -> None:
        """Remember a reading; a counter that fell starts anew."""
        readings, at = self._readings, reading.monotonic_ns
        if readings and reading.usage_nsec < readings[-1].usage_nsec:
            readings.clear()
        if readings and at - readings[-1].monotonic_ns < self.MINIMUM_NS:
            return
        readings.append(reading)
        while len(readings) > 2 and at - readings[1].monotonic_ns >= self.PREFERRED_NS:
            del readings[0]

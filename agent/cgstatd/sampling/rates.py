"""Pure arithmetic: raw counters to the figures that ``docker stats`` shows.

Sources: docker/cli ``cli/command/container/stats_helpers.go`` (memory, percentages), Dockhand's published source.
"""

from __future__ import annotations

import math

from cgroupfs import Clock, Counters, Limit, Max

from ..host.identity import Identity
from ..host.runtimes.base import State
from .model import ContainerStats, CpuReading
from .network import Traffic


def round_half_up(value: float) -> float:
    """Two decimals as JavaScript's ``Math.round(value * 100) / 100``."""
    hundredths = value * 100
    whole = math.floor(hundredths)
    # Not floor(hundredths + 0.5): that sum is itself rounded, and 0.49999999999999994 became 1.
    return (whole + (hundredths - whole >= 0.5)) / 100


LATE_NS = 1_000_000_000
"""Of CPU time, for each core, that the kernel may account late: a core without a tick (nohz_full) once a second."""
MOST_CORES = 8192
"""No kernel has more cores (NR_CPUS). It is the assumption where the host does not say."""
MOST_BYTES_PER_SECOND = 1 << 40
"""Bytes a second; no container moves a TiB a second, so a counter that says so is another one than before."""


def cpu_percent(before: CpuReading | None, now: CpuReading, cores: int = MOST_CORES) -> float | None:
    """CPU time over elapsed time, 100 per core. None without an earlier reading, or where the counter fell or jumped.

    The time runs from before the first reading to after the second: a file that is slow to answer makes the figure too
    small and never too large. ``cores``: of the host. The figure is no more than they can give, and a counter that
    claims more is another one than before.
    """
    if before is None:
        return None
    elapsed = max(now.monotonic_ns, now.until_ns) - before.monotonic_ns
    used = now.usage_nsec - before.usage_nsec
    if elapsed <= 0 or used < 0:
        return None
    if used > cores * (elapsed + LATE_NS):
        return None
    return min(used, cores * elapsed) / elapsed * 100


def bytes_per_second(before: int | None, now: int | None, elapsed_ns: int) -> int | None:
    """The rate of a counter; None where it is not known, fell, or jumped by more than any device can move."""
    if now is None or before is None or elapsed_ns <= 0 or now < before:
        return None
    rate = (now - before) * 1_000_000_000 // elapsed_ns
    return rate if rate <= MOST_BYTES_PER_SECOND else None


def memory_usage(raw: int | None, inactive_file: int | None) -> int | None:
    """Memory without the inactive page cache: raw - inactive_file where that is above 0 and below raw, else raw."""
    if raw is None or inactive_file is None:
        return raw
    return raw - inactive_file if 0 < inactive_file < raw else raw


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
    identity: Identity,
    clock: Clock,
    counters: Counters,
    traffic: Traffic,
    cpu: float | None,
    mem_total: int | None,
    cpu_until_ns: int = 0,
    block_ns: int = 0,
) -> ContainerStats:
    """The figures of a container that has a cgroup. ``clock``: before they were read; ``cpu_until_ns``: CPU, after;
    ``block_ns``: block I/O, after."""
    return ContainerStats(
        identity,
        State.PAUSED if counters.frozen else State.RUNNING,
        cpu,
        counters.memory_usage_bytes,
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
        traffic.read_ns,
        cpu_until_ns,
        block_ns,
    )


def stopped(identity: Identity, state: State, time_ms: int, monotonic_ns: int) -> ContainerStats:
    """A container that exists on disk only: it uses nothing; its limit is the configured one, 0 where there is none."""
    limit = identity.metadata.memory_limit_bytes if identity.metadata else None
    return ContainerStats(identity, state, 0.0, 0, 0, limit or 0, 0, 0, None, 0, 0, time_ms, monotonic_ns)


class CpuWindow:
    """The earlier readings of one cgroup against which the next one is taken.

    A window of about a second is preferred, as Docker's: a container under a quota runs in bursts of 100 ms periods,
    and over one or two of them its figure would be anything. The window keeps the readings of the last second and one
    that is older.
    """

    __slots__ = ("_readings",)

    MINIMUM_NS = 100_000_000
    PREFERRED_NS = 900_000_000
    MAXIMUM_NS = 60_000_000_000
    """An average over more than a minute does not answer what is used now (the baseline may be off)."""

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

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read yet, or a counter started anew."""
        return not self._readings

    def age_ns(self, monotonic_ns: int) -> int:
        """How old the oldest reading is; 0 where there is none."""
        return monotonic_ns - self._readings[0].monotonic_ns if self._readings else 0

    def clear(self) -> None:
        """Forget all readings: the next one is of another counter."""
        self._readings.clear()

    def add(self, reading: CpuReading) -> None:
        """Remember a reading; a counter that fell starts anew. A slow one is a base only where there is no other."""
        readings, at = self._readings, reading.monotonic_ns
        if readings and reading.usage_nsec < readings[-1].usage_nsec:
            readings.clear()
        if readings and (at - readings[-1].monotonic_ns < self.MINIMUM_NS or reading.until_ns - at > self.MINIMUM_NS):
            return
        readings.append(reading)
        while len(readings) > 2 and at - readings[1].monotonic_ns >= self.PREFERRED_NS:
            del readings[0]

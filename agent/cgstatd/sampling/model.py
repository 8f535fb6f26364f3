"""What one pass yields: raw counters with their instant, and the figures derived from them. No I/O here."""

from __future__ import annotations

from typing import NamedTuple

from cgroupfs import Absent

from ..host.identity import Identity
from ..host.runtimes.base import LogSize, State

MEMORY_OFF = "memory controller disabled: add cgroup_enable=memory to the kernel command line"
"""Why a host without that controller has no memory figures, in the log and in the detail."""


class CpuReading(NamedTuple):
    """CPU time of one cgroup at one instant."""

    usage_nsec: int
    monotonic_ns: int
    """Before it was read."""
    until_ns: int = 0
    """After it was read. The usage is that of an instant in between, which a slow file makes long. 0: the same."""


class ContainerStats(NamedTuple):
    """The figures of one container. None: not known (the log says once why); the encoder decides how it shows that."""

    identity: Identity
    state: State
    cpu_percent: float | None
    """100 per fully used core."""
    memory_usage_bytes: int | None
    inactive_file_bytes: int | None
    memory_limit_bytes: int | None
    network_rx_bytes: int | None
    network_tx_bytes: int | None
    network_reason: Absent | None
    block_read_bytes: int | None
    block_write_bytes: int | None
    time_ms: int
    """Wall clock at which the counters were read."""
    monotonic_ns: int
    cpu_usage_nsec: int | None = None
    """The counter itself, for readers that compare over a window of their own."""
    network_namespace: int | None = None
    """Containers with the same one share their network figures."""
    network_ns: int = 0
    """When (monotonic) the network figures were read."""
    cpu_until_ns: int = 0
    """When (monotonic) the CPU time had been read; ``monotonic_ns`` is before."""
    block_ns: int = 0
    """When (monotonic) block I/O had been read; 0: as the CPU time."""


class Log(NamedTuple):
    """What is known of the log."""

    size: LogSize | None
    why: str
    """Why there is no size."""
    path: str
    """What that is about."""

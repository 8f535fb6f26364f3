"""What one round of the history keeps: raw counters and gauges of each container and of the host. No I/O here."""

from __future__ import annotations

from typing import NamedTuple


class Life(NamedTuple):
    """One life of a container: from the making of its cgroup to its removal. Its counters begin at 0."""

    owner_uid: int
    runtime: str
    id: str
    inode: int
    """Of its cgroup. A container that is started again has another one."""


class Subject(NamedTuple):
    """What is remembered of a container beside its figures."""

    name: str
    image: str | None
    project: str | None
    workload: str | None = None
    """What stays the same when it is made anew; None: nothing is known to, or an earlier version stored it."""


class ContainerSample(NamedTuple):
    """The counters of one container as the kernel has them. None: not known."""

    monotonic_ns: int
    """Before the CPU time was read."""
    paused: int
    """0 or 1."""
    cpu_usage_nsec: int | None
    memory_usage_bytes: int | None
    inactive_file_bytes: int | None
    memory_limit_bytes: int | None
    network_rx_bytes: int | None
    network_tx_bytes: int | None
    network_namespace: int | None
    """Containers with the same one share their network figures."""
    block_read_bytes: int | None
    block_write_bytes: int | None
    pids: int | None
    oom_kills: int | None
    memory_peak_bytes: int | None
    network_ns: int | None = None
    """When (monotonic) the network figures were read: on a busy host that is much later than the CPU time. None: as
    that was."""
    block_ns: int | None = None
    """The same of block I/O."""
    highest_cpu_hundredths: int | None = None
    """Of a percent. What readings for clients saw since the round before, as the six behind it; None: there was no
    such reading."""
    highest_memory_usage_bytes: int | None = None
    highest_memory_raw_bytes: int | None = None
    highest_network_rx_rate: int | None = None
    highest_network_tx_rate: int | None = None
    highest_block_read_rate: int | None = None
    highest_block_write_rate: int | None = None
    cpu_throttled_nsec: int | None = None
    """None: it has no CPU quota, or got one within the last minute."""


class HostSample(NamedTuple):
    """The same of the host. CPU time is in ticks of all cores, memory in bytes."""

    cpu_busy_ticks: int | None
    cpu_total_ticks: int | None
    cores: int | None
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    swap_total_bytes: int | None
    swap_free_bytes: int | None
    load1_hundredths: int | None
    """The load of one minute, times 100."""
    containers: int


class Taken(NamedTuple):
    """One round, as the sampling thread hands it over: nothing in it changes any more."""

    time_ms: int
    monotonic_ns: int
    boottime_ns: int
    """It goes on while the host sleeps, as the monotonic clock does not."""
    host: HostSample
    listed: dict[Life, Subject]
    """Every container that has a cgroup."""
    samples: dict[Life, ContainerSample]
    """Without those that could not be read."""
    gone: list[Life]
    """Those that the round before listed."""

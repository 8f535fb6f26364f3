"""The metrics of one container, one line each: name, type, extra label, how it is found, help. cAdvisor's names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from cgroupfs import Stall

from ..ascii import printable
from ..devices import Device
from ..survey import Surveyed

MAX_INTERFACES = 32
MAX_DEVICES = 64
Value = int | float | None
Labelled = Iterable[tuple[str, Value]]


class Family(NamedTuple):
    """One metric. ``label``: the one that it has beside those of the container; empty: none."""

    name: str
    kind: str
    label: str
    values: Callable[[Surveyed], Labelled]
    help: str


def _one(value: Callable[[Surveyed], Value]) -> Callable[[Surveyed], Labelled]:
    return lambda each: (("", value(each)),)


def _field(name: str) -> Callable[[Surveyed], Labelled]:
    """A field of the cgroup as it is."""
    return lambda each: (("", each.fields[name]),)


def _seconds(name: str, label: str = "") -> Callable[[Surveyed], Labelled]:
    def found(each: Surveyed) -> Labelled:
        nanoseconds = each.fields[name]
        return ((label, None if nanoseconds is None else nanoseconds / 1e9),)

    return found


def _stalled(name: str) -> Callable[[Surveyed], Labelled]:
    def value(each: Surveyed) -> Value:
        stall: Stall | None = each.fields[name]
        return None if stall is None else stall.total_usec / 1e6

    return _one(value)


def _limit(name: str) -> Callable[[Surveyed], Labelled]:
    """No limit is no series."""

    def value(each: Surveyed) -> Value:
        limit = each.fields[name]
        return limit if isinstance(limit, int) else None

    return _one(value)


def _working_set(each: Surveyed) -> Value:
    usage, inactive_file = each.fields["memory.usage_bytes"], each.fields["memory.stat.inactive_file"]
    return None if usage is None or inactive_file is None else max(0, usage - inactive_file)


def _network(field: str) -> Callable[[Surveyed], Labelled]:
    return lambda each: [
        (printable(found.name, 32), getattr(found, field)) for found in each.interfaces[:MAX_INTERFACES]
    ]


def _device(device: Device) -> str:
    return f"/dev/{device.name}" if device.name else device.number


def _block(field: str) -> Callable[[Surveyed], Labelled]:
    return lambda each: [
        (_device(each.devices[found.device]), getattr(found, field))
        for found in each.block[:MAX_DEVICES]
        if not each.devices[found.device].stacked
    ]


C, G, U = "counter", "gauge", "unknown"
# fmt: off
FAMILIES: tuple[Family, ...] = (
    Family("container_cpu_usage_seconds", C, "cpu", _seconds("cpu.usage_nsec", "total"),
           "CPU time used."),
    Family("container_cpu_user_seconds", C, "", _seconds("cpu.user_nsec"),
           "CPU time used in user mode."),
    Family("container_cpu_system_seconds", C, "", _seconds("cpu.system_nsec"),
           "CPU time used in the kernel."),
    Family("container_cpu_cfs_periods", C, "", _field("cpu.nr_periods"),
           "Periods of the CPU quota in which the container wanted to run."),
    Family("container_cpu_cfs_throttled_periods", C, "", _field("cpu.nr_throttled"),
           "Periods in which the CPU quota was used up."),
    Family("container_cpu_cfs_throttled_seconds", C, "", _seconds("cpu.throttled_nsec"),
           "Time for which tasks were held back by the CPU quota."),
    Family("container_memory_usage_bytes", G, "", _field("memory.usage_bytes"),
           "Memory in use, page cache included."),
    Family("container_memory_working_set_bytes", G, "", _one(_working_set),
           "Memory in use without the inactive page cache."),
    Family("container_memory_rss", G, "", _field("memory.stat.anon"),
           "Anonymous memory in bytes."),
    Family("container_memory_cache", G, "", _field("memory.stat.file"),
           "Page cache in bytes."),
    Family("container_memory_swap", G, "", _field("memory.swap_bytes"),
           "Swap in use in bytes."),
    Family("container_memory_max_usage_bytes", G, "", _field("memory.peak_bytes"),
           "The most memory that was ever in use."),
    Family("container_memory_failcnt", U, "", _field("memory.failcnt"),
           "How often the memory limit was hit."),
    Family("container_oom_events", C, "", _field("memory.events.oom_kill"),
           "Processes killed for want of memory."),
    Family("container_spec_memory_limit_bytes", G, "", _limit("memory.max_bytes"),
           "The container's own memory limit; no series where there is none."),
    Family("container_spec_cpu_quota", G, "", _limit("cpu.quota_usec"),
           "CPU time in microseconds allowed in a period; no series where there is no quota."),
    Family("container_spec_cpu_period", G, "", _field("cpu.period_usec"),
           "The period of the CPU quota in microseconds."),
    Family("container_spec_cpu_shares", G, "", _field("cpu.shares"),
           "The container's weight when CPU is short; 1024 is the usual one."),
    Family("container_network_receive_bytes", C, "interface", _network("rx_bytes"), "Bytes received."),
    Family("container_network_receive_packets", C, "interface", _network("rx_packets"), "Packets received."),
    Family("container_network_receive_errors", C, "interface", _network("rx_errs"), "Errors while receiving."),
    Family("container_network_receive_packets_dropped", C, "interface", _network("rx_drop"),
           "Packets dropped while receiving."),
    Family("container_network_transmit_bytes", C, "interface", _network("tx_bytes"), "Bytes sent."),
    Family("container_network_transmit_packets", C, "interface", _network("tx_packets"), "Packets sent."),
    Family("container_network_transmit_errors", C, "interface", _network("tx_errs"), "Errors while sending."),
    Family("container_network_transmit_packets_dropped", C, "interface", _network("tx_drop"),
           "Packets dropped while sending."),
    Family("container_fs_reads_bytes", C, "device", _block("rbytes"), "Bytes read from a block device."),
    Family("container_fs_writes_bytes", C, "device", _block("wbytes"), "Bytes written to a block device."),
    Family("container_fs_reads", C, "device", _block("rios"), "Reads from a block device."),
    Family("container_fs_writes", C, "device", _block("wios"), "Writes to a block device."),
    Family("container_pressure_cpu_waiting_seconds", C, "", _stalled("pressure.cpu_some"),
           "Time in which some task waited for CPU."),
    Family("container_pressure_cpu_stalled_seconds", C, "", _stalled("pressure.cpu_full"),
           "Time in which all tasks waited for CPU."),
    Family("container_pressure_memory_waiting_seconds", C, "", _stalled("pressure.memory_some"),
           "Time in which some task waited for memory."),
    Family("container_pressure_memory_stalled_seconds", C, "", _stalled("pressure.memory_full"),
           "Time in which all tasks waited for memory."),
    Family("container_pressure_io_waiting_seconds", C, "", _stalled("pressure.io_some"),
           "Time in which some task waited for I/O."),
    Family("container_pressure_io_stalled_seconds", C, "", _stalled("pressure.io_full"),
           "Time in which all tasks waited for I/O."),
    Family("container_processes", G, "", _one(lambda c: c.processes), "Processes."),
    Family("container_threads", G, "", _field("pids.current"), "Processes and threads."),
    Family("container_start_time_seconds", G, "", _one(lambda c: c.started_seconds), "Unix time of the last start."),
    Family("container_last_seen", G, "", _one(lambda c: c.seen_ms / 1000), "Unix time at which it was read."),
)
# fmt: on

"""The metrics of one container: name, type, rows, how the value is found, help. cAdvisor's names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from cgroupfs import Stall

from ..basics.text import printable
from ..host.block_devices import Device
from ..sampling.exported_metrics import ContainerMetrics
from .metric_lines import escaped

MAX_INTERFACES = 32
MAX_DEVICES = 64
Value = int | float | None
Row = tuple[str, Any]
"""The labels of a series, and what its value is found in."""


class Family(NamedTuple):
    """One metric. ``rows``: of what it has one series each: its fields, its interfaces or its devices."""

    name: str
    kind: str
    rows: str
    value: Callable[[Any], Value]
    help: str


def rows(labelled: Iterable[tuple[str, ContainerMetrics]]) -> dict[str, list[Row]]:
    """The rows of all containers, by their kind: labels are written once for all families that have them."""
    found: dict[str, list[Row]] = {kind: [] for kind in (CGROUP, TOTAL, OTHER, INTERFACE, DEVICE)}
    for labels, each in labelled:
        found[CGROUP].append((labels, each.fields))
        found[TOTAL].append((f'{labels},cpu="total"', each.fields))
        found[OTHER].append((labels, each))
        found[INTERFACE] += _interfaces(labels, each)
        found[DEVICE] += _devices(labels, each)
    return found


def _interfaces(labels: str, each: ContainerMetrics) -> Iterator[Row]:
    for found in each.interfaces[:MAX_INTERFACES]:
        yield f'{labels},interface="{escaped(printable(found.name, 32))}"', found


def _devices(labels: str, each: ContainerMetrics) -> Iterator[Row]:
    for found in each.block[:MAX_DEVICES]:
        device = each.devices[found.device]
        if not device.stacked:
            yield f'{labels},device="{escaped(_device(device))}"', found


def _device(device: Device) -> str:
    return f"/dev/{device.name}" if device.name else device.number


Fields = Mapping[str, Any]


def _seconds(name: str) -> Callable[[Fields], Value]:
    def value(fields: Fields) -> Value:
        nanoseconds: int | None = fields[name]
        return None if nanoseconds is None else nanoseconds / 1e9

    return value


def _stalled(name: str) -> Callable[[Fields], Value]:
    def value(fields: Fields) -> Value:
        stall: Stall | None = fields[name]
        return None if stall is None else stall.total_usec / 1e6

    return value


def _limit(name: str) -> Callable[[Fields], Value]:
    """No limit is no series."""

    def value(fields: Fields) -> Value:
        limit = fields[name]
        return limit if isinstance(limit, int) else None

    return value


def _working_set(fields: Fields) -> Value:
    usage, inactive_file = fields["memory.usage_bytes"], fields["memory.stat.inactive_file"]
    return None if usage is None or inactive_file is None else max(0, usage - inactive_file)


C, G, U = "counter", "gauge", "unknown"
CGROUP, TOTAL, OTHER, INTERFACE, DEVICE = "cgroup", "total", "container", "interface", "device"
# fmt: off
FAMILIES: tuple[Family, ...] = (
    Family("container_cpu_usage_seconds", C, TOTAL, _seconds("cpu.usage_nsec"),
           "CPU time used."),
    Family("container_cpu_user_seconds", C, CGROUP, _seconds("cpu.user_nsec"),
           "CPU time used in user mode."),
    Family("container_cpu_system_seconds", C, CGROUP, _seconds("cpu.system_nsec"),
           "CPU time used in the kernel."),
    Family("container_cpu_cfs_periods", C, CGROUP, itemgetter("cpu.nr_periods"),
           "Periods of the CPU quota in which the container wanted to run."),
    Family("container_cpu_cfs_throttled_periods", C, CGROUP, itemgetter("cpu.nr_throttled"),
           "Periods in which the CPU quota was used up."),
    Family("container_cpu_cfs_throttled_seconds", C, CGROUP, _seconds("cpu.throttled_nsec"),
           "Time for which tasks were held back by the CPU quota."),
    Family("container_memory_usage_bytes", G, CGROUP, itemgetter("memory.usage_bytes"),
           "Memory in use, page cache included."),
    Family("container_memory_working_set_bytes", G, CGROUP, _working_set,
           "Memory in use without the inactive page cache."),
    Family("container_memory_rss", G, CGROUP, itemgetter("memory.stat.anon"),
           "Anonymous memory in bytes."),
    Family("container_memory_cache", G, CGROUP, itemgetter("memory.stat.file"),
           "Page cache in bytes."),
    Family("container_memory_swap", G, CGROUP, itemgetter("memory.swap_bytes"),
           "Swap in use in bytes."),
    Family("container_memory_max_usage_bytes", G, CGROUP, itemgetter("memory.peak_bytes"),
           "The most memory that was ever in use."),
    Family("container_memory_failcnt", U, CGROUP, itemgetter("memory.failcnt"),
           "How often the memory limit was hit."),
    Family("container_oom_events", C, CGROUP, itemgetter("memory.events.oom_kill"),
           "Processes killed for want of memory."),
    Family("container_spec_memory_limit_bytes", G, CGROUP, _limit("memory.max_bytes"),
           "The container's own memory limit; no series where there is none."),
    Family("container_spec_cpu_quota", G, CGROUP, _limit("cpu.quota_usec"),
           "CPU time in microseconds allowed in a period; no series where there is no quota."),
    Family("container_spec_cpu_period", G, CGROUP, itemgetter("cpu.period_usec"),
           "The period of the CPU quota in microseconds."),
    Family("container_spec_cpu_shares", G, CGROUP, itemgetter("cpu.shares"),
           "The container's weight when CPU is short; 1024 is the usual one."),
    Family("container_network_receive_bytes", C, INTERFACE, attrgetter("rx_bytes"), "Bytes received."),
    Family("container_network_receive_packets", C, INTERFACE, attrgetter("rx_packets"), "Packets received."),
    Family("container_network_receive_errors", C, INTERFACE, attrgetter("rx_errs"), "Errors while receiving."),
    Family("container_network_receive_packets_dropped", C, INTERFACE, attrgetter("rx_drop"),
           "Packets dropped while receiving."),
    Family("container_network_transmit_bytes", C, INTERFACE, attrgetter("tx_bytes"), "Bytes sent."),
    Family("container_network_transmit_packets", C, INTERFACE, attrgetter("tx_packets"), "Packets sent."),
    Family("container_network_transmit_errors", C, INTERFACE, attrgetter("tx_errs"), "Errors while sending."),
    Family("container_network_transmit_packets_dropped", C, INTERFACE, attrgetter("tx_drop"),
           "Packets dropped while sending."),
    Family("container_fs_reads_bytes", C, DEVICE, attrgetter("rbytes"), "Bytes read from a block device."),
    Family("container_fs_writes_bytes", C, DEVICE, attrgetter("wbytes"), "Bytes written to a block device."),
    Family("container_fs_reads", C, DEVICE, attrgetter("rios"), "Reads from a block device."),
    Family("container_fs_writes", C, DEVICE, attrgetter("wios"), "Writes to a block device."),
    Family("container_pressure_cpu_waiting_seconds", C, CGROUP, _stalled("pressure.cpu_some"),
           "Time in which some task waited for CPU."),
    Family("container_pressure_cpu_stalled_seconds", C, CGROUP, _stalled("pressure.cpu_full"),
           "Time in which all tasks waited for CPU."),
    Family("container_pressure_memory_waiting_seconds", C, CGROUP, _stalled("pressure.memory_some"),
           "Time in which some task waited for memory."),
    Family("container_pressure_memory_stalled_seconds", C, CGROUP, _stalled("pressure.memory_full"),
           "Time in which all tasks waited for memory."),
    Family("container_pressure_io_waiting_seconds", C, CGROUP, _stalled("pressure.io_some"),
           "Time in which some task waited for I/O."),
    Family("container_pressure_io_stalled_seconds", C, CGROUP, _stalled("pressure.io_full"),
           "Time in which all tasks waited for I/O."),
    Family("container_processes", G, OTHER, lambda c: c.processes, "Processes."),
    Family("container_threads", G, CGROUP, itemgetter("pids.current"), "Processes and threads."),
    Family("container_start_time_seconds", G, OTHER, lambda c: c.started_seconds, "Unix time of the last start."),
    Family("container_log_filesystem_used_bytes", G, OTHER, lambda c: c.log_bytes,
           "Size of the container's log and of what it was rotated into, as of the last minute."),
    Family("container_last_seen", G, OTHER, lambda c: c.seen_ms / 1000, "Unix time at which it was read."),
)
# fmt: on

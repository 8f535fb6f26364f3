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
    fields: tuple[str, ...] = ()
    """What it is made of, where that is fields of the cgroup (``cgroupfs.FIELDS``)."""


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


def _field(
    name: str,
    kind: str,
    field: str,
    text: str,
    *,
    value: Callable[[str], Callable[[Fields], Value]] = itemgetter,
    rows: str = CGROUP,
) -> Family:
    """A metric that is one field of the cgroup."""
    return Family(name, kind, rows, value(field), text, (field,))


_TRAFFIC = (
    ("container_network_receive_bytes", "rx_bytes", "Bytes received."),
    ("container_network_receive_packets", "rx_packets", "Packets received."),
    ("container_network_receive_errors", "rx_errs", "Errors while receiving."),
    ("container_network_receive_packets_dropped", "rx_drop", "Packets dropped while receiving."),
    ("container_network_transmit_bytes", "tx_bytes", "Bytes sent."),
    ("container_network_transmit_packets", "tx_packets", "Packets sent."),
    ("container_network_transmit_errors", "tx_errs", "Errors while sending."),
    ("container_network_transmit_packets_dropped", "tx_drop", "Packets dropped while sending."),
)
_STALLS = (
    ("container_pressure_cpu_waiting_seconds", "pressure.cpu_some", "some task waited for CPU"),
    ("container_pressure_cpu_stalled_seconds", "pressure.cpu_full", "all tasks waited for CPU"),
    ("container_pressure_memory_waiting_seconds", "pressure.memory_some", "some task waited for memory"),
    ("container_pressure_memory_stalled_seconds", "pressure.memory_full", "all tasks waited for memory"),
    ("container_pressure_io_waiting_seconds", "pressure.io_some", "some task waited for I/O"),
    ("container_pressure_io_stalled_seconds", "pressure.io_full", "all tasks waited for I/O"),
)
# fmt: off
FAMILIES: tuple[Family, ...] = (
    _field("container_cpu_usage_seconds", C, "cpu.usage_nsec", "CPU time used.", value=_seconds, rows=TOTAL),
    _field("container_cpu_user_seconds", C, "cpu.user_nsec", "CPU time used in user mode.", value=_seconds),
    _field("container_cpu_system_seconds", C, "cpu.system_nsec", "CPU time used in the kernel.", value=_seconds),
    _field("container_cpu_cfs_periods", C, "cpu.nr_periods",
           "Periods of the CPU quota in which the container wanted to run."),
    _field("container_cpu_cfs_throttled_periods", C, "cpu.nr_throttled", "Periods in which the CPU quota was used up."),
    _field("container_cpu_cfs_throttled_seconds", C, "cpu.throttled_nsec",
           "Time for which tasks were held back by the CPU quota.", value=_seconds),
    _field("container_memory_usage_bytes", G, "memory.usage_bytes", "Memory in use, page cache included."),
    Family("container_memory_working_set_bytes", G, CGROUP, _working_set,
           "Memory in use without the inactive page cache.", ("memory.usage_bytes", "memory.stat.inactive_file")),
    _field("container_memory_rss", G, "memory.stat.anon", "Anonymous memory in bytes."),
    _field("container_memory_cache", G, "memory.stat.file", "Page cache in bytes."),
    _field("container_memory_swap", G, "memory.swap_bytes", "Swap in use in bytes."),
    _field("container_memory_max_usage_bytes", G, "memory.peak_bytes", "The most memory that was ever in use."),
    _field("container_memory_failcnt", U, "memory.failcnt", "How often the memory limit was hit."),
    _field("container_oom_events", C, "memory.events.oom_kill", "Processes killed for want of memory."),
    _field("container_spec_memory_limit_bytes", G, "memory.max_bytes",
           "The container's own memory limit; no series where there is none.", value=_limit),
    _field("container_spec_cpu_quota", G, "cpu.quota_usec",
           "CPU time in microseconds allowed in a period; no series where there is no quota.", value=_limit),
    _field("container_spec_cpu_period", G, "cpu.period_usec", "The period of the CPU quota in microseconds."),
    _field("container_spec_cpu_shares", G, "cpu.shares",
           "The container's weight when CPU is short; 1024 is the usual one."),
    *(Family(name, C, INTERFACE, attrgetter(field), text) for name, field, text in _TRAFFIC),
    Family("container_fs_reads_bytes", C, DEVICE, attrgetter("rbytes"), "Bytes read from a block device."),
    Family("container_fs_writes_bytes", C, DEVICE, attrgetter("wbytes"), "Bytes written to a block device."),
    Family("container_fs_reads", C, DEVICE, attrgetter("rios"), "Reads from a block device."),
    Family("container_fs_writes", C, DEVICE, attrgetter("wios"), "Writes to a block device."),
    *(_field(name, C, field, f"Time in which {text}.", value=_stalled) for name, field, text in _STALLS),
    Family("container_processes", G, OTHER, lambda c: c.processes, "Processes."),
    _field("container_threads", G, "pids.current", "Processes and threads."),
    Family("container_start_time_seconds", G, OTHER, lambda c: c.started_seconds, "Unix time of the last start."),
    Family("container_log_filesystem_used_bytes", G, OTHER, lambda c: c.log_bytes,
           "Size of the container's log and of what it was rotated into, as of the last minute."),
    Family("container_last_seen", G, OTHER, lambda c: c.seen_ms / 1000, "Unix time at which it was read."),
)
# fmt: on
EXPORTED_FIELDS = tuple(dict.fromkeys(field for family in FAMILIES for field in family.fields))
"""What a scrape reads of each container's cgroup."""

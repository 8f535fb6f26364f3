"""The host in /metrics, under node_exporter's names and labels, so that its dashboards and alerts work as they are.

CPU time is told for each CPU, although that is eight lines for each: `avg by (instance)` and `count by (cpu)`, which
every dashboard of node_exporter asks, are right in no other way. Names and types: node_exporter 1.9, collectors cpu,
loadavg, meminfo, netdev, pressure, stat, time, uname.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..basics.text import printable
from ..host.procfs.host_stat import MODES
from ..sampling.host_metrics import TICKS_PER_SECOND, HostMetrics
from .metric_lines import escaped, family_head

Labels = tuple[tuple[str, str], ...]
Samples = Iterable[tuple[Labels, float]]
_PARENTHESES = re.compile(r"\((.*)\)")
_NAME = re.compile(r"[a-zA-Z0-9_]{1,64}")
_MAX_FIELDS = 128

STALLS = (
    ("cpu", b"some", "waiting", "Time in which some task waited for CPU."),
    ("io", b"some", "waiting", "Time in which some task waited for I/O."),
    ("io", b"full", "stalled", "Time in which all tasks waited for I/O."),
    ("memory", b"some", "waiting", "Time in which some task waited for memory."),
    ("memory", b"full", "stalled", "Time in which all tasks waited for memory."),
    ("irq", b"full", "stalled", "Time in which all tasks waited for interrupts."),
)
"""Resource, line, the word in the name, help. ``full`` of cpu is 0 for a whole system (psi.rst): it has no name."""
TRAFFIC = (
    ("receive_bytes", "rx_bytes", "Bytes received."),
    ("receive_packets", "rx_packets", "Packets received."),
    ("receive_errs", "rx_errs", "Errors while receiving."),
    ("receive_drop", "rx_drop", "Packets dropped while receiving."),
    ("transmit_bytes", "tx_bytes", "Bytes sent."),
    ("transmit_packets", "tx_packets", "Packets sent."),
    ("transmit_errs", "tx_errs", "Errors while sending."),
    ("transmit_drop", "tx_drop", "Packets dropped while sending."),
)


class HostFamily(NamedTuple):
    """One metric."""

    name: str
    kind: str
    help: str
    samples: Samples


def _cpus(host: HostMetrics) -> Samples:
    for each in host.cpus:
        for mode, ticks in zip(MODES, each.ticks, strict=True):
            yield (("cpu", each.cpu), ("mode", mode)), ticks / TICKS_PER_SECOND


def _memory(host: HostMetrics) -> Iterator[HostFamily]:
    """``Active(anon)`` is node_memory_Active_anon_bytes; counts of pages have no unit in their name."""
    fields = [(_PARENTHESES.sub(r"_\1", key) + "_bytes", value) for key, value in host.memory.items()]
    for name, value in [*fields, *host.huge_pages.items()][:_MAX_FIELDS]:
        if _NAME.fullmatch(name):
            yield HostFamily(f"node_memory_{name}", "gauge", f"{name} of /proc/meminfo.", [((), value)])


def families(host: HostMetrics) -> Iterator[HostFamily]:
    """What the kernel says; a family may have no sample."""
    yield HostFamily("node_cpu_seconds", "counter", "CPU time by mode.", _cpus(host))
    yield from _memory(host)
    for minutes, load in zip((1, 5, 15), host.load or (), strict=False):
        yield HostFamily(f"node_load{minutes}", "gauge", f"Load over {minutes} min.", [((), load)])
    for resource, line, word, text in STALLS:
        stall = host.pressure[resource].get(line)
        name = f"node_pressure_{resource}_{word}_seconds"
        yield HostFamily(name, "counter", text, [] if stall is None else [((), stall.total_usec / 1e6)])
    for name, field, text in TRAFFIC:
        found = [((("device", printable(each.name, 32)),), getattr(each, field)) for each in host.interfaces]
        yield HostFamily(f"node_network_{name}", "counter", text, found)
    if host.boot_seconds is not None:
        yield HostFamily("node_boot_time_seconds", "gauge", "Unix time of the boot.", [((), host.boot_seconds)])
    yield HostFamily("node_time_seconds", "gauge", "Unix time of the reading.", [((), host.time_ms / 1000)])
    if host.uname is not None:
        labels = tuple((key, printable(value)) for key, value in sorted(host.uname._asdict().items()))
        yield HostFamily("node_uname_info", "gauge", "What uname says.", [(labels, 1)])


def host_lines(host: HostMetrics, openmetrics: bool) -> Iterator[str]:
    """The lines of all families that have samples."""
    for name, kind, text, samples in families(host):
        series, lines = family_head(name, kind, text, openmetrics)
        for labels, value in samples:
            pairs = ",".join(f'{key}="{escaped(text)}"' for key, text in labels)
            lines.append(f"{series}{{{pairs}}} {value}" if pairs else f"{series} {value}")
        if len(lines) > 2:
            yield from lines

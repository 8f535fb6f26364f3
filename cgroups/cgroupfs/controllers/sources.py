"""Which file each field of the records comes from, by interface version: for who shows a value with its source."""

from __future__ import annotations

from dataclasses import fields

from ..hierarchy import Version
from .memory import MemoryEvents, MemoryStat

_CPU = ("usage_usec", "user_usec", "system_usec", "nr_periods", "nr_throttled", "throttled_usec")
_STAT = {f"memory.stat.{f.name}": ("memory", "memory.stat") for f in fields(MemoryStat)}
_EVENTS = {f"memory.events.{f.name}": ("memory", "memory.events") for f in fields(MemoryEvents)}
_PIDS = {f"pids.{name}": ("pids", f"pids.{name}") for name in ("current", "max", "peak")}

SOURCES: dict[Version, dict[str, tuple[str, str]]] = {
    Version.V1: {
        "cpu.usage_usec": ("cpuacct", "cpuacct.usage"),
        "cpu.user_usec": ("cpuacct", "cpuacct.usage_user"),
        "cpu.system_usec": ("cpuacct", "cpuacct.usage_sys"),
        **{f"cpu.{name}": ("cpu", "cpu.stat") for name in _CPU[3:]},
        "cpu.quota_usec": ("cpu", "cpu.cfs_quota_us"),
        "cpu.period_usec": ("cpu", "cpu.cfs_period_us"),
        "cpu.cpus": ("cpuset", "cpuset.cpus"),
        "cpu.effective_cpus": ("cpuset", "cpuset.effective_cpus"),
        "memory.usage_bytes": ("memory", "memory.usage_in_bytes"),
        "memory.low_bytes": ("memory", "memory.soft_limit_in_bytes"),
        "memory.max_bytes": ("memory", "memory.limit_in_bytes"),
        "memory.swap_bytes": ("memory", "memory.memsw.usage_in_bytes"),
        "memory.swap_max_bytes": ("memory", "memory.memsw.limit_in_bytes"),
        "memory.peak_bytes": ("memory", "memory.max_usage_in_bytes"),
        "memory.failcnt": ("memory", "memory.failcnt"),
        "memory.hierarchical_max_bytes": ("memory", "memory.stat"),
        **_STAT,
        **_EVENTS,
        "memory.events.oom_kill": ("memory", "memory.oom_control"),
        **_PIDS,
    },
    Version.V2: {
        **{f"cpu.{name}": ("cpuacct", "cpu.stat") for name in _CPU},
        "cpu.quota_usec": ("cpu", "cpu.max"),
        "cpu.period_usec": ("cpu", "cpu.max"),
        "cpu.cpus": ("cpuset", "cpuset.cpus"),
        "cpu.effective_cpus": ("cpuset", "cpuset.cpus.effective"),
        "memory.usage_bytes": ("memory", "memory.current"),
        **{f"memory.{name}_bytes": ("memory", f"memory.{name}") for name in ("min", "low", "high", "max", "peak")},
        "memory.swap_bytes": ("memory", "memory.swap.current"),
        "memory.swap_max_bytes": ("memory", "memory.swap.max"),
        **_STAT,
        **_EVENTS,
        **_PIDS,
    },
}

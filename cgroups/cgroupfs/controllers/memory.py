"""Memory of a cgroup: usage, the whole of memory.stat, limits, peak, events.

v2 (cgroup-v2.rst): memory.current, memory.stat, memory.{min,low,high,max}, memory.swap.{current,max}, memory.peak
(since 5.19), memory.events (oom_group_kill since 5.17). v1 (cgroup-v1/memory.rst): memory.usage_in_bytes, memory.stat
with ``total_`` keys for the subtree, memory.limit_in_bytes (9223372036854771712 where there is none),
memory.max_usage_in_bytes, memory.failcnt, memory.oom_control (oom_kill since 4.13), memory.memsw.* only with swap
accounting.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ..absent import MAX, Absent, Limit, Max, Missing
from ..formats import parse_limit, parse_value
from ..pseudofs import Directory
from .reading import Reading

V1_UNLIMITED = (1 << 63) - (1 << 16)
"""A v1 limit at or above this is none: LONG_MAX rounded down to a page, whatever the page size up to 64 KiB."""


@dataclass(frozen=True, slots=True)
class MemoryStat:
    """memory.stat by its v2 keys (bytes; pg* and workingset_* are counts); keys of other kernels are ignored."""

    anon: int | None = None
    file: int | None = None
    kernel: int | None = None
    kernel_stack: int | None = None
    pagetables: int | None = None
    percpu: int | None = None
    sock: int | None = None
    vmalloc: int | None = None
    shmem: int | None = None
    zswap: int | None = None
    zswapped: int | None = None
    file_mapped: int | None = None
    file_dirty: int | None = None
    file_writeback: int | None = None
    swapcached: int | None = None
    anon_thp: int | None = None
    file_thp: int | None = None
    shmem_thp: int | None = None
    inactive_anon: int | None = None
    active_anon: int | None = None
    inactive_file: int | None = None
    active_file: int | None = None
    unevictable: int | None = None
    slab_reclaimable: int | None = None
    slab_unreclaimable: int | None = None
    slab: int | None = None
    workingset_refault_anon: int | None = None
    workingset_refault_file: int | None = None
    workingset_activate_anon: int | None = None
    workingset_activate_file: int | None = None
    workingset_nodereclaim: int | None = None
    pgfault: int | None = None
    pgmajfault: int | None = None
    pgscan: int | None = None
    pgsteal: int | None = None
    pgrefill: int | None = None
    pgactivate: int | None = None
    pgdeactivate: int | None = None


@dataclass(frozen=True, slots=True)
class MemoryEvents:
    """memory.events: how often each happened in this cgroup and below. v1 counts only oom_kill."""

    low: int | None = None
    high: int | None = None
    max: int | None = None
    oom: int | None = None
    oom_kill: int | None = None
    oom_group_kill: int | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of one cgroup and everything below it, in bytes. None: see ``missing``."""

    usage_bytes: int | None
    stat: MemoryStat
    min_bytes: Limit
    low_bytes: Limit
    high_bytes: Limit
    max_bytes: Limit
    swap_bytes: int | None
    swap_max_bytes: Limit
    peak_bytes: int | None
    events: MemoryEvents
    failcnt: int | None
    """v1: how often the limit was hit (v2 has events.max)."""
    hierarchical_max_bytes: Limit
    """v1: the tightest limit of this cgroup and its ancestors (v2: read the ancestors)."""
    missing: tuple[Missing, ...]


_V1_STAT = {
    "anon": b"total_rss",
    "file": b"total_cache",
    "anon_thp": b"total_rss_huge",
    "file_mapped": b"total_mapped_file",
    "file_dirty": b"total_dirty",
    "file_writeback": b"total_writeback",
}
"""v1 names of v2 keys; the others have the v2 name behind ``total_``."""
_V1_NEVER = frozenset(
    "kernel kernel_stack pagetables percpu sock vmalloc zswap zswapped swapcached file_thp shmem_thp slab_reclaimable "
    "slab_unreclaimable slab pgscan pgsteal pgrefill pgactivate pgdeactivate".split()
)


def limit_v1(data: bytes) -> int | Max:
    value = parse_value(data)
    return MAX if value >= V1_UNLIMITED else value


def _stat(reading: Reading, prefix: bytes, names: dict[str, bytes], never: frozenset[str]) -> MemoryStat:
    values = {}
    for name in (f.name for f in fields(MemoryStat)):
        if name in never:
            reading.lack(name, "memory.stat", Absent.KEY_ABSENT)
        else:
            values[name] = reading.key(name, "memory.stat", names.get(name, prefix + name.encode()))
    return MemoryStat(**values)


def read_v1(directory: Directory | None) -> Memory:
    """The record of a v1 memory cgroup; swap is memsw minus memory, as the kernel accounts both together."""
    r = Reading(directory)
    usage = r.value("usage_bytes", "memory.usage_in_bytes", parse_value)
    together = r.value("swap_bytes", "memory.memsw.usage_in_bytes", parse_value)
    limit = r.value("max_bytes", "memory.limit_in_bytes", limit_v1)
    both = r.value("swap_max_bytes", "memory.memsw.limit_in_bytes", limit_v1)
    hierarchical = r.key("hierarchical_max_bytes", "memory.stat", b"hierarchical_memory_limit")
    for field in ("min_bytes", "high_bytes"):
        r.lack(field, "memory." + field.removesuffix("_bytes"), Absent.FILE_ABSENT)
    for field in ("low", "high", "max", "oom", "oom_group_kill"):
        r.lack(field, "memory.events", Absent.FILE_ABSENT)
    return Memory(
        usage_bytes=usage,
        stat=_stat(r, b"total_", _V1_STAT, _V1_NEVER),
        min_bytes=None,
        low_bytes=r.value("low_bytes", "memory.soft_limit_in_bytes", limit_v1),
        high_bytes=None,
        max_bytes=limit,
        swap_bytes=None if together is None or usage is None else max(0, together - usage),
        swap_max_bytes=max(0, both - limit) if isinstance(both, int) and isinstance(limit, int) else both,
        peak_bytes=r.value("peak_bytes", "memory.max_usage_in_bytes", parse_value),
        events=MemoryEvents(oom_kill=r.key("oom_kill", "memory.oom_control", b"oom_kill")),
        failcnt=r.value("failcnt", "memory.failcnt", parse_value),
        hierarchical_max_bytes=MAX if hierarchical is not None and hierarchical >= V1_UNLIMITED else hierarchical,
        missing=tuple(r.missing),
    )


def read_v2(directory: Directory | None) -> Memory:
    """The record of a v2 cgroup that has the memory controller enabled."""
    r = Reading(directory)
    for field in ("failcnt", "hierarchical_max_bytes"):
        r.lack(field, "memory." + field, Absent.FILE_ABSENT)
    return Memory(
        usage_bytes=r.value("usage_bytes", "memory.current", parse_value),
        stat=_stat(r, b"", {}, frozenset()),
        min_bytes=r.value("min_bytes", "memory.min", parse_limit),
        low_bytes=r.value("low_bytes", "memory.low", parse_limit),
        high_bytes=r.value("high_bytes", "memory.high", parse_limit),
        max_bytes=r.value("max_bytes", "memory.max", parse_limit),
        swap_bytes=r.value("swap_bytes", "memory.swap.current", parse_value),
        swap_max_bytes=r.value("swap_max_bytes", "memory.swap.max", parse_limit),
        peak_bytes=r.value("peak_bytes", "memory.peak", parse_value),
        events=MemoryEvents(*(r.key(f.name, "memory.events", f.name.encode()) for f in fields(MemoryEvents))),
        failcnt=None,
        hierarchical_max_bytes=None,
        missing=tuple(r.missing),
    )

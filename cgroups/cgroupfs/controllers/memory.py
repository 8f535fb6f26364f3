"""Memory of a cgroup: usage, the whole of memory.stat, limits, peak, events.

v2 (cgroup-v2.rst): memory.current, memory.stat, memory.{min,low,high,max}, memory.swap.{current,max}, memory.peak
(since 5.19), memory.events (oom_group_kill since 5.17). v1 (cgroup-v1/memory.rst): memory.usage_in_bytes, memory.stat
with ``total_`` keys for the subtree, memory.limit_in_bytes (9223372036854771712 where there is none),
memory.max_usage_in_bytes, memory.failcnt, memory.oom_control (oom_kill since 4.13), memory.memsw.* only with swap
accounting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from ..absent import MAX, Limit, Max, Missing
from ..fields import Field, Files, declare, declared, file, part, rule
from ..formats import flat_key, parse_flat_keyed, parse_limit, parse_value

BYTES = "bytes"
V1_UNLIMITED = (1 << 63) - (1 << 16)
"""A v1 limit at or above this is none: LONG_MAX rounded down to a page, whatever the page size up to 64 KiB."""


def _limit(value: int) -> int | Max:
    return MAX if value >= V1_UNLIMITED else value


def limit_v1(data: bytes) -> int | Max:
    return _limit(parse_value(data))


def hierarchical_limit(data: bytes) -> Limit:
    value = _hierarchical(data)
    return None if value is None else _limit(value)


_hierarchical = flat_key(b"hierarchical_memory_limit")


def swap_v1(files: Files) -> int:
    """The kernel accounts memory and swap together: swap is that sum less the memory."""
    together = files.value("memory.memsw.usage_in_bytes", parse_value)
    return max(0, together - files.value("memory.usage_in_bytes", parse_value))


def swap_max_v1(files: Files) -> int | Max:
    """As :func:`swap_v1`, of the limits."""
    together = files.value("memory.memsw.limit_in_bytes", limit_v1)
    memory = files.value("memory.limit_in_bytes", limit_v1)
    return max(0, together - memory) if isinstance(together, int) and isinstance(memory, int) else together


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

    usage_bytes: int | None = declare(
        "memory", BYTES, v1=file("memory.usage_in_bytes", parse_value), v2=file("memory.current", parse_value)
    )
    stat: MemoryStat = part(MemoryStat)
    min_bytes: Limit = declare("memory", BYTES, v2=file("memory.min", parse_limit))
    low_bytes: Limit = declare(
        "memory", BYTES, v1=file("memory.soft_limit_in_bytes", limit_v1), v2=file("memory.low", parse_limit)
    )
    high_bytes: Limit = declare("memory", BYTES, v2=file("memory.high", parse_limit))
    max_bytes: Limit = declare(
        "memory", BYTES, v1=file("memory.limit_in_bytes", limit_v1), v2=file("memory.max", parse_limit)
    )
    swap_bytes: int | None = declare(
        "memory",
        BYTES,
        v1=rule("memory.memsw.usage_in_bytes", swap_v1, "memory.usage_in_bytes"),
        v2=file("memory.swap.current", parse_value),
        idles=True,
    )
    swap_max_bytes: Limit = declare(
        "memory",
        BYTES,
        v1=rule("memory.memsw.limit_in_bytes", swap_max_v1, "memory.limit_in_bytes"),
        v2=file("memory.swap.max", parse_limit),
    )
    peak_bytes: int | None = declare(
        "memory",
        BYTES,
        v1=file("memory.max_usage_in_bytes", parse_value),
        v2=file("memory.peak", parse_value),
        idles=True,
    )
    events: MemoryEvents = part(MemoryEvents)
    failcnt: int | None = declare(
        "memory",
        v1=file("memory.failcnt", parse_value),
        v2=file("memory.events", flat_key(b"max")),
        idles=True,
    )
    """How often the limit was hit."""
    hierarchical_max_bytes: Limit = declare("memory", BYTES, v1=file("memory.stat", hierarchical_limit))
    """v1: the tightest limit of this cgroup and its ancestors (v2: read the ancestors)."""
    missing: tuple[Missing, ...] = ()


_V1_STAT = {
    "anon": b"rss",
    "file": b"cache",
    "anon_thp": b"rss_huge",
    "file_mapped": b"mapped_file",
    "file_dirty": b"dirty",
    "file_writeback": b"writeback",
}
"""v1 names of v2 keys; the others have the v2 name."""
_V1_NEVER = frozenset(
    "kernel kernel_stack pagetables percpu sock vmalloc zswap zswapped swapcached file_thp shmem_thp slab_reclaimable "
    "slab_unreclaimable slab pgscan pgsteal pgrefill pgactivate pgdeactivate".split()
)
_COUNTS = ("pg", "workingset_")


def _of_stat() -> Iterator[Field]:
    whole = file("memory.stat", parse_flat_keyed)
    yield Field("memory.stat_file", "", "memory", whole, whole, idles=True)
    for name in (each.name for each in fields(MemoryStat)):
        own = _V1_STAT.get(name, name.encode())
        v1 = None if name in _V1_NEVER else file("memory.stat", flat_key(b"total_" + own, otherwise=own))
        unit = "" if name.startswith(_COUNTS) else BYTES
        v2 = file("memory.stat", flat_key(name.encode()))
        yield Field(f"memory.stat.{name}", unit, "memory", v1, v2, idles=True)


def _of_events() -> Iterator[Field]:
    for name in (each.name for each in fields(MemoryEvents)):
        key = flat_key(name.encode())
        v1 = file("memory.oom_control", key) if name == "oom_kill" else None
        yield Field(f"memory.events.{name}", "", "memory", v1, file("memory.events", key), idles=True)


FIELDS: tuple[Field, ...] = (*declared(Memory, "memory"), *_of_stat(), *_of_events())

"""Everything that metrics of a cgroup are made of, each file opened once and only the wanted keys parsed.

Half as expensive as the records of the other modules, which say why a value is missing: here it is None and that is
all. Nothing stays open: metrics are read a few times a minute, and each open file holds a page of the kernel's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from ..absent import Limit
from ..errors import CgroupGone, ParseError
from ..formats import find_key, parse_cpu_max, parse_device_operations, parse_limit, parse_nested_keyed, parse_value
from ..hierarchy import Version
from ..pseudofs import raise_exhausted, read_rest, release
from .cpu import quota_v1
from .io import V1_BYTES, V1_OPERATIONS, DeviceIo, counts
from .kept import Source
from .memory import limit_v1

T = TypeVar("T")
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_PAGE = 4096
_TOTAL = re.compile(rb"^(some|full) .*total=(\d{1,20})", re.MULTILINE)


class Exported(NamedTuple):
    """One reading. None: the kernel does not say."""

    cpu_usage_nsec: int | None = None
    cpu_user_nsec: int | None = None
    cpu_system_nsec: int | None = None
    nr_periods: int | None = None
    nr_throttled: int | None = None
    throttled_nsec: int | None = None
    cpu_quota_usec: Limit = None
    cpu_period_usec: int | None = None
    cpu_shares: int | None = None
    memory_usage_bytes: int | None = None
    memory_cache_bytes: int | None = None
    memory_rss_bytes: int | None = None
    inactive_file_bytes: int | None = None
    memory_swap_bytes: int | None = None
    memory_peak_bytes: int | None = None
    memory_max_bytes: Limit = None
    memory_failcnt: int | None = None
    oom_kills: int | None = None
    pids: int | None = None
    devices: tuple[DeviceIo, ...] | None = None
    stalled_usec: tuple[int | None, ...] = (None,) * 6
    """Of cpu, memory, io: some, full."""


def _data(source: Source, name: str) -> bytes | None:
    """A file's content; None where there is none or it cannot be read. Raises CgroupGone."""
    if source is None:
        return None
    directory = source[0]
    try:
        fd = os.open(name, _OPEN, dir_fd=directory.fd)
    except OSError as error:
        raise_exhausted(error, f"{directory.path}/{name}")
        return None
    try:
        data = os.read(fd, _PAGE)
        return data if len(data) < _PAGE else read_rest(fd, data)
    except ParseError:
        return None
    except OSError as error:
        raise_exhausted(error, f"{directory.path}/{name}")
        if not directory.alive():
            raise CgroupGone(directory.path) from error
        return None
    finally:
        release(fd)


def _value(data: bytes | None, parse: Callable[[bytes], T]) -> T | None:
    if data is None:
        return None
    try:
        return parse(data)
    except ParseError:
        return None


def _key(data: bytes | None, key: bytes) -> int | None:
    return None if data is None else _value(data, lambda found: find_key(found, key))


def _times(value: int | None, factor: int) -> int | None:
    return None if value is None else value * factor


def _cpu_v1(cpu: Source, acct: Source) -> dict[str, object]:
    found: dict[str, object] = {
        "cpu_usage_nsec": _value(_data(acct, "cpuacct.usage"), parse_value),
        "cpu_user_nsec": _value(_data(acct, "cpuacct.usage_user"), parse_value),
        "cpu_system_nsec": _value(_data(acct, "cpuacct.usage_sys"), parse_value),
        "cpu_quota_usec": _value(_data(cpu, "cpu.cfs_quota_us"), quota_v1),
        "cpu_shares": _value(_data(cpu, "cpu.shares"), parse_value),
    }
    if isinstance(found["cpu_quota_usec"], int):  # without a quota nothing is ever throttled
        stat = _data(cpu, "cpu.stat")
        found["cpu_period_usec"] = _value(_data(cpu, "cpu.cfs_period_us"), parse_value)
        found["nr_periods"] = _key(stat, b"nr_periods")
        found["nr_throttled"] = _key(stat, b"nr_throttled")
        found["throttled_nsec"] = _key(stat, b"throttled_time")
    return found


def _cpu_v2(cpu: Source, acct: Source) -> dict[str, object]:
    stat = _data(acct or cpu, "cpu.stat")
    quota = _value(_data(cpu, "cpu.max"), parse_cpu_max)
    weight = _value(_data(cpu, "cpu.weight"), parse_value)
    return {
        "cpu_usage_nsec": _times(_key(stat, b"usage_usec"), 1000),
        "cpu_user_nsec": _times(_key(stat, b"user_usec"), 1000),
        "cpu_system_nsec": _times(_key(stat, b"system_usec"), 1000),
        "nr_periods": _key(stat, b"nr_periods"),
        "nr_throttled": _key(stat, b"nr_throttled"),
        "throttled_nsec": _times(_key(stat, b"throttled_usec"), 1000),
        "cpu_quota_usec": quota.quota_usec if quota else None,
        "cpu_period_usec": quota.period_usec if quota else None,
        "cpu_shares": None if weight is None else 2 + (weight - 1) * 262142 // 9999,
    }


def _memory_v1(memory: Source) -> dict[str, object]:
    usage = _value(_data(memory, "memory.usage_in_bytes"), parse_value)
    together = _value(_data(memory, "memory.memsw.usage_in_bytes"), parse_value)
    stat = _data(memory, "memory.stat")
    return {
        "memory_usage_bytes": usage,
        "memory_cache_bytes": _key(stat, b"total_cache"),
        "memory_rss_bytes": _key(stat, b"total_rss"),
        "inactive_file_bytes": _key(stat, b"total_inactive_file"),
        "memory_swap_bytes": None if together is None or usage is None else max(0, together - usage),
        "memory_peak_bytes": _value(_data(memory, "memory.max_usage_in_bytes"), parse_value),
        "memory_max_bytes": _value(_data(memory, "memory.limit_in_bytes"), limit_v1),
        "memory_failcnt": _value(_data(memory, "memory.failcnt"), parse_value),
        "oom_kills": _key(_data(memory, "memory.oom_control"), b"oom_kill"),
    }


def _memory_v2(memory: Source) -> dict[str, object]:
    stat, events = _data(memory, "memory.stat"), _data(memory, "memory.events")
    return {
        "memory_usage_bytes": _value(_data(memory, "memory.current"), parse_value),
        "memory_cache_bytes": _key(stat, b"file"),
        "memory_rss_bytes": _key(stat, b"anon"),
        "inactive_file_bytes": _key(stat, b"inactive_file"),
        "memory_swap_bytes": _value(_data(memory, "memory.swap.current"), parse_value),
        "memory_peak_bytes": _value(_data(memory, "memory.peak"), parse_value),
        "memory_max_bytes": _value(_data(memory, "memory.max"), parse_limit),
        "memory_failcnt": _key(events, b"max"),
        "oom_kills": _key(events, b"oom_kill"),
    }


def _devices_v1(io: Source) -> tuple[DeviceIo, ...] | None:
    """As :func:`cgroupfs.controllers.io.read_v1`; None also where nobody counts."""
    for name in V1_BYTES:
        lines = _value(_data(io, name), parse_device_operations)
        if lines and counts(lines):
            operations = _value(_data(io, V1_OPERATIONS[name]), parse_device_operations) or []
            found: dict[str, dict[str, int]] = {}
            for kind, several in (("bytes", lines), ("ios", operations)):
                for line in several:
                    key = {b"Read": f"r{kind}", b"Write": f"w{kind}"}.get(line.operation)
                    if key:
                        found.setdefault(line.device.decode("ascii", "replace"), {})[key] = line.value
            return tuple(DeviceIo(device, **values) for device, values in found.items())
    return None


def _devices_v2(io: Source) -> tuple[DeviceIo, ...] | None:
    nested = _value(_data(io, "io.stat"), parse_nested_keyed)
    if nested is None:
        return None
    keys = (b"rbytes", b"wbytes", b"rios", b"wios")
    return tuple(DeviceIo(line.name.decode("ascii", "replace"), *map(line.values.get, keys)) for line in nested.lines)


def _stalled(unified: Source) -> Iterable[int | None]:
    for resource in ("cpu", "memory", "io"):
        data = _data(unified, f"{resource}.pressure")
        found = {} if data is None else {kind: int(total) for kind, total in _TOTAL.findall(data)}
        yield found.get(b"some")
        yield found.get(b"full")


def _is_v1(source: Source) -> bool:
    return source is not None and source[1] is Version.V1


def read(cpu: Source, acct: Source, memory: Source, io: Source, pids: Source, unified: Source) -> Exported:
    """All of it. Raises CgroupGone where the cgroup is removed meanwhile."""
    found = (_cpu_v1 if _is_v1(acct or cpu) else _cpu_v2)(cpu, acct)
    found |= (_memory_v1 if _is_v1(memory) else _memory_v2)(memory)
    return Exported(
        **found,  # type: ignore[arg-type]  # the names are those of the fields
        pids=_value(_data(pids, "pids.current"), parse_value),
        devices=(_devices_v1 if _is_v1(io) else _devices_v2)(io),
        stalled_usec=tuple(_stalled(unified)),
    )

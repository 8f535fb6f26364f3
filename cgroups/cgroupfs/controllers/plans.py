"""Which files hold the counters of a stats reading in each interface version, and what in them is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..absent import Limit
from ..errors import ParseError
from ..formats import key_finder, parse_device_operations, parse_limit, parse_nested_keyed, parse_value
from ..hierarchy import Version
from .io import V1_BYTES
from .memory import limit_v1

_usage_usec = key_finder(b"usage_usec")
_total_inactive_file = key_finder(b"total_inactive_file")
_inactive_file = key_finder(b"inactive_file")


def _cpu_v2(data: bytes) -> int:
    usage = _usage_usec(data)
    if usage is None:
        raise ParseError("no key usage_usec")
    return usage * 1000


def _cache_v1(data: bytes) -> int:
    total = _total_inactive_file(data)
    return _cache_v2(data) if total is None else total


def _cache_v2(data: bytes) -> int:
    cache = _inactive_file(data)
    if cache is None:
        raise ParseError("no key inactive_file")
    return cache


def _bytes_v1(data: bytes) -> tuple[int, int]:
    read = written = 0
    for line in parse_device_operations(data):
        if line.operation == b"Read":
            read += line.value
        elif line.operation == b"Write":
            written += line.value
    return read, written


def _bytes_v2(data: bytes) -> tuple[int, int]:
    if not data:
        return 0, 0
    lines = parse_nested_keyed(data).lines
    return sum(e.values.get(b"rbytes", 0) for e in lines), sum(e.values.get(b"wbytes", 0) for e in lines)


class Plan(NamedTuple):
    """File names and parsers of one interface version."""

    cpu: tuple[str, Callable[[bytes], int]]
    memory: tuple[str, Callable[[bytes], int]]
    cache: tuple[str, Callable[[bytes], int]]
    limit: tuple[str, Callable[[bytes], Limit]]
    io: tuple[tuple[str, ...], Callable[[bytes], tuple[int, int]]]


PLANS = {
    Version.V1: Plan(
        ("cpuacct.usage", parse_value),
        ("memory.usage_in_bytes", parse_value),
        ("memory.stat", _cache_v1),
        ("memory.limit_in_bytes", limit_v1),
        (V1_BYTES, _bytes_v1),
    ),
    Version.V2: Plan(
        ("cpu.stat", _cpu_v2),
        ("memory.current", parse_value),
        ("memory.stat", _cache_v2),
        ("memory.max", parse_limit),
        (("io.stat",), _bytes_v2),
    ),
}

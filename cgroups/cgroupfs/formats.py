"""Kernel file formats: bytes to values, one function per format. Parsers know no paths and open nothing.

Source: Documentation/admin-guide/cgroup-v2.rst "Format", accounting/psi.rst, cgroup-v1/blkio-controller.rst.
Every function raises ParseError (without a path) when nothing of the documented format is found. Single bad lines of
keyed files are skipped, so that one line of a future kernel does not cost the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from .absent import MAX, Max
from .errors import ParseError

_SHOWN = 40
_U64 = 1 << 64


def number(token: bytes) -> int:
    """An unsigned 64-bit decimal. Raises ParseError.

    Strict: int() alone would take '1_0', '+1' and ' 1', and raises ValueError from 4,300 digits on.
    """
    if token.isdigit() and len(token) <= 20 and (value := int(token)) < _U64:
        return value
    raise ParseError(f"not a number: {token[:_SHOWN]!r}")


def is_number(token: bytes) -> bool:
    """Whether :func:`number` takes it."""
    return token.isdigit() and len(token) <= 20 and int(token) < _U64


def is_kib(token: bytes) -> bool:
    """Whether it is a number of KiB that is also a number as bytes (meminfo, status)."""
    return is_number(token) and int(token) < _U64 >> 10


def parse_value(data: bytes) -> int:
    """``123\\n`` (memory.current, pids.current, cpuacct.usage)."""
    return number(data.strip())


def parse_signed(data: bytes) -> int:
    """``123\\n`` or ``-1\\n`` (cpu.cfs_quota_us, where -1 is no quota)."""
    text = data.strip()
    return -number(text[1:]) if text[:1] == b"-" else number(text)


def parse_limit(data: bytes) -> int | Max:
    """``123\\n`` or ``max\\n`` (memory.max, pids.max)."""
    text = data.strip()
    return MAX if text == b"max" else number(text)


_KEYED = re.compile(rb"^\S+ \d{1,20}$", re.MULTILINE)


def find_key(data: bytes, key: bytes) -> int | None:
    """The value of one key of a flat keyed file without parsing the rest, its first; None: the file has no such key."""
    wanted = key + b" "
    first = data.startswith(wanted)
    start = 0 if first else data.find(b"\n" + wanted) + 1
    if not first and not start:
        return None
    start += len(wanted)
    end = data.find(b"\n", start)
    return number(data[start:] if end < 0 else data[start:end])


def flat_key(key: bytes, times: int = 1, otherwise: bytes = b"") -> Callable[[bytes], int | None]:
    """A parser for one key of a flat keyed file (``key 123\\n`` lines: cpu.stat, memory.stat, memory.events).

    It gives ``times`` its value, that of the key ``otherwise`` where there is none, None where neither is there. Raises
    ParseError where its value, or the whole file, is not of the format.
    """
    first, later = key + b" ", b"\n" + key + b" "
    size = len(first)

    def parse(data: bytes) -> int | None:
        found = 0 if data.startswith(first) else data.find(later) + 1
        if found or data.startswith(first):
            end = data.find(b"\n", found + size)
            return number(data[found + size :] if end < 0 else data[found + size : end]) * times
        value = find_key(data, otherwise) if otherwise else None
        if value is None and not _KEYED.search(data):
            raise ParseError("no line of the form 'key number'")
        return None if value is None else value * times

    return parse


_FLAT = re.compile(rb"^([\w.]+) (\d{1,20})$", re.MULTILINE)


def parse_flat_keyed(data: bytes) -> dict[str, int]:
    """A whole flat keyed file (memory.stat) by its keys."""
    found = {key.decode(): int(value) for key, value in _FLAT.findall(data) if is_number(value)}
    if not found:
        raise ParseError("no line of the form 'key number'")
    return found


_DEVICE = re.compile(rb"\d+:\d+")


class NestedLine(NamedTuple):
    """One line of a nested keyed file: ``8:16`` and its ``rbytes=1 wbytes=2`` pairs."""

    name: bytes
    values: dict[bytes, int]


def parse_nested_keyed(data: bytes) -> list[NestedLine]:
    """``8:16 rbytes=1459200 wbytes=314773504 rios=192 …\\n`` (io.stat; memory.numa_stat).

    A device without counters is a line with its number alone (kernels before 6.7, lxd issue 18609) and some kernels
    join several such devices on one line: ``8:0 8:16 rbytes=1 …`` belongs to the last one. An empty file is no line.
    """
    lines: list[NestedLine] = []
    understood = True
    for line in data.splitlines():
        values: dict[bytes, int] = {}
        name = b""
        for token in line.split():
            key, equals, value = token.partition(b"=")
            if not equals:
                name, values = token, {}
            elif is_number(value):
                values[key] = int(value)
        if name and values:
            lines.append(NestedLine(name, values))
        elif not all(map(_DEVICE.fullmatch, line.split())):
            understood = False
    if not understood and not lines:
        raise ParseError("no line of the form 'name key=number …'")
    return lines


class DeviceLine(NamedTuple):
    """One line of a v1 blkio file."""

    device: bytes
    operation: bytes
    value: int


def parse_device_operations(data: bytes) -> list[DeviceLine]:
    """``8:0 Read 4096\\n`` lines and a last ``Total 4096\\n`` (blkio.*): the totals are left out.

    A device that the kernel does not know any more has no number before its operation (``Read 0``) or an empty or
    ``Unknown`` name; such lines count nothing and are skipped, as is anything else.
    """
    lines: list[DeviceLine] = []
    understood = not data.strip()
    for line in data.splitlines():
        match line.split():
            case [device, operation, value] if operation != b"Total" and b":" in device and is_number(value):
                lines.append(DeviceLine(device, operation, int(value)))
            case [*_, value] if is_number(value):
                understood = True
    if not lines and not understood:
        raise ParseError("no line of the form 'major:minor operation number'")
    return lines


def parse_device_values(data: bytes) -> dict[bytes, int]:
    """``254:0 1048576\\n`` lines (blkio.throttle.*_device): device -> number. An empty file has none."""
    lines = [line.split() for line in data.splitlines()]
    found = {line[0]: int(line[1]) for line in lines if len(line) == 2 and b":" in line[0] and is_number(line[1])}
    if not found and data.strip():
        raise ParseError("no line of the form 'major:minor number'")
    return found


class Stall(NamedTuple):
    """One line of a pressure file: share of time stalled (percent) over 10, 60, 300 s, and the total in us."""

    avg10: float
    avg60: float
    avg300: float
    total_usec: int


_SHARES = rb" avg10=(%b) avg60=(%b) avg300=(%b) total=(\d{1,20})$" % ((rb"\d{1,3}\.\d{1,6}",) * 3)
_STALLS = {line: re.compile(rb"^" + line + _SHARES, re.MULTILINE) for line in (b"some", b"full")}


def parse_pressure(data: bytes) -> dict[bytes, Stall]:
    """``some avg10=0.00 avg60=0.00 avg300=0.00 total=0\\nfull …`` (psi.rst; ``full`` of cpu since 5.13)."""
    stalls = {line: _stall(found) for line, each in _STALLS.items() if (found := each.search(data))}
    if not stalls:
        raise ParseError("no line of the form 'some avg10=… avg60=… avg300=… total=…'")
    return stalls


def _stall(found: re.Match[bytes]) -> Stall:
    avg10, avg60, avg300, total = found.groups()
    return Stall(float(avg10), float(avg60), float(avg300), int(total))


def find_stall(data: bytes, line: bytes) -> Stall | None:
    """One line of a pressure file, ``some`` or ``full``; None: it has only the other. Raises ParseError."""
    found = _STALLS[line].search(data)
    return _stall(found) if found else parse_pressure(data).get(line)


class Quota(NamedTuple):
    """cpu.max: microseconds of CPU allowed per period."""

    quota_usec: int | Max
    period_usec: int


def parse_cpu_max(data: bytes) -> Quota:
    """``max 100000\\n`` or ``50000 100000\\n``."""
    match data.split():
        case [quota, period]:
            return Quota(MAX if quota == b"max" else number(quota), number(period))
    raise ParseError(f"not '<quota|max> <period>': {data[:_SHOWN]!r}")


_CPUS = 1 << 16
"""More than any kernel has (NR_CPUS is 8192 at most)."""


def parse_cpu_list(data: bytes) -> frozenset[int]:
    """``0-2,16\\n`` -> {0, 1, 2, 16}; an empty file is an empty set (cpuset.cpus). A CPU is named once."""
    cpus: set[int] = set()
    named = 0
    for part in data.strip().split(b","):
        if not part:
            continue
        first, dash, last = part.partition(b"-")
        low, high = number(first), number(last if dash else first)
        named += high - low + 1
        if not 0 <= low <= high < _CPUS or named > _CPUS:
            raise ParseError(f"not a range of CPUs: {part[:_SHOWN]!r}")
        cpus.update(range(low, high + 1))
    return frozenset(cpus)


def parse_pids(data: bytes) -> list[int]:
    """``1\\n23\\n`` (cgroup.procs); 0 stands for a process outside the reader's PID namespace and is left out."""
    pids = [int(token) for token in data.split() if token.isdigit() and len(token) < 11]
    return [pid for pid in pids if pid > 0]

"""The table of ``docker stats``: the same columns, units and spacing, and the runtime.

Sources: docker/cli ``cli/command/container/formatter_stats.go``, docker/go-units ``size.go`` (%.4g with binary units
for memory, %.3g with decimal units for network and block I/O), text/tabwriter with a padding of 3 and columns of at
least 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from cgroupfs import Absent

from ..derive import memory_usage, percent, round_half_up
from ..names import short
from ..sample import ContainerStats

HEADER = ("CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS", "RUNTIME")
UNKNOWN = "--"
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


class Line(NamedTuple):
    """One container's figures and its number of tasks."""

    stats: ContainerStats
    pids: int | None


def _size(value: int | None, base: float, units: tuple[str, ...], digits: int) -> str:
    if value is None:
        return UNKNOWN
    size, unit = float(value), 0
    while size >= base and unit < len(units) - 1:
        size /= base
        unit += 1
    return f"{size:.{digits}g}{units[unit]}"


def binary_size(value: int | None) -> str:
    """1.5MiB"""
    return _size(value, 1024.0, _BINARY, 4)


def decimal_size(value: int | None) -> str:
    """1.57MB"""
    return _size(value, 1000.0, _DECIMAL, 3)


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}%"


def _traffic(stats: ContainerStats) -> tuple[int | None, int | None]:
    """Bytes received and sent; 0 on the host's network, as docker stats has it."""
    if stats.network_reason is Absent.HOST_NETWORK:
        return 0, 0
    return stats.network_rx_bytes, stats.network_tx_bytes


def cells(line: Line) -> tuple[str, ...]:
    """One container's row."""
    stats = line.stats
    usage = memory_usage(stats.memory_raw_bytes, stats.memory_cache_bytes)
    rx, tx = _traffic(stats)
    return (
        short(stats.identity.id),
        stats.identity.name,
        _percent(stats.cpu_percent),
        f"{binary_size(usage)} / {binary_size(stats.memory_limit_bytes)}",
        _percent(percent(usage, stats.memory_limit_bytes)),
        f"{decimal_size(rx)} / {decimal_size(tx)}",
        f"{decimal_size(stats.block_read_bytes)} / {decimal_size(stats.block_write_bytes)}",
        UNKNOWN if line.pids is None else str(line.pids),
        stats.identity.runtime + (f" (uid {stats.identity.owner_uid})" if stats.identity.owner_uid else ""),
    )


def render(lines: Sequence[Line]) -> str:
    """The whole table, header first, without a final newline."""
    rows = [HEADER, *map(cells, lines)]
    widths = [max(10, *(len(row[n]) + 3 for row in rows)) for n in range(len(HEADER) - 1)]
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + row[-1] for row in rows
    )


class StatsLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``cgstatd stats --format json``: one object a line. null: not known. Units as in the HTTP answers."""

    id: str
    name: str
    runtime: str
    state: str
    owner_uid: int
    cpu_percent: float | None
    memory_usage: int | None
    memory_raw: int | None
    memory_cache: int | None
    memory_limit: int | None
    memory_percent: float | None
    network_rx: int | None
    network_tx: int | None
    block_read: int | None
    block_write: int | None
    pids: int | None
    timestamp: int


def _rounded(value: float | None) -> float | None:
    return None if value is None else round_half_up(value)


def json_line(line: Line) -> str:
    """One container as JSON."""
    stats, identity = line.stats, line.stats.identity
    rx, tx = _traffic(stats)
    usage = memory_usage(stats.memory_raw_bytes, stats.memory_cache_bytes)
    return msgspec.json.encode(
        StatsLine(
            id=identity.id,
            name=identity.name,
            runtime=identity.runtime,
            state=stats.state.value,
            owner_uid=identity.owner_uid,
            cpu_percent=_rounded(stats.cpu_percent),
            memory_usage=usage,
            memory_raw=stats.memory_raw_bytes,
            memory_cache=stats.memory_cache_bytes,
            memory_limit=stats.memory_limit_bytes,
            memory_percent=_rounded(percent(usage, stats.memory_limit_bytes)),
            network_rx=rx,
            network_tx=tx,
            block_read=stats.block_read_bytes,
            block_write=stats.block_write_bytes,
            pids=line.pids,
            timestamp=stats.time_ms,
        )
    ).decode()

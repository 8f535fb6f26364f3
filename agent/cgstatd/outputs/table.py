"""The table of ``docker stats``: the same columns, units and spacing, and the runtime.

Sources: docker/cli ``cli/command/container/formatter_stats.go``, docker/go-units ``size.go`` (%.4g with binary units
for memory, %.3g with decimal units for network and block I/O), text/tabwriter with a padding of 3 and columns of at
least 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from cgroupfs import Absent

from ..host.identity import short
from ..sampling.model import ContainerStats
from ..sampling.rates import memory_usage, percent
from . import column_widths
from .unknown import rounded

HEADER = ("CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS", "RUNTIME")
_FLEXIBLE = {0: 12, 1: 12, 8: 6}
"""Columns that may be shortened, and to what at least: ids that are names, names, ``podman (uid 1000)``."""
_DISPENSABLE = (0, 8, 7, 6, 5, 4)
"""Columns that go on a narrow terminal, in this order: CONTAINER ID, RUNTIME, PIDS, BLOCK I/O, NET I/O, MEM %."""
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


def cells(line: Line, *, whole: bool = False) -> tuple[str, ...]:
    """One container's row; ``whole``: with its whole id."""
    stats = line.stats
    usage = memory_usage(stats.memory_usage_bytes, stats.inactive_file_bytes)
    rx, tx = _traffic(stats)
    return (
        stats.identity.id if whole else short(stats.identity.id),
        stats.identity.name,
        _percent(stats.cpu_percent),
        f"{binary_size(usage)} / {binary_size(stats.memory_limit_bytes)}",
        _percent(percent(usage, stats.memory_limit_bytes)),
        f"{decimal_size(rx)} / {decimal_size(tx)}",
        f"{decimal_size(stats.block_read_bytes)} / {decimal_size(stats.block_write_bytes)}",
        UNKNOWN if line.pids is None else str(line.pids),
        stats.identity.runtime + (f" (uid {stats.identity.owner_uid})" if stats.identity.owner_uid else ""),
    )


def render(lines: Sequence[Line], width: int | None = None, height: int | None = None, *, whole: bool = False) -> str:
    """The whole table, header first, without a final newline.

    On a terminal of ``width`` cells it is made to fit: names are shortened in their middle, and a column that has no
    room is named below, as are the rows beyond ``height`` lines. ``whole``: whole ids, and nothing is shortened.
    """
    rows = [HEADER, *(cells(line, whole=whole) for line in lines)]
    layout = column_widths.plan(rows, None if whole else width, _FLEXIBLE, _DISPENSABLE)
    notes = []
    missing = [name for n, name in enumerate(HEADER) if n not in layout.columns]
    if missing:
        notes.append(f"no room for {', '.join(missing)}: a wider terminal, or | cat")
    if height is not None and len(rows) + len(notes) > height:
        shown = max(2, height - 1)
        notes = [f"… and {len(rows) - shown} more" + (f"; {notes[0]}" if notes else "")]
        rows = rows[:shown]
    shown_rows = [_row(row, layout) for row in rows]
    return "\n".join([*shown_rows, *(column_widths.shorten(note, width or len(note)) for note in notes)])


def _row(row: Sequence[str], layout: column_widths.Plan) -> str:
    texts = [column_widths.shorten(row[n], width) for n, width in zip(layout.columns, layout.widths, strict=True)]
    gap = " " * layout.gap
    return gap.join(column_widths.pad(text, width) for text, width in zip(texts, layout.widths, strict=True)).rstrip()


SORTS: dict[str, Callable[[Line], float | None]] = {
    "cpu": lambda line: line.stats.cpu_percent,
    "memory": lambda line: memory_usage(line.stats.memory_usage_bytes, line.stats.inactive_file_bytes),
    "net": lambda line: total(line.stats.network_rx_bytes, line.stats.network_tx_bytes),
    "block": lambda line: total(line.stats.block_read_bytes, line.stats.block_write_bytes),
    "pids": lambda line: line.pids,
}
"""What rows can be sorted by besides their names: the largest first, what is not known last."""


def total(one: int | None, other: int | None) -> int | None:
    """Both directions; None: neither is known."""
    return None if one is None and other is None else (one or 0) + (other or 0)


def ordered(lines: Iterable[Line], by: str = "name") -> list[Line]:
    """The rows in order; equal ones by name."""
    found = sorted(lines, key=lambda line: (line.stats.identity.name, line.stats.identity.id))
    if by == "name":
        return found
    of = SORTS[by]

    def key(line: Line) -> tuple[bool, float]:
        value = of(line)
        return value is None, 0.0 if value is None else -value

    return sorted(found, key=key)


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


def json_line(line: Line) -> str:
    """One container as JSON."""
    stats, identity = line.stats, line.stats.identity
    rx, tx = _traffic(stats)
    usage = memory_usage(stats.memory_usage_bytes, stats.inactive_file_bytes)
    return msgspec.json.encode(
        StatsLine(
            id=identity.id,
            name=identity.name,
            runtime=identity.runtime,
            state=stats.state.value,
            owner_uid=identity.owner_uid,
            cpu_percent=rounded(stats.cpu_percent),
            memory_usage=usage,
            memory_raw=stats.memory_usage_bytes,
            memory_cache=stats.inactive_file_bytes,
            memory_limit=stats.memory_limit_bytes,
            memory_percent=rounded(percent(usage, stats.memory_limit_bytes)),
            network_rx=rx,
            network_tx=tx,
            block_read=stats.block_read_bytes,
            block_write=stats.block_write_bytes,
            pids=line.pids,
            timestamp=stats.time_ms,
        )
    ).decode()

"""The documented answers: eleven keys of one container, and the objects of the stream and the array.

Key names, types and rounding are the HTTP contract's (an unmodified client of Dockhand's API must work): integers are
integers, percentages have two decimals rounded half up, and what is not known is 0.
"""

from __future__ import annotations

import msgspec

from ..sampling.model import ContainerStats
from ..sampling.rates import memory_usage, percent, round_half_up


class Figures(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The ten figures. Bytes are integers; percentages are of one core and of the limit."""

    cpu_percent: float
    memory_usage: int
    memory_raw: int
    memory_cache: int
    memory_limit: int
    memory_percent: float
    network_rx: int
    network_tx: int
    block_read: int
    block_write: int


class OneContainer(Figures, frozen=True, kw_only=True, rename="camel"):
    """GET /api/containers/{id}/stats; ``timestamp``: milliseconds since the epoch at which the counters were read."""

    timestamp: int


class StreamedContainer(Figures, frozen=True, kw_only=True, rename="camel"):
    """One ``stat`` event, one element of the array."""

    id: str
    name: str


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Every answer that is not 200."""

    error: str
    message: str = ""


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """GET /healthz, where all is well."""

    status: str
    hung: list[str] = []
    """Files that a reading waits for. They cost their own figures; not there where there is none."""


def _figures(stats: ContainerStats) -> dict[str, int | float]:
    usage = memory_usage(stats.memory_usage_bytes, stats.inactive_file_bytes)
    return {
        "cpu_percent": round_half_up(stats.cpu_percent or 0.0),
        "memory_usage": usage or 0,
        "memory_raw": stats.memory_usage_bytes or 0,
        "memory_cache": stats.inactive_file_bytes or 0,
        "memory_limit": stats.memory_limit_bytes or 0,
        "memory_percent": round_half_up(percent(usage, stats.memory_limit_bytes) or 0.0),
        "network_rx": stats.network_rx_bytes or 0,
        "network_tx": stats.network_tx_bytes or 0,
        "block_read": stats.block_read_bytes or 0,
        "block_write": stats.block_write_bytes or 0,
    }


def one_container(stats: ContainerStats) -> OneContainer:
    """The answer for one container."""
    return OneContainer(timestamp=stats.time_ms, **_figures(stats))  # type: ignore[arg-type]


def streamed_container(stats: ContainerStats) -> StreamedContainer:
    """The answer for one of all containers."""
    return StreamedContainer(id=stats.identity.id, name=stats.identity.name, **_figures(stats))  # type: ignore[arg-type]


_encode = msgspec.json.Encoder().encode


def encode_one(stats: ContainerStats) -> bytes:
    """JSON of one container."""
    return _encode(one_container(stats))


def encode_streamed(stats: ContainerStats) -> bytes:
    """JSON of one of all containers."""
    return _encode(streamed_container(stats))


def encode_failure(error: str, message: str = "") -> bytes:
    """JSON of an error. It may name a path, which need not be valid Unicode."""
    return _encode(Failure(error.encode("utf-8", "backslashreplace").decode(), message))

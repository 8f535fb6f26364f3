"""How much the agent does for how many clients at a time: a client that asks too much is refused, the others are
not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from ...config.settings import DEFAULTS, Settings
from .places import Places

MAX_LINE_BYTES = 8190
MAX_HEADER_BYTES = 8190
"""A browser sends the cookies of every program on localhost along."""
MAX_HEADERS = 64
MAX_UNANSWERED_BYTES = 64 << 10
"""Bytes that a connection may send ahead of our answers: one head, some pipelined ones. More is a flood."""
WRITE_BUFFER_BYTES = 64 << 10
"""Bytes that wait in this process for a client that reads slowly; beyond it the answer is not made any further."""
KERNEL_BUFFER_BYTES = 128 << 10
"""Bytes that wait in the kernel. Left alone, they grow to megabytes a connection."""
MAX_REFUSALS = 64
"""Connections that may take their time to be told 503. Beyond this number they are told and closed at once."""
RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that can be configured (see config/settings.py)."""

    connections: int = DEFAULTS["max_connections"]
    connections_per_address: int = DEFAULTS["max_connections_per_address"]
    streams: int = DEFAULTS["max_streams"]
    streams_per_client: int = DEFAULTS["max_streams_per_client"]
    request_seconds: float = DEFAULTS["request_timeout"]
    idle_seconds: float = DEFAULTS["idle_timeout"]
    send_seconds: float = DEFAULTS["send_timeout"]


def limits_of(settings: Settings) -> Limits:
    """The limits of a configuration."""
    return Limits(
        settings.max_connections,
        settings.max_connections_per_address,
        settings.max_streams,
        settings.max_streams_per_client,
        settings.request_timeout,
        settings.idle_timeout,
        settings.send_timeout,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One open event stream."""

    client: str
    transport: asyncio.BaseTransport | None
    still: Callable[[], bool]
    """Whether it would be opened now."""

    def cut(self) -> None:
        """End it; its client connects again."""
        with suppress(AttributeError):
            self.transport.abort()  # type: ignore[union-attr]


def _oldest(streams: Iterable[Stream]) -> Stream | None:
    return next(iter(streams), None)


class Streams:
    """The open event streams, by client."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: Places[Stream] = Places(_oldest, more=2)  # both have as many afterwards, or it goes to and fro

    def __len__(self) -> int:
        return len(self._open)

    def ended(self) -> list[Stream]:
        """The streams that would not be opened any more."""
        return [stream for stream in self._open if not stream.still()]

    def enter(self, client: str, transport: asyncio.BaseTransport | None, still: Callable[[], bool]) -> Stream | None:
        """Count a stream in; None: there are too many."""
        if self._open.count(client) >= self.limits.streams_per_client:
            return None
        if not self._open.room(client, self.limits.streams):
            return None
        stream = Stream(client, transport, still)
        self._open.take(client, stream)
        return stream

    def cut(self) -> None:
        """End them all; their clients connect again."""
        for stream in list(self._open):
            stream.cut()

    def leave(self, stream: Stream) -> None:
        """Count it out; nothing where it was already."""
        self._open.leave(stream.client, stream)

"""How much the agent does for how many at a time: who asks too much is refused, and the others are not."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ..config.settings import DEFAULTS, Settings

MAX_LINE_BYTES = 8190
MAX_HEADER_BYTES = 8190
"""A browser sends the cookies of every program on localhost along."""
MAX_HEADERS = 64
MAX_UNANSWERED_BYTES = 64 << 10
"""What a connection may send ahead of our answers: one head, some pipelined ones. More is a flood."""
WRITE_BUFFER_BYTES = 64 << 10
"""What waits in this process for a client that reads slowly; the answers stop being made beyond it."""
KERNEL_BUFFER_BYTES = 128 << 10
"""What waits in the kernel. Left alone, it grows to megabytes a connection."""
MAX_REFUSALS = 64
"""Connections that may take their time to be told 503; beyond it they are told and closed at once."""
RETRY_SECONDS = 5


FEW = 8
"""A client with fewer connections, or streams, than this may have those places that are kept for such."""


def room_for(places: int, own: int) -> int:
    """How many of the places a client may help to fill that has ``own`` of them: an eighth is kept for others."""
    return places if own < FEW else places - places // 8


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
    """As configured."""
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

    def abort(self) -> None:
        """End it; its client connects again."""
        with suppress(AttributeError):
            self.transport.abort()  # type: ignore[union-attr]


class Streams:
    """The open event streams. Where all places are taken, the client with the most makes room for one with fewer."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: dict[Stream, None] = {}
        """The oldest first."""
        self._by_client: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def ended(self) -> list[Stream]:
        """Those that would not be opened any more."""
        return [stream for stream in self._open if not stream.still()]

    def enter(self, client: str, transport: asyncio.BaseTransport | None, still: Callable[[], bool]) -> Stream | None:
        """Count a stream in; None: there are too many."""
        own = self._by_client.get(client, 0)
        if own >= self.limits.streams_per_client:
            return None
        if len(self._open) >= room_for(self.limits.streams, own) and not self._make_room(own):
            return None
        stream = Stream(client, transport, still)
        self._open[stream] = None
        self._by_client[client] += 1
        return stream

    def _make_room(self, own: int) -> bool:
        """End the oldest stream of the client with the most, if that leaves it no fewer than the one that comes."""
        heaviest, most = max(self._by_client.items(), key=lambda each: each[1], default=("", 0))
        if most <= own + 1:
            return False
        oldest = next(stream for stream in self._open if stream.client == heaviest)
        oldest.abort()
        self.leave(oldest)
        return True

    def cut(self) -> None:
        """End them all; their clients connect again."""
        for stream in self._open:
            stream.abort()

    def leave(self, stream: Stream) -> None:
        """Count it out; nothing where it was already."""
        if stream not in self._open:
            return
        del self._open[stream]
        self._by_client[stream.client] -= 1
        if not self._by_client[stream.client]:
            del self._by_client[stream.client]

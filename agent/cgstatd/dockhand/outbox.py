"""Events on their way to the server: each arrives once and in order, across connections.

The protocol confirms nothing, and the server stores what comes twice twice. But it reads in order, so its ``pong`` says
that it has read what went out before the ``ping``. One event is under way at a time, with a ping behind it. Of a link
that is cut in between, the kernel tells whether the server's host has acknowledged every byte: then it has the event;
else the event is sent on the next link.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ..basics.timing import Time
from ..feed.engine_events import EngineEvents
from ..feed.event_listener import Listener
from ..outputs.engine.hawser import container_event
from ..sampling.reading_failed import ReadingFailed
from ..sampling.registry import ListingFailed
from . import messages

MOST_UNCONFIRMED = 512
MOST_UNCONFIRMED_BYTES = 2 << 20
_MOST_PINGS = 64
_AGAIN_SECONDS = 5.0
Send = Callable[[bytes], Awaitable[None]]


class Outbox:
    """Listens while the connection is wanted, whether there is one or not. Used in the event loop."""

    def __init__(self, source: EngineEvents, time: Time) -> None:
        self._source, self._time = source, time
        self._listener: Listener | None = None
        self._taking: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self._under_way = False
        """Whether the first of these went out on this connection."""
        self._pings: deque[bool] = deque()
        """The pings that were not answered yet: whether that event went out before it."""

    @property
    def waiting(self) -> int:
        """How many events the server has not confirmed. Any thread may ask."""
        return len(self._kept)

    def start(self) -> None:
        """Listen from now on."""
        self._room.set()
        self._taking = asyncio.get_running_loop().create_task(self._take())

    def stop(self) -> None:
        """No more."""
        if self._taking is not None:
            self._taking.cancel()
        if self._listener is not None:
            self._source.leave(self._listener)

    async def _take(self) -> None:
        while self._listener is None:
            with suppress(ListingFailed, ReadingFailed):
                self._listener, _ = await self._source.subscribe(past=False)
                break
            await self._time.sleep(_AGAIN_SECONDS)
        async for each in self._listener.events():
            await self._room.wait()  # meanwhile the listener keeps what happens, and drops the oldest
            message = messages.container_event(container_event(each))
            self._kept.append(message)
            self._bytes += len(message)
            self._news.set()
            if len(self._kept) >= MOST_UNCONFIRMED or self._bytes >= MOST_UNCONFIRMED_BYTES:
                self._room.clear()

    def _first_is_over(self) -> None:
        self._bytes -= len(self._kept.popleft())
        if len(self._kept) < MOST_UNCONFIRMED and self._bytes < MOST_UNCONFIRMED_BYTES:
            self._room.set()

    # -- on a connection

    async def send(self, send: Send, ping: Callable[[], Awaitable[None]]) -> None:
        """Send for as long as the connection lasts; after each event ask for a sign that it was read."""
        self._news.set()
        while True:
            await self._news.wait()
            self._news.clear()
            if self._kept and not self._under_way:
                await send(self._kept[0])
                self._under_way = True
                await ping()

    def pinged(self) -> bool:
        """A ping is to go out; whether it may: not where so many wait for their answers already."""
        if len(self._pings) >= _MOST_PINGS:
            return False
        self._pings.append(self._under_way)
        return True

    def ponged(self) -> None:
        """The oldest ping was answered; an answer without a ping says nothing."""
        if self._pings and self._pings.popleft() and self._under_way:
            self._under_way = False
            self._pings = deque(False for _ in self._pings)
            self._first_is_over()
            self._news.set()

    def disconnected(self, *, acknowledged: bool) -> None:
        """The connection is over; ``acknowledged``: the server's host has every byte that was sent."""
        self._pings.clear()
        if self._under_way and acknowledged:
            self._first_is_over()
        self._under_way = False
